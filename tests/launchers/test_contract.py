"""What every launcher promises: one suite for all of them."""

import dataclasses
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.launchers.conftest import ALL, IN_PROCESSES, OWN_PROCESSES, Python, wait, wait_for

from makerlab.launchers.base import THREAD_VARIABLES, Job, Launcher, Outcome, describe_status


@pytest.mark.parametrize("launcher", IN_PROCESSES, indirect=True)
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


@pytest.mark.parametrize("launcher", ALL, indirect=True)
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


@pytest.mark.parametrize("launcher", ALL, indirect=True)
def test_a_silent_job_leaves_no_log(launcher: Launcher, python: Python, tmp_path: Path) -> None:
    assert wait(launcher, launcher.submit(python("print('out')"))) == Outcome(0)
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("launcher", IN_PROCESSES, indirect=True)
def test_a_crash_tells_its_signal(launcher: Launcher, python: Python) -> None:
    code = "import os; os.kill(os.getpid(), 11)"
    outcome = wait(launcher, launcher.submit(python(code)))
    assert describe_status(outcome.status) == "killed by SIGSEGV"
    assert describe_status(-9) == "killed by SIGKILL (out of memory?)"
    assert describe_status(2) == "exit status 2"


@pytest.mark.parametrize("launcher", IN_PROCESSES, indirect=True)
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


@pytest.mark.parametrize("launcher", OWN_PROCESSES, indirect=True)
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


@pytest.mark.parametrize("launcher", ALL, indirect=True)
def test_cancelling_a_job_that_has_ended_is_harmless(launcher: Launcher, python: Python) -> None:
    handle = launcher.submit(python(""))
    time.sleep(0.2)
    launcher.cancel(handle, kill=True)
    assert wait(launcher, handle).status in {0, -signal.SIGKILL, -signal.SIGTERM}


@pytest.mark.parametrize("launcher", ALL, indirect=True)
def test_a_command_that_is_no_script_is_a_process(launcher: Launcher) -> None:
    job = Job("a job", (sys.executable, "-c", "import sys; sys.exit(4)"), key="job")
    assert wait(launcher, launcher.submit(job)).status == 4


@pytest.mark.parametrize("launcher", ALL, indirect=True)
def test_a_script_finds_its_arguments_its_folder_and_its_output(
    launcher: Launcher, python: Python, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "beside.py").write_text("word = 'found'")
    code = "import beside, sys\nif __name__ == '__main__': print(beside.word, *sys.argv[1:])"
    job = dataclasses.replace(python(code, "a b", "c"), show_output=True)
    assert wait(launcher, launcher.submit(job)).status == 0
    assert capfd.readouterr().out == "found a b c\n"


@pytest.mark.parametrize("launcher", ALL, indirect=True)
def test_a_job_sees_the_folder_and_the_settings_of_whoever_started_it(
    launcher: Launcher, python: Python, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAKERLAB__RUN__NOTES", "a b")
    code = "import os; open('out', 'w').write(os.environ['MAKERLAB__RUN__NOTES'])"
    assert wait(launcher, launcher.submit(python(code))) == Outcome(0)
    assert (tmp_path / "out").read_text() == "a b"


@pytest.mark.parametrize("launcher", ALL, indirect=True)
def test_a_job_knows_where_studies_are_kept_and_nothing_else_holds_the_password(
    launcher: Launcher, python: Python, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {
        "MAKERLAB_STORAGE": "postgresql://me:secret-1@host/studies",
        "PGPASSWORD": "secret-2",
        "PGPASSFILE": "/home/me/.pgpass",
    }
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    words = f"open(sys.argv[1], 'w').write(' '.join(os.environ[name] for name in {list(known)}))"
    out = tmp_path / "out"
    job = python(f"import os, sys; {words}; print('done', file=sys.stderr)", out)
    assert wait(launcher, launcher.submit(job)).status == 0
    assert out.read_text().split() == list(known.values())
    out.unlink()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if b"secret-" in path.read_bytes()]


@pytest.mark.parametrize("launcher", ALL, indirect=True)
def test_jobs_have_ends_of_their_own_whatever_their_stage(
    launcher: Launcher, python: Python
) -> None:
    job = python("import sys; sys.exit(int(sys.argv[1]))")
    handles = [
        launcher.submit(
            dataclasses.replace(job, command=(*job.command, str(n)), key=str(n), stage=stage)
        )
        for n, stage in enumerate(["tune", "train", "train", "train"])
    ]
    assert [wait(launcher, handle).status for handle in handles] == [0, 1, 2, 3]


@pytest.mark.parametrize("launcher", ALL, indirect=True)
def test_a_job_under_way_names_its_log_first(
    launcher: Launcher, python: Python, tmp_path: Path
) -> None:
    job = dataclasses.replace(python("import time; time.sleep(0.5)"), log=tmp_path / "a.log")
    handle = launcher.submit(job)
    assert launcher.logs(handle)[0] == tmp_path / "a.log"
    assert wait(launcher, handle) == Outcome(0)


@pytest.mark.parametrize("launcher", IN_PROCESSES, indirect=True)
def test_a_job_that_has_begun_is_soon_not_said_to_wait(
    launcher: Launcher, python: Python, tmp_path: Path
) -> None:
    code = "import sys, time; open(sys.argv[1], 'w').write('ready'); time.sleep(60)"
    handle = launcher.submit(python(code, tmp_path / "ready"))
    wait_for(tmp_path / "ready", launcher, handle)
    until = time.monotonic() + 30
    while launcher.waits(handle):
        assert time.monotonic() < until
        assert launcher.poll(handle) is None
        time.sleep(0.05)
    launcher.cancel(handle, kill=True)
    assert wait(launcher, handle).status != 0
