"""Makers on simulated markets: the known optimum, the papers' strategies, simple yardsticks."""

from typing import Protocol

import numpy as np

from makerlab import theory
from makerlab.config import EnvSettings
from makerlab.errors import UserError
from makerlab.market.base import Floats, Integers, Observations
from makerlab.market.simulated import SIMULATED_NAMES
from makerlab.market.simulated_kernel import NO_QUOTE_ACTION
from makerlab.policies.base import Actions, Policy
from makerlab.policies.planted_signal import PlannedMaker
from makerlab.policies.simple import NoQuote, RandomQuotes

OPTIMUM, NOTHING = "optimal", "no_quote"
"""Names of the best policy there is, and of the one that stays out."""


class DepthRule(Protocol):
    """Distances that depend on time left and inventory alone."""

    def __call__(self, time_left: Floats, inventory: Floats) -> tuple[Floats, Floats]:
        """Return (bid, ask) distances for arguments that broadcast."""
        ...


class DepthTable:
    """Quotes the depths of a table over steps and inventories, cut to the allowed ones."""

    def __init__(self, settings: EnvSettings, rule: DepthRule) -> None:
        """Fill the table from a rule of time left and inventory."""
        self._steps = settings.episode_length
        self._cap = int(settings.max_inventory)
        left = settings.simulated.horizon * np.arange(self._steps, 0, -1) / self._steps
        inventory = np.arange(-self._cap, self._cap + 1, dtype=np.float64)
        bid, ask = rule(left[:, None], inventory[None, :])
        shape = (self._steps, len(inventory))
        self.depths: Floats = np.stack(
            [np.broadcast_to(side, shape) for side in (bid, ask)], axis=-1
        )
        self._low = settings.simulated.min_depth
        self._range = settings.simulated.max_depth - self._low
        # A larger action would leave the side out.
        self._farthest = NO_QUOTE_ACTION if settings.allow_no_quote else 1.0

    def act(self, observation: Observations) -> Actions:
        """Return the actions whose depths are the table's; an infinite one leaves a side out."""
        depths = self.depths[self._place(observation)]
        actions = 2.0 * (depths - self._low) / self._range - 1.0
        return np.where(np.isfinite(actions), np.clip(actions, -1.0, self._farthest), np.inf)

    def _place(self, observation: Observations) -> tuple[Integers, Integers]:
        share = observation[:, SIMULATED_NAMES.index("inventory_share")]
        left = observation[:, SIMULATED_NAMES.index("time_left")]
        step = np.rint((1.0 - left.astype(np.float64)) * self._steps).astype(np.int64)
        inventory = np.rint(share.astype(np.float64) * self._cap).astype(np.int64)
        return np.clip(step, 0, self._steps - 1), inventory + self._cap


def constant_depth(settings: EnvSettings, depth: float) -> DepthTable:
    """Return the maker who quotes one distance on both sides."""
    return DepthTable(settings, lambda left, inventory: (np.full(1, depth), np.full(1, depth)))


def avellaneda_stoikov(settings: EnvSettings) -> DepthTable:
    """Return the inventory strategy of Avellaneda and Stoikov's paper."""
    simulated = settings.simulated

    def rule(time_left: Floats, inventory: Floats) -> tuple[Floats, Floats]:
        bid, ask = theory.avellaneda_stoikov_quotes(
            mid=0.0,
            inventory=inventory,
            time_left=time_left,
            volatility=simulated.volatility,
            risk_aversion=simulated.risk_aversion,
            decay=simulated.decay,
        )
        return -np.asarray(bid), np.asarray(ask)

    return DepthTable(settings, rule)


def symmetric(settings: EnvSettings) -> DepthTable:
    """Return the paper's symmetric strategy: the average spread of `avellaneda_stoikov`.

    gamma sigma^2 T / 2 + (2/gamma) ln(1 + gamma/k), centred on the mid.
    """
    simulated = settings.simulated
    bid, ask = theory.avellaneda_stoikov_quotes(
        mid=0.0,
        inventory=0.0,
        time_left=simulated.horizon / 2.0,
        volatility=simulated.volatility,
        risk_aversion=simulated.risk_aversion,
        decay=simulated.decay,
    )
    return constant_depth(settings, float(np.asarray(ask) - np.asarray(bid)) / 2.0)


def gueant_lehalle_fernandez_tapia(settings: EnvSettings) -> DepthTable:
    """Return the exact optimum of an exponential utility with a position limit."""
    simulated = settings.simulated

    def rule(time_left: Floats, inventory: Floats) -> tuple[Floats, Floats]:
        bid, ask = theory.glft_distances(
            inventory=inventory,
            volatility=simulated.volatility,
            risk_aversion=simulated.risk_aversion,
            decay=simulated.decay,
            intensity=simulated.buy_intensity,
            horizon=time_left,
            inventory_cap=int(settings.max_inventory),
            method="exact",
        )
        return np.asarray(bid), np.asarray(ask)

    return DepthTable(settings, rule)


def cartea_jaimungal(settings: EnvSettings) -> DepthTable:
    """Return the optimum under running and terminal inventory penalties."""
    simulated = settings.simulated
    solution = theory.CarteaJaimungal(
        buy_intensity=simulated.buy_intensity,
        sell_intensity=simulated.sell_intensity,
        decay=simulated.decay,
        horizon=simulated.horizon,
        running_penalty=simulated.running_penalty,
        terminal_penalty=simulated.terminal_penalty,
        inventory_cap=int(settings.max_inventory),
    )

    def rule(time_left: Floats, inventory: Floats) -> tuple[Floats, Floats]:
        bid, ask = solution.depths(np.maximum(simulated.horizon - time_left, 0.0), inventory)
        return np.asarray(bid), np.asarray(ask)

    return DepthTable(settings, rule)


class DepthPolicy(Protocol):
    """Makes a policy of a simulated market's settings; only random ones need the seed."""

    def __call__(self, settings: EnvSettings, *, seed: int) -> Policy:
        """Return the policy."""
        ...


def knows_optimum(settings: EnvSettings) -> bool:
    """Return whether `optimal` is the optimum: the theories know no fees.

    Nor is a drift that is seen known under an exponential utility.
    """
    drifts = bool(settings.simulated.signal_strength)
    return settings.fee_rate == 0.0 and (not drifts or settings.market == "cartea_jaimungal")


def optimal(settings: EnvSettings) -> Policy:
    """Return the known optimum of a simulated market.

    Raises UserError where there is none.
    """
    if not knows_optimum(settings):
        raise UserError(
            f"no optimum is known on market {settings.market} with fee_rate "
            f"{settings.fee_rate} and signal_strength {settings.simulated.signal_strength}; "
            "expected no fees, and a signal on cartea_jaimungal only"
        )
    if settings.simulated.signal_strength is not None and settings.market == "cartea_jaimungal":
        return PlannedMaker(settings)
    if settings.market == "avellaneda_stoikov":
        return gueant_lehalle_fernandez_tapia(settings)
    return cartea_jaimungal(settings)


SIMULATED_POLICIES: dict[str, DepthPolicy] = {
    "none": lambda settings, seed: NoQuote(),
    "random": lambda settings, seed: RandomQuotes(seed=seed, actions=2),
    "constant_depth": lambda settings, seed: constant_depth(
        settings, 1.0 / settings.simulated.decay
    ),
    "symmetric": lambda settings, seed: symmetric(settings),
    "inventory": lambda settings, seed: avellaneda_stoikov(settings),
    "optimal": lambda settings, seed: optimal(settings),
}
"""Policies by the names they have on the command line."""


def simulated_baselines(settings: EnvSettings, *, seed: int) -> dict[str, Policy]:
    """Return no quotes, random ones, one distance of 1/decay, and the optimum if known."""
    common: dict[str, Policy] = {
        NOTHING: NoQuote(),
        "random": RandomQuotes(seed=seed, actions=2),
        "constant_depth": constant_depth(settings, 1.0 / settings.simulated.decay),
    }
    if settings.market == "avellaneda_stoikov":
        common["avellaneda_stoikov"] = avellaneda_stoikov(settings)
        common["symmetric"] = symmetric(settings)
    return common | ({OPTIMUM: optimal(settings)} if knows_optimum(settings) else {})
