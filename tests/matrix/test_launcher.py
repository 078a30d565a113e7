"""Jobs as processes of this machine."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from makerlab.matrix.launcher import (
    THREAD_VARIABLES,
    Job,
    LocalLauncher,
    Outcome,
    describe_status,
)


@pytest.fixture
def launcher(tmp_path: Path) -> LocalLauncher:
    """A launcher with its error log in a folder that does not exist yet."""
    return LocalLauncher(error_log=tmp_path / "logs" / "errors.log")


def python(code: str, *arguments: object) -> Job:
    """Return a job that runs Python code."""
    return Job("a job", (sys.executable, "-c", code, *map(str, arguments)), key="job")


def wait(launcher: LocalLauncher, handle: str) -> Outcome:
    """Wait for a job's end."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        outcome = launcher.poll(handle)
        if outcome is not None:
            return outcome
        time.sleep(0.01)
    raise AssertionError("the job did not end")


def wait_for(path: Path) -> str:
    """Wait until a file holds text."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if path.exists() and path.read_text():
            return path.read_text()
        time.sleep(0.01)
    raise AssertionError(f"{path} was not written")


def test_a_job_has_one_thread_and_knows_its_parent(launcher: LocalLauncher, tmp_path: Path) -> None:
    names = [*THREAD_VARIABLES, "MAKERLAB_PARENT_PID"]
    code = "import os, sys; open(sys.argv[1], 'w').write(' '.join(os.environ[n] for n in %r))"
    wait(launcher, launcher.submit(python(code % names, tmp_path / "out")))
    assert (tmp_path / "out").read_text().split() == ["1"] * 4 + [str(os.getpid())]


def test_standard_error_is_kept_with_the_job_and_its_status(
    launcher: LocalLauncher, tmp_path: Path
) -> None:
    code = "import sys; [print('line', n, file=sys.stderr) for n in range(30)]; sys.exit(3)"
    outcome = wait(launcher, launcher.submit(python(code)))
    assert outcome.status == 3
    assert outcome.last_lines[-1] == "line 29"
    assert len(outcome.last_lines) == 20
    log = (tmp_path / "logs" / "errors.log").read_text()
    assert log.startswith("--- a job, exit status 3\nline 0\n")


def test_a_silent_job_leaves_no_log(launcher: LocalLauncher, tmp_path: Path) -> None:
    assert wait(launcher, launcher.submit(python("print('out')"))) == Outcome(0)
    assert not (tmp_path / "logs").exists()


def test_a_crash_tells_its_signal(launcher: LocalLauncher) -> None:
    code = "import os; os.kill(os.getpid(), 11)"
    outcome = wait(launcher, launcher.submit(python(code)))
    assert describe_status(outcome.status) == "killed by SIGSEGV"
    assert describe_status(-9) == "killed by SIGKILL (out of memory?)"
    assert describe_status(2) == "exit status 2"


def test_cancel_asks_first(launcher: LocalLauncher, tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "open(sys.argv[1], 'w').write('ready')\n"
        "time.sleep(60)"
    )
    handle = launcher.submit(python(code, tmp_path / "ready"))
    wait_for(tmp_path / "ready")
    launcher.cancel(handle)
    assert wait(launcher, handle).status == 143


def test_kill_takes_what_the_job_started_with_it(launcher: LocalLauncher, tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open(sys.argv[1], 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    handle = launcher.submit(python(code, tmp_path / "pid"))
    child = psutil.Process(int(wait_for(tmp_path / "pid")))
    launcher.cancel(handle, kill=True)
    assert wait(launcher, handle).status == -signal.SIGKILL
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_cancelling_a_job_that_has_ended_is_harmless(launcher: LocalLauncher) -> None:
    handle = launcher.submit(python(""))
    time.sleep(0.2)
    launcher.cancel(handle, kill=True)
    assert wait(launcher, handle).status in {0, -signal.SIGKILL}
