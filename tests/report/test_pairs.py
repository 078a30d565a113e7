"""Config against config: what is there is found, what is not is not, and what can't be is said."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.made_up_runs import MadeUpRun, write_runs

from makerlab.evaluation.metrics import MILLISECONDS_PER_YEAR
from makerlab.report.behind import behind_all
from makerlab.report.by_config import ConfigSummary, standings_of
from makerlab.report.html.pairs import pairs_table
from makerlab.report.pair_lines import pair_lines
from makerlab.report.pairs import Pair, PairedDifference, Results, all_pairs, paired_difference
from makerlab.report.profits import DAY_MS, DAYS_PER_YEAR, StoredPeriods, StoredProfits
from makerlab.report.ranking import ranking_groups
from makerlab.report.records import read_runs

Floats = np.typing.NDArray[np.float64]


def periods(
    profits: Sequence[float], *, start: int = 0, step: int = DAY_MS, per_year: float = 2190.0
) -> StoredPeriods:
    """Return profits of episodes that begin `step` apart; 2190 of them are 240 minutes each."""
    return StoredPeriods(
        period="episode",
        per_year=per_year,
        starts_ms=tuple(start + step * number for number in range(len(profits))),
        profits={"policy": tuple(profits), "no_quote": (0.0,) * len(profits)},
    )


def results(table: Floats, *, fold: int | None = None, per_year: float = 2190.0) -> Results:
    """Return profits (seeds, episodes) as a config's runs have them, an episode a day."""
    return {
        (fold, seed): StoredProfits(episodes=periods(row.tolist(), per_year=per_year))
        for seed, row in enumerate(table)
    }


def noise(
    generator: np.random.Generator, *, seeds: int = 3, days: int = 12, of_seeds: float = 1.0
) -> tuple[Floats, Floats]:
    """Return two configs' profits (seeds, days): a market they share, days and seeds of their own.

    What a config makes of a day is the same for all its seeds but for a little.
    """
    market = generator.normal(0.0, 20.0, days)
    first, second = (
        market
        + generator.normal(0.0, 1.0, days)
        + of_seeds * generator.normal(0.0, 1.0, (seeds, 1))
        + generator.normal(0.0, 0.1, (seeds, days))
        for _ in range(2)
    )
    return first, second


def test_a_planted_difference_is_found_though_days_move_much_more() -> None:
    first, second = noise(np.random.default_rng(1), seeds=5, days=30, of_seeds=0.2)
    found = paired_difference(results(first + 2.0), results(second))
    assert found.relation == "better"
    assert (found.seeds, found.periods, found.period, found.unit) == (5, 30, "day", "episode")
    assert found.difference.low is not None and found.difference.high is not None
    assert 0.0 < found.difference.low < 2.0 < found.difference.high < 4.0
    back = paired_difference(results(second), results(first + 2.0))
    assert back.relation == "worse"
    assert back.difference.value == pytest.approx(-(found.difference.value or 0.0))


def test_two_configs_that_do_the_same_are_not_told_apart() -> None:
    first, _ = noise(np.random.default_rng(2))
    found = paired_difference(results(first), results(first))
    assert (found.relation, found.p, found.difference) == (
        "not distinguishable",
        1.0,
        (0.0, 0.0, 0.0),
    )


@pytest.mark.parametrize("of_seeds", [0.0, 0.3, 2.0], ids=["days", "both", "seeds"])
def test_worthless_differences_are_called_real_as_rarely_as_promised(of_seeds: float) -> None:
    """At 5 %: never more than chance allows, and not so rarely that nothing could be found."""
    generator = np.random.default_rng(3)
    draws = 400
    found = [
        paired_difference(*map(results, noise(generator, of_seeds=of_seeds))) for _ in range(draws)
    ]
    wrong = sum(each.relation in ("better", "worse") for each in found)
    assert wrong <= stats.binom.ppf(0.999, draws, 0.05)
    covered = sum((e.difference.low or 0.0) <= 0.0 <= (e.difference.high or 0.0) for e in found)
    assert covered >= draws - stats.binom.ppf(0.999, draws, 0.05)
    if of_seeds != 0.3:
        # One kind of noise alone: the interval is exact up to what skewness costs.
        assert wrong >= stats.binom.ppf(0.001, draws, 0.02)


def test_days_that_both_shared_do_not_widen_the_interval() -> None:
    first, second = noise(np.random.default_rng(4))
    storm = np.random.default_rng(5).normal(0.0, 1e4, 12)
    calm = paired_difference(results(first), results(second))
    stormy = paired_difference(results(first + storm), results(second + storm))
    assert stormy.difference == pytest.approx(calm.difference)


def test_only_seeds_and_episodes_that_both_have_count_and_that_is_said() -> None:
    first, second = noise(np.random.default_rng(6), seeds=4)
    one = results(first)
    other = {key: profits for key, profits in results(second[:, :10]).items() if key != (None, 3)}
    found = paired_difference(one, other)
    assert (found.seeds, found.periods) == (3, 10)
    assert found.notes == (
        "1 seed that only one of them has is left out",
        "2 of 12 test episodes were not played by all of them",
    )
    assert found.difference.value == pytest.approx(float((first[:3, :10] - second[:3, :10]).mean()))


def test_episodes_of_one_day_are_one_observation() -> None:
    profits = [float(n) for n in range(24)]
    one, other = (
        {(None, n): StoredProfits(episodes=periods(profits, step=DAY_MS // 4)) for n in range(2)}
        for _ in range(2)
    )
    assert paired_difference(one, other).periods == 6


def test_whole_days_are_compared_where_episodes_differ_in_length() -> None:
    def with_days(config: int, per_year: float) -> Results:
        day = periods([10.0 * config + n for n in range(8)], per_year=365.0)
        return {
            (None, seed): StoredProfits(episodes=periods([1.0] * 3, per_year=per_year), days=day)
            for seed in range(3)
        }

    found = paired_difference(with_days(2, 2190.0), with_days(1, 1000.0))
    assert (found.unit, found.periods, found.difference.value) == ("day", 8, 10.0)
    assert "so profits of whole days are compared" in found.notes[0]


def test_where_no_day_is_whole_what_was_earned_per_day_played_is_compared() -> None:
    """Four hours that earn 1 and eight that earn 2 earn at the same pace, 6 per day."""
    one = results(np.full((3, 8), 1.5), per_year=2190.0)
    other = results(np.full((3, 8), 2.0), per_year=1095.0)
    found = paired_difference(one, other)
    assert found.unit == "day" and found.difference.value == pytest.approx(9.0 - 6.0)
    assert "per 24 hours played" in found.notes[0]
    assert MILLISECONDS_PER_YEAR == DAYS_PER_YEAR * DAY_MS


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        (
            results(np.zeros((2, 4))),
            results(np.zeros((2, 4)), per_year=1.0),
            "different length, and 4 days on which both began some; 5 are needed",
        ),
        (results(np.zeros((2, 8))), {(None, 0): None}, "not stored, evaluate again"),
        (
            results(np.zeros((1, 8))),
            {(None, 7): StoredProfits(episodes=periods([0.0] * 8))},
            "no seed in common",
        ),
        (
            {(None, 0): StoredProfits(episodes=periods([0.0] * 3))},
            {(None, 0): StoredProfits(episodes=periods([0.0] * 3, start=1))},
            "no episode in common, and 3 days",
        ),
        (results(np.zeros((1, 8))), results(np.zeros((1, 8))), "a single seed in common"),
        (
            results(np.zeros((2, 8)), fold=0),
            results(np.zeros((2, 8)), fold=1),
            "no fold in common",
        ),
        (
            results(np.zeros((2, 8)), fold=0),
            results(np.zeros((2, 8)), fold=0),
            "a single fold in common",
        ),
    ],
)
def test_why_two_configs_cannot_be_told_apart_is_said(
    one: Results, other: Results, reason: str
) -> None:
    found = paired_difference(one, other)
    assert found.relation == "unknown" and found.p is None
    assert reason in (found.reason or "")


def test_of_a_walk_forward_folds_are_what_is_uncertain() -> None:
    means = [1.0, 2.0, 3.0, 4.0]
    one = {
        k: v
        for n, mean in enumerate(means)
        for k, v in results(np.full((2, 6), mean), fold=n).items()
    }
    other = {k: v for n in range(5) for k, v in results(np.zeros((2, 6)), fold=n).items()}
    found = paired_difference(one, other)
    half = stats.t.ppf(0.975, 3) * np.std(means, ddof=1) / 2.0
    assert found.difference == pytest.approx((2.5, 2.5 - half, 2.5 + half))
    assert found.p == pytest.approx(stats.ttest_1samp(means, 0.0).pvalue)
    assert (found.folds, found.seeds, found.periods) == (4, 2, 24)
    assert found.notes == ("1 fold that only one of them has is left out",)


def configs_of(runs_dir: Path, names: Sequence[str], *, seeds: int = 3) -> list[ConfigSummary]:
    """Return configs of which the first earns 4 more than the others, which earn alike."""
    runs = [
        MadeUpRun(
            config_name=name, seed=seed, difference=(value, value - 1, value + 1), valid=(-n, -9, 9)
        )
        for n, name in enumerate(names)
        for value in [5.0 if n == 0 else 1.0]
        for seed in range(seeds)
    ]
    write_runs(runs_dir, *runs)
    records = read_runs(runs_dir, baseline_metrics=frozenset({"net_profit"}))
    groups = ranking_groups(records, sort_by="valid_net_profit")
    ((_, configs),) = standings_of(groups, behind_all(runs_dir, records))
    return list(configs)


def relations(pairs: Sequence[Pair]) -> dict[tuple[str, str], PairedDifference]:
    return {(pair.first.label, pair.second.label): pair.found for pair in pairs}


def test_every_pair_of_a_ranking_is_asked_once_and_corrected_for_all(tmp_path: Path) -> None:
    configs = configs_of(tmp_path, ["a", "b", "c"])
    found = relations(all_pairs(configs))
    assert {pair: each.relation for pair, each in found.items()} == {
        ("a", "b"): "better",
        ("a", "c"): "better",
        ("b", "c"): "not distinguishable",
    }
    alone = relations(all_pairs(configs[:2]))["a", "b"].p
    assert alone is not None
    assert found["a", "b"].p == pytest.approx(3 * alone, rel=1e-6)


@pytest.mark.parametrize(("configs", "pairs"), [(1, 0), (2, 1), (12, 66), (13, 0)])
def test_only_so_many_configs_are_set_against_each_other(
    tmp_path: Path, configs: int, pairs: int
) -> None:
    made = configs_of(tmp_path, [f"config_{n:02}" for n in range(configs)], seeds=2)
    assert len(all_pairs(made)) == pairs
    assert bool(list(pair_lines(made, top_k=10))) == (pairs > 0) == (pairs_table(made) is not None)


def test_the_table_says_row_minus_column_and_who_is_better(tmp_path: Path) -> None:
    text = "\n".join(pair_lines(configs_of(tmp_path, ["a", "b", "c"]), top_k=10))
    assert "Holm's correction for the 3 pairs of this ranking alone" in text
    (row,) = (line.split() for line in text.splitlines() if line.startswith("1 a"))
    assert row == ["1", "a", "+4", "+", "+4", "+"]
    assert "a is better than b on test (p below 0.001 corrected)." in text
    assert "1 of 3 pairs can't be told apart on test." in text


def test_no_more_configs_are_shown_than_asked_for_and_all_pairs_are_paid_for(
    tmp_path: Path,
) -> None:
    text = "\n".join(pair_lines(configs_of(tmp_path, ["a", "b", "c"]), top_k=2))
    assert "the first 2, test net_profit" in text and "for the 3 pairs" in text
    assert "2 b" in text and "3 c" not in text


def test_the_page_has_the_same_table(tmp_path: Path) -> None:
    found = pairs_table(configs_of(tmp_path, ["a", "b", "c"]))
    assert found is not None
    assert found.columns == ("b", "c") and [row.label for row in found.rows] == ["a", "b"]
    first, second = found.rows
    assert first.cells[0] is not None and first.cells[0].relation == "better"
    assert second.cells[0] is None
    assert second.cells[1] is not None and "can't be told apart" in second.cells[1].words
    assert "Holm's correction for the 3 pairs" in found.caption


def test_a_pair_that_cannot_be_compared_is_named_with_the_reason(tmp_path: Path) -> None:
    text = "\n".join(pair_lines(configs_of(tmp_path, ["a", "b"], seeds=1), top_k=10))
    assert "Not compared, a single seed in common, another may differ: a with b." in text
