"""The train stage: one run from its first step to its last, through any number of kills."""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from makerlab.config import Config
from makerlab.config.load import stored_config
from makerlab.data.candles import DataSource
from makerlab.errors import UserError
from makerlab.files import write_json, write_text
from makerlab.learning.device import check_device, use_threads
from makerlab.market.fill_card import fill_model_card
from makerlab.runs import keys
from makerlab.runs.directory import (
    RunDirectory,
    create_run_directory,
    data_folders,
    list_runs,
    run_ending,
)
from makerlab.runs.lease import Lease
from makerlab.runs.manifest import (
    COMPLETE,
    RESUMABLE,
    RUNNING,
    git_state,
    read_manifest,
    update_manifest,
    utc,
    versions,
)
from makerlab.runs.owner import check_writable, this_process
from makerlab.runs.progress import Report
from makerlab.runs.stopping import StopRequest
from makerlab.stages.devices import AUTO, DeviceChoice
from makerlab.stages.resolve import Resolved
from makerlab.stages.run_course import Now, RunCourse
from makerlab.stages.seating import Seating
from makerlab.stages.together import Course, alone, asked_to
from makerlab.tasks import Workbench, open_workbench

LOCK_HELD = "another process is working on this run"


def train(resolved: Resolved, **how: Any) -> RunDirectory:
    """Train a new run, or take up one that is there, by itself; see `train_course`."""
    return alone(train_course(resolved, **how))


def resume(run: RunDirectory, **how: Any) -> RunDirectory:
    """Continue a run by itself; see `resume_course`."""
    return alone(resume_course(run, **how))


def train_course(
    resolved: Resolved,
    *,
    runs_dir: Path,
    device: str,
    reuse: bool,
    report: Report,
    now: Now,
    command: list[str] | None = None,
    seating: Seating | None = None,
    stop: StopRequest | None = None,
) -> Course[RunDirectory]:
    """Train a new run, or with `reuse` take a finished one or continue an interrupted one.

    Members of a group share its `seating` and `stop`. Raises UserError for bad input, Interrupted
    after a checkpoint when asked to stop, Diverged when the learner broke; the manifest then says
    `failed`.
    """
    check_writable(runs_dir)
    seats = seating or Seating()
    if reuse:
        same = _runs_with_key(runs_dir, resolved.config)
        for run in same:
            if read_manifest(run.manifest)["state"] == COMPLETE:
                report(f"{run.path}: already complete with these inputs, nothing to do")
                return run
        if same:
            # A group can't wait for one member's run; alone, this process can.
            wait = stop is None
            return (
                yield from resume_course(
                    same[0],
                    device=device,
                    report=report,
                    now=now,
                    wait=wait,
                    seating=seats,
                    stop=stop,
                )
            )
    workbench = open_workbench(resolved.config, **data_folders(runs_dir))
    choice = seats.choose(device, workbench, resolved.config.train, report)
    run = _create(resolved, workbench, runs_dir, choice=choice, now=now, command=command)
    with _alone_on(run, wait=False) as held, asked_to(stop) as request:
        course = RunCourse(run, resolved.config, workbench, choice.device, report, now, seats, held)
        return (yield from course.follow(request))


def resume_course(
    run: RunDirectory,
    *,
    device: str,
    report: Report,
    now: Now,
    wait: bool = False,
    seating: Seating | None = None,
    stop: StopRequest | None = None,
) -> Course[RunDirectory]:
    """Continue a run exactly where its newest checkpoint left it, on the device it began on.

    A complete run is left as it is. Raises UserError when another process works on it (unless
    `wait`), or when its data are no longer those it was started with.
    """
    manifest = read_manifest(run.manifest, needs=RESUMABLE)
    if manifest["state"] == COMPLETE:
        report(f"{run.path}: already complete, nothing to do")
        return run
    began_on = manifest["device"]
    if check_device(began_on if device == AUTO else device) != began_on:
        raise UserError(
            f"{run.path}: was started on {began_on}, not on {device}; "
            f"pass --device {began_on} to continue it exactly"
        )
    config = stored_config(run.config)
    with _alone_on(run, wait=wait) as held:
        # It may have been finished by the process that held the lease.
        if read_manifest(run.manifest)["state"] == COMPLETE:
            report(f"{run.path}: completed by another process")
            return run
        workbench = open_workbench(config, **data_folders(run.path.parents[1]))
        _check_same_data(run, manifest, workbench)
        update_manifest(run.manifest, state=RUNNING, owner=this_process(), error=None)
        seats = seating or Seating()
        course = RunCourse(run, config, workbench, began_on, report, now, seats, held)
        with asked_to(stop) as request:
            return (yield from course.follow(request))


@contextlib.contextmanager
def _alone_on(run: RunDirectory, *, wait: bool) -> Iterator[Callable[[], bool]]:
    """Let one process at a time write a run; another waits for it, or is told so.

    Yields what tells whether the run is still this process's.
    """
    lease = Lease(run.lease)
    if not lease.acquire(seconds=None if wait else 0.0):
        raise UserError(f"{run.path}: {LOCK_HELD}; wait for it or stop it")
    with lease.kept():
        yield lambda: lease.held


def _runs_with_key(runs_dir: Path, config: Config) -> list[RunDirectory]:
    """Return the runs of these inputs; failed ones too, they continue like interrupted ones."""
    found = []
    key = keys.train_key(config)
    seed, fold = config.train.seed, config.data_split.fold
    # Only a run of this name can have this key: the others' manifests are not read.
    for run in list_runs(runs_dir, ending=run_ending(config.run.short_name, seed=seed, fold=fold)):
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
    choice: DeviceChoice,
    now: Now,
    command: list[str] | None,
) -> RunDirectory:
    config = resolved.config
    source = workbench.source
    manifest = {
        "state": RUNNING,
        # These two first: of thousands of manifests no more than the first bytes are read.
        "train_key": keys.train_key(config),
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
        "config_hash": config.hash,
        "environment_key": keys.environment_key(config),
        "git": git_state(),
        "versions": versions(),
        "device": choice.device,
        "device_choice": choice.to_dict(),
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
