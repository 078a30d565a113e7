"""Jobs on a real Ray cluster of several raylets on this machine."""

import dataclasses
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.launchers.conftest import Python, wait, wait_for

from makerlab.errors import UserError
from makerlab.launchers.base import Outcome
from makerlab.launchers.on_ray import RayLauncher
from makerlab.launchers.settings import RaySettings

# As a stage does: one at a time, from where the last one stopped, leaving when orphaned.
COUNTS = """\
import fcntl, os, sys, time
from pathlib import Path
state, starts, steps = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
lock = open(sys.argv[1] + ".lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
with starts.open("a") as file:
    file.write(f"{os.getppid()}\\n")
count = int(state.read_text()) if state.exists() else 0
while count < steps:
    time.sleep(0.1)
    count += 1
    if os.getppid() != int(os.environ["MAKERLAB_PARENT_PID"]):
        state.write_text(str(count))
        sys.exit(143)
state.write_text(str(count))
"""


def counted(python: Python, folder: Path, steps: int) -> Any:
    return python(COUNTS, folder / "state", folder / "starts", steps)


def test_the_death_of_a_worker_is_only_a_pause(
    ray_cluster: Any, python: Python, tmp_path: Path
) -> None:
    launcher = RayLauncher(RaySettings(), error_log=tmp_path / "errors.log")
    handle = launcher.submit(counted(python, tmp_path, 30))
    worker = int(wait_for(tmp_path / "starts", launcher, handle))
    os.kill(worker, signal.SIGKILL)
    assert wait(launcher, handle) == Outcome(0)
    assert (tmp_path / "state").read_text() == "30"
    assert len((tmp_path / "starts").read_text().splitlines()) == 2


def test_the_death_of_a_raylet_moves_its_jobs_to_another(
    ray_cluster: Any, python: Python, tmp_path: Path
) -> None:
    launcher = RayLauncher(RaySettings(cpus=2), error_log=tmp_path / "errors.log")
    first = ray_cluster.add_node(num_cpus=2, object_store_memory=80 << 20)
    handle = launcher.submit(counted(python, tmp_path, 150))
    wait_for(tmp_path / "starts", launcher, handle)
    second = ray_cluster.add_node(num_cpus=2, object_store_memory=80 << 20)
    ray_cluster.remove_node(first, allow_graceful=False)
    assert wait(launcher, handle) == Outcome(0)
    assert (tmp_path / "state").read_text() == "150"
    assert len((tmp_path / "starts").read_text().splitlines()) == 2
    ray_cluster.remove_node(second)


def test_kill_takes_the_command_with_its_worker(
    ray_cluster: Any, python: Python, tmp_path: Path
) -> None:
    launcher = RayLauncher(RaySettings(), error_log=tmp_path / "errors.log")
    handle = launcher.submit(counted(python, tmp_path, 600))
    worker = psutil.Process(int(wait_for(tmp_path / "starts", launcher, handle)))
    (command,) = worker.children()
    launcher.cancel(handle, kill=True)
    assert wait(launcher, handle).status == -signal.SIGKILL
    psutil.wait_procs([command], timeout=20)
    assert not command.is_running() or command.status() == psutil.STATUS_ZOMBIE


def test_fractions_of_a_slot_let_jobs_share_it(
    ray_cluster: Any, python: Python, tmp_path: Path
) -> None:
    """Two nodes of one CPU hold four jobs of half a slot each, all at once."""
    launcher = RayLauncher(RaySettings(cpus=0.5), error_log=tmp_path / "errors.log")
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "folder = Path(sys.argv[1])\n"
        "(folder / sys.argv[2]).touch()\n"
        "while len(list(folder.glob('here*'))) < 4: time.sleep(0.05)\n"
    )
    job = python(code, tmp_path)
    jobs = [
        dataclasses.replace(job, command=(*job.command, f"here{n}"), key=str(n)) for n in range(4)
    ]
    handles = [launcher.submit(each) for each in jobs]
    assert [wait(launcher, handle) for handle in handles] == [Outcome(0)] * 4


def test_without_ray_it_is_said_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match="needs the package ray: pip install"):
        RayLauncher(RaySettings(), error_log=tmp_path / "errors.log")
