"""What is finished, judged by content keys alone; nothing heavy is imported to find out."""

from dataclasses import dataclass
from pathlib import Path

from makerlab.config import Config
from makerlab.files import Stamp, stamp_of
from makerlab.matrix.heads import read_evaluate_key
from makerlab.matrix.options import MatrixOptions
from makerlab.matrix.plan import Experiment, Work
from makerlab.matrix.run_index import FoundRun, RunIndex
from makerlab.runs import keys
from makerlab.runs.directory import TuningDirectory, tuning_directory
from makerlab.runs.manifest import COMPLETE
from makerlab.stages.resolve import is_tuned, resolve_config


class Ledger:
    """Tells for each piece of work of a matrix whether its result is there.

    Runs are those found by the last `refresh`; tuned parameters are always today's.
    """

    def __init__(self, options: MatrixOptions, experiments: list[Experiment]) -> None:
        self.options = options
        self.experiments = {experiment.name: experiment for experiment in experiments}
        self._index = RunIndex(options.runs_dir)
        self._studies: dict[tuple[str, int | None], _Study] = {}

    def refresh(self) -> None:
        """Look for runs again."""
        self._index.refresh()

    def unfinished_runs(self) -> list[tuple[str, FoundRun]]:
        """Return (train key, run) of all runs of the directory that were begun and not finished."""
        return self._index.unfinished()

    def is_done(self, work: Work) -> bool:
        """Return whether the result of this work exists and belongs to today's inputs."""
        study = self._study(work)
        if work.stage == "tune":
            return self._is_tuned(work, study)
        if "tune" in self.options.stages and not self._is_tuned(work, study):
            return False
        run = self._index.find(self._effective(work, study)[1].train(_seed(work)))
        if run is None or run.state != COMPLETE:
            return False
        return work.stage == "train" or self._is_evaluated(work, study, run)

    def is_tuned(self, work: Work) -> bool:
        """Return whether the study behind this work is complete; UserError when it is damaged."""
        return self._is_tuned(work, self._study(work))

    def tuning(self, work: Work) -> TuningDirectory:
        """Return where the tuning behind this work lives."""
        algo = self.experiments[work.config_name].config.train.algo
        return tuning_directory(self.options.runs_dir, algo, work.config_name, fold=work.fold)

    def config_of(self, work: Work) -> Config:
        """Return the effective config of a run, tuned parameters included; its seed is any."""
        return self._effective(work, self._study(work))[0]

    def tune_key(self, work: Work) -> str:
        """Return the key of the study behind this work."""
        return keys.tune_key(self._config_to_tune(work))

    def train_key(self, work: Work) -> str:
        """Return the key of a run."""
        return self._effective(work, self._study(work))[1].train(_seed(work))

    def evaluate_key(self, work: Work) -> str:
        """Return the key that a run's evaluation must have."""
        return self._effective(work, self._study(work))[1].evaluate(_seed(work))

    def run_of(self, work: Work) -> FoundRun | None:
        """Return the run of a seed that is furthest, None when there is none."""
        return self._index.find(self.train_key(work))

    def complete_run(self, work: Work) -> FoundRun | None:
        """Return the finished run of a seed, None when there is none."""
        run = self.run_of(work)
        return run if run is not None and run.state == COMPLETE else None

    def _is_tuned(self, work: Work, study: "_Study") -> bool:
        if study.tuned is None:
            study.tuned = is_tuned(self._config_to_tune(work), study.best_params)
        return study.tuned

    def _is_evaluated(self, work: Work, study: "_Study", run: FoundRun) -> bool:
        """Return whether a finished run is evaluated with today's settings."""
        found = read_evaluate_key(run.directory.evaluation.metrics)
        return found == self._effective(work, study)[1].evaluate(_seed(work))

    def _config_to_tune(self, work: Work) -> Config:
        """Return the config that a study is made for: that of its fold."""
        config = self.experiments[work.config_name].config
        return config if work.fold is None else config.with_values({"data_split.fold": work.fold})

    def _effective(self, work: Work, study: "_Study") -> tuple[Config, keys.RunKeys]:
        """Resolve a config anew whenever its tuned parameters have changed."""
        if study.effective is None:
            config = resolve_config(
                self.experiments[work.config_name].path,
                profile=self.options.profile or None,
                data=self.options.data,
                flags={} if work.fold is None else {"data_split.fold": work.fold},
                runs_dir=self.options.runs_dir,
                params_path=None,
            ).config
            study.effective = (config, keys.RunKeys(config))
        return study.effective

    def _study(self, work: Work) -> "_Study":
        """Return what is known of a study's result as long as its file stays the same."""
        place = (work.config_name, work.fold)
        study = self._studies.get(place)
        if study is None:
            path = self.tuning(work).best_params
            study = self._studies[place] = _Study(path, stamp_of(path))
        elif (stamp := stamp_of(study.best_params)) != study.stamp:
            study = self._studies[place] = _Study(study.best_params, stamp)
        return study


def _seed(work: Work) -> int:
    assert work.seed is not None, f"{work} has no seed"
    return work.seed


@dataclass
class _Study:
    """What follows from the result of a study, or from there being none; made when asked for.

    Runs of its config differ in their seed alone, so all that they share is here.
    """

    best_params: Path
    stamp: Stamp | None
    tuned: bool | None = None
    effective: tuple[Config, keys.RunKeys] | None = None
