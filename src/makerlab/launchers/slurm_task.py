"""What runs inside a Slurm job: one command, its signals, and the note of how it ended.

Before the time limit Slurm sends SIGUSR2, on preemption SIGTERM. Both become the SIGTERM on which
stages save their state; then submitit requeues the job, and the same command continues exactly.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from submitit.helpers import DelayedSubmission

from makerlab.files import write_json
from makerlab.launchers.base import STOPPED, job_environment
from makerlab.launchers.slurm_queue import was_cancelled

_PATIENCE_SECONDS = 10.0


class StageTask:
    """A callable for submitit: takes a command, and where its outcome and its errors go."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._told = False

    def __call__(self, command: tuple[str, ...], outcome: str, errors: str) -> None:
        """Run a command to its end and note how it ended."""
        Path(outcome).unlink(missing_ok=True)
        signal.signal(signal.SIGTERM, self._make_room)
        with Path(errors).open("wb") as file:
            self._pid = _start(command, file.fileno())
        _note(outcome, _wait(self._pid))

    def checkpoint(self, command: tuple[str, ...], outcome: str, errors: str) -> DelayedSubmission:
        """Let the command save its state; returns what the requeued job is to do.

        Runs in a signal handler, in the middle of the wait above.
        """
        if self._pid is not None:
            if not (self._told and _ends_soon(self._pid)):
                _ask_to_leave(self._pid)
            status = _wait(self._pid)
            if status not in STOPPED:
                _leave(outcome, status)
        return DelayedSubmission(StageTask(), command, outcome, errors)

    def _make_room(self, number: int, frame: FrameType | None) -> None:
        """Let a job that is only preempted go the way of one out of time.

        Slurm sends SIGTERM to all processes of a job; told twice, one could be killed by it.
        """
        self._told = True
        if not was_cancelled(os.environ["SLURM_JOB_ID"]):
            os.kill(os.getpid(), signal.SIGUSR2)


def _start(command: tuple[str, ...], errors: int) -> int:
    """Start a command that the warning before the time limit, sent to all, does not kill."""
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=os.environ | job_environment(),
        )
    finally:
        signal.signal(signal.SIGUSR2, before)
    _KEPT.append(process)
    return process.pid


# Left to be collected, a process would be waited for by subprocess as well.
_KEPT: list[subprocess.Popen[bytes]] = []


def _wait(pid: int) -> int:
    """Return the status of a child as `Popen.returncode` has it; it may be asked for again."""
    found: Any = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return int(found.si_status if found.si_code == os.CLD_EXITED else -found.si_status)


def _ends_soon(pid: int) -> bool:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
            return True
        time.sleep(0.1)
    return False


def _ask_to_leave(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def _note(outcome: str, status: int) -> None:
    write_json(Path(outcome), {"status": status})


def _leave(outcome: str, status: int) -> NoReturn:
    _note(outcome, status)
    sys.exit(0)
