"""What work does when the process that started it is gone."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from makerlab.runs.stopping import PARENT_VARIABLE, leave_with_parent, what_continues

_JOB = """
import sys, time
from makerlab.runs.stopping import leave_with_parent
leave_with_parent()
open(sys.argv[1], "w").write("begun")
time.sleep(3.0)
open(sys.argv[1], "w").write("went on alone")
"""
_PARENT = f"""
import os, subprocess, sys, time
os.environ["{PARENT_VARIABLE}"] = str(os.getpid())
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]])
print(child.pid, flush=True)
time.sleep(60)
"""


def test_work_that_keeps_no_state_ends_with_its_parent_and_says_nothing(tmp_path: Path) -> None:
    """Trap: an analysis outlives its matrix and prints its tables into the shell."""
    out = tmp_path / "out"
    command = [sys.executable, "-c", _PARENT, _JOB, str(out)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) != parent.pid
        until = time.monotonic() + 60
        while not (out.exists() and out.read_text()):
            assert time.monotonic() < until
            time.sleep(0.02)
        os.kill(parent.pid, signal.SIGKILL)
        # The pipe is open until the job has left as well.
        assert parent.stdout.read() == ""
    # Longer than the job would have slept.
    time.sleep(3.5)
    assert out.read_text() == "begun"


def test_what_is_no_job_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PARENT_VARIABLE, raising=False)
    before = threading.active_count()
    leave_with_parent()
    assert threading.active_count() == before


def test_stopped_work_names_the_matrix_only_inside_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PARENT_VARIABLE, raising=False)
    assert what_continues("the same command") == "the same command"
    monkeypatch.setenv(PARENT_VARIABLE, "1")
    assert what_continues("the same command") == "the next make matrix"
