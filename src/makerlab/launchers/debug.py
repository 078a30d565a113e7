"""Jobs in this very process, one after another: breakpoints and a debugger work as anywhere."""

import contextlib
import io
import os
import pdb
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from makerlab.cli import OUR_FAULT, inspecting
from makerlab.launchers.base import (
    Job,
    Outcome,
    is_script,
    keep_errors,
    logs_of,
    thread_environment,
)
from makerlab.launchers.fork_server import become
from makerlab.launchers.local import LocalLauncher

_STOPPED = {128 + number: number for number in (signal.SIGINT, signal.SIGTERM)}


class DebugLauncher:
    """Runs a job when it is first asked how it ended; what the job says is shown as it comes.

    A crash takes the matrix with it. With `debugger`, a fault stops where it was raised. Commands
    that are no scripts for this interpreter are processes of their own.
    """

    def __init__(self, *, error_log: Path, debugger: bool = False) -> None:
        self._error_log, self._debugger = error_log, debugger
        self._others = LocalLauncher(error_log=error_log)
        self._waiting: dict[str, Job] = {}
        self._cancelled: set[str] = set()
        self._count = 0
        # Before the first stage imports what reads it.
        os.environ.update(thread_environment())

    def submit(self, job: Job) -> str:
        """Note a job; `poll` runs it, so that its start can be told first."""
        if not is_script(job):
            return self._others.submit(job)
        self._count += 1
        handle = f"in this process {self._count}"
        self._waiting[handle] = job
        return handle

    def poll(self, handle: str) -> Outcome | None:
        """Run a job to its end and return how it ended."""
        if handle not in self._waiting:
            return self._others.poll(handle)
        job = self._waiting.pop(handle)
        if handle in self._cancelled:
            return Outcome(-signal.SIGTERM)
        with _kept_errors() as errors, _same_interpreter():
            status = self._run(job)
        if status in _STOPPED:
            # The stage took the signal for itself; the matrix is to stop as well.
            signal.raise_signal(_STOPPED[status])
        return keep_errors(job, status, errors.getvalue(), self._error_log)

    def waits(self, handle: str) -> bool:
        """A job begins with the next poll."""
        return False

    def cancel(self, handle: str, *, kill: bool = False) -> None:
        """Let a job that waits end without having begun; none is ever seen under way."""
        if handle in self._waiting:
            self._cancelled.add(handle)
        else:
            self._others.cancel(handle, kill=kill)

    def logs(self, handle: str) -> tuple[Path, ...]:
        """Return the job's own log."""
        waiting = self._waiting.get(handle)
        return self._others.logs(handle) if waiting is None else logs_of(waiting)

    def close(self) -> None:
        """Nothing stays behind."""

    def _run(self, job: Job) -> int:
        """Return the status with which a script leaves, or would leave if it were a process."""
        try:
            with inspecting(_debug) if self._debugger else contextlib.nullcontext():
                become(list(job.command[1:]))
        except SystemExit as stop:
            if isinstance(stop.code, str):
                sys.stderr.write(f"{stop.code}\n")
            return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except Exception as error:  # noqa: BLE001 - a script's end is not the matrix's
            traceback.print_exc()
            if self._debugger:
                _debug(error)
            return OUR_FAULT
        return 0


def _debug(error: BaseException) -> None:
    """Let a person look around where a fault was raised."""
    pdb.post_mortem(error.__traceback__)


class _Tee(io.StringIO):
    """Keeps what is written, and passes it on."""

    def write(self, text: str) -> int:
        """Write to both."""
        if sys.__stderr__ is not None:
            sys.__stderr__.write(text)
        return super().write(text)


@contextlib.contextmanager
def _kept_errors() -> Iterator[io.StringIO]:
    """Yield what will hold all that is written to standard error, which is shown as well."""
    with contextlib.redirect_stderr(_Tee()) as errors:
        yield errors


@contextlib.contextmanager
def _same_interpreter() -> Iterator[None]:
    """Give arguments, module path and working directory back as they were."""
    arguments, path, folder = sys.argv, list(sys.path), Path.cwd()
    try:
        yield
    finally:
        sys.argv, sys.path[:] = arguments, path
        os.chdir(folder)
