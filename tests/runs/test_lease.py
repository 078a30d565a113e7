"""Leases: one holder, wherever it runs; none is lost for ever with a process that died."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from makerlab.runs import lease as module
from makerlab.runs.lease import Lease, Watch, read_token
from makerlab.runs.owner import this_process

STORM = """
import json, os, platform, sys, time
from pathlib import Path
from makerlab.runs import owner
from makerlab.runs.lease import Lease
folder, rounds, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for number in range(workers):
    if os.fork() == 0:
        platform.node = lambda: f"host{number}"
        owner._boot_id = lambda: f"boot{number}"
        lease = Lease(folder / "lease")
        for _ in range(rounds):
            assert lease.acquire(seconds=60)
            count = int((folder / "count").read_text())
            (folder / "count").write_text(str(count + 1))
            lease.release()
        os._exit(0)
assert all(os.wait()[1] == 0 for _ in range(workers))
"""


def elsewhere(monkeypatch: pytest.MonkeyPatch, name: str = "elsewhere") -> None:
    """Let whoever asks next believe that it runs on another host."""
    record = this_process() | {"host": name}
    monkeypatch.setattr(module, "this_process", lambda: record)


def test_it_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    one, other = Lease(tmp_path / "lease"), Lease(tmp_path / "lease")
    assert one.holder() is None
    assert one.try_acquire() and not other.try_acquire()
    holder = one.holder()
    assert holder is not None and holder["pid"] == os.getpid()
    one.release()
    assert other.try_acquire() and not one.renew() and other.renew()


def test_looking_makes_nothing(tmp_path: Path) -> None:
    assert Lease(tmp_path / "run" / "lease").holder() is None
    assert list(tmp_path.iterdir()) == []


def test_processes_on_many_hosts_exclude_each_other(tmp_path: Path) -> None:
    """A counter that each reads and writes back: one intruder, and an addition is lost."""
    (tmp_path / "count").write_text("0")
    subprocess.run([sys.executable, "-c", STORM, str(tmp_path), "20", "6"], check=True, timeout=120)
    assert (tmp_path / "count").read_text() == "120"
    assert len(list((tmp_path / "lease").iterdir())) == 1


def test_one_that_died_on_this_host_gives_way_at_once(tmp_path: Path) -> None:
    code = f"from makerlab.runs.lease import *; Lease(Path({str(tmp_path / 'lease')!r})).acquire()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert Lease(tmp_path / "lease").holder() is not None
    assert Lease(tmp_path / "lease").try_acquire()


def test_one_elsewhere_gives_way_when_it_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(float(second) for second in range(10**6))
    with monkeypatch.context() as other_host:
        elsewhere(other_host)
        silent = Lease(tmp_path / "lease")
        assert silent.try_acquire()
    waiting = Lease(tmp_path / "lease", stale_seconds=10.0, clock=lambda: next(times))
    assert [waiting.try_acquire() for _ in range(10)] == [False] * 10
    # It renews: the count begins anew. Then it is silent for long.
    assert silent.renew()
    assert [waiting.try_acquire() for _ in range(10)].count(True) == 0
    assert any(waiting.try_acquire() for _ in range(3))
    # It was only slow, and learns that it lost the lease.
    assert not silent.renew()
    silent.release()
    assert waiting.renew()


def test_time_in_which_nothing_could_be_seen_does_not_count() -> None:
    """A file server that was away for an hour makes nobody dead."""
    now = [0.0]
    watch = Watch(60.0, lambda: now[0])
    assert not watch.stands_still("holder", "1")
    now[0] += 3600.0
    assert not watch.stands_still("holder", "1")
    looks = 1
    while not watch.stands_still("holder", "1"):
        now[0] += 10.0
        looks += 1
    assert looks == 6


def test_it_is_kept_while_the_work_goes_on(tmp_path: Path) -> None:
    lease = Lease(tmp_path / "lease")
    assert lease.try_acquire()
    names = set()
    with lease.kept(every=0.01):
        until = time.monotonic() + 10.0
        while len(names) < 3 and time.monotonic() < until:
            names |= {path.name for path in (tmp_path / "lease").iterdir()}
    assert len({read_token(name).turns for name in names}) >= 3
    assert lease.holder() is None
