"""Real trainings on a real Slurm, disturbed: their artefacts are those of a quiet local run."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.commands import REPOSITORY
from tests.matrix.real_matrix import LONG_CONFIG, SHORTER_CONFIG, RealMatrix, finish, wait_until
from tests.slurm import Slurm

from makerlab.chaos.artefacts import final_files

pytestmark = pytest.mark.slow

GROUP = f"{sys.executable} {REPOSITORY / 'scripts' / 'run_group.py'}"
# Slurm counts time limits in minutes, and quiet machines are fast.
MINUTES_CONFIG = LONG_CONFIG.replace("total_timesteps: 240000", "total_timesteps: 720000")
SETTINGS = {"memory_gb": 0.5, "poll_seconds": 0.5, "minutes": 10}


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a local training leaves that nobody disturbs."""
    return undisturbed(make_matrix(tmp_path_factory.mktemp("quiet")))


@pytest.fixture
def matrix(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealMatrix]:
    """The same training, to be run in the Slurm."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    yield make_matrix(tmp_path)
    slurm.run("scancel", "--me")


def make_matrix(folder: Path, text: str = LONG_CONFIG) -> RealMatrix:
    folder.mkdir(exist_ok=True)
    made = RealMatrix(folder, ("--stages", "train,evaluate", "--seeds", "3", "--device", "cpu"))
    made.config("one", text=text)
    return made


def undisturbed(matrix: RealMatrix) -> dict[str, Any]:
    """Run a matrix here and return its artefacts."""
    matrix.run("local")
    assert matrix.begins("local") == [0]
    return final_files(matrix.runs("local"))


def begun(matrix: RealMatrix) -> subprocess.Popen[str]:
    """Start a matrix and return once its training is well under way."""
    process = matrix.start("slurm", **SETTINGS)
    wait_until(lambda: matrix.steps("slurm") > 10_000)
    return process


def test_a_time_limit_is_a_pause(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap: a requeued job that starts anew, or counts as failed."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    quiet = undisturbed(make_matrix(tmp_path / "quiet", MINUTES_CONFIG))
    matrix = make_matrix(tmp_path / "limited", MINUTES_CONFIG)
    matrix.run("slurm", **SETTINGS | {"minutes": 1, "warning_seconds": 10})
    begins = matrix.begins("slurm")
    assert len(begins) >= 2
    assert begins[0] == 0
    assert begins == sorted(set(begins))
    assert final_files(matrix.runs("slurm")) == quiet


def test_preemption_is_a_pause(matrix: RealMatrix, quiet: dict[str, Any], slurm: Slurm) -> None:
    process = begun(matrix)
    slurm.run("scancel", "--me", "--signal=TERM")
    finish(process)
    assert continued_once(matrix)
    assert final_files(matrix.runs("slurm")) == quiet


def test_what_was_cancelled_goes_on_with_the_next_matrix(
    matrix: RealMatrix, quiet: dict[str, Any], slurm: Slurm
) -> None:
    process = begun(matrix)
    slurm.run("scancel", "--me")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "CANCELLED" in output
    matrix.run("slurm", **SETTINGS)
    assert continued_once(matrix)
    assert final_files(matrix.runs("slurm")) == quiet


@pytest.mark.parametrize("dies", ["the daemon", "the node"])
def test_a_node_may_fail(
    matrix: RealMatrix, quiet: dict[str, Any], slurm: Slurm, dies: str
) -> None:
    """A daemon that comes back finds its jobs at work; with them dead, Slurm begins them anew."""
    process = begun(matrix)
    kill_daemon(slurm)
    if dies == "the node":
        kill_all(slurm)
    slurm.start()
    process.communicate(timeout=900)
    matrix.run("slurm", **SETTINGS)
    if dies == "the node":
        assert continued_once(matrix)
    else:
        assert matrix.begins("slurm") == [0]
    assert final_files(matrix.runs("slurm")) == quiet


@pytest.mark.parametrize("disturbance", ["told to make room", "killed"])
def test_runs_packed_into_one_job_go_on_one_by_one(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disturbance: str
) -> None:
    """Each ends as by itself on one machine; a group that is requeued goes on as a group."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    matrix = RealMatrix(tmp_path, ("--stages", "train,evaluate", "--seeds", "0 1"))
    matrix.config("one", text=SHORTER_CONFIG)
    matrix.run("local", "--device", "cpu")
    process = matrix.start("slurm", "--device", "cpu", "--group_size", "2", **SETTINGS)
    wait_until(lambda: matrix.steps("slurm") > 4000)
    if disturbance == "killed":
        (group,) = [each for each, line in processes(slurm) if GROUP in line]
        group.kill()
    else:
        slurm.run("scancel", "--me", "--signal=TERM")
    shown = finish(process)
    assert ("to be done again by itself" in shown) == (disturbance == "killed")
    begins = sorted(matrix.begins("slurm"))
    assert begins[:2] == [0, 0]
    assert len(begins) == 4
    assert min(begins[2:]) > 0
    batches = (matrix.runs("slurm") / ".batches").glob("makerlab_train_*/tasks.json")
    jobs = [len(json.loads(path.read_text())["tasks"]) for path in batches]
    assert sorted(jobs) == ([1, 2] if disturbance == "killed" else [1])
    assert final_files(matrix.runs("slurm")) == final_files(matrix.runs("local"))


def continued_once(matrix: RealMatrix) -> bool:
    """Whether a training began and was continued from somewhere in its midst, once."""
    begins = matrix.begins("slurm")
    return len(begins) == 2 and begins[0] == 0 < begins[1]


def kill_daemon(slurm: Slurm) -> None:
    pid = int((slurm.conf.parent / "slurmd.pid").read_text())
    os.kill(pid, 9)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)


def kill_all(slurm: Slurm) -> None:
    """Kill all processes of the jobs of a Slurm, what watches over them first."""
    found = processes(slurm)
    assert found
    for process, _ in sorted(found, key=lambda each: not each[1].startswith("slurmstepd")):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def processes(slurm: Slurm) -> list[tuple[psutil.Process, str]]:
    """Return the processes of the jobs of a Slurm, with their command lines."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line, variables = " ".join(process.cmdline()), process.environ()
            inside = line.startswith("slurmstepd") or "SLURM_JOB_ID" in variables
            if inside and variables.get("SLURM_CONF") == str(slurm.conf):
                found.append((process, line))
    return found
