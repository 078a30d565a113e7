"""What is finished, judged by content keys alone; nothing heavy is imported to find out."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makerlab.config import Config
from makerlab.errors import UserError
from makerlab.matrix.options import MatrixOptions
from makerlab.matrix.plan import Experiment, Work
from makerlab.runs import keys
from makerlab.runs.directory import RunDirectory, TuningDirectory, find_runs, tuning_directory
from makerlab.runs.manifest import COMPLETE, FAILED, RUNNING, read_manifest
from makerlab.runs.owner import is_alive
from makerlab.stages.resolve import is_tuned, resolve_config

INTERRUPTED = "interrupted"

_KEPT = ("state", "train_key", "owner", "error", "config_name")
# Of several runs of the same inputs, the one that is furthest counts.
_ORDER = {COMPLETE: 0, RUNNING: 1, INTERRUPTED: 2, FAILED: 3}


@dataclass(frozen=True)
class FoundRun:
    """A run directory and how it stands: complete, running, interrupted or failed."""

    directory: RunDirectory
    state: str
    config_name: str
    error: dict[str, Any] | None
    evaluate_settings: dict[str, Any]


class RunIndex:
    """All runs by train key, as of the last refresh; a manifest is read again only when changed."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._read: dict[Path, tuple[tuple[int, int], dict[str, Any] | None]] = {}
        self._by_key: dict[str, list[tuple[RunDirectory, dict[str, Any]]]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look at the disk again."""
        self._by_key = {}
        for run in find_runs(self._runs_dir):
            content = self._manifest(run.manifest)
            if content is not None:
                self._by_key.setdefault(content["train_key"], []).append((run, content))

    def find(self, train_key: str) -> FoundRun | None:
        """Return the run of these inputs that is furthest, None when there is none."""
        found = [_found(run, content) for run, content in self._by_key.get(train_key, [])]
        return min(found, key=lambda run: _ORDER[run.state], default=None)

    def unfinished(self) -> list[tuple[str, FoundRun]]:
        """Return (train key, run) of runs that are under way or were stopped."""
        found = [
            (key, _found(run, content))
            for key, runs in self._by_key.items()
            for run, content in runs
        ]
        return [(key, run) for key, run in found if run.state in {RUNNING, INTERRUPTED}]

    def _manifest(self, path: Path) -> dict[str, Any] | None:
        """Return what matters of a manifest; None for one that is damaged or of another kind."""
        try:
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            known = self._read.get(path)
            if known is None or known[0] != stamp:
                known = (stamp, _slim(read_manifest(path)))
                self._read[path] = known
        except (UserError, FileNotFoundError):
            return None
        return known[1]


def _found(run: RunDirectory, content: dict[str, Any]) -> FoundRun:
    state = content["state"]
    if state == RUNNING and not is_alive(content["owner"]):
        state = INTERRUPTED
    return FoundRun(run, state, str(content["config_name"]), content["error"], content["evaluate"])


def _slim(manifest: dict[str, Any]) -> dict[str, Any] | None:
    if manifest.get("state") not in {COMPLETE, RUNNING, FAILED} or "train_key" not in manifest:
        return None
    settings = manifest.get("config", {}).get("evaluate", {})
    kept = {name: manifest.get(name) for name in _KEPT}
    return kept | {"evaluate": settings}


class Ledger:
    """Tells for each piece of work of a matrix whether its result is there.

    Runs are those found by the last `refresh`; tuned parameters are always today's.
    """

    def __init__(self, options: MatrixOptions, experiments: list[Experiment]) -> None:
        self.options = options
        self.experiments = {experiment.name: experiment for experiment in experiments}
        self._index = RunIndex(options.runs_dir)
        self._configs: dict[Work, tuple[int | None, Config, str]] = {}
        self._tuned: dict[tuple[str, int | None], Config] = {}

    def refresh(self) -> None:
        """Look for runs again."""
        self._index.refresh()

    def unfinished_runs(self) -> list[tuple[str, FoundRun]]:
        """Return (train key, run) of all runs of the directory that were begun and not finished."""
        return self._index.unfinished()

    def is_done(self, work: Work) -> bool:
        """Return whether the result of this work exists and belongs to today's inputs."""
        if work.stage == "tune":
            return self.is_tuned(work)
        if "tune" in self.options.stages and not self.is_tuned(work):
            return False
        if work.stage == "train":
            return self.complete_run(work) is not None
        return self.is_evaluated(work)

    def is_tuned(self, work: Work) -> bool:
        """Return whether the study behind this work is complete; UserError when it is damaged."""
        return is_tuned(self._tuned_config(work), self.tuning(work).best_params)

    def tuning(self, work: Work) -> TuningDirectory:
        """Return where the tuning behind this work lives."""
        algo = self.experiments[work.config_name].config.train.algo
        return tuning_directory(self.options.runs_dir, algo, work.config_name, fold=work.fold)

    def _tuned_config(self, work: Work) -> Config:
        """Return the config that a study is made for: that of its fold."""
        place = (work.config_name, work.fold)
        if place not in self._tuned:
            config = self.experiments[work.config_name].config
            changes = {} if work.fold is None else {"data_split.fold": work.fold}
            self._tuned[place] = config.with_values(changes) if changes else config
        return self._tuned[place]

    def config_of(self, work: Work) -> Config:
        """Return the effective config of a run, tuned parameters and seed included."""
        return self._effective(work)[0]

    def train_key(self, work: Work) -> str:
        """Return the key of a run."""
        return self._effective(work)[1]

    def run_of(self, work: Work) -> FoundRun | None:
        """Return the run of a seed that is furthest, None when there is none."""
        return self._index.find(self.train_key(work))

    def complete_run(self, work: Work) -> FoundRun | None:
        """Return the finished run of a seed, None when there is none."""
        run = self.run_of(work)
        return run if run is not None and run.state == COMPLETE else None

    def is_evaluated(self, work: Work) -> bool:
        """Return whether the finished run of a seed is evaluated with today's settings."""
        run = self.complete_run(work)
        if run is None:
            return False
        found = read_metrics(run.directory.evaluation.metrics)
        return bool(found.get("evaluate_key") == keys.evaluate_key(self.config_of(work)))

    def _effective(self, work: Work) -> tuple[Config, str]:
        """Resolve a run's config anew whenever its tuned parameters have changed."""
        place = Work("train", work.config_name, work.seed, work.fold)
        params = self.tuning(work).best_params
        stamp = params.stat().st_mtime_ns if params.is_file() else None
        known = self._configs.get(place)
        if known is None or known[0] != stamp:
            options, flags = self.options, {"train.seed": work.seed}
            flags |= {} if work.fold is None else {"data_split.fold": work.fold}
            config = resolve_config(
                self.experiments[work.config_name].path,
                profile=options.profile or None,
                data=options.data,
                flags=flags,
                runs_dir=options.runs_dir,
                params_path=None,
            ).config
            known = (stamp, config, keys.train_key(config))
            self._configs[place] = known
        return known[1], known[2]


def read_metrics(path: Path) -> dict[str, Any]:
    """Return what a metrics.json holds, nothing for one that is missing or damaged."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
