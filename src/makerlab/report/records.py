"""Every run directory read once: what it is, what it was given, how it was judged."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from makerlab.errors import UserError
from makerlab.report.parameters import Flattener, Parameters, Variants
from makerlab.report.profits import StoredProfits
from makerlab.report.record_cache import FEWEST_RUNS, KEPT_METRICS, kept_run_files
from makerlab.report.run_files import RunFiles, read_run_files
from makerlab.report.stored import (
    NET_PROFIT,
    StoredManifest,
    StoredMetrics,
    StoredTuning,
)
from makerlab.runs.directory import RunDirectory, list_runs
from makerlab.runs.manifest import COMPLETE, FAILED, RUNNING
from makerlab.runs.owner import is_alive
from makerlab.statistics.bootstrap import UNDEFINED, Estimate

INTERRUPTED = "interrupted"
UNKNOWN = "unknown"

SEGMENTS = ("valid", "test")
DIFFERENCE = "difference_"
"""A metric minus the best baseline's, as a column after `valid_` or `test_`: its name follows."""

_RUN_NAME = re.compile(
    r"^\d{8}_\d{6}_(?P<short_name>.+?)(_fold(?P<fold>\d+))?(_seed(?P<seed>\d+))?$"
)


@dataclass(frozen=True)
class RunRecord:
    """One run; `manifest` and `metrics` are None where the file is missing or damaged.

    `variant` names the settings, whatever the seed.
    """

    algo: str
    name: str
    state: str
    manifest: StoredManifest | None
    metrics: StoredMetrics | None
    profits: StoredProfits | None
    parameters: Parameters
    variant: str | None
    problems: tuple[str, ...]

    @property
    def path(self) -> str:
        """The run directory, relative to the directory of runs."""
        return f"{self.algo}/{self.name}"

    @property
    def config_name(self) -> str:
        """The config's name; without a manifest, what the directory's name says."""
        if self.manifest is not None:
            return self.manifest.config_name
        return self._from_name("short_name") or self.name

    @property
    def headline(self) -> str:
        """The metric by which the run is ranked and judged."""
        return NET_PROFIT if self.metrics is None else self.metrics.valid.headline

    @property
    def seed(self) -> int | None:
        """The training seed."""
        return self.manifest.seed if self.manifest is not None else self._number("seed")

    @property
    def fold(self) -> int | None:
        """The fold of a walk-forward, None for a run that is of none."""
        return self.manifest.fold if self.manifest is not None else self._number("fold")

    @property
    def tuned_params(self) -> StoredTuning | None:
        """Where tuned parameters come from, None for a run without."""
        return None if self.manifest is None else self.manifest.tuned_params

    def _number(self, part: str) -> int | None:
        found = self._from_name(part)
        return None if found is None else int(found)

    def _from_name(self, part: str) -> str | None:
        match = _RUN_NAME.match(self.name)
        return match.group(part) if match else None

    def estimate(self, column: str) -> Estimate:
        """Return a summary column such as `valid_sharpe` or `test_difference_net_profit`."""
        segment_name, _, metric = column.partition("_")
        if self.metrics is None or segment_name not in SEGMENTS:
            return UNDEFINED
        segment = self.metrics.segment(segment_name)
        if metric.startswith(DIFFERENCE):
            return segment.difference(metric.removeprefix(DIFFERENCE))
        return segment.metrics.get(metric, UNDEFINED)


def read_runs(runs_dir: Path, *, baseline_metrics: frozenset[str]) -> list[RunRecord]:
    """Read every run below a directory, in order of algorithm and name.

    Damaged and unfinished runs are listed too, with what is wrong in `problems`. Raises UserError
    when there is no run at all.
    """
    if not runs_dir.exists():
        raise UserError(f"{runs_dir}: no such directory of runs; {_WAY_OUT}")
    if not runs_dir.is_dir():
        raise UserError(f"{runs_dir}: found a file, expected a directory of runs")
    runs = list(run_directories(runs_dir))
    if not runs:
        raise UserError(f"{runs_dir}: holds no runs yet; {_WAY_OUT}")
    recorder = _Recorder()
    found: Iterator[RunFiles]
    if len(runs) < FEWEST_RUNS or baseline_metrics != KEPT_METRICS:
        found = (read_run_files(run, baseline_metrics=baseline_metrics) for run in runs)
    else:
        found = kept_run_files(runs_dir, runs)
    return [recorder.record(run, files) for run, files in zip(runs, found, strict=True)]


def read_run(run: RunDirectory, *, baseline_metrics: frozenset[str]) -> RunRecord:
    """Read one run; what is wrong with it is in its `problems`."""
    return _Recorder().record(run, read_run_files(run, baseline_metrics=baseline_metrics))


_WAY_OUT = (
    "make some with `make matrix`, or with train_mm_sac.py --config CONFIG and "
    "scripts/evaluate_policy.py --model_path RUN_DIR"
)


def run_directories(runs_dir: Path) -> Iterator[RunDirectory]:
    """Yield what is a run or was meant to become one: RUNS_DIR/<algo>/<date_time_name>/."""
    for run in list_runs(runs_dir):
        if (_RUN_NAME.match(run.name) and run.path.is_dir()) or run.manifest.is_file():
            yield run


class _Recorder:
    """Makes records of runs, never failing for what is wrong with one of them."""

    def __init__(self) -> None:
        self._flattener = Flattener()
        self._variants = Variants()

    def record(self, run: RunDirectory, files: RunFiles) -> RunRecord:
        """Return a run as its files tell it; what is wrong is in its `problems`."""
        manifest, metrics = files.manifest, files.metrics
        state = UNKNOWN if manifest is None else _state(manifest)
        parameters: Parameters = {}
        problems = list(files.problems)
        if manifest is not None:
            problems = _failure(manifest, state) + problems
            parameters = self._flattener.parameters(manifest.config)
            if metrics is not None:
                problems += _disagreements(manifest, metrics)
        return RunRecord(
            algo=run.path.parent.name,
            name=run.name,
            state=state,
            manifest=manifest,
            metrics=metrics,
            profits=files.profits,
            parameters=parameters,
            variant=self._variant(manifest, parameters),
            problems=tuple(problems),
        )

    def _variant(self, manifest: StoredManifest | None, parameters: Parameters) -> str | None:
        if manifest is None or not parameters:
            return None
        return self._variants.of(parameters, tuned=manifest.tuned)


def _state(manifest: StoredManifest) -> str:
    if manifest.state != RUNNING:
        return manifest.state
    try:
        return RUNNING if is_alive(manifest.owner) else INTERRUPTED
    except (KeyError, TypeError):
        return INTERRUPTED


def _failure(manifest: StoredManifest, state: str) -> list[str]:
    if state != FAILED:
        return []
    message = manifest.error.message if manifest.error else ""
    return [f"failed: {message}" if message else "failed"]


def _disagreements(manifest: StoredManifest, metrics: StoredMetrics) -> list[str]:
    """What an evaluation says that its run does not."""
    found = []
    if metrics.data_sha256 != manifest.data.sha256 and metrics.cross_env is None:
        found.append("metrics.json: judged on other data than the run was trained on")
    if metrics.train_key != manifest.train_key:
        found.append("metrics.json: judged with another version of the code or the config")
    return found


def why_not_ranked(record: RunRecord) -> str | None:
    """Return why a run can't stand in a ranking, None when it can."""
    manifest, metrics = record.manifest, record.metrics
    if record.state != COMPLETE or manifest is None:
        return record.state if record.state != UNKNOWN else "manifest missing or damaged"
    if metrics is None:
        damaged = any(text.startswith("metrics.json") for text in record.problems)
        return "evaluation damaged" if damaged else "not evaluated"
    if metrics.cross_env is not None:
        return "judged in another environment (cross_env)"
    if manifest.data.sha256 is None or manifest.split is None:
        return "data or split not recorded"
    if metrics.data_sha256 != manifest.data.sha256:
        return "judged on other data"
    return None
