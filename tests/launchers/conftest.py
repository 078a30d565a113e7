"""Every launcher, and jobs of a few lines for it."""

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.slurm import Slurm, start_slurm

from makerlab.launchers.base import Job, Launcher, Outcome
from makerlab.launchers.debug import DebugLauncher
from makerlab.launchers.forking import ForkingLauncher, can_fork
from makerlab.launchers.local import LocalLauncher

needs_forks = pytest.mark.skipif(not can_fork(), reason="jobs are forked on Linux only")
IN_PROCESSES = ["processes", pytest.param("forks", marks=needs_forks), "slurm"]
ALL = [*IN_PROCESSES, "debug"]

Python = Callable[..., Job]


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A Slurm of one node; skips, saying so, where there is none."""
    yield from start_slurm(tmp_path_factory.mktemp("slurm"))


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


def wait(launcher: Launcher, handle: str) -> Outcome:
    """Wait for a job's end."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        outcome = launcher.poll(handle)
        if outcome is not None:
            return outcome
        time.sleep(0.01)
    raise AssertionError("the job did not end")


def wait_for(path: Path, launcher: Launcher, handle: str) -> str:
    """Wait until a job has written a text into a file."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert launcher.poll(handle) is None
        if path.exists() and path.read_text():
            return path.read_text()
        time.sleep(0.01)
    raise AssertionError(f"{path} was not written")
