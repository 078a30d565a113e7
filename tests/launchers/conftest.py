"""Every launcher, and jobs of a few lines for it."""

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.ray_cluster import start_ray
from tests.slurm import Slurm, start_slurm

from makerlab.launchers.base import Job, Launcher, Outcome
from makerlab.launchers.debug import DebugLauncher
from makerlab.launchers.forking import ForkingLauncher, can_fork
from makerlab.launchers.local import LocalLauncher
from makerlab.launchers.on_ray import RayLauncher
from makerlab.launchers.settings import RaySettings

needs_forks = pytest.mark.skipif(not can_fork(), reason="jobs are forked on Linux only")
OWN_PROCESSES = ["processes", pytest.param("forks", marks=needs_forks), "slurm"]
IN_PROCESSES = [*OWN_PROCESSES, "ray"]
ALL = [*IN_PROCESSES, "debug"]

Python = Callable[..., Job]


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A Slurm of one node; skips, saying so, where there is none."""
    yield from start_slurm(tmp_path_factory.mktemp("slurm"))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Any]:
    """A Ray cluster of two raylets on this machine, which this process has joined."""
    for cluster in start_ray():
        import ray

        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield cluster
        ray.shutdown()


@pytest.fixture
def launcher(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Launcher]:
    """The launcher of a parameter, with its error log in a folder that does not exist yet."""
    errors = tmp_path / "logs" / "errors.log"
    made = _make(request, tmp_path, errors, monkeypatch)
    yield made
    made.close()


def _make(
    request: pytest.FixtureRequest, folder: Path, errors: Path, monkeypatch: pytest.MonkeyPatch
) -> Launcher:
    if request.param == "processes":
        return LocalLauncher(error_log=errors)
    if request.param == "forks":
        return ForkingLauncher(error_log=errors, warm_up=None)
    if request.param == "debug":
        return DebugLauncher(error_log=errors)
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
        return RayLauncher(RaySettings(cpus=0.5), error_log=errors)
    slurm: Slurm = request.getfixturevalue("slurm")
    return slurm.launcher(folder, errors, monkeypatch)


@pytest.fixture
def python(tmp_path: Path) -> Python:
    """Make a job that runs Python code, as a script."""

    def make(code: str, *arguments: object) -> Job:
        script = tmp_path / f"{hashlib.sha256(code.encode()).hexdigest()}.py"
        script.write_text(code)
        return Job("a job", (sys.executable, str(script), *map(str, arguments)), key="job")

    return make


def wait(launcher: Launcher, handle: str, *, seconds: float = 180) -> Outcome:
    """Wait for a job's end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        outcome = launcher.poll(handle)
        if outcome is not None:
            return outcome
        time.sleep(0.01)
    raise AssertionError("the job did not end")


def wait_for(path: Path, launcher: Launcher, handle: str) -> str:
    """Wait until a job has written a text into a file."""
    until = time.monotonic() + 180
    while time.monotonic() < until:
        assert launcher.poll(handle) is None
        if path.exists() and path.read_text():
            return path.read_text()
        time.sleep(0.01)
    raise AssertionError(f"{path} was not written")
