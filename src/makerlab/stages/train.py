"""The train stage: one run from its first step to its last, through any number of kills."""

import contextlib
import dataclasses
import datetime
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock

from makerlab.config import Config
from makerlab.config.load import stored_config
from makerlab.data.candles import DataSource
from makerlab.errors import Interrupted, UserError
from makerlab.files import write_json, write_text
from makerlab.learning.archive import write_archive
from makerlab.learning.device import choose_device, use_threads
from makerlab.learning.training import Training
from makerlab.market.fill_card import fill_model_card
from makerlab.report.parameters import variant_of
from makerlab.runs import keys
from makerlab.runs.directory import (
    RunDirectory,
    create_run_directory,
    data_folders,
    find_runs,
)
from makerlab.runs.manifest import (
    COMPLETE,
    FAILED,
    RESUMABLE,
    RUNNING,
    git_state,
    read_manifest,
    update_manifest,
    utc,
    versions,
)
from makerlab.runs.owner import check_writable, this_process
from makerlab.runs.progress import Report, StatusFile, duration
from makerlab.runs.progress_log import ProgressLog
from makerlab.runs.registry import Registry, Tried
from makerlab.runs.stopping import StopRequest
from makerlab.stages.checkpoints import restore_checkpoint
from makerlab.stages.notices import report_notices
from makerlab.stages.resolve import Resolved
from makerlab.tasks import Workbench, open_workbench

Now = Callable[[], datetime.datetime]

LOCK_HELD = "another process is working on this run"


def train(
    resolved: Resolved,
    *,
    runs_dir: Path,
    device: str,
    reuse: bool,
    report: Report,
    now: Now,
    command: list[str] | None = None,
) -> RunDirectory:
    """Train a new run, or with `reuse` take a finished one or continue an interrupted one.

    Raises UserError for bad input, Interrupted after a checkpoint when asked to stop, Diverged
    when the learner broke; the manifest then says `failed`.
    """
    check_writable(runs_dir)
    device = choose_device(device)
    if reuse:
        same = _runs_with_key(runs_dir, keys.train_key(resolved.config))
        for run in same:
            if read_manifest(run.manifest)["state"] == COMPLETE:
                report(f"{run.path}: already complete with these inputs, nothing to do")
                return run
        if same:
            return resume(same[0], device=device, report=report, now=now, wait=True)
    workbench = open_workbench(resolved.config, **data_folders(runs_dir))
    run = _create(resolved, workbench, runs_dir, device=device, now=now, command=command)
    with filelock.FileLock(run.lock, timeout=0):
        return _Course(run, resolved.config, workbench, device, report, now).follow()


def resume(
    run: RunDirectory, *, device: str, report: Report, now: Now, wait: bool = False
) -> RunDirectory:
    """Continue a run exactly where its newest checkpoint left it.

    A complete run is left as it is. Raises UserError when another process works on it (unless
    `wait`), or when its data are no longer those it was started with.
    """
    manifest = read_manifest(run.manifest, needs=RESUMABLE)
    if manifest["state"] == COMPLETE:
        report(f"{run.path}: already complete, nothing to do")
        return run
    device = choose_device(device)
    if device != manifest["device"]:
        raise UserError(
            f"{run.path}: was started on {manifest['device']}, not on {device}; "
            f"pass --device {manifest['device']} to continue it exactly"
        )
    config = stored_config(run.config)
    try:
        with filelock.FileLock(run.lock, timeout=-1 if wait else 0):
            # It may have been finished by the process that held the lock.
            if read_manifest(run.manifest)["state"] == COMPLETE:
                report(f"{run.path}: completed by another process")
                return run
            workbench = open_workbench(config, **data_folders(run.path.parents[1]))
            _check_same_data(run, manifest, workbench)
            update_manifest(run.manifest, state=RUNNING, owner=this_process(), error=None)
            return _Course(run, config, workbench, device, report, now).follow()
    except filelock.Timeout:
        raise UserError(f"{run.path}: {LOCK_HELD}; wait for it or stop it") from None


def _runs_with_key(runs_dir: Path, key: str) -> list[RunDirectory]:
    """Return the runs of these inputs; failed ones too, they continue like interrupted ones."""
    found = []
    for run in find_runs(runs_dir):
        try:
            manifest = read_manifest(run.manifest)
        except UserError:
            continue
        if manifest.get("train_key") == key:
            found.append(run)
    return found


def _create(
    resolved: Resolved,
    workbench: Workbench,
    runs_dir: Path,
    *,
    device: str,
    now: Now,
    command: list[str] | None,
) -> RunDirectory:
    config = resolved.config
    source = workbench.source
    manifest = {
        "state": RUNNING,
        "task": config.task,
        "algo": config.train.algo,
        "config_name": resolved.name,
        "config_path": str(resolved.config_path),
        "short_name": config.run.short_name,
        "profile": config.run.profile,
        "notes": config.run.notes,
        "seed": config.train.seed,
        "fold": config.data_split.fold,
        "command": sys.argv if command is None else command,
        "started": utc(now()),
        "ended": None,
        "error": None,
        "owner": this_process(),
        "train_key": keys.train_key(config),
        "config_hash": config.hash,
        "environment_key": keys.environment_key(config),
        "git": git_state(),
        "versions": versions(),
        "device": device,
        "threads": use_threads(),
        "data_source": source.kind,
        "data": _data_record(source),
        "split": workbench.split_record,
        "settings_in_environment": dict(resolved.environment),
        "tuned_params": resolved.tuned_params,
        "fill_model": fill_model_card(config.env),
        "steps": 0,
        "best": None,
        "config": config.to_dict(),
    }
    run = create_run_directory(
        runs_dir,
        algo=config.train.algo,
        short_name=config.run.short_name,
        seed=config.train.seed,
        now=now,
        fold=config.data_split.fold,
    )
    try:
        write_text(run.config, config.to_yaml())
        write_json(run.manifest, manifest)
    except BaseException:
        # A full disk, say: no directory is left that says nothing of what it was to be.
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return run


def _data_record(source: DataSource) -> dict[str, Any]:
    record = source.to_dict()
    return {
        "path": source.path,
        "sha256": source.sha256,
        "rows": source.rows,
        "bar_ms": source.bar_ms,
        **{name: record[name] for name in ("start", "end", "missing_bars", "gaps")},
    }


def _check_same_data(run: RunDirectory, manifest: dict[str, Any], workbench: Workbench) -> None:
    before, today = str(manifest["data"].get("sha256")), workbench.source.sha256
    if before != today:
        raise UserError(
            f"{run.path}: the data in {workbench.source.path} have changed since the run began "
            f"(sha256 {before[:12]}, found {today[:12]}); start a new run"
        )


@dataclasses.dataclass
class _Course:
    """A run under way: training, validations, checkpoints, the learning curve."""

    run: RunDirectory
    config: Config
    workbench: Workbench
    device: str
    report: Report
    now: Now

    def follow(self) -> RunDirectory:
        """Go on to the last step; whatever goes wrong is in the manifest afterwards."""
        report_notices(self.config, self.workbench, self.report)
        try:
            self._register()
            self._train()
        except Exception as error:
            if not isinstance(error, Interrupted):
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

    def _train(self) -> None:
        settings = self.config.train
        use_threads()
        with ProgressLog(self.run.progress, self.run.path) as progress:
            training, best = self._restore(progress)
            status = StatusFile(self.run.status, total=settings.total_timesteps, unit="steps")
            self.report(
                f"training {self.run.name} from step {training.step:,} to "
                f"{settings.total_timesteps:,} on {self.device}"
            )
            with StopRequest() as stop:
                while training.step < settings.total_timesteps:
                    before, episodes = training.step, training.episodes
                    training.advance()
                    every = settings.log_interval
                    if training.episodes // every != episodes // every:
                        progress.add(training, score=None)
                    done = training.step >= settings.total_timesteps
                    if done or training.step // settings.eval_freq != before // settings.eval_freq:
                        best = self._validate(training, progress, best)
                        self._checkpoint(training, progress, best)
                        self._say(training, status, best)
                    status.write(training.step, stage="train", last_metric=progress.last_score)
                    if stop.requested and not done:
                        self._checkpoint(training, progress, best)
                        update_manifest(self.run.manifest, owner=None, steps=training.step)
                        raise stop.interruption(
                            f"{self.run.path}: stopped at step {training.step:,} with a "
                            "checkpoint; the same command with --resume continues exactly"
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
        return self.workbench.training(self.config.train, device=self.device)

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
