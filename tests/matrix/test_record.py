"""runs/matrix.json: always whole, and not written more often than anybody looks."""

import json
from pathlib import Path
from typing import Any

import pytest

from makerlab.launchers.base import Job
from makerlab.matrix.options import MatrixOptions
from makerlab.matrix.plan import Work
from makerlab.matrix.record import MatrixRecord, read_record
from makerlab.matrix.scheduler import DONE, FAILED, Result, Running

WORK = [Work("train", "first", seed) for seed in range(100)]


class Clock:
    """A clock that stands until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def writings(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is written, as it is written."""
    found: list[dict[str, Any]] = []
    from makerlab.matrix import record

    monkeypatch.setattr(
        record, "write_json", lambda path, content: found.append(json.loads(json.dumps(content)))
    )
    return found


def test_many_short_jobs_cause_few_writings(tmp_path: Path, writings: list[dict[str, Any]]) -> None:
    clock = Clock()
    record = MatrixRecord(MatrixOptions(runs_dir=tmp_path), clock=clock)
    for work in WORK:
        record.submitted(Running(work, Job(str(work), (), key=str(work)), "1", 0.0))
        record.ended(work, Result(DONE))
        record.flush()
    assert len(writings) == 1
    clock.now += 0.6
    record.flush()
    record.flush()
    assert len(writings) == 2
    assert writings[-1]["running"] == []


def test_what_was_not_written_yet_is_written_at_the_end(tmp_path: Path) -> None:
    record = MatrixRecord(MatrixOptions(runs_dir=tmp_path), clock=Clock())
    record.ended(WORK[0], Result(FAILED, lines=("it broke",)))
    record.close("failed")
    content = read_record(tmp_path)
    assert content is not None
    assert content["state"] == "failed"
    assert [entry["lines"] for entry in content["failures"]] == [["it broke"]]


def test_what_runs_is_listed_until_it_ends(tmp_path: Path, writings: list[dict[str, Any]]) -> None:
    clock = Clock()
    record = MatrixRecord(MatrixOptions(runs_dir=tmp_path), clock=clock)
    for work in WORK[:3]:
        record.submitted(Running(work, Job(str(work), (), key=str(work)), "1", 0.0))
    record.ended(WORK[1], Result(DONE))
    record.lost(Running(WORK[2], Job("", (), key=""), "1", 0.0))
    clock.now += 1.0
    record.flush()
    assert [entry["seed"] for entry in writings[-1]["running"]] == [0]


def test_a_record_that_became_anothers_is_left_as_it_is(tmp_path: Path) -> None:
    held = True
    clock = Clock()
    record = MatrixRecord(MatrixOptions(runs_dir=tmp_path), held=lambda: held, clock=clock)
    before = (tmp_path / "matrix.json").read_bytes()
    held = False
    clock.now += 1.0
    record.ended(WORK[0], Result(FAILED))
    record.close("failed")
    assert (tmp_path / "matrix.json").read_bytes() == before
