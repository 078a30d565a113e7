"""Finished runs as an MLflow database: parameters, metrics with bounds, learning curves, files."""

import contextlib
import csv
import datetime
import logging
import math
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from makerlab.errors import UserError
from makerlab.files import file_hash
from makerlab.report.records import SEGMENTS, RunRecord, read_runs
from makerlab.report.stored import HEADLINES
from makerlab.runs.directory import RunDirectory
from makerlab.runs.manifest import COMPLETE, read_manifest
from makerlab.runs.progress import Report

RUN_TAG, CONTENT_TAG = "makerlab.run", "makerlab.content"
_MOST_PER_BATCH = 100
_LONGEST_VALUE = 500


def export_runs(runs_dir: Path, database: Path, *, experiment: str, report: Report) -> int:
    """Write every complete run into an MLflow database (one sqlite file); returns how many.

    Runs that are there already are left, unless they were evaluated anew: then they are replaced.
    Their files are copied beside the database. Raises UserError when MLflow is not installed,
    when there is no complete run, or when `database` is something else.
    """
    client = _client(database)
    complete = [
        record
        for record in read_runs(runs_dir, baseline_metrics=frozenset(HEADLINES))
        if record.state == COMPLETE and record.manifest is not None
    ]
    if not complete:
        raise UserError(f"{runs_dir}: holds no complete run to export")
    experiment_id = _experiment(client, experiment, database)
    present = {run.data.tags.get(RUN_TAG): run for run in _search(client, experiment_id)}
    written = 0
    for record in complete:
        content = _content_tag(record, runs_dir)
        before = present.get(record.path)
        if before is not None and before.data.tags.get(CONTENT_TAG) == content:
            continue
        if before is not None:
            client.delete_run(before.info.run_id)
        _export(client, experiment_id, record, runs_dir, content)
        written += 1
        report(f"{record.path}: exported")
    report(f"{database}: {written} runs written, {len(complete) - written} were there already")
    return written


def _client(database: Path) -> Any:
    """Open or create the database without MLflow's usage statistics."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    try:
        from mlflow.tracking import MlflowClient
    except ModuleNotFoundError:
        raise UserError(
            "MLflow is not installed; install it with: "
            "pip install -c constraints.txt -e '.[mlflow]'"
        ) from None
    _check_database(database)
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=f"sqlite:///{database.resolve()}")


def _check_database(database: Path) -> None:
    if database.is_dir():
        raise UserError(f"{database}: found a directory, expected a file for MLflow's database")
    if not database.parent.is_dir():
        raise UserError(f"{database}: {database.parent} is not a directory")
    if not database.is_file():
        return
    with contextlib.closing(sqlite3.connect(f"file:{database.resolve()}?mode=ro", uri=True)) as db:
        try:
            rows = db.execute("select name from sqlite_master where type = 'table'").fetchall()
        except sqlite3.DatabaseError:
            rows = [("",)]
    if rows and ("experiments",) not in rows:
        raise UserError(f"{database}: not an MLflow database; give another --output")


def _experiment(client: Any, name: str, database: Path) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    files = database.with_suffix(".artifacts").resolve()
    return str(client.create_experiment(name, artifact_location=files.as_uri()))


def _search(client: Any, experiment_id: str) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _content_tag(record: RunRecord, runs_dir: Path) -> str:
    """Return what changes when a run is evaluated or trained anew."""
    metrics = RunDirectory(runs_dir / record.path).evaluation.metrics
    key = record.manifest.train_key if record.manifest else None
    return f"{key}:{file_hash(metrics) if metrics.is_file() else 'not evaluated'}"


def _export(
    client: Any, experiment_id: str, record: RunRecord, runs_dir: Path, content: str
) -> None:
    run = RunDirectory(runs_dir / record.path)
    manifest = read_manifest(run.manifest)
    started, ended = (_milliseconds(manifest.get(name)) for name in ("started", "ended"))
    tags = {RUN_TAG: record.path, CONTENT_TAG: content, **_tags(manifest)}
    created = client.create_run(
        experiment_id, run_name=record.name, start_time=started, tags=tags
    ).info.run_id
    _log(client, created, record, run, at=ended or started or 0)
    for path in (run.config, run.manifest, run.evaluation.metrics, run.evaluation.equity_plot):
        if path.is_file():
            client.log_artifact(created, str(path))
    client.set_terminated(created, status="FINISHED", end_time=ended)


def _tags(manifest: Mapping[str, Any]) -> dict[str, str]:
    git = manifest.get("git") or {}
    data = manifest.get("data") or {}
    known = {
        "config_name": manifest.get("config_name"),
        "seed": manifest.get("seed"),
        "profile": manifest.get("profile"),
        "data_source": manifest.get("data_source"),
        "data_sha256": data.get("sha256"),
        "config_hash": manifest.get("config_hash"),
        "mlflow.source.git.commit": git.get("commit"),
        "mlflow.note.content": manifest.get("notes"),
    }
    return {
        name if name.startswith("mlflow.") else f"makerlab.{name}": str(value)
        for name, value in known.items()
        if value not in {None, ""}
    }


def _log(client: Any, run_id: str, record: RunRecord, run: RunDirectory, *, at: int) -> None:
    from mlflow.entities import Metric, Param

    parameters = [
        Param(name, str(value)[:_LONGEST_VALUE]) for name, value in record.parameters.items()
    ]
    metrics = [Metric(name, value, at, 0) for name, value in _final_metrics(record)]
    metrics += [Metric(name, value, at, step) for name, value, step in _curve(run.progress)]
    for first in range(0, len(parameters), _MOST_PER_BATCH):
        client.log_batch(run_id, params=parameters[first : first + _MOST_PER_BATCH])
    for first in range(0, len(metrics), 10 * _MOST_PER_BATCH):
        client.log_batch(run_id, metrics=metrics[first : first + 10 * _MOST_PER_BATCH])


def _final_metrics(record: RunRecord) -> Iterator[tuple[str, float]]:
    if record.metrics is None:
        return
    for name in SEGMENTS:
        segment = record.metrics.segment(name)
        for metric, estimate in segment.metrics.items():
            for ending, value in zip(("", "_low", "_high"), estimate, strict=True):
                if value is not None:
                    yield f"{name}.{metric}{ending}", value


def _curve(path: Path) -> Iterator[tuple[str, float, int]]:
    """Yield (name, value, step) of the learning curve."""
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            step = int(row.pop("step"))
            for name, text in row.items():
                if text and math.isfinite(float(text)):
                    yield f"learning.{name}", float(text), step


def _milliseconds(text: str | None) -> int | None:
    if not text:
        return None
    return round(datetime.datetime.fromisoformat(text).timestamp() * 1000)
