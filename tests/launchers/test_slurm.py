"""Jobs on a real Slurm: time limits, preemption, silence, what an earlier matrix left."""

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.launchers.conftest import Python, wait, wait_for
from tests.slurm import Slurm

from makerlab.errors import UserError
from makerlab.launchers.base import Outcome
from makerlab.launchers.slurm import SlurmLauncher
from makerlab.launchers.slurm_batch import batch_script, read_batches

# Counts to a number, one step at a time, and goes on where it stopped when it is asked to leave.
COUNTS = """\
import signal, sys, time
from pathlib import Path
state, starts, steps = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
with starts.open("a") as file:
    file.write("started\\n")
count = int(state.read_text()) if state.exists() else 0
while count < steps:
    time.sleep(0.1)
    count += 1
    if asked:
        state.write_text(str(count))
        sys.exit(143)
state.write_text(str(count))
"""

# Waits for a file.
WAITS = """\
import sys, time
from pathlib import Path
with Path(sys.argv[2]).open("a") as file:
    file.write("started\\n")
while not Path(sys.argv[1]).exists():
    time.sleep(0.1)
"""


@pytest.fixture
def launcher(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlurmLauncher:
    return slurm.launcher(tmp_path, tmp_path / "errors.log", monkeypatch)


def job_id(launcher: SlurmLauncher, tmp_path: Path, slurm: Slurm) -> str:
    """Return the id of the one job in the queue."""
    (task,) = read_batches(tmp_path / "runs")
    return slurm.run("squeue", "-h", "-o", "%i", "-n", task.batch.name).strip()


@pytest.mark.parametrize("number", ["USR2", "TERM"], ids=["out of time", "preempted"])
def test_a_job_told_to_make_room_is_requeued_and_continues(
    launcher: SlurmLauncher, slurm: Slurm, python: Python, tmp_path: Path, number: str
) -> None:
    starts = tmp_path / "starts"
    handle = launcher.submit(python(COUNTS, tmp_path / "state", starts, 30))
    wait_for(starts, launcher, handle)
    slurm.run("scancel", f"--signal={number}", job_id(launcher, tmp_path, slurm))
    assert wait(launcher, handle) == Outcome(0)
    assert (tmp_path / "state").read_text() == "30"
    assert starts.read_text() == "started\nstarted\n"


@pytest.mark.slow
def test_a_time_limit_is_only_a_pause(
    slurm: Slurm, python: Python, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = slurm.launcher(
        tmp_path, tmp_path / "errors.log", monkeypatch, minutes=1, warning_seconds=10
    )
    starts = tmp_path / "starts"
    handle = launcher.submit(python(COUNTS, tmp_path / "state", starts, 700))
    assert wait(launcher, handle, seconds=600) == Outcome(0)
    assert (tmp_path / "state").read_text() == "700"
    assert len(starts.read_text().splitlines()) >= 2


def test_a_job_cancelled_by_hand_says_so(
    launcher: SlurmLauncher, slurm: Slurm, python: Python, tmp_path: Path
) -> None:
    starts = tmp_path / "starts"
    handle = launcher.submit(python(COUNTS, tmp_path / "state", starts, 600))
    wait_for(starts, launcher, handle)
    slurm.run("scancel", job_id(launcher, tmp_path, slurm))
    outcome = wait(launcher, handle)
    assert outcome.status == 143
    assert "CANCELLED" in outcome.last_lines[0]
    assert starts.read_text() == "started\n"


def test_the_next_launcher_finds_what_the_last_one_left(
    slurm: Slurm, python: Python, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts, errors = tmp_path / "starts", tmp_path / "errors.log"
    job = python(COUNTS, tmp_path / "state", starts, 40)
    first = slurm.launcher(tmp_path, errors, monkeypatch)
    wait_for(starts, first, first.submit(job))
    second = slurm.launcher(tmp_path, errors, monkeypatch)
    assert wait(second, second.submit(job)) == Outcome(0)
    assert starts.read_text() == "started\n"


def test_other_work_under_the_same_name_has_left_before_the_new_one_begins(
    slurm: Slurm, python: Python, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = tmp_path / "errors.log"
    first = slurm.launcher(tmp_path, errors, monkeypatch)
    old = python(COUNTS, tmp_path / "state", tmp_path / "starts", 600)
    wait_for(tmp_path / "starts", first, first.submit(old))
    second = slurm.launcher(tmp_path, errors, monkeypatch)
    new = python(
        "import pathlib, sys; print(pathlib.Path(sys.argv[1]).read_text(), file=sys.stderr)",
        tmp_path / "state",
    )
    new = type(new)(new.name, new.command, key="another")
    outcome = wait(second, second.submit(new))
    assert outcome.status == 0
    assert int(outcome.last_lines[0]) < 600


def test_what_slurm_refuses_is_one_line(
    slurm: Slurm, python: Python, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = slurm.launcher(tmp_path, tmp_path / "errors.log", monkeypatch, partition="gpu")
    handle = launcher.submit(python("pass"))
    with pytest.raises(UserError, match=r"Slurm refuses the jobs: .*invalid partition"):
        launcher.poll(handle)


@pytest.mark.parametrize("ends_in_silence", [False, True], ids=["runs on", "ends meanwhile"])
def test_jobs_outlive_a_silent_controller(
    launcher: SlurmLauncher, slurm: Slurm, python: Python, tmp_path: Path, ends_in_silence: bool
) -> None:
    starts, may_end = tmp_path / "starts", tmp_path / "may end"
    handle = launcher.submit(python(WAITS, may_end, starts))
    wait_for(starts, launcher, handle)
    # A controller knows after its death what it had written down, a few seconds after a change.
    # What is written first may have been gathered before the job began.
    written = slurm.conf.parent / "state" / "job_state"
    number = job_id(launcher, tmp_path, slurm)
    for comment in ("first", "second"):
        before, deadline = time.time(), time.monotonic() + 60.0
        slurm.run("scontrol", "update", f"JobId={number}", f"Comment={comment}")
        while not written.exists() or written.stat().st_mtime <= before:
            assert time.monotonic() < deadline, "the controller has not saved its state"
            time.sleep(0.1)
    controller = int((slurm.conf.parent / "slurmctld.pid").read_text())
    subprocess.run(["kill", f"-{signal.SIGKILL.value}", str(controller)], check=True)
    assert launcher.poll(handle) is None
    if ends_in_silence:
        (task,) = read_batches(tmp_path / "runs")
        may_end.touch()
        deadline = time.monotonic() + 60.0
        while not task.batch.outcome(task.index).exists():
            assert time.monotonic() < deadline, "the job has not ended"
            time.sleep(0.1)
        time.sleep(3.0)  # its node has tried to tell the controller
    slurm.start()
    may_end.touch()
    assert wait(launcher, handle) == Outcome(0)
    assert starts.read_text() == "started\n"


def test_the_script_that_is_shown_is_the_script_that_is_submitted(
    launcher: SlurmLauncher, slurm: Slurm, python: Python, tmp_path: Path
) -> None:
    assert wait(launcher, launcher.submit(python("pass"))) == Outcome(0)
    (task,) = read_batches(tmp_path / "runs")
    (submitted,) = task.batch.path.glob("[0-9]*_submission.sh")
    assert submitted.read_text() == batch_script(slurm.settings(), task.batch, jobs=1)
    assert re.search("^#SBATCH --requeue$", submitted.read_text(), re.MULTILINE)


def test_without_slurm_it_is_said_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = Slurm(tmp_path).settings()
    with pytest.raises(UserError, match="no program squeue here"):
        SlurmLauncher(settings, runs_dir=tmp_path, error_log=tmp_path / "errors.log")
