"""Two runs side by side: only what differs is listed, only what was paired is subtracted."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.commands import run
from tests.made_up_runs import MadeUpRun, write_run

from makerlab.errors import UserError
from makerlab.report.compare import Comparison, compare, paired_difference
from makerlab.report.compare_view import comparison_lines, draw_comparison
from makerlab.runs.directory import RunDirectory

EQUITY = "timestamp,policy,no_quote\n" + "".join(
    f"2026-09-26T13:0{minute}:00.000Z,{100_000 + minute},100000\n" for minute in range(5)
)


def made(
    runs_dir: Path, run: MadeUpRun, *, profits: Sequence[float], start: int = 0
) -> RunDirectory:
    """Write a run with its profits per episode and its curves."""
    directory = RunDirectory(write_run(runs_dir, run))
    episodes = {
        "starts_ms": [start + 60_000 * number for number in range(len(profits))],
        "profits": {"policy": list(profits), "no_quote": [0.0] * len(profits)},
    }
    segments = {name: {"episodes": episodes, "days": None} for name in ("train", "valid", "test")}
    directory.evaluation.profits.write_text(json.dumps(segments))
    directory.evaluation.equity_curve.write_text(EQUITY)
    directory.config.write_text("env: {base_spread_bps: 8}\n")
    directory.progress.write_text("step,valid_score\n100,1.5\n200,\n300,2.5\n")
    return directory


@pytest.fixture
def pair(tmp_path: Path) -> tuple[RunDirectory, RunDirectory]:
    """Two runs, the second with a lower fee and one more of profit in every episode."""
    profits = np.random.default_rng(0).normal(0.0, 50.0, 20)
    first = made(tmp_path, MadeUpRun(values={"env.fee_rate": 2e-4}), profits=profits)
    changed = {"git": {"commit": "f" * 40, "dirty": True}, "device": "cuda"}
    second = made(
        tmp_path,
        MadeUpRun(seed=1, values={"env.fee_rate": 1e-4}, manifest=changed),
        profits=profits + np.linspace(0.9, 1.1, 20),
    )
    return first, second


def differing(found: Comparison) -> dict[str, tuple[object, object]]:
    return {each.name: (each.first, each.second) for each in found.differences}


def test_everything_that_differs_is_listed_and_nothing_else(
    pair: tuple[RunDirectory, RunDirectory],
) -> None:
    found = differing(compare(*pair))
    assert found["env.fee_rate"] == (2e-4, 1e-4)
    assert found["train.seed"] == (0, 1)
    assert found["git commit"][1] == "f" * 40
    assert found["device"] == ("cpu", "cuda")
    assert set(found) == {
        "env.fee_rate",
        "train.seed",
        "git commit",
        "uncommitted changes",
        "device",
    }


def test_a_small_but_constant_advantage_shows_once_episodes_are_paired(
    pair: tuple[RunDirectory, RunDirectory],
) -> None:
    """Each run's own interval is fifty times as wide as the difference."""
    found = compare(*pair)
    (test,) = [m for m in found.metrics if (m.segment, m.metric) == ("test", "net_profit")]
    difference = test.second_minus_first
    assert difference.value == pytest.approx(1.0)
    assert difference.low is not None and difference.high is not None
    assert 0.9 < difference.low < 1.0 < difference.high < 1.1
    assert "B earned more" in "\n".join(comparison_lines(found))


def test_other_metrics_stand_side_by_side_without_a_difference(
    pair: tuple[RunDirectory, RunDirectory],
) -> None:
    (sharpe,) = [m for m in compare(*pair).metrics if (m.segment, m.metric) == ("test", "sharpe")]
    assert sharpe.first.value is not None and sharpe.second.value is not None
    assert sharpe.second_minus_first.value is None


def test_episodes_on_other_bars_are_never_paired(tmp_path: Path) -> None:
    first = made(tmp_path, MadeUpRun(), profits=[1.0] * 8)
    second = made(tmp_path, MadeUpRun(seed=1), profits=[9.0] * 8, start=30_000)
    found = compare(first, second)
    assert all(each.second_minus_first.value is None for each in found.metrics)
    assert found.notes == tuple(
        f"{name}: not judged on the same episodes, so nothing is paired"
        for name in ("valid", "test")
    )


def test_profits_that_are_not_stored_are_said(tmp_path: Path) -> None:
    first = made(tmp_path, MadeUpRun(), profits=[1.0] * 8)
    second = made(tmp_path, MadeUpRun(seed=1), profits=[9.0] * 8)
    second.evaluation.profits.unlink()
    (note,) = compare(first, second).notes
    assert note.startswith(f"{second.name} has no readable profits.json")


def test_swapping_the_runs_swaps_the_sign() -> None:
    one = {"starts_ms": [0, 1, 2, 3, 4], "profits": {"policy": [1.0, 2.0, 3.0, 4.0, 5.5]}}
    other = {"starts_ms": [0, 1, 2, 3, 4], "profits": {"policy": [2.0, 2.0, 5.0, 4.0, 5.0]}}
    there, back = paired_difference(one, other), paired_difference(other, one)
    assert there is not None and back is not None and there.value == -(back.value or 0.0)
    assert there.low is not None and back.high is not None
    assert there.low == pytest.approx(-back.high, abs=0.1)


def test_a_run_without_evaluation_is_compared_as_far_as_it_goes(tmp_path: Path) -> None:
    first = made(tmp_path, MadeUpRun(), profits=[1.0] * 8)
    second = RunDirectory(write_run(tmp_path, MadeUpRun(seed=1, evaluated=False)))
    found = compare(first, second)
    assert found.metrics == ()
    assert differing(found) == {"train.seed": (0, 1)}
    assert "is not evaluated" in found.notes[0]
    assert draw_comparison(found, first, second, plots_dir=tmp_path) == []


def test_the_same_run_twice_is_bad_input(tmp_path: Path) -> None:
    first = made(tmp_path, MadeUpRun(), profits=[1.0] * 8)
    with pytest.raises(UserError, match="given twice"):
        compare(first, RunDirectory(first.path / ".." / first.name))


def test_the_script_shows_tables_and_draws(
    pair: tuple[RunDirectory, RunDirectory], tmp_path: Path
) -> None:
    result = run(tmp_path, "scripts/compare_runs.py", *(each.path for each in pair))
    assert result.returncode == 0, result.stderr
    assert "env.fee_rate" in result.stdout
    assert len(list((tmp_path / "plots").glob("compare_*.png"))) == 2
    as_json = run(tmp_path, "scripts/compare_runs.py", *(each.path for each in pair), "--json")
    assert json.loads(as_json.stdout)["differences"]


def test_a_mistyped_run_names_a_near_one(
    pair: tuple[RunDirectory, RunDirectory], tmp_path: Path
) -> None:
    wrong = str(pair[1].path).replace("seed1", "sed1")
    result = run(tmp_path, "scripts/compare_runs.py", pair[0].path, wrong)
    assert result.returncode == 2
    assert "did you mean" in result.stderr
