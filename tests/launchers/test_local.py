"""Jobs as processes of this machine."""

import dataclasses
import fcntl
import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from makerlab.launchers.base import (
    THREAD_VARIABLES,
    Job,
    Launcher,
    Outcome,
    describe_status,
)
from makerlab.launchers.forking import ForkingLauncher, can_fork
from makerlab.launchers.local import LocalLauncher

needs_forks = pytest.mark.skipif(not can_fork(), reason="jobs are forked on Linux only")

Python = Callable[..., Job]


@pytest.fixture(params=["processes", pytest.param("forks", marks=needs_forks)])
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Launcher]:
    """Each launcher, with its error log in a folder that does not exist yet."""
    errors = tmp_path / "logs" / "errors.log"
    made: Launcher = LocalLauncher(error_log=errors)
    if request.param == "forks":
        made = ForkingLauncher(error_log=errors, warm_up=None)
    yield made
    made.close()


@pytest.fixture
def forking(tmp_path: Path) -> Iterator[ForkingLauncher]:
    """A launcher whose server has imported a module that takes a second."""
    warm_up = tmp_path / "warm_up.py"
    (tmp_path / "slow_module.py").write_text("import time; time.sleep(1); made_in = time.time()")
    warm_up.write_text("import slow_module")
    launcher = ForkingLauncher(error_log=tmp_path / "errors.log", warm_up=warm_up)
    yield launcher
    launcher.close()


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
    until = time.monotonic() + 20
    while time.monotonic() < until:
        outcome = launcher.poll(handle)
        if outcome is not None:
            return outcome
        time.sleep(0.01)
    raise AssertionError("the job did not end")


def wait_for(path: Path, launcher: Launcher, handle: str) -> str:
    """Wait until a job has written a text into a file."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        assert launcher.poll(handle) is None
        if path.exists() and path.read_text():
            return path.read_text()
        time.sleep(0.01)
    raise AssertionError(f"{path} was not written")


def test_a_job_has_one_thread_and_knows_its_parent(
    launcher: Launcher, python: Python, tmp_path: Path
) -> None:
    names = [*THREAD_VARIABLES, "MAKERLAB_PARENT_PID"]
    code = (
        "import os, sys\n"
        f"values = [os.environ[name] for name in {names}]\n"
        "open(sys.argv[1], 'w').write(' '.join([*values, str(os.getppid())]))"
    )
    wait(launcher, launcher.submit(python(code, tmp_path / "out")))
    *threads, told, parent = (tmp_path / "out").read_text().split()
    assert threads == ["1"] * 4
    assert told == parent


def test_standard_error_is_kept_with_the_job_and_its_status(
    launcher: Launcher, python: Python, tmp_path: Path
) -> None:
    code = "import sys; [print('line', n, file=sys.stderr) for n in range(30)]; sys.exit(3)"
    outcome = wait(launcher, launcher.submit(python(code)))
    assert outcome.status == 3
    assert outcome.last_lines[-1] == "line 29"
    assert len(outcome.last_lines) == 20
    log = (tmp_path / "logs" / "errors.log").read_text()
    assert log.startswith("--- a job, exit status 3\nline 0\n")


def test_a_silent_job_leaves_no_log(launcher: Launcher, python: Python, tmp_path: Path) -> None:
    assert wait(launcher, launcher.submit(python("print('out')"))) == Outcome(0)
    assert not (tmp_path / "logs").exists()


def test_a_crash_tells_its_signal(launcher: Launcher, python: Python) -> None:
    code = "import os; os.kill(os.getpid(), 11)"
    outcome = wait(launcher, launcher.submit(python(code)))
    assert describe_status(outcome.status) == "killed by SIGSEGV"
    assert describe_status(-9) == "killed by SIGKILL (out of memory?)"
    assert describe_status(2) == "exit status 2"


def test_cancel_asks_first(launcher: Launcher, python: Python, tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "open(sys.argv[1], 'w').write('ready')\n"
        "time.sleep(60)"
    )
    handle = launcher.submit(python(code, tmp_path / "ready"))
    wait_for(tmp_path / "ready", launcher, handle)
    launcher.cancel(handle)
    assert wait(launcher, handle).status == 143


def test_kill_takes_what_the_job_started_with_it(
    launcher: Launcher, python: Python, tmp_path: Path
) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open(sys.argv[1], 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    handle = launcher.submit(python(code, tmp_path / "pid"))
    child = psutil.Process(int(wait_for(tmp_path / "pid", launcher, handle)))
    launcher.cancel(handle, kill=True)
    assert wait(launcher, handle).status == -signal.SIGKILL
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_cancelling_a_job_that_has_ended_is_harmless(launcher: Launcher, python: Python) -> None:
    handle = launcher.submit(python(""))
    time.sleep(0.2)
    launcher.cancel(handle, kill=True)
    assert wait(launcher, handle).status in {0, -signal.SIGKILL, -signal.SIGTERM}


def test_a_command_that_is_no_script_is_a_process(launcher: Launcher) -> None:
    job = Job("a job", (sys.executable, "-c", "import sys; sys.exit(4)"), key="job")
    assert wait(launcher, launcher.submit(job)).status == 4


def test_a_script_finds_its_arguments_its_folder_and_its_output(
    launcher: Launcher, python: Python, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "beside.py").write_text("word = 'found'")
    code = "import beside, sys\nif __name__ == '__main__': print(beside.word, *sys.argv[1:])"
    job = dataclasses.replace(python(code, "a b", "c"), show_output=True)
    assert wait(launcher, launcher.submit(job)).status == 0
    assert capfd.readouterr().out == "found a b c\n"


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
