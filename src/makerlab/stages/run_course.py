"""The course of a run: training, validations, checkpoints, the learning curve."""

import contextlib
import dataclasses
import datetime
import traceback
from collections.abc import Callable
from typing import Any

from makerlab.config import Config
from makerlab.errors import Failed, Interrupted, UserError
from makerlab.learning.archive import write_archive
from makerlab.learning.device import use_threads
from makerlab.learning.training import Training
from makerlab.report.parameters import variant_of
from makerlab.runs.directory import RunDirectory
from makerlab.runs.manifest import COMPLETE, FAILED, read_manifest, update_manifest, utc
from makerlab.runs.progress import Report, StatusFile, duration
from makerlab.runs.progress_log import ProgressLog
from makerlab.runs.registry import Registry, Tried
from makerlab.runs.stopping import StopRequest, what_continues
from makerlab.stages.checkpoints import restore_checkpoint
from makerlab.stages.notices import report_notices
from makerlab.stages.seating import Seating
from makerlab.stages.together import Course
from makerlab.tasks import Workbench

Now = Callable[[], datetime.datetime]


class TakenAway(Failed):
    """The run belongs to another process now: nothing of it may be written any more."""


@dataclasses.dataclass
class RunCourse:
    """A run under way; `held` tells whether it still belongs to this process."""

    run: RunDirectory
    config: Config
    workbench: Workbench
    device: str
    report: Report
    now: Now
    seating: Seating
    held: Callable[[], bool]

    def follow(self, stop: StopRequest) -> Course[RunDirectory]:
        """Go on to the last step; whatever goes wrong is in the manifest afterwards."""
        report_notices(self.config, self.workbench, self.report)
        try:
            self._register()
            yield from self._train(stop)
        except Exception as error:
            if not isinstance(error, Interrupted | TakenAway):
                self._record_failure(error)
            raise
        return self.run

    def _register(self) -> None:
        """Count this run as tried, before its first step and for good."""
        manifest = read_manifest(self.run.manifest)
        tuned = manifest["tuned_params"]
        entry = Tried(
            kind="run",
            key=manifest["train_key"],
            task=self.config.task,
            config_name=manifest["config_name"],
            variant=variant_of(self.config, tuned=tuned["params"] if tuned else ()),
            seed=self.config.train.seed,
            study=None,
            profile=self.config.run.profile,
            started=utc(self.now()),
        )
        Registry(self.run.path.parents[1]).add(self.workbench.source.sha256, entry)

    def _train(self, stop: StopRequest) -> Course[None]:
        settings = self.config.train
        use_threads()
        with ProgressLog(self.run.progress, self.run.path) as progress:
            training, best = self._restore(progress)
            status = StatusFile(self.run.status, total=settings.total_timesteps, unit="steps")
            self.report(
                f"training {self.run.name} from step {training.step:,} to "
                f"{settings.total_timesteps:,} on {self.device}"
            )
            while training.step < settings.total_timesteps:
                before, episodes = training.step, training.episodes
                yield training
                if not self.held():
                    raise TakenAway(
                        f"{self.run.path}: another process works on this run now, since this one "
                        "was not heard of for long; what it has not saved is dropped"
                    )
                every = settings.log_interval
                if training.episodes // every != episodes // every:
                    progress.add(training, score=None)
                done = training.step >= settings.total_timesteps
                if done or training.step // settings.eval_freq != before // settings.eval_freq:
                    best = self._validate(training, progress, best)
                    self._checkpoint(training, progress, best)
                    self._say(training, status, best)
                stopped = stop.requested and not done
                score = progress.last_score
                status.write(training.step, force=stopped, stage="train", last_metric=score)
                if stopped:
                    self._checkpoint(training, progress, best)
                    update_manifest(self.run.manifest, owner=None, steps=training.step)
                    by = what_continues(f"train_mm_sac.py --resume {self.run.path}")
                    raise stop.interruption(
                        f"{self.run.path}: stopped at step {training.step:,} with a "
                        f"checkpoint; {by} continues it exactly"
                    )
            # A stop asked for after the last step waits for the last files.
            training.learner.save(self.run.model)
            update_manifest(
                self.run.manifest,
                state=COMPLETE,
                ended=utc(self.now()),
                owner=None,
                steps=training.step,
                best=best,
            )
        self.report(f"{self.run.path}: complete")

    def _restore(self, progress: ProgressLog) -> tuple[Training, dict[str, Any] | None]:
        """Continue from the newest readable checkpoint; returns the best validation so far too."""
        found = [
            path for path in (self.run.checkpoint, self.run.previous_checkpoint) if path.is_file()
        ]
        for path in found:
            training = self._new_training()
            try:
                content = restore_checkpoint(path, training, beside=("progress", "best"))
            except UserError as error:
                self.seating.leave(training)
                self.report(f"warning: {error}; trying an older checkpoint")
                continue
            progress.restore(content["progress"], step=training.step)
            return training, content["best"]
        if found:
            self.report(
                f"warning: {self.run.path}: no checkpoint can be used, training starts over"
            )
        progress.restore([], step=0)
        return self._new_training(), None

    def _new_training(self) -> Training:
        return self.seating.training(self.workbench, self.config.train, device=self.device)

    def _validate(
        self, training: Training, progress: ProgressLog, best: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        policy = training.learner.policy(deterministic=self.config.train.deterministic_eval)
        score = self.workbench.score(policy)
        progress.add(training, score=score)
        better = score is not None and (best is None or score > best["score"])
        if better or (best is None and not self.run.best_model.exists()):
            training.learner.save(self.run.best_model)
        if not better:
            return best
        return {"step": training.step, "score": score, "metric": self.config.tune.metric}

    def _checkpoint(
        self, training: Training, progress: ProgressLog, best: dict[str, Any] | None
    ) -> None:
        newest, previous = self.run.checkpoint, self.run.previous_checkpoint
        if newest.exists():
            newest.replace(previous)
        content = {"training": training.snapshot(), "progress": progress.rows, "best": best}
        write_archive(newest, content)

    def _say(self, training: Training, status: StatusFile, best: dict[str, Any] | None) -> None:
        status.write(training.step, force=True, stage="train")
        record = status.last or {}
        found = "none yet" if best is None else f"{best['score']:.4g} at step {best['step']:,}"
        self.report(
            f"step {training.step:,} of {self.config.train.total_timesteps:,}, "
            f"{record.get('per_second', 0):.0f} steps/s, "
            f"{duration(record.get('seconds_left'))} left, best valid "
            f"{self.config.tune.metric} {found}"
        )

    def _record_failure(self, error: Exception) -> None:
        lines = "".join(traceback.format_exception(error)).splitlines()
        # A full disk refuses this as well; the error itself matters more.
        with contextlib.suppress(OSError):
            update_manifest(
                self.run.manifest,
                state=FAILED,
                ended=utc(self.now()),
                owner=None,
                error={"message": str(error), "last_lines": lines[-5:]},
            )
