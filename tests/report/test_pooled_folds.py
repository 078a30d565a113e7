"""Folds of one walk-forward: one ranking, a row each and a pooled one, intervals over folds."""

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.made_up_runs import BASELINE_PROFITS, MadeUpRun, Triple, write_runs

from makerlab.report.behind import behind_all
from makerlab.report.by_config import Standing, standings_of
from makerlab.report.fold_plots import draw_fold_plots
from makerlab.report.ranking import ranking_groups
from makerlab.report.records import read_runs
from makerlab.report.summary import configs_table, csv_lines, runs_table
from makerlab.report.tables import group_lines
from makerlab.statistics.bootstrap import mean_interval

# Profit on test by fold and seed: folds differ by more than seeds do.
PROFITS = {0: (1.0, 3.0), 1: (-4.0, -6.0), 2: (8.0, 10.0)}


def around(middle: float, half: float = 1.0) -> Triple:
    return (middle, middle - half, middle + half)


def walked(*, values: Mapping[str, Any] | None = None, **others: Any) -> list[MadeUpRun]:
    """Return a run per fold and seed; every fold was tuned to a discount of its own."""
    return [
        MadeUpRun(
            fold=fold,
            seed=seed,
            test=around(profit),
            valid=around(-profit),
            difference=around(profit),
            values={"train.gamma": 0.98 + 0.005 * fold} | dict(values or {}),
            **others,
        )
        for fold, profits in PROFITS.items()
        for seed, profit in enumerate(profits)
    ]


def made_standings(runs_dir: Path, runs: list[MadeUpRun]) -> list[Standing]:
    write_runs(runs_dir, *runs)
    records = read_runs(runs_dir, baseline_metrics=frozenset({"net_profit"}))
    groups = ranking_groups(records, sort_by="valid_net_profit")
    return standings_of(groups, behind_all(runs_dir, records))


def rows_of(table: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(csv_lines(*table)))))


def test_the_folds_of_a_plan_are_one_ranking_and_another_plan_is_another(tmp_path: Path) -> None:
    other = {"data_split.walk_forward.purge_bars": 5}
    runs = [*walked(), *walked(config_name="other", values=other), MadeUpRun(config_name="plain")]
    standings = made_standings(tmp_path, runs)
    assert sorted(len(group.records) for group, _ in standings) == [1, 6, 6]
    assert [len(configs) for _, configs in standings] == [1, 1, 1]


def test_a_run_is_ranked_among_the_runs_of_its_own_fold(tmp_path: Path) -> None:
    ((group, _),) = made_standings(tmp_path, walked())
    places = [(each.record.fold, each.rank, each.record.seed) for each in group.ranked]
    assert places == [(0, 1, 0), (0, 2, 1), (1, 1, 1), (1, 2, 0), (2, 1, 0), (2, 2, 1)]


def test_the_pooled_mean_is_that_of_the_folds_with_an_interval_over_folds(tmp_path: Path) -> None:
    ((_, (config,)),) = made_standings(tmp_path, walked())
    assert config.mean("test_net_profit") == mean_interval([2.0, -5.0, 9.0])
    assert [fold.mean("test_net_profit") for fold in config.folds] == [
        mean_interval(profits) for profits in PROFITS.values()
    ]
    assert (config.seeds, len(config.runs), config.trials) == (2, 6, 75)
    assert config.baseline("test", "random") == mean_interval([-9.0] * 3)


def test_a_fold_of_more_seeds_weighs_no_more_than_the_others(tmp_path: Path) -> None:
    same = {"train.gamma": 0.98}
    more = [MadeUpRun(fold=0, seed=n, test=around(2.0), values=same) for n in range(2, 9)]
    ((_, (config,)),) = made_standings(tmp_path, [*walked(), *more])
    assert config.mean("test_net_profit").value == pytest.approx(2.0)
    assert config.seeds == 2


def test_a_fold_tuned_anew_is_not_mixed_with_what_was_tuned_before(tmp_path: Path) -> None:
    again = {"train.gamma": 0.95}
    later = MadeUpRun(fold=1, seed=0, test=around(-1.0), values=again, started="20261201_120000")
    ((_, (config,)),) = made_standings(tmp_path, [*walked(), later])
    assert [fold.mean("test_net_profit").value for fold in config.folds] == [2.0, -1.0, 9.0]
    assert (config.left_out, config.seeds) == (2, 1)


def test_tuned_and_not_tuned_are_two_configs(tmp_path: Path) -> None:
    untuned = walked(n_trials=None, started="20261101_130000")
    ((_, configs),) = made_standings(tmp_path, [*walked(), *untuned])
    assert max(len(config.folds) for config in configs) == 3
    assert len({config.variant for config in configs}) > 1


def test_the_interval_over_folds_holds_the_truth_as_often_as_it_says() -> None:
    """Folds have profits of their own around the true one, seeds scatter around their fold's."""
    generator = np.random.default_rng(0)
    folds, seeds, repetitions = 4, 3, 4000
    of_folds = generator.normal(0.0, 2.0, (repetitions, folds, 1))
    values = of_folds + generator.normal(0.0, 1.0, (repetitions, folds, seeds))
    held = [
        (each := mean_interval(value.mean(axis=1))).low <= 0.0 <= each.high  # type: ignore[operator]
        for value in values
    ]
    flat = [
        (each := mean_interval(value.ravel())).low <= 0.0 <= each.high  # type: ignore[operator]
        for value in values
    ]
    assert 0.94 <= np.mean(held) <= 0.96
    # What pooling all runs as if they were independent would do.
    assert np.mean(flat) < 0.8


def test_seeds_that_agree_prove_nothing_where_the_folds_do_not(tmp_path: Path) -> None:
    ((_, (config,)),) = made_standings(tmp_path, walked())
    assert config.verdict.outcome == "not distinguishable"
    assert (config.verdict.folds, config.verdict.seeds) == (3, 2)
    steady = [
        MadeUpRun(fold=fold, seed=seed, difference=around(5.0 + 0.1 * fold + 0.1 * seed))
        for fold in range(3)
        for seed in range(2)
    ]
    ((_, (config,)),) = made_standings(tmp_path / "steady", steady)
    assert config.verdict.outcome == "better"
    # Three independent intervals of +-1 are one of +-1/sqrt(3) around their mean.
    over = config.verdict.over_episodes
    assert over.value == pytest.approx(5.15)
    assert over.high - over.value == pytest.approx(1.0 / math.sqrt(3.0))  # type: ignore[operator]


def test_baselines_are_compared_over_all_folds(tmp_path: Path) -> None:
    ((_, (config,)),) = made_standings(tmp_path, walked())
    # On average over the folds 2 more than fixed_symmetric's 2.
    assert config.verdict.earned_more == ()
    rich = dict(BASELINE_PROFITS) | {"random": around(4.5)}
    ((_, (config,)),) = made_standings(tmp_path / "rich", walked(baselines=rich))
    assert config.verdict.earned_more == ("random",)


def test_a_plan_without_all_its_folds_says_so_and_comes_last(tmp_path: Path) -> None:
    complete = walked(config_name="complete", values={"env.alpha": 0.4})
    lucky = [run for run in walked(config_name="lucky") if run.fold == 1]
    ((group, configs),) = made_standings(tmp_path, [*complete, *lucky])
    assert [config.label for config in configs] == ["complete", "lucky"]
    text = "\n".join(group_lines(group, configs, top_k=20))
    assert "1 of 3 folds; 2 seeds each" in text
    assert "Folds are missing" in text


def test_tables_have_a_fold_column_and_a_pooled_row(tmp_path: Path) -> None:
    standings = made_standings(tmp_path, [*walked(), MadeUpRun(config_name="plain")])
    records = read_runs(tmp_path, baseline_metrics=frozenset({"net_profit"}))
    runs = rows_of(runs_table(records, standings))
    assert sorted(row["fold"] for row in runs) == ["", "0", "0", "1", "1", "2", "2"]
    rows = {row["fold"]: row for row in rows_of(configs_table(standings))}
    assert list(rows) == ["", "pooled", "0", "1", "2"] or list(rows) == [
        "pooled",
        "0",
        "1",
        "2",
        "",
    ]
    assert float(rows["pooled"]["test_net_profit"]) == pytest.approx(2.0)
    expected = mean_interval([2.0, -5.0, 9.0])
    assert float(rows["pooled"]["test_net_profit_low"]) == pytest.approx(expected.low)
    assert float(rows["1"]["test_net_profit"]) == pytest.approx(-5.0)
    assert (rows["pooled"]["seeds"], rows["pooled"]["seed_list"]) == ("2", "0 1")


def test_people_read_folds_pooled_and_one_by_one(tmp_path: Path) -> None:
    ((group, configs),) = made_standings(tmp_path, walked())
    text = "\n".join(group_lines(group, configs, top_k=20))
    assert "Walk-forward: 3 folds, rolling, purge 60 and embargo 60 bars." in text
    assert "Fold 1: train 2026-09-01 00:00" in text
    assert "test 2026-09-11 00:00 to 2026-09-12 00:00" in text
    assert "Ranked within its fold by valid_net_profit" in text
    assert "corrected; 3 of 3 folds; 2 seeds each, 75 trials of its own" in text
    assert sum(line.startswith("fold ") for line in text.splitlines()) == 3


def test_the_picture_shows_every_fold_and_the_pool(tmp_path: Path) -> None:
    runs = [*walked(), *walked(config_name="second", values={"env.alpha": 0.4})]
    standings = made_standings(tmp_path / "runs", runs)
    (path,) = draw_fold_plots(
        standings, metric="valid_net_profit", plots_dir=tmp_path, describe=lambda name: name
    )
    assert path.name == "analysis_fold_vs_test_net_profit.png"
    first = path.read_bytes()
    assert len(first) > 10_000
    moved = [
        *walked(),
        *walked(config_name="second", values={"env.alpha": 0.4}, started="20270101_120000"),
    ]
    moved[0] = MadeUpRun(fold=0, seed=0, test=around(40.0))
    standings = made_standings(tmp_path / "moved", moved)
    list(draw_fold_plots(standings, metric="test_net_profit", plots_dir=tmp_path, describe=str))
    assert path.read_bytes() != first


def test_without_walk_forward_there_is_no_such_picture(tmp_path: Path) -> None:
    standings = made_standings(tmp_path / "runs", [MadeUpRun(seed=0), MadeUpRun(seed=1)])
    assert list(draw_fold_plots(standings, metric="x_y", plots_dir=tmp_path, describe=str)) == []
