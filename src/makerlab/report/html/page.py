"""The report of all runs: first what is proved, then everything it rests on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from makerlab.report.by_config import ConfigSummary, Standing
from makerlab.report.html.artefacts import Shelf
from makerlab.report.html.believing import evidence_table
from makerlab.report.html.costs import PARTS, costs_section
from makerlab.report.html.curves import curves_section
from makerlab.report.html.facts import Fact, facts
from makerlab.report.html.fills import MARKOUT_BARS, fills_section
from makerlab.report.html.learning import learning_section
from makerlab.report.html.optimum import DISTANCE, optimum_section
from makerlab.report.html.pairs import PairsTable, pairs_table
from makerlab.report.html.parameters import parameters_section
from makerlab.report.html.provenance import Provenance, provenance
from makerlab.report.html.ranking_table import RunsTable, runs_table
from makerlab.report.html.render import render
from makerlab.report.html.sensitivity import sensitivity_section
from makerlab.report.html.sources import Sources
from makerlab.report.html.studies import studies_section
from makerlab.report.html.verdicts import (
    VerdictRow,
    choosing,
    headline,
    verdict_rows,
)
from makerlab.report.html.view import Section, Subject, Table
from makerlab.report.judgement import overfitting_sentence
from makerlab.report.ranking import RankingGroup, notes_of
from makerlab.report.records import RunRecord, why_not_ranked
from makerlab.report.stored import HEADLINES

BASELINE_METRICS = frozenset(
    {
        *HEADLINES,
        *(name for name, _ in PARTS),
        *(f"markout_{bars}_bps" for bars in MARKOUT_BARS),
        DISTANCE,
        "turnover",
        "bid_fills",
        "ask_fills",
        "mean_abs_inventory",
    }
)
"""What the report shows of baselines."""


@dataclass(frozen=True)
class GroupView:
    """One ranking group on the page; `anchor` begins all of its anchors."""

    anchor: str
    title: str
    headline: str
    choosing: str
    pairs: PairsTable | None
    facts: tuple[Fact, ...]
    evidence: Table | None
    overfitting: str
    rows: tuple[VerdictRow, ...]
    notes: tuple[str, ...]
    table: RunsTable
    sections: tuple[Section, ...]
    provenance: Provenance


def report_page(
    standings: Sequence[Standing], records: Sequence[RunRecord], sources: Sources
) -> str:
    """Return the page as HTML text."""
    groups = [_group(number, standing, sources) for number, standing in enumerate(standings)]
    grouped = {record.path for group, _ in standings for record in _all(group)}
    return render(
        "report.html.j2",
        script="report.js",
        groups=groups,
        others=[_other(record) for record in records if record.path not in grouped],
        problems=_problems(records, sources.shelf),
        runs=len(records),
    )


def _all(group: RankingGroup) -> list[RunRecord]:
    return [*group.records, *(record for record, _ in group.unranked)]


def _group(number: int, standing: Standing, sources: Sources) -> GroupView:
    shelf = sources.shelf
    group, configs = standing
    subjects = [subject for config in configs for subject in _subjects(config)]
    return GroupView(
        anchor=f"g{number + 1}",
        title=title_of(group),
        headline=headline(configs),
        choosing=choosing(configs),
        pairs=pairs_table(configs),
        facts=tuple(facts(group, group.records or _all(group), shelf)),
        evidence=evidence_table([(config.label, config.evidence) for config in configs]),
        overfitting=overfitting_sentence(configs[0].group.overfitting) if configs else "",
        rows=tuple(verdict_rows(configs)),
        notes=tuple(f"{note[:1].upper()}{note[1:]}." for note in notes_of(group)),
        table=runs_table(standing),
        sections=(
            parameters_section(standing, metric=group.sort_by, describe=sources.describe),
            learning_section(subjects, shelf, scored_by=scored_by(subjects)),
            curves_section(subjects, shelf),
            fills_section(subjects, shelf),
            costs_section(subjects),
            studies_section(subjects, sources.studies),
            sensitivity_section(subjects, shelf),
            optimum_section(subjects),
        ),
        provenance=provenance(_all(group), shelf),
    )


def _subjects(config: ConfigSummary) -> list[Subject]:
    """Return what is drawn together: a config's seeds; of a walk-forward, fold by fold."""
    if not config.folds:
        return [Subject(config.label, config.runs)]
    return [Subject(f"{config.label}, fold {each.fold}", each.runs) for each in config.folds]


def title_of(group: RankingGroup) -> str:
    """Return a group's name for people."""
    kind = "synthetic market" if group.synthetic else Path(group.data_path).name
    return f"{group.task.replace('_', ' ')} on {kind}, profile {group.profile or 'none'}"


def scored_by(subjects: Sequence[Subject]) -> str:
    """Return the metric of the validation score, as the runs' settings say."""
    found = {run.parameters.get("tune.metric") for subject in subjects for run in subject.runs}
    return " or ".join(sorted(str(metric) for metric in found - {None})) or "score"


def _other(record: RunRecord) -> tuple[str, str]:
    return record.path, why_not_ranked(record) or "data not recorded"


def _problems(records: Sequence[RunRecord], shelf: Shelf) -> list[str]:
    found = [f"{record.path}: {text}" for record in records for text in record.problems]
    return [*found, *dict.fromkeys(shelf.problems)]
