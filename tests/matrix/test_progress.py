"""Time left, and how far a matrix is."""

import time
from pathlib import Path

import pytest
from tests.matrix.fake_stages import write_config

from makerlab.matrix.ledger import Ledger
from makerlab.matrix.options import STAGES, MatrixOptions
from makerlab.matrix.plan import Node, Work, build_graph, load_experiment
from makerlab.matrix.progress import (
    Progress,
    Snapshot,
    UnderWay,
    read_progress,
    take_snapshot,
)
from makerlab.matrix.scheduler import Result
from makerlab.runs.progress import StatusFile

WEIGHTS = {"tune": 4.0, "train": 2.0, "evaluate": 1.0}


def snapshot(
    graph: dict[Work, Node],
    results: dict[Work, Result],
    running: list[UnderWay] | None = None,
    jobs: int = 2,
) -> Snapshot:
    """Sum up with fixed weights."""
    return take_snapshot(
        graph, results, running or [], weight=lambda work: WEIGHTS[work.stage], jobs=jobs
    )


def progress(fraction: float, seconds_left: float | None) -> Progress:
    """Return progress of a stage of 100 steps."""
    return Progress(round(100 * fraction), 100, "steps", fraction, 5.0, seconds_left, None, 0.0)


def test_nothing_is_promised_before_anything_was_seen() -> None:
    graph = build_graph(["a"], (0,), STAGES)
    before = snapshot(graph, {})
    assert before.seconds_left is None
    assert (before.fraction, before.finished, before.total) == (0.0, 0, 3)


def test_a_chain_takes_as_long_as_its_links_however_many_places() -> None:
    graph = build_graph(["a"], (0,), STAGES)
    results = {Work("tune", "a"): Result("done", 40.0)}
    for jobs in (1, 8):
        assert snapshot(graph, results, jobs=jobs).seconds_left == pytest.approx(30.0)


def test_independent_work_is_shared_by_the_places() -> None:
    graph = build_graph(["a"], (0, 1, 2, 3, 4), ("train",))
    results = {Work("train", "a", 0): Result("done", 10.0)}
    assert snapshot(graph, results, jobs=1).seconds_left == pytest.approx(40.0)
    assert snapshot(graph, results, jobs=2).seconds_left == pytest.approx(20.0)
    assert snapshot(graph, results, jobs=3).seconds_left == pytest.approx(20.0)
    assert snapshot(graph, results, jobs=4).seconds_left == pytest.approx(10.0)


def test_a_running_job_says_itself_how_long_it_takes() -> None:
    graph = build_graph(["a"], (0, 1), ("train",))
    running = [UnderWay(Work("train", "a", 0), 5.0, progress(0.25, 30.0))]
    found = snapshot(graph, {}, running, jobs=1)
    assert found.seconds_left == pytest.approx(30.0 + 40.0)
    assert found.fraction == pytest.approx(0.125)


def test_a_stage_has_its_own_speed_once_seen() -> None:
    graph = build_graph(["a"], (0, 1), ("train", "evaluate"))
    results = {
        Work("train", "a", 0): Result("done", 20.0),
        Work("evaluate", "a", 0): Result("done", 3.0),
    }
    assert snapshot(graph, results).seconds_left == pytest.approx(23.0)


def test_work_that_was_present_counts_as_done_but_not_as_fast() -> None:
    graph = build_graph(["a", "b"], (0,), ("tune",))
    results = {Work("tune", "a"): Result("present")}
    found = snapshot(graph, results)
    assert (found.fraction, found.finished, found.seconds_left) == (0.5, 1, None)


def test_a_finished_matrix_has_no_time_left() -> None:
    graph = build_graph(["a"], (0,), ("tune",))
    found = snapshot(graph, {Work("tune", "a"): Result("done", 9.0)})
    assert (found.fraction, found.seconds_left) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("per_second", "speed"),
    [(812.4, "812/s"), (0.01, "1 min 40 s per step"), (0.0, "steps, 30 s")],
)
def test_progress_reads_as_people_say_it(per_second: float, speed: str) -> None:
    sentence = Progress(25, 100, "steps", 0.25, per_second, 30.0, None, 0.0).sentence()
    assert sentence.startswith("25%, 25 of 100 steps")
    assert speed in sentence
    assert sentence.endswith("30 s left")


def test_a_study_has_its_chosen_parameters_still_to_score_again(tmp_path: Path) -> None:
    """Three trials of 60 s each are written down; 30 s later one and two rescorings are left."""
    settings = {"tune__n_trials": 4, "tune__rescore_seeds": 2}
    path = write_config(tmp_path, "first", **settings)
    options = MatrixOptions(runs_dir=tmp_path / "runs", profile="")
    ledger = Ledger(options, [load_experiment(path, options)])
    assert read_progress(ledger, Work("tune", "first")) is None
    clock = iter([time.time() - 210.0, time.time() - 210.0, time.time() - 30.0])
    status = StatusFile(
        ledger.tuning(Work("tune", "first")).status,
        total=4,
        unit="trials",
        clock=lambda: next(clock),
    )
    status.write(0, force=True, best=None)
    status.write(3, force=True, best=1.25)
    found = read_progress(ledger, Work("tune", "first"))
    assert found is not None
    assert (found.done, found.total, found.fraction, found.metric) == (3, 4, 0.5, 1.25)
    assert found.metric_name == "best valid net_profit"
    assert found.seconds_left == pytest.approx(3 * 60.0 - 30.0, rel=0.05)


def test_scoring_the_best_again_has_a_name_and_a_share_of_its_own(tmp_path: Path) -> None:
    """Trap: a study says 80%, all trials, no time left, for as long as another trial takes."""
    path = write_config(tmp_path, "first", tune__n_trials=4, tune__rescore_seeds=1)
    options = MatrixOptions(runs_dir=tmp_path / "runs", profile="")
    ledger = Ledger(options, [load_experiment(path, options)])
    work = Work("tune", "first")
    clock = iter([time.time() - 250.0, time.time() - 240.0, time.time()])
    place = ledger.tuning(work).status
    status = StatusFile(place, total=4, unit="trials", clock=lambda: next(clock))
    status.write(0, force=True, rescored=None)
    status.write(4, force=True, rescored=0.5)
    found = read_progress(ledger, work)
    assert found is not None
    assert found.fraction == pytest.approx(0.9)
    assert found.seconds_left is not None
    assert found.seconds_left > 10.0
    assert "90%, 4 of 4 trials, scoring the best again with fresh seeds" in found.sentence()
