"""Sharpe ratios, deflated by all that was tried, and overfitting over a group of runs."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.made_up_runs import EPISODES, MadeUpRun, made_up_profits, write_run, write_runs

from makerlab import statistics
from makerlab.report.behind import behind_all
from makerlab.report.by_config import ConfigSummary, standings_of
from makerlab.report.judgement import JUDGEMENT
from makerlab.report.profits import by_day
from makerlab.report.ranking import ranking_groups
from makerlab.report.records import read_runs
from makerlab.runs.directory import RegistryDirectory
from makerlab.stages.analyze import analyze

DAY_MS = 86_400_000


def profits_file(
    columns: dict[str, np.ndarray], *, period: str = "day", first_day: int = 20_000
) -> dict[str, Any]:
    """Return a profits.json whose days and episodes hold the same columns."""
    count = len(next(iter(columns.values())))
    starts = [(first_day + day) * DAY_MS for day in range(count)]
    found = {
        "starts_ms": starts,
        "profits": {name: values.tolist() for name, values in columns.items()},
    }
    episodes = {"period": "episode", "per_year": 500.0, **found}
    days = {"period": "day", "per_year": 365.0, **found} if period == "day" else None
    return {"test": {"episodes": episodes, "days": days}}


def write(runs_dir: Path, seed: int, content: dict[str, Any], **changes: Any) -> None:
    run = write_run(runs_dir, MadeUpRun(seed=seed, **changes))
    (run / "evaluation" / "profits.json").write_text(json.dumps(content))


def configs(runs_dir: Path) -> list[ConfigSummary]:
    records = read_runs(runs_dir, baseline_metrics=frozenset({"net_profit"}))
    groups = ranking_groups(records, sort_by="valid_net_profit")
    ((_, found),) = standings_of(groups, behind_all(runs_dir, records))
    return list(found)


def policy(values: np.ndarray) -> dict[str, np.ndarray]:
    return {"policy": values, "fixed_symmetric": np.zeros(len(values))}


def test_a_runs_numbers_are_those_of_the_formulas(tmp_path: Path) -> None:
    profits = np.random.default_rng(0).gamma(2.0, 10.0, 40) - 17.0
    write(tmp_path, 0, profits_file(policy(profits)), n_trials=30)
    (config,) = configs(tmp_path)
    (found,) = config.group.runs.values()
    known = statistics.moments(profits)
    shape = {"skewness": known.skewness, "raw_kurtosis": known.raw_kurtosis}
    assert (found.period, found.periods, found.trials) == ("day", 40, 31)
    assert found.sharpe == pytest.approx(known.sharpe)
    assert found.sharpe_annualised == pytest.approx(known.sharpe * math.sqrt(365.0))
    assert found.psr == pytest.approx(
        statistics.probabilistic_sharpe_ratio(known.sharpe, observations=40, **shape)
    )
    # A single run shows no spread between trials; chance alone gives 1 / (T - 1).
    assert found.deflated_sharpe == pytest.approx(
        statistics.deflated_sharpe_ratio(
            known.sharpe, observations=40, trials=31, variance=1.0 / 39.0, **shape
        )
    )
    assert found.hurdle == pytest.approx(
        statistics.expected_maximum_sharpe(trials=31, variance=1.0 / 39.0)
    )
    assert found.track_record == pytest.approx(
        statistics.minimum_track_record_length(
            known.sharpe, benchmark=0.0, confidence=0.95, **shape
        )
    )


def test_runs_that_differ_more_than_chance_raise_the_hurdle(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=30)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    for seed, sharpe in enumerate((-1.0, 0.0, 1.0)):
        write(tmp_path, seed, profits_file(policy(noise + sharpe)))
    (config,) = configs(tmp_path)
    assert config.group.variance == pytest.approx(1.0)
    assert config.evidence.sharpe == pytest.approx(0.0, abs=1e-12)
    assert config.evidence.periods == 30


def test_a_policy_that_never_trades_has_no_sharpe_ratio(tmp_path: Path) -> None:
    write(tmp_path, 0, profits_file(policy(np.zeros(20))))
    (config,) = configs(tmp_path)
    found = config.evidence
    assert (found.sharpe, found.psr, found.deflated_sharpe, found.track_record) == (None,) * 4
    assert (found.period, found.periods, found.trials) == ("day", 20, 26)


def test_overfitting_is_that_of_all_runs_over_the_days_they_share(tmp_path: Path) -> None:
    table = np.random.default_rng(1).normal(size=(42, 4))
    for seed in range(4):
        # Each begins a day later than the one before, as other lengths of episodes would.
        shifted = profits_file(policy(table[seed : 39 + seed, seed]), first_day=20_000 + seed)
        write(tmp_path, seed, shifted)
    found = configs(tmp_path)[0].group.overfitting
    expected = statistics.probability_of_backtest_overfitting(table[3:39], blocks=16)
    assert (found.candidates, found.periods, found.blocks, found.period) == (4, 36, 16, "day")
    assert found.probability == pytest.approx(expected)


@pytest.mark.parametrize(
    ("lengths", "period", "reason"),
    [
        ([30], "day", "needs two runs"),
        ([30, 7], "day", "share 7 periods on test, 8 are needed"),
        ([30, 0], "day", "share 0 periods"),
    ],
)
def test_why_there_is_no_probability_of_overfitting_is_said(
    tmp_path: Path, lengths: list[int], period: str, reason: str
) -> None:
    for seed, length in enumerate(lengths):
        values = np.random.default_rng(seed).normal(size=max(length, 5))
        first = 20_000 if length else 10_000
        write(tmp_path, seed, profits_file(policy(values), period=period, first_day=first))
    found = configs(tmp_path)[0].group.overfitting
    assert found.probability is None and reason in (found.reason or "")


def test_runs_that_all_earned_the_same_tell_nothing_of_overfitting(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path, seed, profits_file(policy(np.zeros(20))))
    found = configs(tmp_path)[0].group.overfitting
    assert found.probability is None and "earned the same" in (found.reason or "")


def test_episodes_of_one_day_are_taken_together_and_keep_their_mean() -> None:
    values = np.arange(12.0)
    starts = tuple(day * DAY_MS + hour for day in range(6) for hour in (0, 3_600_000))
    found = by_day(values, starts)
    assert len(found) == 6 and found.mean() == pytest.approx(values.mean())
    np.testing.assert_allclose(found, values.reshape(6, 2).mean(axis=1))
    # Days with more episodes weigh more; too few days leave every episode on its own.
    uneven = by_day(values, (*starts[:11], starts[0] + 1))
    assert uneven.mean() == pytest.approx(values.mean())
    np.testing.assert_array_equal(by_day(values, starts[:4] * 3), values)


def test_damaged_profits_are_a_problem_of_that_run_alone(tmp_path: Path) -> None:
    write_runs(tmp_path, MadeUpRun(seed=0), MadeUpRun(seed=1))
    broken = next(iter((tmp_path / "SAC").glob("*seed1"))) / "evaluation" / "profits.json"
    content = made_up_profits(MadeUpRun(seed=1))
    assert content is not None
    content["test"]["episodes"]["profits"]["policy"][3] = None
    broken.write_text(json.dumps(content))
    records = read_runs(tmp_path, baseline_metrics=frozenset({"net_profit"}))
    assert [len(record.problems) for record in records] == [0, 1]
    assert "profits.json: damaged" in records[1].problems[0]


def test_both_tables_hold_every_column_without_being_asked(tmp_path: Path) -> None:
    runs = [
        MadeUpRun(
            config_name=name,
            seed=seed,
            values={"env.alpha": alpha},
            difference=(2.0 + 0.1 * seed, 0.5, 3.5),
        )
        for name, alpha in (("one", 0.4), ("two", 0.6))
        for seed in range(3)
    ]
    write_runs(tmp_path, *runs)
    nothing = dict.fromkeys(("plots_dir", "sort_by", "plot_param", "plot_metric"))
    lines: list[str] = []
    analyze(tmp_path, **nothing, top_k=5, report=lines.append)  # type: ignore[arg-type]
    for name in ("runs_summary.csv", "runs_by_config.csv"):
        frame = pd.read_csv(tmp_path / name)
        assert set(JUDGEMENT) <= set(frame)
        assert set(frame["verdict_on_test"]) == {"better"}
        assert set(frame["verdict_level"]) == {0.05}
        assert set(frame["trials_behind"]) == {25 + 6}
        assert set(frame["pbo_note"]) == {f"6 runs over {EPISODES} episodes in 10 blocks"}
        assert frame[["test_psr", "test_deflated_sharpe", "pbo"]].notna().all(axis=None)
        assert (frame["test_deflated_sharpe"] <= frame["test_psr"]).all()


def test_an_infinite_track_record_is_told_from_none(tmp_path: Path) -> None:
    write_runs(tmp_path, *(MadeUpRun(seed=n, difference=(-9.0, -9.5, -8.5)) for n in range(2)))
    nothing = dict.fromkeys(("plots_dir", "sort_by", "plot_param", "plot_metric"))
    analyze(tmp_path, **nothing, top_k=5, report=lambda _: None)  # type: ignore[arg-type]
    frame = pd.read_csv(tmp_path / "runs_summary.csv")
    assert np.isinf(frame["test_min_track_record"]).all()


def test_damaged_lines_of_the_registry_are_said(tmp_path: Path) -> None:
    write_runs(tmp_path, MadeUpRun(seed=0), MadeUpRun(seed=1))
    path = RegistryDirectory(tmp_path).file("ab" * 32)
    path.parent.mkdir()
    path.write_text('{"kind": "run", "key')
    nothing = dict.fromkeys(("plots_dir", "sort_by", "plot_param", "plot_metric"))
    lines: list[str] = []
    analyze(tmp_path, **nothing, top_k=5, report=lines.append)  # type: ignore[arg-type]
    assert "1 line of the registry can't be read" in "\n".join(lines)
