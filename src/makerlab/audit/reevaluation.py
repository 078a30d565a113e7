"""The stored model judged again: every stored number must come out again."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from makerlab.audit.findings import Evidence, Skip, close
from makerlab.audit.subject import AuditedRun
from makerlab.config import EvaluateSettings
from makerlab.data.split import SEGMENT_NAMES
from makerlab.runs import keys
from makerlab.statistics.bootstrap import Estimate
from makerlab.tasks import SegmentResult

_RELATIVE, _ABSOLUTE = 1e-6, 1e-9


def metrics_come_out_again(run: AuditedRun) -> Evidence:
    """Evaluate the judged model under the stored config and compare every number and row."""
    evidence = Evidence()
    settings = _settings(run)
    policy = run.policy(run.directory.path / str(run.metrics.get("model")))
    numbers = rows = 0
    for segment in SEGMENT_NAMES:
        policies = {run.workbench.learned: policy, **run.workbench.baselines()}
        result = run.workbench.evaluate(policies, segment, settings)
        numbers += _compare_metrics(run, segment, result, evidence)
        rows += _compare_rows(run, segment, result, evidence)
    if evidence.faults and run.metrics.get("evaluate_key") != keys.evaluate_key(run.config):
        evidence.faults.insert(
            0,
            "the source code or settings have changed since the evaluation (evaluate_key): what "
            f"is stored is not what today's give; the run's commit is {_commit(run)}",
        )
    evidence.fact(f"{numbers} numbers of metrics.json and {rows} stored rows came out again")
    return evidence


def _settings(run: AuditedRun) -> EvaluateSettings:
    """Return how the stored evaluation judged, where it says so itself."""
    stored = {
        "episodes": run.metrics["test"].get("episodes_asked"),
        "bootstrap_samples": run.metrics.get("bootstrap_samples"),
        "confidence": run.metrics.get("confidence"),
    }
    given = {name: value for name, value in stored.items() if value is not None}
    changed = {f"evaluate.{name}": value for name, value in given.items()}
    return run.config.with_values(changed, source="metrics.json").evaluate


def _compare_metrics(
    run: AuditedRun, segment: str, result: SegmentResult, evidence: Evidence
) -> int:
    stored = run.metrics[segment]
    evidence.equal(stored.get("episodes"), result.episodes, what=f"{segment}.episodes")
    learned = run.workbench.learned
    best = str(stored.get("best_baseline"))
    sections: dict[str, tuple[Any, Mapping[str, Estimate]]] = {
        "": (stored, result.metrics[learned])
    }
    for name, estimates in result.metrics.items():
        if name != learned:
            sections[f"baselines.{name}."] = (stored.get("baselines", {}).get(name), estimates)
    if best in result.differences:
        difference = stored.get("difference_to_best_baseline")
        sections["difference_to_best_baseline."] = (difference, result.differences[best])
    else:
        evidence.fault(f"{segment}.best_baseline is '{best}', which is no baseline")
    compared = 0
    for prefix, (found, expected) in sections.items():
        for place, one, other in _pairs(found, expected):
            compared += 1
            if not close(one, other, relative=_RELATIVE, absolute=_ABSOLUTE):
                evidence.fault(f"metrics.json {segment}.{prefix}{place} is {one}, found {other}")
    return compared


def _pairs(
    stored: Any, estimates: Mapping[str, Estimate]
) -> Iterator[tuple[str, float | None, float | None]]:
    for name, estimate in estimates.items():
        entry = stored.get(name) if isinstance(stored, dict) else None
        for part, value in estimate.to_dict().items():
            found = entry.get(part) if isinstance(entry, dict) else None
            yield f"{name}.{part}", found, value


def _compare_rows(run: AuditedRun, segment: str, result: SegmentResult, evidence: Evidence) -> int:
    try:
        stored = [rows for rows in run.episodes if rows.segment == segment]
    except Skip:
        return 0
    compared = 0
    for rows in stored:
        if rows.number >= len(result.episode_tables):
            evidence.fault(f"{rows.path.name}: the evaluation has no such episode")
            continue
        table = result.episode_tables[rows.number]
        if rows.timestamps != table["timestamp"]:
            evidence.fault(f"{rows.path.name}: is of other bars than the evaluation's episode")
            continue
        compared += len(rows)
        for name, values in rows.columns.items():
            expected = np.asarray(table.get(name, [math.nan] * len(rows)), np.float64)
            same = np.isclose(values, expected, rtol=_RELATIVE, atol=_ABSOLUTE)
            for row in np.flatnonzero(~same)[:1]:
                evidence.fault(
                    f"{rows.place(int(row))}: '{name}' is {values[row]:.10g}, played again it is "
                    f"{expected[row]:.10g}"
                )
    return compared


def _commit(run: AuditedRun) -> str:
    return str((run.manifest.get("git") or {}).get("commit"))[:12]
