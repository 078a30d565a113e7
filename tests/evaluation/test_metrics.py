"""Every metric against an example worked out by hand, and its interval against the truth."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made_up_candles import MINUTE_MS, START_MS, candles_of, flat_then, market_of, random_walk

from makerlab.evaluation.metrics import (
    METRICS,
    Sums,
    difference_estimates,
    episode_sums,
    metric_estimates,
    metric_values,
    point_value,
)
from makerlab.evaluation.rollout import Trajectories, rollout
from makerlab.market.features import WARM_UP_BARS
from makerlab.policies.baselines import FixedSymmetric, InventorySkew, NoQuote, RandomQuotes
from makerlab.statistics.bootstrap import resample_weights

MINUTES_PER_YEAR = 365 * 1440
NAN = float("nan")

# Closes of bars 61 to 70; the market ends with bar 70.
CLOSES = (100.0, 100.0, 101.0, 100.0, 100.0, 98.0, 103.0, 100.0, 100.0, 100.0)

# Two episodes of three bars on a capital of 100 and a limit of 2 units, by hand.
EXAMPLE: dict[str, list[list[float]]] = {
    "mid": [[100.0, 100.0, 101.0], [100.0, 100.0, 98.0]],
    "bid": [[99.0, 99.0, 99.0], [99.0, 99.0, 100.0]],
    "ask": [[102.0, 102.0, 102.0], [102.0, 102.0, 102.0]],
    "bid_filled": [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
    "ask_filled": [[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]],
    "liquidated": [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    "fees": [[0.1, 0.2, 0.0], [0.0, 0.0, 0.1]],
    "turnover": [[100.0, 210.0, 0.0], [0.0, 0.0, 99.0]],
    "spread_captured": [[0.5, 0.4, 0.0], [0.0, 0.0, 0.2]],
    "inventory_profit": [[0.6, -2.2, 3.0], [0.0, 0.0, -3.1]],
    "reward": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
    "inventory": [[1.0, -1.0, -2.0], [0.0, 0.0, 1.0]],
    "cash": [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    "equity": [[101.0, 99.0, 102.0], [100.0, 100.0, 97.0]],
}
# Returns on the capital: +1 %, -2 %, +3 % and 0, 0, -3 %.
MEAN = -0.01 / 6
DEVIATION = ((0.0023 - 6 * MEAN**2) / 5) ** 0.5
DOWNSIDE = ((0.02**2 + 0.03**2) / 6) ** 0.5

BY_HAND: dict[str, float | None] = {
    "net_profit": (2.0 - 3.0) / 2,
    "return_on_capital": -0.005,
    "sharpe": MEAN / DEVIATION * MINUTES_PER_YEAR**0.5,
    "sortino": MEAN / DOWNSIDE * MINUTES_PER_YEAR**0.5,
    # From 101 to 99, and from 100 to 97.
    "max_drawdown_pct": 100 * (2 / 101 + 3 / 100) / 2,
    "max_drawdown": 2.5,
    "turnover": 409.0 / 2,
    "fees": 0.2,
    "bid_fills": 1.0,
    "ask_fills": 0.5,
    "spread_captured": 0.55,
    "inventory_profit": -0.85,
    "mean_abs_inventory": 5.0 / 6,
    "max_abs_inventory": 1.5,
    "time_at_cap": 1.0 / 6,
    # Bought at 99 in bar 61 and at 100 in bar 66, sold at 102 in bar 62.
    "markout_1_bps": 1e4 * (1 / 99 + 1 / 102 + 3 / 100) / 3,
    # Five bars after bar 66 the market has ended.
    "markout_5_bps": 1e4 * (-1 / 99 - 1 / 102) / 2,
    "markout_15_bps": None,
    "profit_per_turnover_bps": 1e4 * -1.0 / 409.0,
    "episode_reward": 10.5,
}


def example(**changed: Any) -> Trajectories:
    bars = [(close, close, close, close) for close in CLOSES]
    market = market_of(flat_then(*bars), initial_cash=100.0, max_inventory=2.0, episode_length=3)
    columns = {name: np.array(changed.get(name, values)) for name, values in EXAMPLE.items()}
    starts = np.array([WARM_UP_BARS, WARM_UP_BARS + 3])
    return Trajectories(market=market, starts=starts, start_mid=np.full(2, 100.0), **columns)


def values_of(trajectories: Trajectories, *, bar_ms: int = MINUTE_MS) -> dict[str, float | None]:
    sums = episode_sums(trajectories)
    found = {name: point_value(sums, name, bar_ms=bar_ms) for name in METRICS}
    return {name: None if np.isnan(value) else value for name, value in found.items()}


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_is_the_one_worked_out_by_hand(name: str) -> None:
    """Trap: equity that starts at zero: drawdown in percent of nothing, returns undefined; per-step
    Sharpe never annualised, or by the wrong factor; Sharpe of the cumulated level instead of its
    increments."""
    found, expected = values_of(example())[name], BY_HAND[name]
    assert found is None if expected is None else found == pytest.approx(expected, rel=1e-9)


def test_profit_is_spread_plus_inventory_profit_less_fees() -> None:
    found = values_of(example())
    parts = (found["spread_captured"], found["inventory_profit"], found["fees"])
    spread, inventory, fees = (part for part in parts if part is not None)
    assert found["net_profit"] == pytest.approx(spread + inventory - fees)


@pytest.mark.parametrize(("minutes", "bars_a_year"), [(1, 525_600), (15, 35_040), (60, 8_760)])
def test_sharpe_and_sortino_are_annualised_by_the_bar_length(
    minutes: int, bars_a_year: int
) -> None:
    """Trap: equity that starts at zero: drawdown in percent of nothing, returns undefined; per-step
    Sharpe never annualised, or by the wrong factor; Sharpe of the cumulated level instead of its
    increments."""
    found = values_of(example(), bar_ms=minutes * MINUTE_MS)
    assert found["sharpe"] == pytest.approx(MEAN / DEVIATION * bars_a_year**0.5)
    assert found["sortino"] == pytest.approx(MEAN / DOWNSIDE * bars_a_year**0.5)


def test_sharpe_of_many_bars_is_that_of_their_increments() -> None:
    """A tenth of a deviation earned per bar: 72.5 per year of minutes."""
    bars = 1000
    returns = np.random.default_rng(0).normal(size=(2, bars))
    returns = 1e-3 * ((returns - returns.mean()) / returns.std(ddof=1) + 0.1)
    columns = {name: np.zeros((2, bars)) for name in EXAMPLE}
    columns["equity"] = 100.0 * (1.0 + np.cumsum(returns, axis=1))
    market = market_of(random_walk(2 * bars + 100, seed=1), initial_cash=100.0)
    long = dataclasses.replace(
        example(), market=market, starts=np.array([WARM_UP_BARS, WARM_UP_BARS + bars]), **columns
    )
    assert values_of(long)["sharpe"] == pytest.approx(0.1 * MINUTES_PER_YEAR**0.5, rel=1e-6)


def test_a_fill_across_a_gap_has_no_markout() -> None:
    stamps = START_MS + MINUTE_MS * np.arange(WARM_UP_BARS + 11)
    stamps[WARM_UP_BARS + 2 :] += 5 * MINUTE_MS
    price = np.full(len(stamps), 100.0)
    names = ("open", "high", "low", "close", "volume")
    gapped = market_of(
        candles_of(dict.fromkeys(names, price), ts_ms=stamps), initial_cash=100.0, max_inventory=2.0
    )
    only_first = {"ask_filled": [[0.0] * 3] * 2, "bid_filled": [[1.0, 0.0, 0.0], [0.0] * 3]}
    trajectories = dataclasses.replace(example(**only_first), market=gapped)
    assert values_of(trajectories)["markout_1_bps"] is None


# --- what is not defined -----------------------------------------------------------------------

WALK = random_walk(1300, seed=51, volatility_bps=10.0)
STARTS = np.arange(WARM_UP_BARS, 1200, 100)


def played(policy: Any, **env: Any) -> Trajectories:
    return rollout(market_of(WALK, episode_length=100, **env), policy, STARTS)


def test_what_was_not_measured_is_null_and_not_zero() -> None:
    """Trap: zeros written where nothing was measured (write null), a blank image where a plot
    failed, numbers in a document that no run produced."""
    found = values_of(played(NoQuote()))
    undefined = {name for name, value in found.items() if value is None}
    assert undefined == {
        "sharpe",
        "sortino",
        "markout_1_bps",
        "markout_5_bps",
        "markout_15_bps",
        "profit_per_turnover_bps",
    }
    assert all(found[name] == 0.0 for name in METRICS if name not in undefined)


def test_a_profit_that_never_varies_has_no_sharpe_ratio() -> None:
    equity = [[101.0, 102.0, 103.0], [101.0, 102.0, 103.0]]
    found = values_of(example(equity=equity))
    assert found["sharpe"] is None and found["sortino"] is None
    assert found["net_profit"] == pytest.approx(3.0)


def test_an_episode_cut_short_counts_only_what_it_lived() -> None:
    """The second episode is ruined in its first bar; the rest of its row is not a number."""
    short = {
        name: [values[0], [values[1][0], NAN, NAN]]
        for name, values in EXAMPLE.items()
        if name != "equity"
    }
    found = values_of(example(equity=[[101.0, 99.0, 102.0], [-5.0, NAN, NAN]], **short))
    assert found["net_profit"] == pytest.approx((2.0 - 105.0) / 2)
    assert found["mean_abs_inventory"] == pytest.approx(4.0 / 4)
    assert found["max_drawdown"] == pytest.approx((2.0 + 105.0) / 2)
    assert found["episode_reward"] == pytest.approx((6.0 + 4.0) / 2)


def test_penalties_are_not_money() -> None:
    """Trap: penalties counted as money in net profit."""
    free = values_of(played(FixedSymmetric()))
    charged = values_of(played(FixedSymmetric(), lambda_inv=0.01, lambda_turnover=0.01))
    different = {name for name in METRICS if free[name] != charged[name]}
    assert different == {"episode_reward"}


def test_the_metrics_of_a_real_play_add_up() -> None:
    found = played(
        RandomQuotes(seed=1, actions=2), fee_rate=0.0003, fill={"liquidate_at_end": True}
    )
    values = {name: value or 0.0 for name, value in values_of(found).items()}
    parts = values["spread_captured"] + values["inventory_profit"] - values["fees"]
    assert values["net_profit"] == pytest.approx(parts, abs=1e-6)
    assert values["net_profit"] == pytest.approx(float(np.mean(found.equity[:, -1])) - 1e6)
    assert values["fees"] > 0 and values["turnover"] > 0


# --- intervals ---------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(counts=st.lists(st.integers(0, 3), min_size=len(STARTS), max_size=len(STARTS)))
def test_a_weighted_episode_counts_as_often_as_its_weight(counts: list[int]) -> None:
    """A resample's metrics are those of the resampled episodes themselves."""
    if sum(counts) == 0:
        return
    weights = np.array([counts], np.float64)
    weighted = metric_values(SKEWED, weights, bar_ms=MINUTE_MS)
    repeated = {name: np.repeat(values, counts) for name, values in SKEWED.items()}
    for name in METRICS:
        expected = point_value(repeated, name, bar_ms=MINUTE_MS)
        assert weighted[name][0] == pytest.approx(expected, rel=1e-9, nan_ok=True)


SKEWED = episode_sums(played(InventorySkew(), fee_rate=0.0001))
FIXED = episode_sums(played(FixedSymmetric(), fee_rate=0.0001))
WEIGHTS = resample_weights(len(STARTS), samples=1000, seed=0)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_an_interval_around_it(name: str) -> None:
    """Trap: one seed per config; a few windows out of a hundred thousand minutes; no interval;
    nothing says how many were tried."""
    estimate = metric_estimates(SKEWED, WEIGHTS, bar_ms=MINUTE_MS, confidence=0.95)[name]
    assert estimate.value is not None and estimate.low is not None and estimate.high is not None
    assert estimate.low <= estimate.value <= estimate.high
    assert estimate.value == pytest.approx(point_value(SKEWED, name, bar_ms=MINUTE_MS))


def test_wider_confidence_gives_wider_intervals() -> None:
    widths = []
    for confidence in (0.8, 0.95, 0.99):
        found = metric_estimates(SKEWED, WEIGHTS, bar_ms=MINUTE_MS, confidence=confidence)
        _, low, high = found["net_profit"]
        widths.append((high or 0.0) - (low or 0.0))
    assert widths == sorted(widths) and widths[0] < widths[-1]


def profits_only(profit: npt.NDArray[np.float64]) -> Sums:
    """Return sums of episodes of one bar that differ in profit alone."""
    ones = np.ones_like(profit)
    names = set(FIXED) - {"bars", "capital", "profit", "return", "return_squared"}
    return {name: ones.copy() for name in names} | {
        "bars": 10.0 * ones,
        "capital": 1000.0 * ones,
        "profit": profit,
        "return": profit / 1000.0,
        "return_squared": (profit / 1000.0) ** 2,
    }


def test_a_paired_difference_is_known_better_than_two_separate_profits() -> None:
    """Two policies live through the same episodes: what both suffer cancels."""
    generator = np.random.default_rng(3)
    luck = generator.normal(0.0, 50.0, 20)
    better, worse = luck + 5.0 + generator.normal(0, 1, 20), luck
    weights = resample_weights(20, samples=1000, seed=0)
    how: dict[str, Any] = {"bar_ms": MINUTE_MS, "confidence": 0.95}
    first, second = (
        metric_estimates(profits_only(p), weights, **how)["net_profit"] for p in (better, worse)
    )
    paired = difference_estimates(profits_only(better), profits_only(worse), weights, **how)
    value, low, high = paired["net_profit"]
    assert value is not None and low is not None and high is not None
    assert value == pytest.approx((first.value or 0) - (second.value or 0))
    assert low > 0.0
    assert high - low < 0.1 * min(
        (first.high or 0) - (first.low or 0), (second.high or 0) - (second.low or 0)
    )


def test_the_difference_of_a_policy_to_itself_is_zero() -> None:
    found = difference_estimates(SKEWED, SKEWED, WEIGHTS, bar_ms=MINUTE_MS, confidence=0.95)
    assert all(estimate == (0.0, 0.0, 0.0) for estimate in found.values())


def test_a_difference_to_what_is_not_defined_is_not_defined() -> None:
    idle = episode_sums(played(NoQuote()))
    found = difference_estimates(SKEWED, idle, WEIGHTS, bar_ms=MINUTE_MS, confidence=0.95)
    assert found["sharpe"] == (None, None, None)
    profit = metric_estimates(SKEWED, WEIGHTS, bar_ms=MINUTE_MS, confidence=0.95)["net_profit"]
    assert found["net_profit"] == profit


def test_the_interval_of_a_mean_holds_the_truth_about_as_often_as_it_says() -> None:
    """20 episodes whose profits are normal."""
    generator = np.random.default_rng(11)
    weights = resample_weights(20, samples=1000, seed=1)
    hits = 0
    for _ in range(400):
        sums = profits_only(generator.normal(3.0, 20.0, 20))
        found = metric_estimates(sums, weights, bar_ms=MINUTE_MS, confidence=0.95)["net_profit"]
        hits += found.low is not None and found.high is not None and found.low <= 3.0 <= found.high
    assert 0.91 <= hits / 400 <= 0.98
