"""The tables of the papers beside our own numbers: quotes from formulas, profits from simulation.

A published mean must be met within four standard errors, a standard deviation within 3 percent, a
closed form to the digits that are printed. The 1,000 paths behind the figures of the 2008 paper are
few: they are shown, and judged are the same figures from 20,000 paths.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from makerlab import theory
from makerlab.config import EnvSettings
from makerlab.evaluation.simulation import Simulated, simulate
from makerlab.policies import Policy
from makerlab.policies.simulated import SIMULATED_POLICIES

ERRORS_ALLOWED = 4.0
DEVIATION_ALLOWED = 0.03
REFERENCE_PATHS = 20_000

STOIKOV = "Avellaneda and Stoikov 2008"
GUEANT = "Guéant, Lehalle and Fernandez-Tapia 2013"
CARTEA = "Cartea, Jaimungal and Penalva 2015"


@dataclass(frozen=True)
class Comparison:
    """One figure: as printed by the paper (None where it prints none), as it should be, as it is.

    `error` is the standard error of the simulated figure, None for a closed form.
    """

    source: str
    what: str
    printed: float | None
    expected: float
    ours: float
    error: float | None
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether ours is within the tolerance."""
        return abs(self.ours - self.expected) <= self.tolerance


def compare_with_papers(*, paths: int, seed: int) -> Iterator[Comparison]:
    """Yield every figure of the papers beside ours, simulated over `paths` episodes of a seed."""
    yield from _average_spreads()
    yield from _stoikov(paths=paths, seed=seed)
    yield from _gueant()
    yield from _cartea()
    yield from _small_market(paths=paths, seed=seed)


# gamma, policy, printed profit, deviation and deviation of the final inventory, then the same from
# 20,000 paths of an independent program.
_STOIKOV_ROWS = (
    (0.1, "inventory", (65.0, 6.6, 2.9), (64.85, 6.53, 2.91)),
    (0.1, "symmetric", (68.4, 12.7, 8.4), (68.14, 13.42, 8.35)),
    (0.01, "inventory", (68.6, 8.7, 5.1), (68.36, 8.94, 5.18)),
    (0.01, "symmetric", (68.8, 12.8, 8.7), (68.62, 13.68, 8.67)),
)
_EXACT_RULE_PROFIT = 57.15
_AVERAGE_SPREADS = {0.1: 1.4908, 0.01: 1.3489}


def stoikov_market(gamma: float, *, fill_rule: str = "literal", seed: int = 0) -> EnvSettings:
    """Return the market of the 2008 paper; the position limit is never reached."""
    return EnvSettings.model_validate(
        {
            "market": "avellaneda_stoikov",
            "episode_length": 200,
            "order_size": 1.0,
            "max_inventory": 200.0,
            "simulated": {
                "mid": 100.0,
                "volatility": 2.0,
                "horizon": 1.0,
                "buy_intensity": 140.0,
                "sell_intensity": 140.0,
                "decay": 1.5,
                "risk_aversion": gamma,
                "fill_rule": fill_rule,
                "min_depth": -100.0,
                "max_depth": 100.0,
                "seed": seed,
            },
        }
    )


def small_market(*, seed: int = 0) -> EnvSettings:
    """Return the market of the learning gate."""
    return EnvSettings.model_validate(
        {
            "market": "cartea_jaimungal",
            "episode_length": 100,
            "order_size": 1.0,
            "max_inventory": 10.0,
            "simulated": {
                "mid": 100.0,
                "volatility": 0.1,
                "horizon": 1.0,
                "buy_intensity": 10.0,
                "sell_intensity": 10.0,
                "decay": 1.0,
                "running_penalty": 0.5,
                "terminal_penalty": 0.001,
                "max_depth": 4.605,
                "seed": seed,
            },
        }
    )


def _play(settings: EnvSettings, name: str, paths: int) -> Simulated:
    policy: Policy = SIMULATED_POLICIES[name](settings, seed=settings.simulated.seed)
    return simulate(settings, policy, paths=paths)


def _average_spreads() -> Iterator[Comparison]:
    for gamma, expected in _AVERAGE_SPREADS.items():
        bid, ask = theory.avellaneda_stoikov_quotes(
            mid=100.0, inventory=0.0, time_left=0.5, volatility=2.0, risk_aversion=gamma, decay=1.5
        )
        ours = float(np.asarray(ask) - np.asarray(bid))
        printed = round(expected, 2)
        yield Comparison(
            STOIKOV, f"average spread, gamma {gamma:g}", printed, expected, ours, None, 5e-5
        )


def _stoikov(*, paths: int, seed: int) -> Iterator[Comparison]:
    for gamma, policy, printed, expected in _STOIKOV_ROWS:
        market = stoikov_market(gamma, seed=seed)
        played = _play(market, policy, paths)
        if policy == "symmetric":
            expected = symmetric_closed_form(market)
        head = f"{policy}, gamma {gamma:g}:"
        yield _mean(
            STOIKOV, f"{head} profit", printed[0], expected[0], played, exact=policy == "symmetric"
        )
        yield _deviation(f"{head} sd of profit", printed[1], expected[1], played.sd_profit)
        yield _deviation(
            f"{head} sd of final q", printed[2], expected[2], played.sd_final_inventory
        )
    market = stoikov_market(0.1, fill_rule="exact", seed=seed)
    played = _play(market, "inventory", paths)
    what = "inventory, gamma 0.1, exact fill rule: profit"
    yield _mean(STOIKOV, what, None, _EXACT_RULE_PROFIT, played, exact=False)


def symmetric_closed_form(settings: EnvSettings) -> tuple[float, float, float]:
    """Return (mean profit, sd of profit, sd of final inventory) of the symmetric strategy, exact.

    N steps, half spread d, p = A exp(-k d) dt, v = 2 p (1 - p): E = 2 N p d, sd(q) = sqrt(N v) and
    sd(profit) = sqrt(sigma^2 dt v N (N + 1) / 2 + d^2 v N).
    """
    market, steps = settings.simulated, settings.episode_length
    dt = market.horizon / steps
    gamma, sigma = market.risk_aversion, market.volatility
    half = gamma * sigma**2 * market.horizon / 4.0 + np.log1p(gamma / market.decay) / gamma
    chance = market.buy_intensity * np.exp(-market.decay * half) * dt
    moves = 2.0 * chance * (1.0 - chance)
    variance = sigma**2 * dt * moves * steps * (steps + 1) / 2.0 + half**2 * moves * steps
    return (
        float(2.0 * steps * chance * half),
        float(np.sqrt(variance)),
        float(np.sqrt(steps * moves)),
    )


def _mean(
    source: str,
    what: str,
    printed: float | None,
    expected: float,
    played: Simulated,
    *,
    exact: bool,
) -> Comparison:
    """Compare mean profits; a reference that was simulated itself has an error of its own."""
    theirs = 0.0 if exact else played.sd_profit / np.sqrt(REFERENCE_PATHS)
    tolerance = ERRORS_ALLOWED * float(np.hypot(played.mean_profit_error, theirs))
    ours, error = played.mean_profit, played.mean_profit_error
    return Comparison(source, what, printed, expected, ours, error, tolerance)


def _deviation(what: str, printed: float, expected: float, ours: float) -> Comparison:
    tolerance = DEVIATION_ALLOWED * expected
    return Comparison(STOIKOV, what, printed, expected, ours, None, tolerance)


# Parameters, then c1, c2, distances at q = 0 (exact, asymptotic) and exact (bid, ask) at 5 and 10.
_GUEANT_ROWS = (
    (
        "sigma 0.3, A 0.9, k 0.3, gamma 0.01, T 600",
        {"volatility": 0.3, "intensity": 0.9, "decay": 0.3, "risk_aversion": 0.01, "horizon": 600},
        (3.31305, 3.31292, 3.65348, 2.97252, 3.99293, 2.63280),
    ),
    (
        "sigma 2, A 140, k 1.5, gamma 0.1, T 1",
        {"volatility": 2.0, "intensity": 140.0, "decay": 1.5, "risk_aversion": 0.1, "horizon": 1},
        (0.67163, 0.67124, 0.93178, 0.41045, 1.18142, 0.15807),
    ),
)


def _gueant() -> Iterator[Comparison]:
    for head, market, expected in _GUEANT_ROWS:

        def distances(
            inventory: int, method: str, market: dict[str, float] = market
        ) -> tuple[float, float]:
            bid, ask = theory.glft_distances(
                inventory=inventory,
                inventory_cap=30,
                method=method,  # type: ignore[arg-type]
                **market,
            )
            return float(bid), float(ask)

        ours = (
            distances(0, "exact")[0],
            distances(0, "asymptotic")[0],
            *distances(5, "exact"),
            *distances(10, "exact"),
        )
        names = ("q 0 exact", "q 0 asymptotic", "q 5 bid", "q 5 ask", "q 10 bid", "q 10 ask")
        for name, target, found in zip(names, expected, ours, strict=True):
            yield Comparison(GUEANT, f"{head}: {name}", None, target, found, None, 1e-5)


_CARTEA_ROWS = ((140.0, 1.5, 68.25583476, 0.67214), (100.0, 1.0, 73.22586344, 1.00719))


def _cartea() -> Iterator[Comparison]:
    for intensity, decay, value, depth in _CARTEA_ROWS:
        solution = theory.CarteaJaimungal(
            buy_intensity=intensity,
            sell_intensity=intensity,
            decay=decay,
            horizon=1.0,
            running_penalty=0.01,
            terminal_penalty=0.001,
            inventory_cap=100,
        )
        head = f"lambda {intensity:g}, kappa {decay:g}:"
        found = float(solution.value(0.0, 0))
        yield Comparison(CARTEA, f"{head} h(0, 0)", value, value, found, None, 1e-8)
        near = float(solution.depths(0.0, 0)[0])
        yield Comparison(CARTEA, f"{head} depth(0, 0)", None, depth, near, None, 1e-5)


# Objectives over 50,000 paths of an independent program, and their standard errors.
_SMALL_ROWS = (("optimal", 6.394), ("constant_depth", 5.563), ("random", 3.039), ("none", 0.0))
_SMALL_PATHS = 50_000


def _small_market(*, paths: int, seed: int) -> Iterator[Comparison]:
    market = small_market(seed=seed)
    for policy, expected in _SMALL_ROWS:
        played = _play(market, policy, paths)
        error = played.objective_error
        theirs = error * float(np.sqrt(paths / _SMALL_PATHS))
        tolerance = ERRORS_ALLOWED * float(np.hypot(error, theirs))
        what = f"small market, {policy}: objective"
        yield Comparison(CARTEA, what, None, expected, played.objective, error, tolerance)


def table(found: Sequence[Comparison]) -> str:
    """Return the comparison as text: printed, expected, ours, its error, pass or fail."""
    rows = [
        [
            row.source,
            row.what,
            row.printed,
            row.expected,
            row.ours,
            row.error,
            row.tolerance,
            "pass" if row.passed else "FAIL",
        ]
        for row in found
    ]
    header = ["source", "figure", "paper", "expected", "ours", "std error", "tolerance", ""]
    return tabulate(rows, headers=header, floatfmt=".8g", missingval="")
