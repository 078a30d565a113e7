"""Jobs on a Slurm cluster, as arrays; they outlive the matrix that submitted them.

The next matrix finds them in the queue and waits for them rather than submitting them again.
"""

import json
import shutil
import signal
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from makerlab.errors import UserError
from makerlab.launchers import slurm_queue
from makerlab.launchers.base import Job, Outcome, keep_errors, logs_of
from makerlab.launchers.local import LocalLauncher
from makerlab.launchers.settings import SlurmSettings
from makerlab.launchers.slurm_batch import (
    Task,
    import_submitit,
    read_batches,
    submit_batch,
    write_batch,
)
from makerlab.launchers.slurm_queue import Entry, Queue, Unreachable, read_queue
from makerlab.runs.directory import batches_directory

# So long a file written on another node may take to be seen here.
PATIENCE_SECONDS = 60.0


# Ended so, a job has said all that it will ever say.
_SILENT = {"CANCELLED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT", "DEADLINE", "BOOT_FAIL"}


@dataclass
class _Submitted:
    """A job handed in; it has a task once it is, or may be, in the queue."""

    job: Job
    task: Task | None = None
    since: float = 0.0
    looked: float | None = None
    noted: float | None = None
    gone: float | None = None
    cancelled: bool = False
    killed: bool = False


@dataclass(frozen=True)
class _Leaving:
    """A task to take out of the queue; it counts as not there once a look after `until` says so."""

    task: Task
    until: float
    kill: bool = False


class SlurmLauncher:
    """Submits jobs as arrays, one per stage, at the first poll after they were handed in.

    `token` names a batch; it must never name two. What shows its output to the user runs here.
    """

    def __init__(
        self,
        settings: SlurmSettings,
        *,
        runs_dir: Path,
        error_log: Path,
        clock: Callable[[], float] = time.monotonic,
        token: Callable[[], str] = lambda: uuid.uuid4().hex[:8],
    ) -> None:
        import_submitit()
        self._settings, self._runs_dir, self._error_log = settings, runs_dir, error_log
        self._clock, self._token = clock, token
        self._here = LocalLauncher(error_log=error_log)
        self._jobs: dict[str, _Submitted] = {}
        self._waiting: list[_Submitted] = []
        self._leaving: list[_Leaving] = []
        self._silent = False
        self._count = 0
        self._queue = ask_queue()
        self._seen = self._asked = clock()
        self._left_over = left_over_tasks(runs_dir, self._queue)

    def submit(self, job: Job) -> str:
        """Note a job, or find it in the queue where an earlier matrix left it."""
        if job.show_output:
            return self._here.submit(job)
        self._count += 1
        handle = f"in the queue {self._count}"
        submitted = _Submitted(job, self._left_over.pop(job.key, None))
        self._jobs[handle] = submitted
        if submitted.task is None:
            self._waiting.append(submitted)
        return handle

    def poll(self, handle: str) -> Outcome | None:
        """Return how a job ended, None while it waits or runs."""
        if handle not in self._jobs:
            return self._here.poll(handle)
        self._submit_waiting()
        self._look()
        submitted = self._jobs[handle]
        if submitted.task is None:
            outcome = Outcome(-signal.SIGTERM) if submitted.cancelled else None
        else:
            outcome = self._outcome(submitted, submitted.task)
        if outcome is not None:
            del self._jobs[handle]
        return outcome

    def waits(self, handle: str) -> bool:
        """Whether a job is not in the queue yet, or pending there, as of the last look."""
        if handle not in self._jobs:
            return self._here.waits(handle)
        submitted = self._jobs[handle]
        if submitted.task is None:
            return True
        entry = self._queue.get(submitted.task.place)
        return self._seen <= submitted.since if entry is None else entry.waits

    def cancel(self, handle: str, *, kill: bool = False) -> None:
        """Take a job out of the queue; one that runs saves its state first, unless killed."""
        if handle not in self._jobs:
            self._here.cancel(handle, kill=kill)
            return
        submitted = self._jobs[handle]
        submitted.cancelled, submitted.killed = True, kill
        if submitted.task is None:
            self._waiting.remove(submitted)
        else:
            self._leaving.append(_Leaving(submitted.task, submitted.since, kill))

    def logs(self, handle: str) -> tuple[Path, ...]:
        """Return the job's own log and its standard error."""
        if handle not in self._jobs:
            return self._here.logs(handle)
        submitted = self._jobs[handle]
        task = submitted.task
        return logs_of(submitted.job, *([] if task is None else [task.batch.errors(task.index)]))

    def close(self) -> None:
        """Take what was cancelled out of the queue; all else goes on."""
        if self._leaving:
            self._queue = ask_queue()
            self._let_leave()

    def _submit_waiting(self) -> None:
        """Submit what waits, as one array per stage, unless Slurm is silent."""
        if self._silent or not self._waiting:
            return
        ready = [each for each in self._waiting if not self._replaces_left_over(each.job)]
        for stage in dict.fromkeys(each.job.stage for each in ready):
            array = [each for each in ready if each.job.stage == stage]
            jobs = [each.job for each in array]
            tasks = write_batch(jobs, runs_dir=self._runs_dir, token=self._token())
            try:
                submit_batch(self._settings, tasks, jobs)
            except Unreachable:
                # Whether the array arrived is not known; if it did, it is taken out again.
                self._silent = True
                self._leaving += [_Leaving(task, self._clock()) for task in tasks]
                return
            for submitted, task in zip(array, tasks, strict=True):
                submitted.task, submitted.since = task, self._clock()
                self._waiting.remove(submitted)

    def _replaces_left_over(self, job: Job) -> bool:
        """Whether other work under this job's name is still in the queue; it is told to leave."""
        names = set(job.name.split(", "))
        others = [task for task in self._left_over.values() if names & set(task.name.split(", "))]
        for task in others:
            entry = self._queue.get(task.place)
            if entry is None or entry.ended:
                del self._left_over[task.key]
            elif _Leaving(task, 0.0) not in self._leaving:
                self._leaving.append(_Leaving(task, 0.0))
        return any(task.key in self._left_over for task in others)

    def _due(self) -> bool:
        return self._clock() - self._asked >= self._settings.poll_seconds

    def _look(self) -> None:
        """Ask for the queue now and then; as long as Slurm is silent, what is known stands."""
        if not self._due():
            return
        self._asked = self._clock()
        try:
            self._queue = read_queue()
        except Unreachable:
            self._silent = True
            return
        self._silent, self._seen = False, self._asked
        self._let_leave()

    def _let_leave(self) -> None:
        """Cancel what is to leave; what the queue does not show yet will be looked for again."""
        for kill in (False, True):
            places = [each.task.place for each in self._leaving if each.kill == kill]
            entries = [self._queue[place] for place in places if place in self._queue]
            found = [entry.job_id for entry in entries if not entry.ended]
            if found:
                slurm_queue.cancel(found, kill=kill)
        self._leaving = [
            each
            for each in self._leaving
            if each.task.place not in self._queue and each.until >= self._seen
        ]

    def _outcome(self, submitted: _Submitted, task: Task) -> Outcome | None:
        entry = self._queue.get(task.place)
        if entry is None and self._seen <= submitted.since:
            return None
        if entry is None or entry.ended:
            status = _read_status(task)
            if status is None and self._may_speak(submitted, entry):
                return None
        else:
            # Once per look at the queue: a question of the file system for each job under way.
            if submitted.looked == self._seen:
                return None
            submitted.looked = self._seen
            status = _read_status(task)
            if not self._is_over(submitted, entry, status):
                return None
            if not entry.completing:
                # It would keep its place, or begin again.
                self._leaving.append(_Leaving(task, 0.0))
        text = _read_text(task.batch.errors(task.index))
        if entry is None and status is None:
            text = f"{text}\nleft the queue without a word"
        elif entry is not None and entry.state != "COMPLETED" and status != 0:
            text = f"{entry.sentence()}\n{text}"
        if status is None:
            asked = entry is not None and entry.state == "CANCELLED" and not submitted.killed
            status = -signal.SIGTERM if asked else -signal.SIGKILL
        return keep_errors(submitted.job, status, text, self._error_log)

    def _is_over(self, submitted: _Submitted, entry: Entry, status: int | None) -> bool:
        """Whether a job that Slurm does not call ended is so all the same.

        A node that could not reach the controller at a job's end tells it a minute late or more;
        work that is done need not wait for that. A controller that was killed right after it was
        told remembers the job as running, for half an hour or more.
        """
        submitted.gone = None
        if entry.lost:
            return True
        if status is None:
            submitted.noted = None
            return False
        submitted.noted = submitted.noted or self._clock()
        patient = self._clock() - submitted.noted < PATIENCE_SECONDS
        return not patient or (entry.completing and status == 0)

    def _may_speak(self, submitted: _Submitted, entry: Entry | None) -> bool:
        """Whether the note of how a job ended may still appear."""
        if entry is not None and entry.state in _SILENT:
            return False
        submitted.gone = submitted.gone or self._clock()
        return self._clock() - submitted.gone < PATIENCE_SECONDS


def ask_queue() -> Queue:
    """Return what is in the queue; raises UserError when Slurm does not answer."""
    try:
        return read_queue()
    except Unreachable as problem:
        raise UserError(f"Slurm does not answer: {problem}") from None


def left_over_tasks(runs_dir: Path, queue: Queue) -> dict[str, Task]:
    """Return by key what earlier matrices left in the queue; batches that are done are removed."""
    found: dict[str, Task] = {}
    for task in list(read_batches(runs_dir)):
        entry = queue.get(task.place)
        if entry is not None and not entry.ended:
            found[task.key] = task
    kept = {task.batch.path for task in found.values()}
    folder = batches_directory(runs_dir).resolve()
    for path in folder.iterdir() if folder.is_dir() else ():
        if path not in kept:
            shutil.rmtree(path)
    return found


def _read_status(task: Task) -> int | None:
    try:
        return int(json.loads(task.batch.outcome(task.index).read_bytes())["status"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace").strip()
    except OSError:
        return ""
