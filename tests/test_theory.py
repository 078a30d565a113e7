"""Closed-form quotes against the papers' numbers and simulations of the papers' markets."""

import numpy as np
import numpy.typing as npt
import pytest

from makerlab.theory import avellaneda_stoikov_quotes, glft_distances

Floats = npt.NDArray[np.float64]

# Avellaneda and Stoikov, Quantitative Finance 8(3), 2008: the paper's market.
MID, HORIZON, SIGMA, STEPS, DECAY, INTENSITY = 100.0, 1.0, 2.0, 200, 1.5, 140.0
AVERAGE_SPREAD = {0.1: 1.4908, 0.01: 1.3489}
PATHS = 20_000


def average_spread(gamma: float) -> float:
    """gamma sigma^2 T / 2 + (2 / gamma) ln(1 + gamma / k), from quotes over an even time grid."""
    bid, ask = avellaneda_stoikov_quotes(
        mid=MID,
        inventory=0.0,
        time_left=np.linspace(0.0, HORIZON, 1001),
        volatility=SIGMA,
        risk_aversion=gamma,
        decay=DECAY,
    )
    return float(np.mean(np.asarray(ask) - np.asarray(bid)))


@pytest.mark.parametrize("gamma", [0.1, 0.01])
def test_the_average_spread_is_the_papers(gamma: float) -> None:
    assert average_spread(gamma) == pytest.approx(AVERAGE_SPREAD[gamma], abs=5e-5)


def test_without_risk_aversion_the_spread_is_two_over_the_decay() -> None:
    assert average_spread(1e-9) == pytest.approx(2.0 / DECAY, rel=1e-6)


def test_the_reservation_price_falls_with_the_inventory_and_quotes_are_not_clipped() -> None:
    bid, ask = avellaneda_stoikov_quotes(
        mid=MID, inventory=5.0, time_left=1.0, volatility=2.0, risk_aversion=0.1, decay=1.5
    )
    assert (bid + ask) / 2.0 == pytest.approx(100.0 - 5 * 0.1 * 4.0)
    assert ask < MID


def simulate(gamma: float, *, inventory_aware: bool, exact: bool = False) -> tuple[Floats, Floats]:
    """Return (profit, final inventory) of the paper's market, arrays of (paths,).

    Each step: quote, fill each side with probability lambda dt taken literally (or the exact
    1 - exp(-lambda dt)), then move the mid by +- sigma sqrt(dt).
    """
    generator = np.random.default_rng(7)
    step = HORIZON / STEPS
    mid, cash, inventory = np.full(PATHS, MID), np.zeros(PATHS), np.zeros(PATHS)
    half = AVERAGE_SPREAD[gamma] / 2.0
    for number in range(STEPS):
        bid, ask = mid - half, mid + half
        if inventory_aware:
            bid, ask = avellaneda_stoikov_quotes(
                mid=mid,
                inventory=inventory,
                time_left=HORIZON - number * step,
                volatility=SIGMA,
                risk_aversion=gamma,
                decay=DECAY,
            )
        for price, sign in ((bid, 1.0), (ask, -1.0)):
            rate = INTENSITY * np.exp(-DECAY * sign * (mid - price)) * step
            chance = 1.0 - np.exp(-rate) if exact else rate
            filled = generator.uniform(size=PATHS) < chance
            cash -= sign * price * filled
            inventory = inventory + sign * filled
        mid = mid + SIGMA * np.sqrt(step) * generator.choice([-1.0, 1.0], PATHS)
    return cash + inventory * mid, inventory


PUBLISHED = [
    # gamma, inventory-aware, profit, deviation of profit, deviation of the final inventory
    (0.1, True, 64.85, 6.53, 2.91),
    (0.1, False, 68.14, 13.42, 8.35),
    (0.01, True, 68.36, 8.94, 5.18),
    (0.01, False, 68.62, 13.68, 8.67),
]


@pytest.mark.parametrize(("gamma", "aware", "profit", "deviation", "inventory"), PUBLISHED)
def test_simulated_profits_are_the_published_ones(
    gamma: float, aware: bool, profit: float, deviation: float, inventory: float
) -> None:
    earned, held = simulate(gamma, inventory_aware=aware)
    # Both this and the published mean come from 20,000 paths.
    error = np.hypot(earned.std(), deviation) / np.sqrt(PATHS)
    assert earned.mean() == pytest.approx(profit, abs=4.0 * error)
    assert earned.std(ddof=1) == pytest.approx(deviation, rel=0.03)
    assert held.std(ddof=1) == pytest.approx(inventory, rel=0.03)


@pytest.mark.parametrize("gamma", [0.1, 0.01])
def test_the_simulation_itself_meets_the_closed_form_of_the_symmetric_strategy(
    gamma: float,
) -> None:
    half = AVERAGE_SPREAD[gamma] / 2.0
    step = HORIZON / STEPS
    chance = INTENSITY * np.exp(-DECAY * half) * step
    moves = 2.0 * chance * (1.0 - chance)
    profit = 2.0 * STEPS * chance * half
    variance = SIGMA**2 * step * moves * STEPS * (STEPS + 1) / 2.0 + half**2 * moves * STEPS
    assert (profit, np.sqrt(variance), np.sqrt(STEPS * moves)) == pytest.approx(
        {0.1: (68.228, 13.457, 8.402), 0.01: (68.666, 13.678, 8.712)}[gamma], abs=2e-3
    )
    earned, held = simulate(gamma, inventory_aware=False)
    assert earned.mean() == pytest.approx(profit, abs=4.0 * np.sqrt(variance / PATHS))
    assert earned.std(ddof=1) == pytest.approx(np.sqrt(variance), rel=0.03)
    assert held.std(ddof=1) == pytest.approx(np.sqrt(STEPS * moves), rel=0.03)


def test_the_exact_fill_rule_earns_less() -> None:
    earned, _ = simulate(0.1, inventory_aware=True, exact=True)
    assert earned.mean() == pytest.approx(57.15, abs=0.3)


# Guéant, Lehalle and Fernandez-Tapia, Dealing with the inventory risk, 2013.
SET_PAPER = {
    "volatility": 0.3,
    "intensity": 0.9,
    "decay": 0.3,
    "risk_aversion": 0.01,
    "horizon": 600.0,
    "inventory_cap": 30,
}
SET_STOIKOV = {
    "volatility": 2.0,
    "intensity": 140.0,
    "decay": 1.5,
    "risk_aversion": 0.1,
    "horizon": 1.0,
    "inventory_cap": 30,
}
GLFT = [
    (SET_PAPER, 3.278982, 0.067866, 3.31305, 3.31292, (3.65348, 2.97252), (3.99293, 2.63280)),
    (SET_STOIKOV, 0.645385, 0.051717, 0.67163, 0.67124, (0.93178, 0.41045), (1.18142, 0.15807)),
]


@pytest.mark.parametrize(("market", "c1", "c2", "flat", "flat_far", "five", "ten"), GLFT)
def test_distances_are_the_published_ones(
    market: dict[str, float],
    c1: float,
    c2: float,
    flat: float,
    flat_far: float,
    five: tuple[float, float],
    ten: tuple[float, float],
) -> None:
    exact = {
        q: glft_distances(inventory=q, method="exact", **market)  # type: ignore[arg-type]
        for q in (0, 5, 10)
    }
    assert exact[0] == pytest.approx((flat, flat), abs=1e-5)
    assert exact[5] == pytest.approx(five, abs=1e-5)
    assert exact[10] == pytest.approx(ten, abs=1e-5)
    far = glft_distances(inventory=0, **market)  # type: ignore[arg-type]
    assert far == pytest.approx((flat_far, flat_far), abs=1e-5)
    assert far == pytest.approx((c1 + c2 / 2.0, c1 + c2 / 2.0), abs=2e-6)
    bid, ask = glft_distances(inventory=5, **market)  # type: ignore[arg-type]
    assert (bid, ask) == pytest.approx((c1 + 5.5 * c2, c1 - 4.5 * c2), abs=2e-5)


def test_exact_distances_mirror_and_do_not_quote_beyond_the_cap() -> None:
    inventory = np.arange(-30, 31)
    bid, ask = glft_distances(inventory=inventory, method="exact", **SET_STOIKOV)  # type: ignore[arg-type]
    bids, asks = np.asarray(bid), np.asarray(ask)
    np.testing.assert_allclose(bids, asks[::-1], rtol=1e-9)
    assert bids[-1] == np.inf and asks[0] == np.inf
    assert np.all(np.diff(bids[:-1]) > 0) and np.all(np.diff(asks[1:]) < 0)


@pytest.mark.parametrize("inventory", [31, -31, 0.5])
def test_exact_distances_are_refused_where_there_are_none(inventory: float) -> None:
    with pytest.raises(ValueError, match="cap 30"):
        glft_distances(inventory=inventory, method="exact", **SET_STOIKOV)  # type: ignore[arg-type]
