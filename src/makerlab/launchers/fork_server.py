"""A process that imports and compiles once and then forks a copy of itself for each job.

`forking.ForkingLauncher` starts it with the number of an open socket, and the script that makes it
warm, as arguments. It has one thread and touches no accelerator: neither would survive a fork.
"""

import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from makerlab.runs.stopping import PARENT_VARIABLE

LONGEST_MESSAGE = 1 << 17


def main(arguments: list[str]) -> NoReturn:
    """Get warm, then fork until the matrix is gone; a fork becomes the script of its job."""
    channel = socket.socket(fileno=int(arguments[0]))
    if len(arguments) > 1:
        _get_warm(arguments[1])
    # What is there now is there for good: nothing of it is looked at, and so copied, in a fork.
    gc.freeze()
    command = _Server(channel).serve()
    if command is None:
        sys.exit(0)
    become(command)
    sys.exit(0)


def _get_warm(script: str) -> None:
    """Run a script in this process; what it complains of, the jobs will as well."""
    try:
        become([script])
    except SystemExit as stop:
        if stop.code:
            sys.stderr.write(f"{script}: exit status {stop.code}\n")


def become(command: list[str]) -> None:
    """Run a script as Python does: its arguments, its folder first where modules are sought."""
    sys.argv = command
    sys.path[0] = str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name="__main__")


class _Server:
    """Forks on demand and tells how forks end."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._jobs: dict[int, int] = {}

    def serve(self) -> list[str] | None:
        """Return None when the matrix is gone, in a fork the command to become."""
        self._say({"ready": True})
        wakes, waker = os.pipe2(os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker)
        while True:
            readable, _, _ = select.select([self._channel.fileno(), wakes], [], [])
            if wakes in readable:
                os.read(wakes, 4096)
                self._tell_ends()
            if self._channel.fileno() in readable:
                message, files, _, _ = socket.recv_fds(self._channel, LONGEST_MESSAGE, 2)
                if not message:
                    return None
                command = self._fork(json.loads(message), files)
                if command is not None:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    self._channel.close()
                    os.close(wakes)
                    os.close(waker)
                    return command

    def _fork(self, request: dict[str, Any], files: list[int]) -> list[str] | None:
        """Start a job; returns its command in the new process, None in this one."""
        server = os.getpid()
        pid = os.fork()
        if pid:
            self._jobs[pid] = request["job"]
            for file in files:
                os.close(file)
            self._say({"job": request["job"], "pid": pid})
            return None
        os.setsid()
        os.environ[PARENT_VARIABLE] = str(server)
        _redirect(*files)
        command: list[str] = request["command"]
        return command

    def _tell_ends(self) -> None:
        while self._jobs:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._say({"job": self._jobs.pop(pid), "status": os.waitstatus_to_exitcode(status)})

    def _say(self, message: dict[str, Any]) -> None:
        # A matrix that is gone is noticed by the next read.
        with contextlib.suppress(OSError):
            self._channel.send(json.dumps(message).encode())


def _redirect(errors: int, output: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for file, place in ((nothing, 0), (output, 1), (errors, 2)):
        os.dup2(file, place)
        os.close(file)


if __name__ == "__main__":
    main(sys.argv[1:])
