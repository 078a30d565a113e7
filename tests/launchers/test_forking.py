"""Jobs as forks of one warm process."""

import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.launchers.conftest import Python, needs_forks, wait, wait_for

from makerlab.launchers.base import Outcome
from makerlab.launchers.forking import COMPILING, ForkingLauncher


@pytest.fixture
def forking(tmp_path: Path) -> Iterator[ForkingLauncher]:
    """A launcher whose server has imported a module that takes a second."""
    warm_up = tmp_path / "warm_up.py"
    (tmp_path / "slow_module.py").write_text("import time; time.sleep(1); made_in = time.time()")
    warm_up.write_text("import slow_module")
    launcher = ForkingLauncher(error_log=tmp_path / "errors.log", warm_up=warm_up)
    yield launcher
    launcher.close()


@needs_forks
def test_forks_share_what_the_server_has_imported_and_nothing_that_they_do(
    forking: ForkingLauncher, python: Python, tmp_path: Path
) -> None:
    code = (
        "import sys, slow_module\n"
        "assert not hasattr(slow_module, 'mine')\n"
        "slow_module.mine = True\n"
        "open(sys.argv[1], 'w').write(str(slow_module.made_in))"
    )
    handles = [forking.submit(python(code, tmp_path / f"out{n}")) for n in range(3)]
    assert [wait(forking, handle).status for handle in handles] == [0, 0, 0]
    assert len({(tmp_path / f"out{n}").read_text() for n in range(3)}) == 1


@needs_forks
def test_a_job_cancelled_before_the_server_is_warm_never_starts(
    forking: ForkingLauncher, python: Python, tmp_path: Path
) -> None:
    job = python("import sys; open(sys.argv[1], 'w')", tmp_path / "out")
    first = forking.submit(job)
    forking.cancel(first)
    assert wait(forking, first).status == -signal.SIGTERM
    assert wait(forking, forking.submit(python("pass"))).status == 0
    assert not (tmp_path / "out").exists()


@needs_forks
def test_a_crash_of_one_fork_leaves_the_others_alone(
    forking: ForkingLauncher, python: Python, tmp_path: Path
) -> None:
    crash = "import os; os.kill(os.getpid(), 11)"
    calm = "import time; time.sleep(1)"
    handles = [forking.submit(python(code)) for code in (crash, calm, calm)]
    assert [wait(forking, handle).status for handle in handles] == [-11, 0, 0]


@needs_forks
def test_jobs_of_a_server_that_dies_are_killed_and_done_again_as_processes(
    forking: ForkingLauncher, python: Python, tmp_path: Path
) -> None:
    code = (
        "import os, sys, time\n"
        "open(sys.argv[1], 'a').write(f'{os.getppid()}\\n')\n"
        f"time.sleep(0 if os.getppid() == {os.getpid()} else 60)"
    )
    handle = forking.submit(python(code, tmp_path / "out"))
    server = int(wait_for(tmp_path / "out", forking, handle))
    (fork,) = psutil.Process(server).children()
    os.kill(server, signal.SIGKILL)
    assert wait(forking, handle) == Outcome(0)
    assert not fork.is_running() or fork.status() == psutil.STATUS_ZOMBIE
    assert (tmp_path / "out").read_text().split() == [str(server), str(os.getpid())]
    assert wait(forking, forking.submit(python("pass"))).status == 0


@needs_forks
def test_a_start_that_takes_long_says_so_at_once_and_when_it_is_over(
    tmp_path: Path, python: Python
) -> None:
    (tmp_path / "warm_up.py").write_text("")
    said: list[str] = []
    launcher = ForkingLauncher(
        error_log=tmp_path / "errors.log", warm_up=tmp_path / "warm_up.py", report=said.append
    )
    handle = launcher.submit(python("pass"))
    assert said == [COMPILING]
    assert wait(launcher, handle).status == 0
    launcher.close()
    assert len(said) == 2
    assert said[1].startswith("ready after ")


@needs_forks
def test_files_kept_open_are_free_once_it_is_closed(tmp_path: Path, python: Python) -> None:
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        launcher = ForkingLauncher(
            error_log=tmp_path / "errors.log", warm_up=None, keep_open=(file.fileno(),)
        )
        assert wait(launcher, launcher.submit(python("pass"))).status == 0
    with (tmp_path / "lock").open() as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        launcher.close()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
