"""What runs inside a Ray worker: one command in a process of its own."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from makerlab.launchers.base import job_environment

_POLL_SECONDS = 0.1


def run_command(
    command: tuple[str, ...], folder: str, environment: dict[str, str]
) -> tuple[int, str]:
    """Run a command to its end; returns its status and what it wrote to standard error.

    Asked to leave, which Ray does by KeyboardInterrupt, it lets the command save its state. A
    command whose worker is killed finds itself orphaned and does the same.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            cwd=Path(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=os.environ | environment | job_environment(),
        )
        while process.poll() is None:
            # Ray's interrupt comes between two steps of Python; it wakes no system call.
            try:
                time.sleep(_POLL_SECONDS)
            except KeyboardInterrupt:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)
        errors.seek(0)
        return process.returncode, errors.read().decode(errors="replace")
