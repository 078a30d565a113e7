"""What is kept of runs is what reading them anew would give, whatever happened to them since."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.made_up_runs import MadeUpRun, write_run, write_runs

from makerlab.report import record_cache, records
from makerlab.report.record_cache import KEPT_METRICS, kept_run_files
from makerlab.report.records import RunRecord, read_runs, run_directories
from makerlab.runs.directory import RunDirectory, records_cache


@pytest.fixture(autouse=True)
def keep_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "FEWEST_RUNS", 1)


def read_anew(runs_dir: Path) -> list[RunRecord]:
    """Read the runs one by one, which uses nothing kept."""
    return [
        records.read_run(run, baseline_metrics=KEPT_METRICS) for run in run_directories(runs_dir)
    ]


def read_twice(runs_dir: Path) -> list[RunRecord]:
    """Read as an analysis does, and check that both a first and a second time it is right."""
    anew = read_anew(runs_dir)
    for _ in range(2):
        assert read_runs(runs_dir, baseline_metrics=KEPT_METRICS) == anew
    return anew


def kept(runs_dir: Path) -> list[str]:
    """Return the names of the runs that are kept."""
    lines = records_cache(runs_dir).read_text().splitlines()[1:]
    return [line.split("\t")[0] for line in lines]


def make(runs_dir: Path) -> list[RunDirectory]:
    write_runs(runs_dir, *(MadeUpRun(seed=seed, test=(seed, 0.0, 9.0)) for seed in range(4)))
    write_run(runs_dir, MadeUpRun(seed=9), algo="SAC-2")
    return list(run_directories(runs_dir))


def test_what_is_kept_is_what_was_read(tmp_path: Path) -> None:
    runs = make(tmp_path)
    assert all(record.metrics is not None for record in read_twice(tmp_path))
    assert kept(tmp_path) == [f"{run.path.parent.name}/{run.name}" for run in runs]
    assert [files.problems for files in kept_run_files(tmp_path, runs)] == [()] * len(runs)


def test_nothing_is_written_when_nothing_is_new(tmp_path: Path) -> None:
    make(tmp_path)
    read_twice(tmp_path)
    before = records_cache(tmp_path).stat()
    read_twice(tmp_path)
    after = records_cache(tmp_path).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("which", ["manifest", "metrics", "profits"])
def test_a_file_edited_in_place_is_read_again(tmp_path: Path, which: str) -> None:
    """Trap: a table of yesterday's numbers."""
    run = make(tmp_path)[1]
    read_twice(tmp_path)
    path = {
        "manifest": run.manifest,
        "metrics": run.evaluation.metrics,
        "profits": run.evaluation.profits,
    }[which]
    before = read_anew(tmp_path)
    text = path.read_text()
    if which == "manifest":
        content = json.loads(text)
        content["notes"] = "edited"
        text = json.dumps(content)
    else:
        text = text.replace("1", "2")
    with path.open("r+") as file:  # the same inode, as an editor may leave it
        file.truncate(0)
        file.write(text)
    assert read_twice(tmp_path) != before


def test_runs_that_come_go_or_break_are_seen(tmp_path: Path) -> None:
    runs = make(tmp_path)
    read_twice(tmp_path)
    write_run(tmp_path, MadeUpRun(seed=7), algo="PPO")
    runs[0].manifest.unlink()
    runs[2].evaluation.metrics.write_text("{")
    found = read_twice(tmp_path)
    assert [record.problems != () for record in found] == [False, True, False, True, False, False]
    assert len(kept(tmp_path)) == 4
    runs[2].evaluation.metrics.unlink()
    assert [record.metrics is None for record in read_twice(tmp_path)][1:4] == [True, False, True]


@pytest.mark.parametrize("damage", ["empty", "nonsense", "cut", "one run"])
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: str) -> None:
    make(tmp_path)
    read_twice(tmp_path)
    path = records_cache(tmp_path)
    content = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "nonsense": b"nonsense\n",
            "cut": content[:-300],
            "one run": content.replace(b'"complete"', b'"finished"', 1),
        }[damage]
    )
    read_twice(tmp_path)
    assert len(kept(tmp_path)) == 5


def test_where_nothing_can_be_written_runs_are_read_all_the_same(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "cache").write_text("a file where a folder should be")
    read_twice(tmp_path)


def test_workers_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_cache, "_FEWEST_FOR_WORKERS", 1)
    make(tmp_path)
    read_twice(tmp_path)
    assert len(kept(tmp_path)) == 5


POOL = """\
import sys, time
from concurrent.futures import ProcessPoolExecutor
from makerlab.runs.stopping import leave_with_pool
with ProcessPoolExecutor(2, initializer=leave_with_pool) as pool:
    pids = {pool.submit(__import__("os").getpid).result() for _ in range(20)}
    print(*pids, flush=True)
    time.sleep(60)
"""


def test_workers_end_with_an_analysis_that_is_killed() -> None:
    process = subprocess.Popen([sys.executable, "-c", POOL], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    assert pids
    process.kill()
    process.wait()
    until = time.monotonic() + 30.0
    while any(map(is_running, pids)):
        assert time.monotonic() < until, "a worker lives on"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
