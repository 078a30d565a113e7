"""Jobs as processes of this machine."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO

from makerlab.launchers.base import Job, Outcome, job_environment, logs_of, read_outcome


class LocalLauncher:
    """Runs jobs as processes of this machine, each with one thread.

    A process gets a session of its own: Ctrl-C reaches this process only, which passes it on. It
    inherits the open files `keep_open`, by which others see that it is still at work.
    """

    def __init__(self, *, error_log: Path, keep_open: tuple[int, ...] = ()) -> None:
        self._error_log, self._keep_open = error_log, keep_open
        self._running: dict[str, tuple[Job, subprocess.Popen[bytes], IO[bytes]]] = {}

    def submit(self, job: Job) -> str:
        """Start a process; its standard error is kept until it ends."""
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        process = subprocess.Popen(
            job.command,
            stdin=subprocess.DEVNULL,
            stdout=None if job.show_output else subprocess.DEVNULL,
            stderr=errors,
            env=os.environ | job_environment(),
            pass_fds=self._keep_open,
            start_new_session=True,
        )
        handle = str(process.pid)
        self._running[handle] = (job, process, errors)
        return handle

    def poll(self, handle: str) -> Outcome | None:
        """Return how a process ended; what it wrote to standard error goes to the error log."""
        job, process, errors = self._running[handle]
        status = process.poll()
        if status is None:
            return None
        del self._running[handle]
        return read_outcome(job, status, errors, self._error_log)

    def waits(self, handle: str) -> bool:
        """A process begins at once."""
        return False

    def cancel(self, handle: str, *, kill: bool = False) -> None:
        """Send SIGTERM to a process, or SIGKILL to it and all its children."""
        _, process, _ = self._running[handle]
        if process.poll() is not None:
            return
        if kill:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.terminate()

    def logs(self, handle: str) -> tuple[Path, ...]:
        """Return the job's own log."""
        return logs_of(self._running[handle][0])

    def close(self) -> None:
        """Nothing stays behind: a process is its job's alone."""
