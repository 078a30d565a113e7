"""Which runs may be compared, and their order.

Runs stand in one ranking only when they were judged on the same data (source and hash), cut into
the same segments, under the same profile and for the same task. The folds of one walk-forward are
one ranking, in which a run has its place among the runs of its own fold.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from makerlab.config import SYNTHETIC
from makerlab.errors import UserError, nearest
from makerlab.files import content_hash
from makerlab.report.parameters import Value, values_of, varying
from makerlab.report.records import DIFFERENCE, SEGMENTS, RunRecord, why_not_ranked
from makerlab.report.stored import NET_PROFIT

SMALLER_IS_BETTER = frozenset(
    {
        "max_drawdown_pct",
        "max_drawdown",
        "fees",
        "mean_abs_inventory",
        "max_abs_inventory",
        "time_at_cap",
        "distance_to_optimum_pct",
    }
)

# Settings under which the same quotes earn differently: the market's terms, and the scale.
_MARKET_FACTS = ("env.fee_rate", "env.taker_fee_rate", "env.fill.")
_SCALE_FACTS = ("env.episode_length", "env.initial_cash", "env.order_size", "env.max_inventory")


@dataclass(frozen=True)
class RankedRun:
    """A run and its place within its fold; equal values share a place."""

    rank: int
    record: RunRecord


@dataclass(frozen=True)
class RankingGroup:
    """Runs that may be compared, best first, and what a reader must know about them."""

    id: str
    task: str
    data_source: str
    data_path: str
    data_sha256: str
    profile: str
    splits: Mapping[int | None, dict[str, Any]]
    walk_forward: dict[str, Any] | None
    sort_by: str
    ranked: tuple[RankedRun, ...]
    unranked: tuple[tuple[RunRecord, str], ...]

    @property
    def records(self) -> list[RunRecord]:
        """The ranked runs, best first."""
        return [ranked.record for ranked in self.ranked]

    @property
    def synthetic(self) -> bool:
        """Whether the market is made up."""
        return self.data_source == SYNTHETIC

    @property
    def headline(self) -> str:
        """The metric by which its runs are judged."""
        return _headline(self.records)

    @property
    def quick(self) -> bool:
        """Whether the runs are too short to believe."""
        return self.profile == "quick"


def check_column(column: str | None, records: Iterable[RunRecord], *, flag: str) -> None:
    """Raise UserError naming the nearest when there is no such column; None is no choice."""
    if column is None or column == f"valid_{NET_PROFIT}":
        return
    choices = estimate_columns(records)
    if column not in choices:
        hint = nearest(column, choices) if choices else "no run is evaluated yet"
        raise UserError(f"{flag}: found '{column}', no such metric column; {hint}")


def estimate_columns(records: Iterable[RunRecord]) -> list[str]:
    """Return every metric column of the runs: valid_ then test_, differences last."""
    names: dict[str, None] = {}
    differences: dict[str, None] = {}
    for record in records:
        if record.metrics is not None:
            for segment in SEGMENTS:
                names |= dict.fromkeys(record.metrics.segment(segment).metrics)
            differences |= dict.fromkeys((DIFFERENCE + NET_PROFIT, DIFFERENCE + record.headline))
    return [f"{segment}_{name}" for segment in SEGMENTS for name in (*names, *differences)]


def metric_of(column: str) -> str:
    """Return a column's metric without its segment."""
    return column.partition("_")[2]


def chosen_on_test(column: str) -> bool:
    """Whether a choice by this column is a choice on the test segment."""
    return column.startswith("test_")


def smaller_is_better(column: str) -> bool:
    """Whether the best run is the one with the smallest value."""
    return metric_of(column) in SMALLER_IS_BETTER


def group_id(record: RunRecord) -> str | None:
    """Return the name of the ranking a run belongs to, None when its data are not recorded."""
    manifest = record.manifest
    if manifest is None or manifest.data.sha256 is None or manifest.split is None:
        return None
    plan = manifest.walk_forward
    cut = _ranges(manifest.split) if plan is None else tuple(sorted(plan.items()))
    key = _hash((manifest.task, manifest.data_source, manifest.data.sha256, cut))
    profile = manifest.profile or "own"
    return f"{manifest.data_source}-{manifest.data.sha256[:8]}-{key[:6]}-{profile}"


def _ranges(split: dict[str, Any]) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (name, str(segment.get("start")), str(segment.get("end")))
        for name, segment in split.items()
        if isinstance(segment, dict)
    )


_hash = functools.cache(content_hash)
"""Thousands of runs share a few rankings."""


def ranking_groups(records: Sequence[RunRecord], *, sort_by: str | None) -> list[RankingGroup]:
    """Return the groups of comparable runs: real data first, full profiles before quick ones.

    `sort_by` None ranks each group by the validation's headline metric.
    """
    members: dict[str, list[RunRecord]] = {}
    for record in records:
        name = group_id(record)
        if name is not None:
            members.setdefault(name, []).append(record)
    groups = [_group(name, runs, sort_by or default_column(runs)) for name, runs in members.items()]
    return sorted(groups, key=lambda group: (group.synthetic, group.quick, group.id))


def default_column(records: Iterable[RunRecord]) -> str:
    """Return the column by which runs are ranked, and drawn, when none is asked for."""
    return f"valid_{_headline(records)}"


def _headline(records: Iterable[RunRecord]) -> str:
    judged = (record.headline for record in records if record.metrics is not None)
    return next(judged, NET_PROFIT)


def _group(name: str, runs: Sequence[RunRecord], sort_by: str) -> RankingGroup:
    manifest = runs[0].manifest
    assert manifest is not None and manifest.data.sha256 is not None
    comparable, unranked = [], []
    for record in runs:
        reason = why_not_ranked(record)
        if reason is None and record.estimate(sort_by).value is None:
            reason = f"{sort_by} is not defined"
        if reason is None:
            comparable.append(record)
        else:
            unranked.append((record, reason))
    return RankingGroup(
        id=name,
        task=manifest.task,
        data_source=manifest.data_source or "",
        data_path=manifest.data.path or "",
        data_sha256=manifest.data.sha256,
        profile=manifest.profile,
        splits=_splits(runs),
        walk_forward=manifest.walk_forward,
        sort_by=sort_by,
        ranked=tuple(_ranked(comparable, sort_by)),
        unranked=tuple(unranked),
    )


def _splits(runs: Sequence[RunRecord]) -> dict[int | None, dict[str, Any]]:
    """Return the segments of each fold, in order."""
    found = {run.fold: run.manifest.split or {} for run in runs if run.manifest is not None}
    return dict(sorted(found.items(), key=lambda item: -1 if item[0] is None else item[0]))


def _ranked(records: Sequence[RunRecord], sort_by: str) -> Iterator[RankedRun]:
    """Yield fold after fold: profits of different times have no order."""
    folds: dict[int | None, list[RunRecord]] = {}
    for record in sorted(records, key=lambda record: -1 if record.fold is None else record.fold):
        folds.setdefault(record.fold, []).append(record)
    for members in folds.values():
        yield from _ranked_fold(members, sort_by)


def _ranked_fold(records: Sequence[RunRecord], sort_by: str) -> Iterator[RankedRun]:
    sign = 1.0 if smaller_is_better(sort_by) else -1.0

    def place(record: RunRecord) -> tuple[float, str]:
        return (sign * (record.estimate(sort_by).value or 0.0), record.path)

    rank, before = 0, None
    for number, record in enumerate(sorted(records, key=place), start=1):
        value = record.estimate(sort_by).value
        if value != before:
            rank, before = number, value
        yield RankedRun(rank, record)


def notes_of(group: RankingGroup) -> list[str]:
    """Return what makes the runs of a group less comparable than their table looks."""
    records = group.records
    parameters = [record.parameters for record in records]
    differing = varying(parameters)

    def listed(prefixes: Sequence[str]) -> str:
        found = [name for name in differing if name.startswith(tuple(prefixes))]
        return "; ".join(f"{name} {_values(values_of(name, parameters))}" for name in found)

    notes = []
    if facts := listed(_MARKET_FACTS):
        notes.append(f"different market terms stand in this ranking: {facts}")
    if scale := listed(_SCALE_FACTS):
        notes.append(
            f"different scales stand in this ranking: {scale}; currency per episode is not the "
            "same thing in all of them, compare ratios too (return_on_capital, sharpe)"
        )
    return notes + _code_notes(records) + _judging_notes(records)


def _values(values: Sequence[Value]) -> str:
    shown = ", ".join("none" if value is None else str(value) for value in values[:4])
    more = f", and {len(values) - 4} more" if len(values) > 4 else ""
    return f"({shown}{more})"


def _code_notes(records: Sequence[RunRecord]) -> list[str]:
    manifests = [record.manifest for record in records if record.manifest is not None]
    commits = {manifest.git.commit for manifest in manifests}
    dirty = sum(manifest.git.dirty is True for manifest in manifests)
    notes = []
    if len(commits) > 1:
        notes.append(f"the runs come from {len(commits)} different commits of the code")
    if dirty:
        notes.append(f"{dirty} of {len(records)} runs come from code with uncommitted changes")
    return notes


def _judging_notes(records: Sequence[RunRecord]) -> list[str]:
    metrics = [record.metrics for record in records if record.metrics is not None]
    episodes = {found.test.episodes or 0 for found in metrics}
    levels = {found.confidence or 0.0 for found in metrics}
    notes = []
    if len(episodes) > 1:
        shown = ", ".join(str(count) for count in sorted(episodes))
        notes.append(f"the runs were judged on different numbers of test episodes ({shown})")
    if len(levels) > 1:
        shown = ", ".join(f"{100 * level:g} %" for level in sorted(levels))
        notes.append(f"the intervals are of different confidence ({shown})")
    return notes
