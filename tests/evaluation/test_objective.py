"""The objective of simulated markets, and the distance to an optimum that is known or not."""

import numpy as np
import pytest

from makerlab.config import EnvSettings
from makerlab.evaluation.objective import (
    DISTANCE,
    NET_PROFIT,
    OBJECTIVE,
    episode_objectives,
    headline_metric,
    objective_difference,
    objective_estimates,
    objective_value,
)
from makerlab.statistics.bootstrap import UNDEFINED

SETTINGS = EnvSettings.model_validate(
    {"market": "cartea_jaimungal", "order_size": 1, "max_inventory": 5}
)


def estimates(**rewards: list[float]) -> dict[str, dict[str, float | None]]:
    sums = {name: {"reward": np.tile(values, 25)} for name, values in rewards.items()}
    found = objective_estimates(
        sums,
        np.ones((20, 50)),
        SETTINGS,
        optimum="optimal",
        nothing="no_quote",
        confidence=0.9,
    )
    return {name: {key: value.value for key, value in row.items()} for name, row in found.items()}


def test_the_distance_is_the_share_of_the_optimum_that_is_missed() -> None:
    found = estimates(learned=[5.0, 7.0], optimal=[7.0, 9.0], no_quote=[0.0, 0.0])
    assert found["learned"] == {OBJECTIVE: 6.0, DISTANCE: 25.0}
    assert found["optimal"][DISTANCE] == 0.0
    assert found["no_quote"][DISTANCE] == 100.0


def test_without_a_known_optimum_there_is_no_distance() -> None:
    found = estimates(learned=[5.0, 7.0], no_quote=[0.0, 0.0])
    assert found["learned"] == {OBJECTIVE: 6.0, DISTANCE: UNDEFINED.value}


def test_simulated_markets_are_judged_by_their_objective_and_candles_by_profit() -> None:
    assert headline_metric(SETTINGS) == OBJECTIVE
    assert (
        headline_metric(EnvSettings(market="avellaneda_stoikov", order_size=1, max_inventory=5))
        == OBJECTIVE
    )
    assert headline_metric(EnvSettings(base_spread_bps=8.0)) == NET_PROFIT


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5])
def test_the_numbers_of_episodes_have_the_certainty_equivalent_as_their_mean(gamma: float) -> None:
    settings = EnvSettings.model_validate(
        {
            "market": "avellaneda_stoikov",
            "order_size": 1,
            "max_inventory": 5,
            "simulated": {"risk_aversion": gamma},
        }
    )
    profit = np.random.default_rng(3).normal(2.0, 1.5, 400)
    sums = {"profit": profit, "bars": np.ones(400)}
    each = episode_objectives(sums, settings)
    assert each.mean() == pytest.approx(objective_value(sums, settings), rel=1e-12)
    # Leaving one out moves the mean of the numbers as it moves the certainty equivalent.
    for left_out in (int(profit.argmin()), int(profit.argmax())):
        kept = np.arange(400) != left_out
        rest = {name: values[kept] for name, values in sums.items()}
        moved = objective_value(rest, settings) - objective_value(sums, settings)
        assert each[kept].mean() - each.mean() == pytest.approx(moved, rel=0.03)


def test_the_difference_of_objectives_is_paired() -> None:
    rewards = np.random.default_rng(5).normal(0.0, 10.0, 300)
    first, second = {"reward": rewards + 1.0}, {"reward": rewards}
    weights = np.random.default_rng(7).multinomial(300, np.full(300, 1 / 300), size=200)
    found = objective_difference(
        first, second, weights.astype(np.float64), SETTINGS, confidence=0.9
    )
    assert found == pytest.approx((1.0, 1.0, 1.0), abs=1e-9)
