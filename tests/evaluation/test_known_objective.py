"""What a market with a known answer asks for: its formula, and the distance to its optimum."""

import numpy as np
import pytest

from makerlab.config import EnvSettings
from makerlab.data.split import Segment
from makerlab.evaluation.metrics import Sums, episode_sums
from makerlab.evaluation.objective import (
    DISTANCE,
    OBJECTIVE,
    objective_estimates,
    objective_value,
)
from makerlab.evaluation.rollout import rollout
from makerlab.market.simulated import SimulatedMarket
from makerlab.policies.simulated import NOTHING, OPTIMUM, simulated_baselines
from makerlab.statistics.bootstrap import resample_weights

EPISODES = 2000
PHI, ALPHA, SCALE = 0.5, 0.2, 7.0


def settings_of(market: str = "cartea_jaimungal", **simulated: float) -> EnvSettings:
    content = {
        "market": market,
        "order_size": 1,
        "max_inventory": 10,
        "episode_length": 100,
        "simulated": {"buy_intensity": 10, "sell_intensity": 10, "decay": 1, **simulated},
    }
    return EnvSettings.model_validate(content)


def penalised() -> EnvSettings:
    return settings_of(
        running_penalty=PHI,
        terminal_penalty=ALPHA,
        volatility=0.1,
        max_depth=4.605,
        reward_scale=SCALE,
    )


@pytest.fixture(scope="module")
def played() -> tuple[EnvSettings, dict[str, Sums]]:
    settings = penalised()
    market = SimulatedMarket(Segment("test", 0, EPISODES), settings)
    baselines = simulated_baselines(settings, seed=0)
    return settings, {
        name: episode_sums(rollout(market, policy, market.starts()))
        for name, policy in baselines.items()
    }


def test_the_objective_is_profit_less_running_and_terminal_penalty() -> None:
    settings = penalised()
    market = SimulatedMarket(Segment("test", 0, 50), settings)
    policy = simulated_baselines(settings, seed=0)["constant_depth"]
    trajectories = rollout(market, policy, market.starts())
    inventory, equity = trajectories.inventory, trajectories.equity
    # Held over each of the 100 steps of 0.01, after that step's fills; sold at the end.
    squares = (inventory**2).sum(axis=1) * 0.01
    final = inventory[:, -1] ** 2
    profit = equity[:, -1] - settings.initial_cash
    expected = (profit - PHI * squares - ALPHA * final).mean()
    found = objective_value(episode_sums(trajectories), settings)
    assert found == pytest.approx(expected, abs=1e-9)


def test_the_optimum_is_at_distance_zero_and_staying_out_at_100(
    played: tuple[EnvSettings, dict[str, Sums]],
) -> None:
    settings, sums = played
    weights = resample_weights(EPISODES, samples=200, seed=0)
    found = objective_estimates(
        sums, weights, settings, optimum=OPTIMUM, nothing=NOTHING, confidence=0.95
    )
    at_optimum, outside = found[OPTIMUM][DISTANCE], found[NOTHING][DISTANCE]
    assert (at_optimum.value, at_optimum.low, at_optimum.high) == (0.0, 0.0, 0.0)
    assert [outside.value, outside.low, outside.high] == pytest.approx([100.0] * 3)
    for name, estimates in found.items():
        gained = objective_value(sums[name], settings)
        best = objective_value(sums[OPTIMUM], settings)
        assert estimates[OBJECTIVE].value == pytest.approx(gained)
        assert estimates[DISTANCE].value == pytest.approx(100.0 * (best - gained) / best)


def test_no_baseline_beats_the_optimum(played: tuple[EnvSettings, dict[str, Sums]]) -> None:
    settings, sums = played
    objectives = {name: objective_value(values, settings) for name, values in sums.items()}
    assert max(objectives, key=lambda name: objectives[name]) == OPTIMUM
    assert objectives[NOTHING] == 0.0


def test_the_certainty_equivalent_is_that_of_an_exponential_utility() -> None:
    settings = settings_of("avellaneda_stoikov", risk_aversion=0.3)
    profit = np.array([1.0, 2.0, -4.0, 0.5])
    sums = {"profit": profit, "bars": np.full(4, 100.0)}
    expected = -np.log(np.exp(-0.3 * profit).mean()) / 0.3
    assert objective_value(sums, settings) == pytest.approx(expected)
