"""Many paths of one policy on a simulated market: published figures, properties, bad values."""

import json

import pytest

from makerlab.config import EnvSettings
from makerlab.errors import UserError
from makerlab.evaluation.papers import (
    Comparison,
    small_market,
    stoikov_market,
    symmetric_closed_form,
)
from makerlab.evaluation.simulation import simulate, simulated_settings, simulation_report
from makerlab.policies.simulated import SIMULATED_POLICIES

PATHS = 20_000
# Published closed forms of the symmetric strategy: profit, its deviation, that of the inventory.
SYMMETRIC = {0.1: (68.228, 13.457, 8.402), 0.01: (68.666, 13.678, 8.712)}


def own(market: str = "avellaneda_stoikov", **values: object) -> EnvSettings:
    return simulated_settings(market, steps=20, inventory_cap=5, fee_rate=0.0, market=values)


@pytest.mark.parametrize("gamma", SYMMETRIC)
def test_the_symmetric_strategy_earns_its_published_closed_form(gamma: float) -> None:
    settings = stoikov_market(gamma)
    assert symmetric_closed_form(settings) == pytest.approx(SYMMETRIC[gamma], abs=1e-3)
    found = simulate(settings, SIMULATED_POLICIES["symmetric"](settings, seed=0), paths=PATHS)
    profit, deviation, inventory = SYMMETRIC[gamma]
    assert abs(found.mean_profit - profit) < 4.0 * found.mean_profit_error
    assert abs(found.mean_final_inventory) < 4.0 * found.mean_final_inventory_error
    # Deviations of 20,000 paths have a standard error of half a percent.
    assert found.sd_profit == pytest.approx(deviation, rel=0.03)
    assert found.sd_final_inventory == pytest.approx(inventory, rel=0.03)


def test_the_small_markets_objectives_are_the_published_ones() -> None:
    settings = small_market()
    for name, expected in (("optimal", 6.394), ("constant_depth", 5.563), ("none", 0.0)):
        found = simulate(settings, SIMULATED_POLICIES[name](settings, seed=0), paths=PATHS)
        assert abs(found.objective - expected) <= 4.0 * found.objective_error


def test_same_seed_same_bytes_other_seed_other_bytes() -> None:
    def said(seed: int) -> str:
        return simulation_report(own(seed=seed), "inventory", paths=20, depth=None, as_json=True)

    assert said(1) == said(1) != said(2)


def test_a_simulation_is_flagged_as_one() -> None:
    options = {"paths": 20, "depth": None}
    record = json.loads(simulation_report(own(), "none", as_json=True, **options))
    assert record["data_source"] == "synthetic" and record["average_spread"] is None
    assert "SIMULATED" in simulation_report(own(), "none", as_json=False, **options)


def test_bad_values_are_refused_in_one_line() -> None:
    with pytest.raises(UserError, match=r"min_depth 2\.0 is not below max_depth 1\.0"):
        own(min_depth=2.0, max_depth=1.0)
    with pytest.raises(UserError, match="--depth is for --policy constant_depth"):
        simulation_report(own(), "inventory", paths=20, depth=1.0, as_json=False)


@pytest.mark.parametrize(("ours", "passed"), [(1.0, True), (1.1, True), (1.11, False)])
def test_a_figure_passes_within_its_tolerance_only(ours: float, passed: bool) -> None:
    one = Comparison("paper", "figure", None, 1.05, ours, None, 0.055)
    assert one.passed == passed
