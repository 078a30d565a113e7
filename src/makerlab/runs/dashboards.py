"""Dashboards that others wrote, on the files of the runs: Optuna's on studies, TensorBoard on runs.

They listen on this machine only, and live as long as the command that started them.
"""

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from makerlab.errors import Failed, UserError
from makerlab.runs.progress import Report

HOST = "127.0.0.1"
STUDIES_MODULE = "makerlab.tuning.studies_server"
PATIENCE_SECONDS = 90.0
POLL_SECONDS = 0.3

Environment = Mapping[str, str]


@dataclass(frozen=True)
class Dashboard:
    """A server to start: what it is, its module, its port and its arguments.

    Secrets are for its environment: arguments are seen by everyone on the machine.
    """

    title: str
    module: str
    port: int
    arguments: tuple[str, ...] = ()
    environment: Environment = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}/"

    @property
    def command(self) -> list[str]:
        """The command line, with this Python."""
        place = ("--host", HOST, "--port", str(self.port))
        return [sys.executable, "-m", self.module, *self.arguments, *place]


def dashboards_of(
    runs_dir: Path, studies: Mapping[str, Environment], *, optuna_port: int, tensorboard_port: int
) -> list[Dashboard]:
    """Return the dashboards that have something to show; a port that is taken gives the next free.

    `studies` are environments that name storages, see `tuning.address.storages_of`. Raises
    UserError when there is nothing to show or something is not installed.
    """
    if not runs_dir.is_dir():
        raise UserError(f"{runs_dir}: no such directory of runs; make some with `make matrix`")
    found: list[Dashboard] = []
    for shown, named in studies.items():
        _check_installed("optuna_dashboard", "dashboard")
        port = free_port(optuna_port, taken={one.port for one in found})
        title = f"Optuna studies in {shown}"
        found.append(Dashboard(title, STUDIES_MODULE, port, environment=named))
    port = free_port(tensorboard_port, taken={one.port for one in found})
    found.append(Dashboard("TensorBoard", "tensorboard.main", port, ("--logdir", str(runs_dir))))
    return found


def serve(
    dashboards: list[Dashboard], report: Report, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Start them, say where they answer, and keep them until Ctrl-C; then none is left behind.

    Raises Failed when one ends by itself.
    """
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_Server(dashboard)) for dashboard in dashboards]
        for server in servers:
            server.wait(sleep)
            report(f"{server.dashboard.title}: {server.dashboard.url}")
        report("on this machine only; Ctrl-C ends them")
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                for server in servers:
                    server.check_alive()
                sleep(POLL_SECONDS)


def free_port(wanted: int, *, taken: Collection[int] = ()) -> int:
    """Return the wanted port, or the next one on which nothing listens."""
    for port in range(wanted, min(wanted + 100, 65536)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            if port not in taken:
                return port
    raise UserError(f"no port is free between {wanted} and {wanted + 99}; give another")


class _Server:
    """A dashboard's process; what it says goes into a file, which can't fill up and block it."""

    def __init__(self, dashboard: Dashboard) -> None:
        self.dashboard = dashboard
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed at exit
        self._process = subprocess.Popen(
            dashboard.command,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            env=os.environ | dashboard.environment,
        )

    def __enter__(self) -> "_Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()

    def wait(self, sleep: Callable[[float], None]) -> None:
        """Return once it answers; raises Failed when it ends or stays silent."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            self.check_alive()
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self.dashboard.url, timeout=5).close()
                return
            sleep(POLL_SECONDS)
        raise Failed(f"{self.dashboard.title}: does not answer at {self.dashboard.url}")

    def check_alive(self) -> None:
        """Raise Failed with its last words when it has ended."""
        if self._process.poll() is not None:
            self._said.seek(0)
            lines = self._said.read().decode(errors="replace").strip().splitlines()
            raise Failed(f"{self.dashboard.title}: ended by itself: {(lines or ['no word'])[-1]}")


def _check_installed(module: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise UserError(
            f"{module} is not installed; install it with: "
            f"pip install -c constraints.txt -e '.[{extra}]'"
        )
