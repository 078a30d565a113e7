"""Two runs side by side: what went in that differs, what came out, and whether that differs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makerlab.errors import UserError
from makerlab.report.parameters import Value
from makerlab.report.records import SEGMENTS, RunRecord, read_run
from makerlab.report.stored import HEADLINES, NET_PROFIT
from makerlab.runs.directory import RunDirectory
from makerlab.runs.manifest import read_manifest
from makerlab.statistics.bootstrap import UNDEFINED, Estimate
from makerlab.statistics.resampling import paired_bootstrap

SAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same in both runs; None where a run does not have it."""

    what: str
    name: str
    first: Value
    second: Value


@dataclass(frozen=True)
class MetricPair:
    """A metric of both runs on one segment; `second_minus_first` is paired, where it can be."""

    segment: str
    metric: str
    first: Estimate
    second: Estimate
    second_minus_first: Estimate


@dataclass(frozen=True)
class Comparison:
    """Everything that there is to say about two runs."""

    first: RunRecord
    second: RunRecord
    differences: tuple[Difference, ...]
    metrics: tuple[MetricPair, ...]
    notes: tuple[str, ...]


def compare(first: RunDirectory, second: RunDirectory) -> Comparison:
    """Compare two runs of one or two directories of runs.

    Net profit is compared episode by episode where both were judged on the same bars. Raises
    UserError when a run has no manifest, or both are the same run.
    """
    if first.path.resolve() == second.path.resolve():
        raise UserError(f"{first.path}: given twice; give two runs")
    records = [read_run(run, baseline_metrics=frozenset(HEADLINES)) for run in (first, second)]
    manifests = [read_manifest(run.manifest) for run in (first, second)]
    pairs, notes = _metrics(records[0], records[1], first, second)
    return Comparison(
        first=records[0],
        second=records[1],
        differences=tuple(_differences(records, manifests)),
        metrics=tuple(pairs),
        notes=tuple(notes),
    )


def paired_difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> Estimate | None:
    """Return the mean of second minus first over the episodes of both, with its interval.

    Each argument holds `starts_ms` and `profits` of the learned policy, both (episodes,). None
    when they were not judged on the same episodes: then a difference would be one of bars.
    """
    if first["starts_ms"] != second["starts_ms"]:
        return None
    return paired_bootstrap(
        _learned(second), _learned(first), samples=SAMPLES, seed=0, confidence=CONFIDENCE
    )


def _learned(periods: Mapping[str, Any]) -> list[float]:
    """The learned policy comes first in every list of policies."""
    profits: list[float] = next(iter(periods["profits"].values()))
    return profits


def _differences(records: list[RunRecord], manifests: list[dict[str, Any]]) -> Iterator[Difference]:
    first, second = (record.parameters for record in records)
    for name in dict.fromkeys([*first, *second]):
        if first.get(name) != second.get(name):
            yield Difference("config", name, first.get(name), second.get(name))
    for what, facts in (("data", _data), ("code", _code), ("versions", _versions)):
        one, other = (facts(manifest) for manifest in manifests)
        for name in dict.fromkeys([*one, *other]):
            if one.get(name) != other.get(name):
                yield Difference(what, name, one.get(name), other.get(name))


def _data(manifest: Mapping[str, Any]) -> dict[str, Value]:
    facts = {"source": manifest.get("data_source")}
    facts |= {name: manifest.get("data", {}).get(name) for name in ("path", "sha256", "rows")}
    for name, part in (manifest.get("split") or {}).items():
        if isinstance(part, dict):
            facts[f"{name} segment"] = f"{part.get('start')} to {part.get('end')}"
    return facts


def _code(manifest: Mapping[str, Any]) -> dict[str, Value]:
    git = manifest.get("git") or {}
    return {"git commit": git.get("commit"), "uncommitted changes": git.get("dirty")}


def _versions(manifest: Mapping[str, Any]) -> dict[str, Value]:
    facts: dict[str, Value] = {name: manifest.get(name) for name in ("device", "threads")}
    return facts | dict(manifest.get("versions") or {})


def _metrics(
    first: RunRecord, second: RunRecord, *runs: RunDirectory
) -> tuple[list[MetricPair], list[str]]:
    for record in (first, second):
        if record.metrics is None:
            return [], [f"{record.name} is not evaluated: there are no metrics to compare"]
    pairs: list[MetricPair] = []
    notes: list[str] = []
    profits = [_profits(run) for run in runs]
    notes += [
        f"{run.name} has no readable {run.evaluation.profits.name}, so nothing is paired; "
        "evaluate it again"
        for run, found in zip(runs, profits, strict=True)
        if found is None
    ]
    for segment in SEGMENTS:
        paired = _paired(profits, segment)
        if paired is None and None not in profits:
            notes.append(f"{segment}: not judged on the same episodes, so nothing is paired")
        pairs += _segment_pairs(segment, first, second, paired or UNDEFINED)
    return pairs, notes


def _segment_pairs(
    segment: str, first: RunRecord, second: RunRecord, paired: Estimate
) -> Iterator[MetricPair]:
    assert first.metrics is not None and second.metrics is not None
    one, other = (run.metrics.segment(segment).metrics for run in (first, second) if run.metrics)
    for metric in dict.fromkeys([*one, *other]):
        yield MetricPair(
            segment,
            metric,
            one.get(metric, UNDEFINED),
            other.get(metric, UNDEFINED),
            paired if metric == NET_PROFIT else UNDEFINED,
        )


def _paired(profits: list[dict[str, Any] | None], segment: str) -> Estimate | None:
    first, second = profits
    if first is None or second is None:
        return None
    return paired_difference(first[segment]["episodes"], second[segment]["episodes"])


def _profits(run: RunDirectory) -> dict[str, Any] | None:
    path: Path = run.evaluation.profits
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    return content
