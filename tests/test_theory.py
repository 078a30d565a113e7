"""Closed-form quotes against the papers' numbers and simulations of the papers' markets."""

from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from makerlab.theory import CarteaJaimungal, avellaneda_stoikov_quotes, glft_distances

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


def test_exact_distances_depend_on_the_time_left_and_become_the_asymptotic_ones() -> None:
    market = SET_STOIKOV | {"horizon": np.array([[1e-9], [0.5], [20.0]])}
    bid, ask = glft_distances(inventory=np.array([0, 3]), method="exact", **market)  # type: ignore[arg-type]
    assert np.shape(bid) == np.shape(ask) == (3, 2)
    premium = np.log1p(0.1 / 1.5) / 0.1
    np.testing.assert_allclose(np.asarray(bid)[0], premium, rtol=1e-6)
    far = glft_distances(inventory=np.array([0, 3]), **SET_STOIKOV)  # type: ignore[arg-type]
    np.testing.assert_allclose(np.asarray(bid)[2], far[0], rtol=1e-2)


@pytest.mark.parametrize("method", ["exact", "asymptotic"])
def test_without_risk_aversion_distances_are_one_over_the_decay(method: Any) -> None:
    market = SET_STOIKOV | {"risk_aversion": 0.0}
    bid, ask = glft_distances(inventory=3, method=method, **market)  # type: ignore[arg-type]
    # With a cap of 30 there is a little fear of it even so.
    assert (bid, ask) == pytest.approx((1.0 / 1.5, 1.0 / 1.5), abs=2e-3)
    near = glft_distances(inventory=3, method=method, **(SET_STOIKOV | {"risk_aversion": 1e-10}))  # type: ignore[arg-type]
    assert near == pytest.approx((bid, ask), rel=2e-5)


def test_quotes_without_risk_aversion_are_one_over_the_decay_from_the_mid() -> None:
    bid, ask = avellaneda_stoikov_quotes(
        mid=MID, inventory=7.0, time_left=1.0, volatility=2.0, risk_aversion=0.0, decay=1.5
    )
    assert (bid, ask) == pytest.approx((MID - 1.0 / 1.5, MID + 1.0 / 1.5))


# Cartea, Jaimungal and Penalva, Algorithmic and High-Frequency Trading, 2015, chapter 10.
SMALL: dict[str, Any] = {
    "buy_intensity": 10.0,
    "sell_intensity": 10.0,
    "decay": 1.0,
    "horizon": 1.0,
    "running_penalty": 0.5,
    "terminal_penalty": 0.001,
    "inventory_cap": 10,
}
LARGE = SMALL | {"running_penalty": 0.01, "inventory_cap": 100}


@pytest.mark.parametrize(
    ("intensity", "decay", "value", "depth"),
    [(140.0, 1.5, 68.25583476, 0.67214), (100.0, 1.0, 73.22586344, 1.00719)],
)
def test_value_and_depth_are_the_published_ones(
    intensity: float, decay: float, value: float, depth: float
) -> None:
    changed = {"buy_intensity": intensity, "sell_intensity": intensity, "decay": decay}
    solution = CarteaJaimungal(**(LARGE | changed))
    assert solution.value(0.0, 0) == pytest.approx(value, abs=5e-9)
    assert solution.depths(0.0, 0) == pytest.approx((depth, depth), abs=5e-6)


def test_the_small_market_of_the_learning_gate() -> None:
    solution = CarteaJaimungal(**SMALL)
    assert solution.value(0.0, 0) == pytest.approx(6.38060, abs=5e-6)
    bid, ask = solution.depths(0.5, np.arange(-3, 4))
    published = [0.17719, 0.49974, 0.83210, 1.16790, 1.50026, 1.82281, 2.13050]
    np.testing.assert_allclose(bid, published, atol=6e-6)
    np.testing.assert_allclose(ask, published[::-1], atol=6e-6)


def by_differential_equation(parameters: dict[str, Any], time_left: float) -> Floats:
    """Integrate the Hamilton-Jacobi-Bellman equation of h itself, another way to the value."""
    cap, decay = parameters["inventory_cap"], parameters["decay"]
    squares = np.square(np.arange(-cap, cap + 1.0))

    def growth(_: float, value: Floats) -> Floats:
        result = -parameters["running_penalty"] * squares
        step = np.diff(value)
        result[:-1] += parameters["sell_intensity"] / (np.e * decay) * np.exp(decay * step)
        result[1:] += parameters["buy_intensity"] / (np.e * decay) * np.exp(-decay * step)
        return result

    start = -parameters["terminal_penalty"] * squares
    solved = solve_ivp(growth, (0.0, time_left), start, method="LSODA", rtol=1e-10, atol=1e-11)
    return np.asarray(solved.y[:, -1])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"buy_intensity": 25.0, "sell_intensity": 4.0},
        {"sell_intensity": 0.0},
        {"decay": 0.3, "running_penalty": 2.0, "terminal_penalty": 0.5, "horizon": 3.0},
        {"running_penalty": 0.0, "terminal_penalty": 0.0, "inventory_cap": 1},
    ],
)
def test_the_value_solves_the_equation_it_stands_for(changes: dict[str, Any]) -> None:
    parameters = SMALL | changes
    solution = CarteaJaimungal(**parameters)
    positions = np.arange(-parameters["inventory_cap"], parameters["inventory_cap"] + 1)
    for share in (0.0, 0.3, 0.95):
        time = share * parameters["horizon"]
        expected = by_differential_equation(parameters, parameters["horizon"] - time)
        np.testing.assert_allclose(solution.value(time, positions), expected, rtol=1e-7, atol=1e-8)


def test_depths_are_differences_of_the_value_and_infinite_at_the_cap() -> None:
    solution = CarteaJaimungal(**(SMALL | {"buy_intensity": 30.0, "inventory_cap": 4}))
    positions = np.arange(-4, 5)
    value = np.asarray(solution.value(0.2, positions))
    bid, ask = (np.asarray(side) for side in solution.depths(0.2, positions))
    np.testing.assert_allclose(bid[:-1], 1.0 - np.diff(value), rtol=1e-12)
    np.testing.assert_allclose(ask[1:], 1.0 + np.diff(value), rtol=1e-12)
    assert bid[-1] == ask[0] == np.inf
    # More buyers than sellers: a flat maker would rather be long.
    assert solution.depths(0.2, 0)[0] < solution.depths(0.2, 0)[1]


def test_at_the_horizon_the_value_is_the_terminal_penalty() -> None:
    solution = CarteaJaimungal(**(SMALL | {"terminal_penalty": 3.0, "inventory_cap": 100}))
    positions = np.arange(-100, 101)
    np.testing.assert_allclose(solution.value(1.0, positions), -3.0 * np.square(positions))
    bid, ask = solution.depths(1.0, 2)
    assert (bid, ask) == pytest.approx((1.0 + 3.0 * 5.0, 1.0 - 3.0 * 3.0))


def test_arguments_broadcast_and_scalars_stay_scalars() -> None:
    solution = CarteaJaimungal(**SMALL)
    times, positions = np.array([[0.9], [0.0], [0.5]]), np.array([-2, 0, 10])
    table = np.asarray(solution.value(times, positions))
    bid, ask = solution.depths(times, positions)
    assert table.shape == np.shape(bid) == np.shape(ask) == (3, 3)
    for i, when in enumerate(times[:, 0]):
        for j, inventory in enumerate(positions):
            assert isinstance(solution.value(float(when), int(inventory)), float)
            assert table[i, j] == pytest.approx(solution.value(float(when), int(inventory)))


def test_positions_that_weigh_less_than_the_smallest_double_have_right_values() -> None:
    """Steep penalties far out: the plain exponential of the matrix gives 0 / 0 there."""
    parameters = SMALL | {
        "buy_intensity": 140.0,
        "sell_intensity": 140.0,
        "decay": 1.5,
        "running_penalty": 0.5,
        "terminal_penalty": 0.1,
        "inventory_cap": 100,
    }
    positions = np.arange(-100, 101)
    solution = CarteaJaimungal(**parameters)
    for when in (0.999, 0.99, 0.5):
        expected = by_differential_equation(parameters, 1.0 - when)
        np.testing.assert_allclose(solution.value(when, positions), expected, rtol=1e-6, atol=1e-7)


def test_many_orders_neither_overflow_nor_take_long() -> None:
    """lambda T = 20,000 on a side: e to that power is no number; the value grows linearly."""
    parameters = LARGE | {"buy_intensity": 2000.0, "sell_intensity": 2000.0, "horizon": 10.0}
    solution = CarteaJaimungal(**parameters)
    started = process_time()
    values = np.asarray(solution.value(np.array([0.0, 1.0, 2.0]), 0))
    assert process_time() - started < 5.0
    cap, rate = 100, 2000.0 / np.e
    squares = np.square(np.arange(-cap, cap + 1.0))
    matrix = np.diag(-0.01 * squares) + rate * (np.eye(201, k=1) + np.eye(201, k=-1))
    largest = float(np.linalg.eigvalsh(matrix)[-1])
    np.testing.assert_allclose(-np.diff(values), largest, rtol=1e-9)


def test_the_exact_distances_of_both_papers_agree_where_they_must() -> None:
    """GLFT's equations are Cartea's with phi = gamma sigma^2 / 2 and no terminal penalty."""
    gamma, decay, intensity = 0.1, 1.5, 140.0
    rate = intensity * (1.0 + gamma / decay) ** -(1.0 + decay / gamma)
    positions = np.arange(-30, 31)
    matrix = np.diag(decay / 2.0 * gamma * 4.0 * np.square(positions.astype(float)))
    matrix -= rate * (np.eye(61, k=1) + np.eye(61, k=-1))
    logs = np.log(expm(-matrix) @ np.ones(61))
    bid, _ = glft_distances(inventory=positions[:-1], method="exact", **SET_STOIKOV)  # type: ignore[arg-type]
    np.testing.assert_allclose(
        bid, -np.diff(logs) / decay + np.log1p(gamma / decay) / gamma, rtol=1e-9
    )


@pytest.mark.parametrize(
    ("time", "inventory", "problem"),
    [(1.1, 0, "outside"), (-0.1, 0, "outside"), (0.0, 11, "cap 10"), (0.0, 0.5, "cap 10")],
)
def test_values_are_refused_where_there_are_none(
    time: float, inventory: float, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        CarteaJaimungal(**SMALL).value(time, inventory)
    with pytest.raises(ValueError, match=problem):
        CarteaJaimungal(**SMALL).depths(time, inventory)


@pytest.mark.parametrize("cap", [0, -1, 2.5])
def test_a_cap_is_a_whole_number_above_zero(cap: Any) -> None:
    with pytest.raises(ValueError, match="expected a whole number"):
        CarteaJaimungal(**(SMALL | {"inventory_cap": cap}))
