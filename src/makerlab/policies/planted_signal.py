"""The best maker on a market whose drift is seen: dynamic programming over what it depends on."""

import numpy as np

from makerlab.config import EnvSettings
from makerlab.market.base import Floats, Integers, Observations
from makerlab.market.simulated import SIMULATED_NAMES
from makerlab.market.simulated_kernel import (
    NO_QUOTE_ACTION,
    SimulatedParameters,
    simulated_parameters,
)
from makerlab.policies.base import Actions

DEPTHS = 401
ROUNDS = 6
SIGNALS = np.array([-1.0, 1.0])


class PlannedMaker:
    """The optimum of cartea_jaimungal's objective without fees, on steps rather than in time.

    With n steps left, inventory q and signal s,
    V_n(q, s) = max over depths of E[spread + W_n(q', s)], W_n(q', s) = drift s q' - penalty q'^2 +
    (1 - p) V_n-1(q', s) + p V_n-1(q', -s), p the chance of a change of sign, V_0 = 0. Both sides
    can fill in one step; their depths are chosen in turn, from a grid of `DEPTHS` between the
    bounds and, where that is allowed, from staying out. A depth off by half a grid step costs a
    millionth of the value.
    """

    def __init__(self, settings: EnvSettings) -> None:
        """Plan all steps; takes some tenths of a second."""
        self._parameters: SimulatedParameters = simulated_parameters(
            settings, settings.episode_length
        )
        self._steps, self._cap = settings.episode_length, int(settings.max_inventory)
        low, depth_range = self._parameters.min_depth, self._parameters.depth_range
        self._choices: Floats = np.linspace(
            -1.0, NO_QUOTE_ACTION if settings.allow_no_quote else 1.0, DEPTHS
        ).astype(np.float64)
        if settings.allow_no_quote:
            self._choices = np.append(self._choices, [np.inf])
        self._grid: Floats = low + depth_range * 0.5 * (1.0 + self._choices)
        self.values: Floats = np.zeros((self._steps + 1, 2 * self._cap + 1, 2))
        """V by steps left, inventory + cap, signal -1 and +1; currency."""
        self.actions: Floats = np.empty((self._steps, 2 * self._cap + 1, 2, 2))
        self._plan()

    def act(self, observation: Observations) -> Actions:
        """Return the planned actions; an infinite one leaves a side out."""
        share = observation[:, SIMULATED_NAMES.index("inventory_share")]
        left = observation[:, SIMULATED_NAMES.index("time_left")].astype(np.float64)
        signal = observation[:, SIMULATED_NAMES.index("signal")]
        steps_left: Integers = np.rint(left * self._steps).astype(np.int64)
        inventory = np.rint(share.astype(np.float64) * self._cap).astype(np.int64) + self._cap
        place = np.clip(steps_left, 1, self._steps) - 1
        return np.asarray(self.actions[place, inventory, (signal > 0.0).astype(np.int64)])

    def _plan(self) -> None:
        bid_chances = self._chances(self._parameters.sells)
        ask_chances = self._chances(self._parameters.buys)
        for left in range(1, self._steps + 1):
            after = self._after(left)
            up, down = np.full_like(after, -np.inf), np.full_like(after, -np.inf)
            up[:-1], down[1:] = after[1:] - after[:-1], after[:-1] - after[1:]
            # Where the cap forbids a side its gain counts for nothing.
            bid = np.full(after.shape, len(self._grid) - 1)
            ask = bid.copy()
            for _ in range(ROUNDS):
                bid = self._best(
                    bid_chances, up, down, np.where(down > -np.inf, ask_chances[ask], 0)
                )
                ask = self._best(ask_chances, down, up, np.where(up > -np.inf, bid_chances[bid], 0))
            self.values[left] = after + self._gain(
                bid, ask, (bid_chances, ask_chances), up=up, down=down
            )
            self._keep(left, bid, ask)

    def _after(self, left: int) -> Floats:
        """Return W, by inventory and signal."""
        p, before = self._parameters, self.values[left - 1]
        held = np.arange(-self._cap, self._cap + 1, dtype=np.float64)[:, None]
        penalty = p.running_penalty + (p.terminal_penalty if left == 1 else 0.0)
        drift = p.drift * SIGNALS * held
        stays = (1.0 - p.switching) * before + p.switching * before[:, ::-1]
        return np.asarray(drift - penalty * held**2 + stays)

    def _chances(self, rate: float) -> Floats:
        rates = rate * np.exp(-self._parameters.decay * self._grid)
        return np.asarray(-np.expm1(-rates) if self._parameters.exact else np.minimum(rates, 1.0))

    def _best(self, chances: Floats, own: Floats, other: Floats, other_chance: Floats) -> Integers:
        """Return the grid's best place of one side, given how likely the other one fills.

        A fill gains its depth and the step in W; if both fill, the inventory stays.
        """
        own_step = np.where(own > -np.inf, own, 0.0)
        both = np.where((own > -np.inf) & (other > -np.inf), own_step + other, 0.0)
        worth = own_step - other_chance * np.where(np.isfinite(both), both, 0.0)
        finite = np.where(np.isfinite(self._grid), self._grid, 0.0)
        return np.asarray(np.argmax(chances * (finite + worth[..., None]), axis=-1))

    def _gain(
        self,
        bid: Integers,
        ask: Integers,
        chances: tuple[Floats, Floats],
        *,
        up: Floats,
        down: Floats,
    ) -> Floats:
        """Return what quoting adds to W."""
        finite = np.where(np.isfinite(self._grid), self._grid, 0.0)
        bid_chance = np.where(up > -np.inf, chances[0][bid], 0.0)
        ask_chance = np.where(down > -np.inf, chances[1][ask], 0.0)
        up, down = np.where(up > -np.inf, up, 0.0), np.where(down > -np.inf, down, 0.0)
        one = bid_chance * (finite[bid] + up) + ask_chance * (finite[ask] + down)
        return np.asarray(one - bid_chance * ask_chance * (up + down))

    def _keep(self, left: int, bid: Integers, ask: Integers) -> None:
        for side, chosen in enumerate((bid, ask)):
            self.actions[left - 1, ..., side] = self._choices[chosen]
