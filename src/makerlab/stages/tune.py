"""The tune stage: one Optuna study per config, worked on by any number of processes."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from makerlab.errors import UserError
from makerlab.files import write_json
from makerlab.learning.device import check_device
from makerlab.runs import keys
from makerlab.runs.directory import TuningDirectory, data_folders
from makerlab.runs.owner import check_writable
from makerlab.runs.progress import Report
from makerlab.runs.registry import Registry
from makerlab.runs.stopping import StopRequest
from makerlab.stages.devices import AUTO
from makerlab.stages.notices import report_notices
from makerlab.stages.resolve import Resolved
from makerlab.stages.seating import Seating
from makerlab.stages.together import Course, alone, asked_to
from makerlab.stages.trials import Now, Worker
from makerlab.tasks import open_workbench
from makerlab.tuning.address import read_address
from makerlab.tuning.slots import Slots, open_slots
from makerlab.tuning.storage import storage_errors


def tune(resolved: Resolved, **how: Any) -> dict[str, Any] | None:
    """Work on a study by itself; see `tune_course`."""
    return alone(tune_course(resolved, **how))


def tune_course(
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
    to_the_end: bool = False,
    seating: Seating | None = None,
    stop: StopRequest | None = None,
) -> Course[dict[str, Any] | None]:
    """Bring a study to `tune.n_trials` trials and write the best parameters.

    Several processes, or members of a group, which share its `seating` and `stop`, may do this at
    once; the last to finish scores the chosen parameters again on fresh seeds. Returns what
    best_params.json holds, or None when others are still at work: `to_the_end` waits for them,
    but not in a group, whose other members would wait as well. Raises UserError for bad input,
    Interrupted when asked to stop.
    """
    check_writable(runs_dir)
    if save:
        _check_target(best_params)
    with storage_errors(read_address(storage)):
        config = resolved.config
        workbench = open_workbench(config, **data_folders(runs_dir))
        report_notices(config, workbench, report)
        slots = _open_slots(resolved, runs_dir=runs_dir, storage=storage, study_name=study_name)
        seats = seating or Seating()
        choice = seats.choose(device, workbench, config.train, report)
        worker = Worker(
            resolved,
            keys.tune_key(config),
            workbench,
            slots,
            TuningDirectory(best_params.parent),
            choice.device,
            report,
            Registry(runs_dir),
            now,
            seats,
            to_the_end=to_the_end and stop is None,
        )
        with asked_to(stop) as request:
            yield from worker.work(request)
        target = best_params if save else None
        return (yield from _finish(worker, target, stop))


def _finish(
    worker: Worker, best_params: Path | None, stop: StopRequest | None
) -> Course[dict[str, Any] | None]:
    """Score the chosen parameters again and write them, once all trials are finished."""
    slots, report = worker.slots, worker.report
    with slots.finishing() as last:
        if not last:
            report(f"study {slots.name}: others are still at work, the last one finishes it")
            return None
        with asked_to(stop) as request:
            found = yield from worker.best(request)
        if found is None:
            worker.status("failed", error="no trial finished with a score")
            raise UserError(
                f"study '{slots.name}': none of its {worker.config.tune.n_trials} trials finished "
                f"with a score ({worker.config.tune.metric}); look at the log, or raise --n_trials"
            )
        # A kill right after a trial's end leaves its checkpoint behind.
        shutil.rmtree(worker.directory.checkpoints(slots.name), ignore_errors=True)
        record = {"tune_key": worker.key, **found}
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
    if device != AUTO:
        check_device(device)
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
