"""The tune stage: one Optuna study per config, worked on by any number of processes."""

import dataclasses
import datetime
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

from makerlab.config import Config, TrainSettings
from makerlab.errors import UserError
from makerlab.files import content_hash, write_json
from makerlab.learning.archive import write_archive
from makerlab.learning.device import choose_device, use_threads
from makerlab.learning.training import Diverged, Training
from makerlab.report.parameters import variant_of
from makerlab.runs import keys
from makerlab.runs.directory import TuningDirectory, data_folders
from makerlab.runs.manifest import utc
from makerlab.runs.owner import check_writable, this_process
from makerlab.runs.progress import Report, StatusFile
from makerlab.runs.registry import Kind, Registry, Tried
from makerlab.runs.stopping import StopRequest
from makerlab.stages.checkpoints import restore_checkpoint
from makerlab.stages.notices import report_notices
from makerlab.stages.resolve import Resolved
from makerlab.statistics.bootstrap import mean_interval
from makerlab.tasks import Workbench, open_workbench
from makerlab.tuning.address import read_address
from makerlab.tuning.search import suggest
from makerlab.tuning.slots import Slots, open_slots
from makerlab.tuning.storage import storage_errors

Now = Callable[[], datetime.datetime]

RESCORED = "makerlab:rescored"
FRESH_SEED_OFFSET = 10_000
"""Fresh training seeds start this far above the study's, beyond any trial's."""


def tune(
    resolved: Resolved,
    *,
    runs_dir: Path,
    storage: str,
    study_name: str | None,
    best_params: Path,
    device: str,
    report: Report,
    now: Now,
    save: bool = True,
) -> dict[str, Any] | None:
    """Bring a study to `tune.n_trials` trials and write the best parameters.

    Several processes may do this at once; the last to finish scores the chosen parameters again
    on fresh seeds. Returns what best_params.json holds, or None when others are still at work.
    Raises UserError for bad input, Interrupted when asked to stop.
    """
    check_writable(runs_dir)
    if save:
        _check_target(best_params)
    with storage_errors(read_address(storage)):
        return _tune(
            resolved,
            runs_dir=runs_dir,
            storage=storage,
            study_name=study_name,
            best_params=best_params if save else None,
            folder=best_params.parent,
            device=choose_device(device),
            report=report,
            now=now,
        )


def _tune(
    resolved: Resolved,
    *,
    runs_dir: Path,
    storage: str,
    study_name: str | None,
    best_params: Path | None,
    folder: Path,
    device: str,
    report: Report,
    now: Now,
) -> dict[str, Any] | None:
    config = resolved.config
    key = keys.tune_key(config)
    workbench = open_workbench(config, **data_folders(runs_dir))
    report_notices(config, workbench, report)
    slots = _open_slots(resolved, runs_dir=runs_dir, storage=storage, study_name=study_name)
    name = slots.name
    directory = TuningDirectory(folder)
    registry = Registry(runs_dir)
    worker = _Worker(resolved, key, workbench, slots, directory, device, report, registry, now)
    worker.work()
    with slots.finishing() as alone:
        if not alone:
            report(f"study {name}: other processes are still at work, the last one finishes it")
            return None
        found = worker.best()
        if found is None:
            worker.status("failed", error="no trial finished with a score")
            raise UserError(
                f"study '{name}': none of its {config.tune.n_trials} trials finished with a score "
                f"({config.tune.metric}); look at the log, or raise --n_trials"
            )
        # A kill right after a trial's end leaves its checkpoint behind.
        shutil.rmtree(directory.checkpoints(name), ignore_errors=True)
        record = {"tune_key": key, **found}
        if best_params is not None:
            write_json(best_params, record)
            report(f"{best_params}: written")
        worker.status("complete")
    return record


def _check_target(best_params: Path) -> None:
    """Find out before the study, not after it, whether its result can be written."""
    if best_params.is_dir():
        raise UserError(f"{best_params}: found a directory, expected a file for the parameters")
    check_writable(best_params.parent)


def check_study(
    resolved: Resolved,
    *,
    runs_dir: Path,
    storage: str,
    study_name: str | None,
    best_params: Path,
    device: str,
) -> None:
    """Raise the UserError that every process on this study would raise, once."""
    check_writable(runs_dir)
    _check_target(best_params)
    choose_device(device)
    open_workbench(resolved.config, **data_folders(runs_dir))
    with storage_errors(read_address(storage)):
        _open_slots(resolved, runs_dir=runs_dir, storage=storage, study_name=study_name)


def _open_slots(
    resolved: Resolved, *, runs_dir: Path, storage: str, study_name: str | None
) -> Slots:
    config = resolved.config
    key = keys.tune_key(config)
    return open_slots(
        storage,
        study_name or _study_name(resolved, key),
        key=key,
        trials=config.tune.n_trials,
        lock_dir=runs_dir,
        config=config.tune,
    )


def _study_name(resolved: Resolved, key: str) -> str:
    fold = resolved.config.data_split.fold
    return f"{resolved.name}{'' if fold is None else f'-fold{fold}'}-{key[:12]}"


def tune_in_processes(arguments: list[str], jobs: int) -> int:
    """Work on one study with several processes of this command; returns the worst exit code."""
    command = [sys.executable, *arguments, "--jobs", "1"]
    processes = [subprocess.Popen(command) for _ in range(jobs)]
    return max(abs(process.wait()) for process in processes)


@dataclasses.dataclass
class _Worker:
    """One process at work on a study."""

    resolved: Resolved
    key: str
    workbench: Workbench
    slots: Slots
    directory: TuningDirectory
    device: str
    report: Report
    registry: Registry
    now: Now

    def __post_init__(self) -> None:
        use_threads()
        total = self.config.tune.n_trials
        self._status = StatusFile(self.directory.status, total=total, unit="trials")

    @property
    def config(self) -> Config:
        return self.resolved.config

    def work(self) -> None:
        """Take trials until none is left to take."""
        self.report(f"study {self.slots.name}: {self.slots.summary()}")
        with StopRequest() as stop:
            while True:
                trial = self.slots.take(suggest_with(self.config))
                if trial is None and not self.slots.wait(lambda: stop.requested):
                    return
                if trial is not None:
                    self.status("running")
                    self._run(trial, stop)
                    self.status("running")

    def _run(self, trial: optuna.trial.Trial, stop: StopRequest) -> None:
        slot = self.slots.slot(trial)
        config = self._config(trial.user_attrs["params"], seed=self.config.tune.seed)
        settings = config.train
        checkpoint = self.directory.checkpoint(self.slots.name, slot)
        try:
            self._register("trial", config, place=slot)
            score = self._judge(trial, settings, stop, checkpoint)
        except optuna.TrialPruned:
            kept = self.slots.finish(trial, None, optuna.trial.TrialState.PRUNED)
            outcome = f"pruned at step {trial.user_attrs.get('steps', 0):,}"
        except Diverged as error:
            kept = self.slots.fail(trial, str(error))
            outcome = f"failed, {error}"
        except optuna.exceptions.UpdateFinishedTrialError:
            kept, outcome = False, ""
        except BaseException:
            # Stopped or broken: the trial goes back, whoever comes next continues it.
            self.slots.give_back(trial)
            raise
        else:
            kept, outcome = self._finish(trial, score)
        if not kept:
            # This process was not heard of for long; the trial is another's now, as its checkpoint.
            self.report(f"trial {slot}: was taken over by another process, its result is dropped")
            return
        self.report(f"trial {slot}: {outcome}")
        checkpoint.unlink(missing_ok=True)

    def _finish(self, trial: optuna.trial.Trial, score: float | None) -> tuple[bool, str]:
        """Record a trial's score; returns whether it counts, and what to say of it."""
        metric = self.config.tune.metric
        if score is None:
            reason = f"{metric} is not defined for this policy"
            return self.slots.fail(trial, reason), f"failed, {reason}"
        kept = self.slots.finish(trial, score, optuna.trial.TrialState.COMPLETE)
        return kept, f"{metric} {score:.6g}, {self.slots.summary()}"

    def _register(self, kind: Kind, config: Config, *, place: int) -> None:
        """Count a trial, or a second score, as tried, before its first step and for good."""
        entry = Tried(
            kind=kind,
            key=content_hash([self.key, place, config.to_dict()["train"]]),
            task=config.task,
            config_name=self.resolved.name,
            variant=variant_of(config),
            seed=config.train.seed,
            study=self.slots.name,
            profile=config.run.profile,
            started=utc(self.now()),
        )
        self.registry.add(self.workbench.source.sha256, entry)

    def _config(self, params: dict[str, Any], *, seed: int) -> Config:
        changes = {f"train.{name}": value for name, value in params.items()}
        timesteps = self.config.tune.train_timesteps
        changes |= {"train.seed": seed, "train.total_timesteps": timesteps}
        return self.config.with_values(changes)

    def _judge(
        self,
        trial: optuna.trial.Trial,
        settings: TrainSettings,
        stop: StopRequest,
        checkpoint: Path,
    ) -> float | None:
        """Train with a trial's parameters; returns the best validation score on the way."""
        training, scores = self._continue(settings, checkpoint, trial)
        total, reports = settings.total_timesteps, self.config.tune.reports
        for number in range(len(scores) + 1, reports + 1):
            self._advance(training, total * number // reports, stop)
            score = self.workbench.score(
                training.learner.policy(deterministic=settings.deterministic_eval)
            )
            scores.append((training.step, score))
            trial.set_user_attr("steps", training.step)
            if score is not None:
                trial.report(score, training.step)
                if number < reports and trial.should_prune():
                    raise optuna.TrialPruned
            if number < reports:
                params = trial.user_attrs["params"]
                content = {"params": params, "training": training.snapshot(), "scores": scores}
                write_archive(checkpoint, content)
        defined = [score for _, score in scores if score is not None]
        return max(defined) if defined else None

    def _continue(
        self, settings: TrainSettings, checkpoint: Path, trial: optuna.trial.Trial
    ) -> tuple[Training, list[tuple[int, float | None]]]:
        """Take up what a killed process left of this trial; returns the scores so far too."""
        training = self.workbench.training(settings, device=self.device)
        if not checkpoint.is_file():
            return training, []
        try:
            content = restore_checkpoint(checkpoint, training, beside=("params", "scores"))
            if content["params"] != trial.user_attrs["params"]:
                raise UserError(f"{checkpoint}: is of other parameters")
        except UserError as error:
            self.report(f"warning: {error}; the trial starts over")
            return self.workbench.training(settings, device=self.device), []
        for step, score in content["scores"]:
            if score is not None:
                trial.report(score, step)
        return training, list(content["scores"])

    def _advance(self, training: Training, until: int, stop: StopRequest) -> None:
        while training.step < until:
            training.advance()
            if stop.requested:
                raise stop.interruption(
                    f"study {self.slots.name}: stopped; the same command completes it"
                )

    def best(self) -> dict[str, Any] | None:
        """Return the record of the best trial, its parameters scored again on fresh seeds."""
        best = self.slots.best()
        if best is None:
            return None
        params = best.user_attrs["params"]
        rescored = self.slots.attribute(RESCORED)
        if rescored is None or rescored["slot"] != best.user_attrs["slot"]:
            rescored = self._rescore(params) | {"slot": best.user_attrs["slot"]}
            self.slots.set_attribute(RESCORED, rescored)
        defined = [score for score in rescored["scores"] if score is not None]
        estimate = mean_interval(defined)
        return {
            "config_name": self.resolved.name,
            "config_path": str(self.resolved.config_path),
            "profile": self.config.run.profile,
            "fold": self.config.data_split.fold,
            "metric": self.config.tune.metric,
            "score": best.value,
            "rescored": estimate.to_dict() | {k: rescored[k] for k in ("scores", "seeds")},
            "params": params,
            "study": self.slots.name,
            "storage": self.slots.storage_name,
            "trial": best.user_attrs["slot"],
            "seed": self.config.tune.seed,
            "n_trials": self.slots.counts()["finished"],
            "trials": {k: v for k, v in self.slots.counts().items() if k != "finished"},
            "config_hash": self.config.hash,
            "environment_key": keys.environment_key(self.config),
            "data_source": self.workbench.source.kind,
            "data_sha256": self.workbench.source.sha256,
        }

    def _rescore(self, params: dict[str, Any]) -> dict[str, Any]:
        """Train the chosen parameters with fresh seeds and judge them on fresh episodes."""
        first = self.config.tune.seed + FRESH_SEED_OFFSET
        seeds = list(range(first, first + self.config.tune.rescore_seeds))
        scores = []
        with StopRequest() as stop:
            for seed in seeds:
                config = self._config(params, seed=seed)
                self._register("rescore", config, place=seed)
                training = self.workbench.training(config.train, device=self.device)
                scores.append(self._fresh_score(training, config.train, stop))
                found = "not defined" if scores[-1] is None else f"{scores[-1]:.6g}"
                self.report(f"chosen parameters on fresh seed {seed}: {found}")
        return {"seeds": seeds, "scores": scores}

    def _fresh_score(
        self, training: Training, settings: TrainSettings, stop: StopRequest
    ) -> float | None:
        """Judge as trials are, by the best of the reports, chosen on the usual episodes."""
        chosen: tuple[float, float | None] = (float("-inf"), None)
        for number in range(1, self.config.tune.reports + 1):
            until = settings.total_timesteps * number // self.config.tune.reports
            self._advance(training, until, stop)
            policy = training.learner.policy(deterministic=settings.deterministic_eval)
            score = self.workbench.score(policy)
            fresh = self.workbench.score(policy, fresh=True)
            if score is not None and fresh is not None and score > chosen[0]:
                chosen = (score, fresh)
        return chosen[1]

    def status(self, state: str, *, error: str | None = None) -> None:
        """Write the study's progress for other processes."""
        counts = self.slots.counts()
        best = self.slots.best()
        self._status.write(
            counts["finished"],
            force=True,
            stage="tune",
            state=state,
            tune_key=self.key,
            owner=this_process(),
            best=None if best is None else best.value,
            error=error,
        )


def suggest_with(config: Config) -> Any:
    """Return the function that asks a trial for parameters of this config's search space."""
    return lambda trial: suggest(trial, config.tune.search_space)
