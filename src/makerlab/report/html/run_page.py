"""One run's page: everything about it, down to each quote and fill."""

from collections.abc import Mapping, Sequence
from typing import Any

from makerlab.report.by_config import ConfigSummary, Standing
from makerlab.report.evidence import NO_EVIDENCE
from makerlab.report.html.artefacts import Shelf
from makerlab.report.html.believing import evidence_table
from makerlab.report.html.costs import costs_section
from makerlab.report.html.curves import curves_section
from makerlab.report.html.facts import facts
from makerlab.report.html.fills import fills_section
from makerlab.report.html.learning import learning_section
from makerlab.report.html.numbers import NOTHING, unit_of, with_interval, words
from makerlab.report.html.optimum import optimum_section
from makerlab.report.html.page import scored_by, title_of
from makerlab.report.html.parameters import Describe
from makerlab.report.html.provenance import origin
from makerlab.report.html.quotes import quotes_of
from makerlab.report.html.render import embedded_json, render
from makerlab.report.html.sensitivity import sensitivity_section
from makerlab.report.html.sources import Sources
from makerlab.report.html.studies import studies_section
from makerlab.report.html.verdicts import verdict_rows
from makerlab.report.html.view import Subject, Table
from makerlab.report.records import DIFFERENCE, RunRecord
from makerlab.statistics.bootstrap import UNDEFINED, Estimate

SEGMENTS = ("train", "valid", "test")


def run_page(standing: Standing, record: RunRecord, why_not: str, sources: Sources) -> str:
    """Return a run's page as HTML text; `why_not` says why it is in no ranking, if it is not."""
    group, configs = standing
    subject = Subject(record.name, (record,))
    config = next((each for each in configs if record in each.runs), None)
    shelf, describe = sources.shelf, sources.describe
    quotes = quotes_of(record, shelf)
    return render(
        "run.html.j2",
        script="run.js",
        record=record,
        title=title_of(group),
        synthetic=group.synthetic,
        why_not=why_not,
        facts=facts(group, [record], shelf),
        row=None if config is None else verdict_rows([config])[0],
        difference=with_interval(
            record.estimate(f"test_{DIFFERENCE}{record.headline}"), signed=True
        ),
        against=_best_baseline(record),
        evidence=_evidence(configs, record),
        metrics=_metrics(record, shelf, describe),
        quotes=quotes,
        episodes=embedded_json(quotes.episodes),
        sections=(
            curves_section([subject], shelf),
            fills_section([subject], shelf),
            costs_section([subject]),
            learning_section([subject], shelf, scored_by=scored_by([subject])),
            studies_section([subject], sources.studies),
            sensitivity_section([subject], shelf),
            optimum_section([subject]),
        ),
        origin=origin(record, shelf),
        settings=_settings(record, describe),
        home="../../report.html",
    )


def _best_baseline(record: RunRecord) -> str:
    name = None if record.metrics is None else record.metrics.test.best_baseline
    return words(name or NOTHING)


def _evidence(configs: Sequence[ConfigSummary], record: RunRecord) -> Table | None:
    known = configs[0].group.runs.get(record.path, NO_EVIDENCE) if configs else NO_EVIDENCE
    return evidence_table([(record.name, known)], first="run")


def _metrics(record: RunRecord, shelf: Shelf, describe: Describe) -> Table | None:
    """Return every metric on every segment beside the best baseline's on the test segment."""
    stored = shelf.metrics(record)
    segments = {name: stored[name] for name in SEGMENTS if isinstance(stored.get(name), dict)}
    if not segments or record.metrics is None:
        return None
    best = record.metrics.test.best_baseline or ""
    baseline = segments.get("test", {}).get("baselines", {}).get(best, {})
    rows = []
    for name in record.metrics.test.metrics:
        unit = unit_of(name, describe(name))
        label = words(name) + (f", {unit}" if unit and unit not in words(name) else "")
        cells = [with_interval(_estimate(segment, name)) for segment in segments.values()]
        rows.append((label, *cells, with_interval(_estimate(baseline, name))))
    level = record.metrics.confidence
    caption = "Means per episode" + (
        f"; [{100 * level:g} % bootstrap interval over episodes]" if level else ""
    )
    header = ("metric", *segments, f"{words(best) or NOTHING} (best baseline) on test")
    return Table(caption=caption, header=header, rows=tuple(rows))


def _estimate(segment: Mapping[str, Any], name: str) -> Estimate:
    found = segment.get(name)
    if not isinstance(found, dict):
        return UNDEFINED
    return Estimate(found.get("value"), found.get("low"), found.get("high"))


def _settings(record: RunRecord, describe: Describe) -> list[tuple[str, str, str]]:
    """Return every effective setting with what it is."""
    return [
        (name, "" if value is None else str(value), describe(name))
        for name, value in record.parameters.items()
    ]
