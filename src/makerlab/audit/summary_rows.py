"""runs_summary.csv says of a run what its own files say."""

import csv
from pathlib import Path
from typing import Any

from makerlab.audit.findings import Evidence, Skip, close
from makerlab.audit.subject import AuditedRun
from makerlab.evaluation.objective import NET_PROFIT, headline_metric
from makerlab.runs.directory import SUMMARY

_SEGMENTS = ("valid", "test")
_PARTS = {"value": "", "low": "_low", "high": "_high"}


def summary_repeats_metrics(run: AuditedRun) -> Evidence:
    """Compare the run's row with metrics.json and manifest.json, number by number."""
    evidence = Evidence()
    row = _row(run)
    compared = 0
    headlines = dict.fromkeys((NET_PROFIT, headline_metric(run.config.env)))
    for segment in _SEGMENTS:
        stored = run.metrics[segment]
        for name, estimate in stored.items():
            if isinstance(estimate, dict) and "value" in estimate:
                compared += _compare(row, f"{segment}_{name}", estimate, evidence)
        for name, metrics in (stored.get("baselines") or {}).items():
            for headline in headlines:
                column = f"{segment}_{name}_{headline}"
                compared += _compare(row, column, metrics.get(headline) or {}, evidence)
        for headline in headlines:
            difference = (stored.get("difference_to_best_baseline") or {}).get(headline) or {}
            compared += _compare(row, f"{segment}_difference_{headline}", difference, evidence)
    _check_origin(run, row, evidence)
    evidence.fact(f"{compared} numbers of its row are those of metrics.json")
    return evidence


def _row(run: AuditedRun) -> dict[str, str]:
    path = run.runs_dir / SUMMARY
    if not path.is_file():
        raise Skip(f"there is no {SUMMARY} (scripts/analyze_experiments.py)")
    _ = run.metrics
    found = [row for row in _rows(path) if row.get("run") == run.directory.name]
    if not found or found[0].get("evaluated") != "yes":
        raise Skip(f"{SUMMARY} is older than this evaluation (scripts/analyze_experiments.py)")
    return found[0]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _compare(row: dict[str, str], name: str, estimate: dict[str, Any], evidence: Evidence) -> int:
    for part, ending in _PARTS.items():
        column = f"{name}{ending}"
        if column not in row:
            evidence.fault(f"{SUMMARY} has no column '{column}'")
            continue
        found = _number(row[column])
        if not close(found, estimate.get(part), relative=1e-12, absolute=0.0):
            evidence.fault(
                f"{SUMMARY} {column} is {row[column] or 'empty'}, metrics.json says "
                f"{estimate.get(part)}"
            )
    return len(_PARTS)


def _check_origin(run: AuditedRun, row: dict[str, str], evidence: Evidence) -> None:
    tuned = run.manifest.get("tuned_params")
    expected = {
        "trials": 1 if tuned is None else tuned.get("n_trials"),
        "data_source": run.manifest.get("data_source"),
        "data_sha256": (run.manifest.get("data") or {}).get("sha256"),
        "config_hash": run.manifest.get("config_hash"),
        "seed": run.manifest.get("seed"),
        "profile": run.manifest.get("profile"),
    }
    for name, value in expected.items():
        evidence.equal(row.get(name), str(value), what=f"{SUMMARY} {name}")


def _number(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
