"""How much was tried before a result could be chosen: what the registry and the disk know."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from makerlab.report.records import RunRecord
from makerlab.runs.registry import History, Registry


@dataclass(frozen=True)
class Behind:
    """What was ever tried on one data set for one task.

    `trials` are tuning trials, `runs` training runs (a seed each), `variants` the distinct settings
    among those runs. `damaged` lines of the registry could not be read and are not counted.
    """

    trials: int
    runs: int
    variants: int
    damaged: int = 0

    @property
    def total(self) -> int:
        """Everything that was tried: each trial and each run had its chance to look good."""
        return self.trials + self.runs


Key = tuple[str, str]
"""Task and hash of the data."""


def behind_all(runs_dir: Path, records: Iterable[RunRecord]) -> Mapping[Key, Behind]:
    """Return what stands behind the results of each task and data set among the runs.

    The registry never forgets; runs and studies that are on disk but not in it (made elsewhere, or
    before there was one) are added.
    """
    registry = Registry(runs_dir)
    members: dict[Key, list[RunRecord]] = {}
    for record in records:
        manifest = record.manifest
        if manifest is not None and manifest.data.sha256 is not None:
            members.setdefault((manifest.task, manifest.data.sha256), []).append(record)
    return {
        (task, data): _behind(registry.history(data), found, task)
        for (task, data), found in members.items()
    }


def _behind(history: History, records: list[RunRecord], task: str) -> Behind:
    runs = {entry.key for entry in history.of_runs(task=task)}
    variants = {entry.variant for entry in history.of_runs(task=task)}
    trials = dict(history.by_study(task=task))
    for record in records:
        manifest = record.manifest
        assert manifest is not None
        runs.add(manifest.train_key or record.path)
        variants.add(record.variant or record.path)
        tuned = manifest.tuned_params
        if tuned is not None:
            study = tuned.study or record.config_name
            trials[study] = max(trials.get(study, 0), tuned.n_trials or 0)
    return Behind(sum(trials.values()), len(runs), len(variants), history.damaged)
