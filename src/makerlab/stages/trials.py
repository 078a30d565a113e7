"""The course of a study: one trial after another, then the chosen parameters on fresh seeds."""

import dataclasses
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

from makerlab.config import Config, TrainSettings
from makerlab.errors import Interrupted, UserError
from makerlab.files import content_hash
from makerlab.learning.archive import write_archive
from makerlab.learning.device import use_threads
from makerlab.learning.training import Diverged, Training
from makerlab.report.parameters import variant_of
from makerlab.runs import keys
from makerlab.runs.directory import TuningDirectory
from makerlab.runs.manifest import utc
from makerlab.runs.owner import this_process
from makerlab.runs.progress import Report, StatusFile
from makerlab.runs.registry import Kind, Registry, Tried
from makerlab.runs.stopping import StopRequest, what_continues
from makerlab.stages.checkpoints import restore_checkpoint
from makerlab.stages.resolve import Resolved
from makerlab.stages.seating import Seating
from makerlab.stages.together import Course
from makerlab.statistics.bootstrap import mean_interval
from makerlab.tasks import Workbench
from makerlab.tuning.search import suggest
from makerlab.tuning.slots import Slots

Now = Callable[[], datetime.datetime]

RESCORED = "makerlab:rescored"
FRESH_SEED_OFFSET = 10_000
"""Fresh training seeds start this far above the study's, beyond any trial's."""


@dataclasses.dataclass
class Worker:
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
    seating: Seating
    to_the_end: bool = False

    def __post_init__(self) -> None:
        use_threads()
        total = self.config.tune.n_trials
        self._status = StatusFile(self.directory.status, total=total, unit="trials")

    @property
    def config(self) -> Config:
        return self.resolved.config

    def work(self, stop: StopRequest) -> Course[None]:
        """Take trials until none is left to take, or `to_the_end` until all have ended."""
        self.report(f"study {self.slots.name}: {self.slots.summary()}")
        while True:
            trial = self.slots.take(suggest_with(self.config))
            if trial is None and not self._wait(stop):
                return
            if trial is not None:
                self.status("running")
                yield from self._run(trial, stop)
                self.status("running")

    def _wait(self, stop: StopRequest) -> bool:
        """Wait for a free slot; False when there is none to come."""
        free = self.slots.wait(lambda: stop.requested, to_the_end=self.to_the_end)
        if stop.requested and self.slots.counts()["finished"] < self.config.tune.n_trials:
            raise self._interruption(stop)
        return free

    def _interruption(self, stop: StopRequest) -> Interrupted:
        by = what_continues("the same command")
        return stop.interruption(f"study {self.slots.name}: stopped; {by} completes it")

    def _run(self, trial: optuna.trial.Trial, stop: StopRequest) -> Course[None]:
        slot = self.slots.slot(trial)
        config = self._config(trial.user_attrs["params"], seed=self.config.tune.seed)
        settings = config.train
        checkpoint = self.directory.checkpoint(self.slots.name, slot)
        try:
            self._register("trial", config, place=slot)
            score = yield from self._judge(trial, settings, stop, checkpoint)
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
    ) -> Course[float | None]:
        """Train with a trial's parameters; returns the best validation score on the way."""
        training, scores = self._continue(settings, checkpoint, trial)
        try:
            return (yield from self._follow(trial, training, scores, stop, checkpoint))
        finally:
            self.seating.leave(training)

    def _follow(
        self,
        trial: optuna.trial.Trial,
        training: Training,
        scores: list[tuple[int, float | None]],
        stop: StopRequest,
        checkpoint: Path,
    ) -> Course[float | None]:
        settings = training.settings
        total, reports = settings.total_timesteps, self.config.tune.reports
        for number in range(len(scores) + 1, reports + 1):
            yield from self._advance(training, total * number // reports, stop)
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
        training = self._new_training(settings)
        if not checkpoint.is_file():
            return training, []
        try:
            content = restore_checkpoint(checkpoint, training, beside=("params", "scores"))
            if content["params"] != trial.user_attrs["params"]:
                raise UserError(f"{checkpoint}: is of other parameters")
        except UserError as error:
            self.report(f"warning: {error}; the trial starts over")
            self.seating.leave(training)
            return self._new_training(settings), []
        for step, score in content["scores"]:
            if score is not None:
                trial.report(score, step)
        return training, list(content["scores"])

    def _new_training(self, settings: TrainSettings) -> Training:
        return self.seating.training(self.workbench, settings, device=self.device)

    def _advance(self, training: Training, until: int, stop: StopRequest) -> Course[None]:
        while training.step < until:
            yield training
            if stop.requested:
                raise self._interruption(stop)

    def best(self, stop: StopRequest) -> Course[dict[str, Any] | None]:
        """Return the record of the best trial, its parameters scored again on fresh seeds."""
        best = self.slots.best()
        if best is None:
            return None
        params = best.user_attrs["params"]
        rescored = self.slots.attribute(RESCORED)
        if rescored is None or rescored["slot"] != best.user_attrs["slot"]:
            rescored = yield from self._rescore(params, stop)
            rescored |= {"slot": best.user_attrs["slot"]}
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

    def _rescore(self, params: dict[str, Any], stop: StopRequest) -> Course[dict[str, Any]]:
        """Train the chosen parameters with fresh seeds and judge them on fresh episodes."""
        first = self.config.tune.seed + FRESH_SEED_OFFSET
        seeds = list(range(first, first + self.config.tune.rescore_seeds))
        scores: list[float | None] = []
        for seed in seeds:
            config = self._config(params, seed=seed)
            self._register("rescore", config, place=seed)
            self.status("running", rescored=len(scores))
            training = self._new_training(config.train)
            try:
                fresh = self._fresh_score(training, config.train, stop, before=len(scores))
                scores.append((yield from fresh))
            finally:
                self.seating.leave(training)
            found = "not defined" if scores[-1] is None else f"{scores[-1]:.6g}"
            self.report(f"chosen parameters on fresh seed {seed}: {found}")
        return {"seeds": seeds, "scores": scores}

    def _fresh_score(
        self, training: Training, settings: TrainSettings, stop: StopRequest, *, before: int
    ) -> Course[float | None]:
        """Judge as trials are, by the best of the reports, chosen on the usual episodes."""
        chosen: tuple[float, float | None] = (float("-inf"), None)
        for number in range(1, self.config.tune.reports + 1):
            until = settings.total_timesteps * number // self.config.tune.reports
            yield from self._advance(training, until, stop)
            policy = training.learner.policy(deterministic=settings.deterministic_eval)
            score = self.workbench.score(policy)
            fresh = self.workbench.score(policy, fresh=True)
            if score is not None and fresh is not None and score > chosen[0]:
                chosen = (score, fresh)
            self.status("running", rescored=before + number / self.config.tune.reports)
        return chosen[1]

    def status(
        self, state: str, *, error: str | None = None, rescored: float | None = None
    ) -> None:
        """Write the study's progress for others; `rescored` fresh seeds came after its trials."""
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
            rescored=rescored,
        )


def suggest_with(config: Config) -> Any:
    """Return the function that asks a trial for parameters of this config's search space."""
    return lambda trial: suggest(trial, config.tune.search_space)
