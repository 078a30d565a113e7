"""What a job is, how it ends, and the interface of all that run jobs."""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from makerlab.runs.stopping import PARENT_VARIABLE

# One thread per process: jobs don't fight over cores, and results don't depend on their number.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
LAST_LINES = 20
# How a stage leaves that was asked to, before and after it has learned to save its state.
STOPPED = frozenset(
    sign for number in (signal.SIGINT, signal.SIGTERM) for sign in (128 + number, -number)
)


@dataclass(frozen=True)
class Job:
    """A command to run.

    Jobs of the same `key` write the same files and never run at once. `stage` says what kind of
    work it is, `log` is the file the command writes its lines to; `show_output` passes its
    standard output on to the user.
    """

    name: str
    command: tuple[str, ...]
    key: str
    stage: str = ""
    log: Path | None = None
    show_output: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a job ended: exit status (minus the signal that killed it) and its last error lines.

    A `lost` job shared its process with others, and the process died: of whom is not known.
    """

    status: int
    last_lines: tuple[str, ...] = ()
    lost: bool = False


class Launcher(Protocol):
    """Runs jobs somewhere; called from one thread. A handle is good for its launcher only."""

    def submit(self, job: Job) -> str:
        """Start a job, without waiting for it, and return its handle."""
        ...

    def poll(self, handle: str) -> Outcome | None:
        """Return how a job ended, None while it runs. After an outcome the handle is gone."""
        ...

    def waits(self, handle: str) -> bool:
        """Whether a job that has not ended has yet to begin, as far as is known."""
        ...

    def cancel(self, handle: str, *, kill: bool = False) -> None:
        """Ask a job to save its state and leave, or kill it with all it started."""
        ...

    def logs(self, handle: str) -> tuple[Path, ...]:
        """Return the files that tell of a job under way, its own log first."""
        ...

    def close(self) -> None:
        """Leave nothing behind; there are no more jobs."""
        ...


def logs_of(job: Job, *others: Path) -> tuple[Path, ...]:
    """Return the files that tell of a job: its own log if it has one, then others."""
    return (*([] if job.log is None else [job.log]), *others)


def read_outcome(job: Job, status: int, errors: IO[bytes], error_log: Path) -> Outcome:
    """Return how a job ended; what it wrote to standard error goes to the error log."""
    with errors:
        errors.seek(0)
        text = errors.read().decode(errors="replace")
    return keep_errors(job, status, text, error_log)


def keep_errors(job: Job, status: int, text: str, error_log: Path) -> Outcome:
    """Append what a job wrote to standard error to the error log; returns how the job ended."""
    text = text.strip()
    if text:
        error_log.parent.mkdir(parents=True, exist_ok=True)
        with error_log.open("a", encoding="utf-8") as file:
            file.write(f"--- {job.name}, exit status {status}\n{text}\n")
    return Outcome(status, tuple(text.splitlines()[-LAST_LINES:]))


def thread_environment() -> dict[str, str]:
    """Return what keeps a job on one thread."""
    return dict.fromkeys(THREAD_VARIABLES, "1")


def job_environment() -> dict[str, str]:
    """Return what a child of this process finds in its environment beside what is there."""
    # A job that sees another parent than this knows that it has been orphaned.
    return thread_environment() | {PARENT_VARIABLE: str(os.getpid())}


def is_script(job: Job) -> bool:
    """Whether a command is a script for this interpreter, which a process of it can become."""
    interpreter, script = job.command[:2]
    return interpreter == sys.executable and script.endswith(".py")


def describe_status(status: int) -> str:
    """Return an exit status in words."""
    if status >= 0:
        return f"exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = " (out of memory?)" if -status == signal.SIGKILL else ""
    return f"killed by {name}{hint}"
