"""The optimum on a market with a visible drift: against simulation, theory and brute force."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from makerlab.config import EnvSettings
from makerlab.errors import UserError
from makerlab.evaluation.simulation import simulate
from makerlab.policies.planted_signal import PlannedMaker
from makerlab.policies.simulated import (
    OPTIMUM,
    SIMULATED_POLICIES,
    cartea_jaimungal,
    simulated_baselines,
)


def settings_of(**content: Any) -> EnvSettings:
    simulated = {
        "buy_intensity": 20.0,
        "sell_intensity": 20.0,
        "decay": 1.0,
        "volatility": 0.1,
        "running_penalty": 0.5,
        "terminal_penalty": 0.1,
        "signal_strength": 5.0,
        **content.pop("simulated", {}),
    }
    defaults = {"market": "cartea_jaimungal", "episode_length": 50, "max_inventory": 3}
    return EnvSettings.model_validate(
        {**defaults, "order_size": 1, **content, "simulated": simulated}
    )


@pytest.mark.parametrize("fill_rule", ["literal", "exact"])
@pytest.mark.parametrize("strength", [0.0, 5.0])
@pytest.mark.parametrize("allow_no_quote", [False, True])
def test_its_value_is_what_simulation_earns(
    fill_rule: str, strength: float, allow_no_quote: bool
) -> None:
    simulated = {"fill_rule": fill_rule, "signal_strength": strength}
    if allow_no_quote:
        simulated |= {"min_depth": -0.5, "max_depth": 0.0}
    settings = settings_of(simulated=simulated, allow_no_quote=allow_no_quote)
    maker = PlannedMaker(settings)
    found = simulate(settings, maker, paths=4000)
    expected = maker.values[-1, 3].mean()
    assert found.objective == pytest.approx(expected, abs=4.0 * found.objective_error)


def test_no_actions_are_better_with_one_step_left() -> None:
    """All pairs of depths tried at each inventory and signal, from the definition."""
    settings = settings_of(allow_no_quote=True, simulated={"min_depth": -0.5, "max_depth": 1.0})
    maker, dt = PlannedMaker(settings), 1.0 / 50
    depths = [*np.linspace(-0.5, 0.925, 76), math.inf]
    for inventory, (place, signal) in itertools.product(range(-3, 4), enumerate((-1.0, 1.0))):

        def worth(held: int, signal: float = signal) -> float:
            return 5.0 * dt * signal * held - (0.5 * dt + 0.1) * held**2

        best = -math.inf
        for bid, ask in itertools.product(depths, depths):
            buys = 20.0 * dt * math.exp(-bid) if inventory < 3 else 0.0
            sells = 20.0 * dt * math.exp(-ask) if inventory > -3 else 0.0
            value = 0.0
            for bought, sold in itertools.product((0, 1), (0, 1)):
                chance = (buys if bought else 1 - buys) * (sells if sold else 1 - sells)
                if chance > 0.0:
                    spread = (bid if bought else 0.0) + (ask if sold else 0.0)
                    value += chance * (spread + worth(inventory + bought - sold))
            best = max(best, value)
        assert maker.values[1, inventory + 3, place] == pytest.approx(best, abs=1e-4)


def test_without_a_drift_it_is_the_theory_on_ever_shorter_steps() -> None:
    gaps = []
    for steps in (50, 200):
        settings = settings_of(episode_length=steps, simulated={"signal_strength": 0.0})
        planned = PlannedMaker(settings).values[-1, 3, 0]
        theory = simulate(settings, cartea_jaimungal(settings), paths=4000)
        assert planned > theory.objective - 4.0 * theory.objective_error
        gaps.append(abs(planned - theory.objective))
    assert max(gaps) < 0.25


def test_a_drift_is_worth_more_to_who_sees_it() -> None:
    settings = settings_of()
    seeing = simulate(settings, SIMULATED_POLICIES[OPTIMUM](settings, seed=0), paths=2000)
    blind = simulate(settings, cartea_jaimungal(settings), paths=2000)
    assert seeing.objective > blind.objective + 4.0 * (
        seeing.objective_error + blind.objective_error
    )


@pytest.mark.parametrize(
    "content",
    [
        {"fee_rate": 0.001},
        {
            "market": "avellaneda_stoikov",
            "simulated": {"running_penalty": 0.01, "terminal_penalty": 0.001},
        },
    ],
)
def test_where_no_optimum_is_known_none_is_claimed(content: dict[str, Any]) -> None:
    settings = settings_of(**content)
    assert OPTIMUM not in simulated_baselines(settings, seed=0)
    with pytest.raises(UserError, match="no optimum is known"):
        SIMULATED_POLICIES[OPTIMUM](settings, seed=0)
