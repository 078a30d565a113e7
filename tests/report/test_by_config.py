"""Configs over seeds: each seed counts once, and nothing is proved by what is not independent."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.made_up_runs import BASELINE_PROFITS, REAL_DATA, MadeUpRun, Triple, write_runs

from makerlab.report.behind import behind_all
from makerlab.report.by_config import ConfigSummary, standings_of
from makerlab.report.ranking import ranking_groups
from makerlab.report.records import read_runs
from makerlab.runs.registry import Registry, Tried
from makerlab.statistics.bootstrap import mean_interval


def configs_of(runs_dir: Path, runs: Sequence[MadeUpRun]) -> list[ConfigSummary]:
    write_runs(runs_dir, *runs)
    records = read_runs(runs_dir, baseline_metrics=frozenset({"net_profit"}))
    groups = ranking_groups(records, sort_by="valid_net_profit")
    ((_, configs),) = standings_of(groups, behind_all(runs_dir, records))
    return list(configs)


def around(middle: float, half: float = 1.0) -> Triple:
    return (middle, middle - half, middle + half)


def test_seeds_are_averaged_with_a_t_interval(tmp_path: Path) -> None:
    values = [1.0, 2.0, 3.0]
    runs = [MadeUpRun(seed=n, test=around(x)) for n, x in enumerate(values)]
    (config,) = configs_of(tmp_path, runs)
    assert config.seeds == 3
    assert config.mean("test_net_profit") == mean_interval(values)


def test_a_run_repeated_with_the_same_seed_is_no_second_seed(tmp_path: Path) -> None:
    runs = [
        MadeUpRun(seed=0, test=around(1.0), started="20261101_120000"),
        MadeUpRun(seed=0, test=around(9.0), started="20261105_120000"),
    ]
    (config,) = configs_of(tmp_path, runs)
    assert (config.seeds, config.left_out) == (1, 1)
    assert config.mean("test_net_profit").value == 9.0


def test_one_config_name_with_two_settings_is_two_configs(tmp_path: Path) -> None:
    runs = [MadeUpRun(seed=n, values={"env.alpha": 0.4 + 0.1 * n}) for n in range(2)]
    configs = configs_of(tmp_path, runs)
    assert [config.seeds for config in configs] == [1, 1]
    assert len({config.label for config in configs}) == 2
    assert all(config.label.startswith("env_baseline@") for config in configs)


def test_seed_notes_and_place_of_the_data_make_no_other_config(tmp_path: Path) -> None:
    runs = [
        MadeUpRun(seed=n, values={"run.notes": f"try {n}", "env.csv_path": f"copy{n}.csv"})
        for n in range(3)
    ]
    (config,) = configs_of(tmp_path, runs)
    assert config.seeds == 3
    assert config.label == "env_baseline"


def test_configs_come_best_mean_on_validation_first(tmp_path: Path) -> None:
    runs = [
        MadeUpRun(config_name=name, seed=seed, valid=around(value), test=around(-value))
        for name, value in (("low", 1.0), ("high", 3.0), ("middle", 2.0))
        for seed in range(2)
    ]
    assert [config.label for config in configs_of(tmp_path, runs)] == ["high", "middle", "low"]


def test_a_seed_without_a_value_leaves_the_mean_undefined(tmp_path: Path) -> None:
    runs = [MadeUpRun(seed=0), MadeUpRun(seed=1, test=(None, None, None))]
    (config,) = configs_of(tmp_path, runs)
    assert config.mean("test_net_profit").value is None


def test_baselines_keep_their_interval_over_episodes(tmp_path: Path) -> None:
    (config,) = configs_of(tmp_path, [MadeUpRun(seed=n) for n in range(3)])
    assert config.baseline("test", "fixed_symmetric") == BASELINE_PROFITS["fixed_symmetric"]
    assert config.best_baseline == "fixed_symmetric"


def test_trials_are_those_behind_the_parameters_and_one_without_tuning(tmp_path: Path) -> None:
    tuned, plain = configs_of(
        tmp_path,
        [
            MadeUpRun(config_name="tuned", n_trials=25, valid=around(2.0)),
            MadeUpRun(config_name="plain", n_trials=None, valid=around(1.0)),
        ],
    )
    assert (tuned.trials, plain.trials) == (25, 1)


VERDICTS: dict[str, tuple[list[Triple], str]] = {
    "three agreeing seeds above zero": ([(2.0, 1.0, 3.0), (2.2, 1.1, 3.3), (2.1, 1, 3)], "better"),
    "three agreeing seeds below zero": ([(-2.0, -3, -1), (-2.2, -3, -1), (-2.1, -3, -1)], "worse"),
    "seeds that disagree": ([(5.0, 4, 6), (-4, -5, -3), (1, 0.1, 2)], "not distinguishable"),
    # Ten identical seeds learned the same thing; the test episodes stay as few as they were.
    "agreeing seeds on too few episodes": ([(2.0, -1.0, 5.0)] * 10, "not distinguishable"),
    "one seed, interval above zero": ([(2.0, 1.0, 3.0)], "unknown"),
    "two seeds, intervals around zero": ([(2.0, -1.0, 5.0), (1, -1, 3)], "not distinguishable"),
    "no interval": ([(2.0, None, None)], "unknown"),
    "no difference": ([(None, None, None)] * 3, "unknown"),
}


@pytest.mark.parametrize(("differences", "outcome"), VERDICTS.values(), ids=VERDICTS.keys())
def test_better_or_worse_is_said_only_when_seeds_and_episodes_both_leave_out_zero(
    tmp_path: Path, differences: list[Triple], outcome: str
) -> None:
    runs = [MadeUpRun(seed=n, difference=each) for n, each in enumerate(differences)]
    (config,) = configs_of(tmp_path, runs)
    assert config.verdict.outcome == outcome


def test_the_difference_has_an_interval_over_seeds_and_episodes_together(tmp_path: Path) -> None:
    differences: list[Triple] = [(1.0, 0.0, 2.0), (2.0, 1.0, 3.0), (3.0, 2.0, 4.0)]
    runs = [MadeUpRun(seed=n, difference=each) for n, each in enumerate(differences)]
    (config,) = configs_of(tmp_path, runs)
    half = np.hypot(stats.t.ppf(0.975, 2) / 3**0.5, 1.0)
    assert config.verdict.difference == pytest.approx((2.0, 2.0 - half, 2.0 + half))
    assert config.verdict.over_episodes == (2.0, 1.0, 3.0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([{}], "a single seed"),
        ([{}, {"difference": (None, None, None)}], "not stored, evaluate again"),
        ([{}, {"best_baseline": "no_quote"}], "no best baseline in common"),
        ([{}, {"baselines": {"fixed_symmetric": (2.0, 1.0, 3.0)}}], "different baselines"),
    ],
)
def test_why_there_is_no_verdict_is_said(
    tmp_path: Path, changes: list[dict[str, Any]], reason: str
) -> None:
    runs = [MadeUpRun(seed=n, **each) for n, each in enumerate(changes)]
    (config,) = configs_of(tmp_path, runs)
    assert config.verdict.outcome == "unknown"
    assert reason in (config.verdict.reason or "")


def test_a_difference_that_passes_alone_does_not_among_many_configs(tmp_path: Path) -> None:
    """Three seeds with the same mean, t = 3.4 on 19 degrees: p = 0.0015, of 40 questions 0.06."""
    good = [MadeUpRun(seed=n, difference=around(1.6, 1.0)) for n in range(3)]
    idle = [
        MadeUpRun(config_name=f"idle_{n}", seed=seed, difference=around(0.0, 1.0))
        for n in range(19)
        for seed in range(2)
    ]
    (alone,) = configs_of(tmp_path / "alone", good)
    among = {config.label: config for config in configs_of(tmp_path / "among", [*good, *idle])}
    assert alone.verdict.outcome == "better"
    assert among["env_baseline"].verdict.outcome == "not distinguishable"
    assert (alone.verdict.questions, among["env_baseline"].verdict.questions) == (2, 40)


def test_deleting_the_runs_of_other_variants_makes_nothing_surer(tmp_path: Path) -> None:
    """What the registry remembers of them still counts, and still pays."""
    registry = Registry(tmp_path)
    for number in range(20):
        entry = Tried(
            kind="run",
            key=f"deleted-{number}",
            task="market_making",
            config_name="deleted",
            variant=f"variant-{number}",
            seed=0,
            study=None,
            profile="day",
            started="2026-10-01T00:00:00+00:00",
        )
        registry.add(str(REAL_DATA["sha256"]), entry)
    runs = [MadeUpRun(seed=n, difference=around(1.6, 1.0)) for n in range(3)]
    (config,) = configs_of(tmp_path, runs)
    assert config.verdict.outcome == "not distinguishable"
    behind = config.group.behind
    assert (behind.runs, behind.variants, behind.trials) == (23, 21, 25)
    assert config.evidence.trials == 48


def test_beating_a_baseline_that_lost_is_no_merit_beside_one_that_did_not(tmp_path: Path) -> None:
    """The best baseline on validation lost on test; better is said only of who beats them all."""
    losing = dict(BASELINE_PROFITS) | {"fixed_symmetric": around(-8.0)}
    runs = [
        MadeUpRun(seed=n, test=around(-3.0), difference=around(5.0), baselines=losing)
        for n in range(3)
    ]
    (config,) = configs_of(tmp_path, runs)
    assert config.verdict.difference.value == pytest.approx(5.0)
    assert config.verdict.outcome == "not distinguishable"
    assert "no_quote" in config.verdict.earned_more
    assert "fixed_symmetric" not in config.verdict.earned_more
