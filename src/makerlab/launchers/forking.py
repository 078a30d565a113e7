"""Jobs as forks of one warm process: imports and compiled code are paid for once per matrix.

A job is a process of its own all the same, with its own session, signals, exit status and memory;
one that crashes takes nothing with it.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from makerlab.launchers.base import Job, Outcome, is_script, job_environment, logs_of, read_outcome
from makerlab.launchers.fork_server import LONGEST_MESSAGE
from makerlab.launchers.local import LocalLauncher
from makerlab.runs.progress import Report, duration

COMPILING = "compiling and loading: a minute or more once per machine, seconds from then on"
_WAIT_SECONDS = 3.0
# The process's own, wherever Python's words go meanwhile.
_STANDARD_OUTPUT = 1
# CUDA can be asked for devices without being started; started, it would not survive a fork.
_SERVER_ENVIRONMENT = {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}


def can_fork() -> bool:
    """Whether jobs may be forks here; system libraries of macOS break in a forked process."""
    return sys.platform == "linux"


@dataclass
class _Forked:
    """A job handed in; without `pid` it waits for the server to get warm."""

    job: Job
    errors: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    pid: int | None = None
    status: int | None = None
    alone: str | None = None
    cancelled: bool = False


class ForkingLauncher:
    """Forks jobs from a server that `warm_up`, a script, has made ready for them.

    The server starts with the first job. When it dies, its jobs are killed and started again as
    plain processes, which the stages take for any other kill.
    """

    def __init__(
        self,
        *,
        error_log: Path,
        warm_up: Path | None,
        keep_open: tuple[int, ...] = (),
        report: Report = lambda line: None,
    ) -> None:
        self._error_log, self._warm_up, self._keep_open = error_log, warm_up, keep_open
        self._report, self._began = report, 0.0
        self._plain = LocalLauncher(error_log=error_log, keep_open=keep_open)
        self._jobs: dict[str, _Forked] = {}
        self._count = 0
        self._server: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._errors: IO[bytes]
        self._ready = self._broken = False

    def submit(self, job: Job) -> str:
        """Hand a job to the server, which is started if need be; its warming is not waited for."""
        handle = str(self._count)
        self._count += 1
        forked = _Forked(job)
        self._jobs[handle] = forked
        if self._broken or not is_script(job):
            forked.alone = self._plain.submit(job)
            return handle
        if self._server is None:
            self._start_server()
        if self._ready and self._channel is not None:
            self._send(handle, self._channel)
        return handle

    def poll(self, handle: str) -> Outcome | None:
        """Return how a job ended, None while it runs or waits."""
        self._listen()
        forked = self._jobs[handle]
        if forked.alone is not None:
            outcome = self._plain.poll(forked.alone)
        elif forked.status is not None:
            outcome = read_outcome(forked.job, forked.status, forked.errors, self._error_log)
        else:
            return None
        if outcome is not None:
            del self._jobs[handle]
        return outcome

    def waits(self, handle: str) -> bool:
        """A fork begins as soon as there is a warm process to fork."""
        return False

    def cancel(self, handle: str, *, kill: bool = False) -> None:
        """Send SIGTERM to a job, or SIGKILL to it and all its children; a waiting one has ended."""
        forked = self._jobs[handle]
        if forked.alone is not None:
            self._plain.cancel(forked.alone, kill=kill)
        elif forked.pid is None:
            forked.status = -signal.SIGTERM
        elif forked.status is None:
            forked.cancelled = True
            if kill:
                _kill(forked.pid)
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(forked.pid, signal.SIGTERM)

    def logs(self, handle: str) -> tuple[Path, ...]:
        """Return the job's own log."""
        return logs_of(self._jobs[handle].job)

    def close(self) -> None:
        """End the server and wait for it: until then it holds the files that are kept open."""
        if self._server is None or self._channel is None:
            return
        if not self._ready:
            self._server.kill()
        self._channel.close()
        try:
            self._server.wait(_WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._server.kill()
        self._bury(self._server)

    def _start_server(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "makerlab.launchers.fork_server", str(theirs.fileno())]
        command += [] if self._warm_up is None else [str(self._warm_up)]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        with theirs:
            self._server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=os.environ | job_environment() | _SERVER_ENVIRONMENT,
                pass_fds=(theirs.fileno(), *self._keep_open),
                start_new_session=True,
            )
        if self._warm_up is not None:
            self._began = time.monotonic()
            self._report(COMPILING)
        ours.setblocking(False)
        self._channel, self._ready = ours, False

    def _bury(self, server: subprocess.Popen[bytes]) -> None:
        """Take in the end of the server, which is near; its last words go to the error log."""
        job = Job("the server of forks", (), key="server")
        read_outcome(job, server.wait(), self._errors, self._error_log)
        self._server = self._channel = None

    def _send(self, handle: str, channel: socket.socket) -> None:
        """Ask the server, which is ready, for a fork, and wait for its number."""
        forked = self._jobs[handle]
        request = {"job": int(handle), "command": list(forked.job.command[1:])}
        nothing = os.open(os.devnull, os.O_WRONLY)
        output = _STANDARD_OUTPUT if forked.job.show_output else nothing
        # A server that has died is found out below.
        with contextlib.suppress(OSError):
            message = json.dumps(request).encode()
            socket.send_fds(channel, [message], [forked.errors.fileno(), output])
        os.close(nothing)
        while forked.pid is None and forked.alone is None:
            select.select([channel], [], [])
            self._listen()

    def _listen(self) -> None:
        """Take in what the server says."""
        while self._channel is not None:
            try:
                message = self._channel.recv(LONGEST_MESSAGE)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self._go_on_alone()
            else:
                self._hear(json.loads(message), self._channel)

    def _hear(self, said: dict[str, Any], channel: socket.socket) -> None:
        if "ready" in said:
            self._ready = True
            if self._warm_up is not None:
                self._report(f"ready after {duration(time.monotonic() - self._began)}")
            for handle, forked in list(self._jobs.items()):
                if forked.alone is None and forked.status is None:
                    self._send(handle, channel)
            return
        forked = self._jobs[str(said["job"])]
        forked.pid = said.get("pid", forked.pid)
        forked.status = said.get("status", forked.status)

    def _go_on_alone(self) -> None:
        """The server is dead: end its forks and start their jobs as plain processes."""
        if self._server is not None:
            self._bury(self._server)
        self._broken = True
        for forked in self._jobs.values():
            if forked.alone is not None or forked.status is not None:
                continue
            if forked.pid is not None:
                _kill(forked.pid)
            if forked.cancelled:
                forked.status = -signal.SIGKILL
                continue
            forked.alone = self._plain.submit(forked.job)


def _kill(pid: int) -> None:
    """Kill a fork and all that it started; it may not have got a session of its own yet."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)
