"""The files of a run, as far as reports need them, and what is wrong with them."""

import functools
from typing import Any

from pydantic import create_model

from makerlab.errors import UserError
from makerlab.report.profits import StoredProfits, read_profits
from makerlab.report.stored import (
    Stored,
    StoredManifest,
    StoredMetrics,
    metrics_model,
    read_manifest,
    read_metrics,
)
from makerlab.runs.directory import RunDirectory


class RunFiles(Stored):
    """What is in a run's files; None where one is missing, was not asked for or is damaged."""

    manifest: StoredManifest | None = None
    metrics: StoredMetrics | None = None
    profits: StoredProfits | None = None
    problems: tuple[str, ...] = ()


@functools.cache
def run_files_model(baseline_metrics: frozenset[str]) -> type[RunFiles]:
    """Return the model whose metrics of baselines are the named ones."""
    fields: dict[str, Any] = {"metrics": (metrics_model(baseline_metrics) | None, None)}
    return create_model("Run", __base__=RunFiles, **fields)


def read_run_files(run: RunDirectory, *, baseline_metrics: frozenset[str]) -> RunFiles:
    """Read a run's files; the first that is missing or damaged is told in `problems`."""
    found: dict[str, Any] = {}
    try:
        found["manifest"] = read_manifest(run.manifest)
        found["metrics"] = read_metrics(run.evaluation.metrics, baseline_metrics=baseline_metrics)
        if found["metrics"] is not None:
            found["profits"] = read_profits(run.evaluation.profits)
    except UserError as error:
        found["problems"] = (str(error),)
    return run_files_model(baseline_metrics)(**found)
