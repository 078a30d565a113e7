"""One matrix at a time in a runs directory: on one host, on several, and after any death."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from makerlab.errors import UserError
from makerlab.matrix.lock import TakenOver, last_sign_of_life, matrix_lock
from makerlab.runs import lease as lease_module
from makerlab.runs.lease import Lease
from makerlab.runs.owner import this_process

# A matrix that does nothing but hold its directory, on a host of a made-up name.
HOLDER = """
import platform, sys, time
from pathlib import Path
from makerlab.runs import owner
folder, host, stale = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
if host:
    platform.node = lambda: host
    owner._boot_id = lambda: host
from makerlab.errors import UserError
from makerlab.matrix.lock import TakenOver, matrix_lock

def say(line):
    print(line, flush=True)

try:
    with matrix_lock(folder, say, renew_seconds=0.1, stale_seconds=stale) as lock:
        say("held")
        while True:
            lock.check()
            time.sleep(0.02)
except (UserError, TakenOver) as error:
    say(f"{type(error).__name__}: {error}")
"""
STALE = 1.5

Holder = subprocess.Popen[str]


@pytest.fixture
def holders() -> Iterator[list[Holder]]:
    """Processes to be ended."""
    processes: list[Holder] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def start(folder: Path, holders: list[Holder], *, host: str = "") -> Holder:
    """Start a holder."""
    command = [sys.executable, "-c", HOLDER, str(folder), host, str(STALE)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    holders.append(process)
    return process


def line(process: Holder) -> str:
    """Return the next line that a holder says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def take(folder: Path) -> float:
    """Take the lock and give it back; returns the seconds it took."""
    began = time.monotonic()
    with matrix_lock(folder, lambda _: None, stale_seconds=STALE) as lock:
        assert lock.held
        return time.monotonic() - began


def test_a_living_matrix_elsewhere_is_found_by_its_sign_of_life(
    tmp_path: Path, holders: list[Holder]
) -> None:
    first = start(tmp_path, holders, host="one")
    assert line(first) == "held"
    second = start(tmp_path, holders, host="two")
    assert "belongs to a matrix elsewhere" in line(second)
    refusal = f"another matrix is at work there (process {first.pid} on one)"
    assert refusal in line(second)
    assert first.poll() is None


def test_of_matrices_started_at_once_on_many_hosts_one_works(
    tmp_path: Path, holders: list[Holder]
) -> None:
    all_of_them = [start(tmp_path, holders, host=f"host{number}") for number in range(4)]
    last = []
    for process in all_of_them:
        said = line(process)
        while "belongs to" in said:
            said = line(process)
        last.append(said)
    assert last.count("held") == 1
    assert sum("another matrix is at work there" in said for said in last) == 3


def test_the_lock_of_one_that_died_here_is_taken_at_once(
    tmp_path: Path, holders: list[Holder]
) -> None:
    first = start(tmp_path, holders)
    assert line(first) == "held"
    with pytest.raises(
        UserError, match=rf"another matrix is at work there \(process {first.pid}\)"
    ):
        take(tmp_path)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert take(tmp_path) < STALE


def test_the_lock_of_one_that_died_elsewhere_is_taken_when_it_has_not_moved_for_long(
    tmp_path: Path, holders: list[Holder]
) -> None:
    first = start(tmp_path, holders, host="one")
    assert line(first) == "held"
    first.send_signal(signal.SIGKILL)
    first.wait()
    # Its files may carry any time: only what this process sees move or stand still counts.
    for token in (tmp_path / ".matrix.lease").iterdir():
        os.utime(token, (2**31, 2**31))
    assert STALE <= take(tmp_path) < 10 * STALE


def test_one_that_stood_still_leaves_when_it_wakes(tmp_path: Path, holders: list[Holder]) -> None:
    first = start(tmp_path, holders, host="one")
    assert line(first) == "held"
    first.send_signal(signal.SIGSTOP)
    second = start(tmp_path, holders, host="two")
    assert "belongs to a matrix elsewhere" in line(second)
    # In truth both are on this host, where whoever has the directory's file open is at work.
    assert "waiting for processes of an earlier matrix" in line(second)
    first.send_signal(signal.SIGCONT)
    assert "TakenOver" in line(first)
    assert line(second) == "held"
    holder = Lease(tmp_path / ".matrix.lease").holder()
    assert holder is not None and holder["host"] == "two"


def test_a_job_of_a_killed_matrix_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / ".matrix.jobs").touch()
    leave, told = tmp_path / "leave", []
    code = (
        "import pathlib, sys, time; file = open(sys.argv[1]); print(flush=True)\n"
        "while not pathlib.Path(sys.argv[2]).exists(): time.sleep(0.02)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / ".matrix.jobs"), str(leave)]

    def say(line: str) -> None:
        told.append(line)
        leave.touch()

    with subprocess.Popen(command, stdout=subprocess.PIPE) as job:
        assert job.stdout is not None
        job.stdout.readline()
        with matrix_lock(tmp_path, say):
            assert job.wait(timeout=10) == 0
    assert told == [f"waiting for processes of an earlier matrix in {tmp_path} to save their state"]


def test_a_lock_that_was_lost_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with matrix_lock(tmp_path, lambda _: None) as lock:
        lock.check()
        elsewhere = this_process() | {"host": "elsewhere", "pid": 1}
        with monkeypatch.context() as other:
            other.setattr(lease_module, "this_process", lambda: elsewhere)
            other.setattr(lease_module, "is_local", lambda _: True)
            other.setattr(lease_module, "is_alive", lambda _: False)
            assert Lease(tmp_path / ".matrix.lease").try_acquire()
        assert not lock.lease.renew()
        with pytest.raises(TakenOver, match="another matrix works there now"):
            lock.check()


def test_each_renewal_is_a_sign_of_life(tmp_path: Path) -> None:
    assert last_sign_of_life(tmp_path) is None
    with matrix_lock(tmp_path, print) as lock:
        os.utime(tmp_path / ".matrix.lease", (1.0, 1.0))
        long_ago = last_sign_of_life(tmp_path)
        assert lock.lease.renew()
        now = last_sign_of_life(tmp_path)
        assert long_ago is not None and now is not None and now > long_ago
