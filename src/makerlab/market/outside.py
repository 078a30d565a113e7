"""A policy's view of candles while something other than the kernel fills its quotes."""

import math

import numpy as np

from makerlab.market import kernel
from makerlab.market.base import Floats, Observations
from makerlab.market.episodes import CandleMarket
from makerlab.market.features import CLIP, FEATURE_NAMES


class OutsideMaker:
    """One episode whose fills are told to it; observations and quotes are the environment's own."""

    def __init__(self, market: CandleMarket, *, steps: int, own_bar_ms: int) -> None:
        """Prepare an episode of `steps` bars for a policy that learned on bars of `own_bar_ms`.

        On shorter bars it is told the volatility of its own ones, by the root of time, so that it
        sees the market's volatility and not the bars'; all other features are free of that scale.
        """
        self.market = market
        self._batch = market.episodes(1, episode_length=steps)
        self._shift = 0.5 * math.log(own_bar_ms / market.bar_ms)
        self._parameters = market.parameters

    def restart(self, bar: int) -> None:
        """Stand at the close of a bar, flat."""
        self._batch.restart(np.array([bar]))

    def observe(self) -> Observations:
        """Return the observation, shape (1, features)."""
        observation = self._batch.observe()
        place = FEATURE_NAMES.index("log_volatility")
        observation[:, place] = np.clip(observation[:, place] + self._shift, -CLIP, CLIP)
        return observation

    def quotes(self, action: Floats) -> tuple[float, float]:
        """Return (bid, ask) around the close; infinite where a side is left out."""
        mid = float(self.market.prices.close[self._batch.state.bar[0]])
        chosen = np.ascontiguousarray(action, np.float64).reshape(1, -1)
        if np.isnan(chosen).any():
            raise ValueError("found an action that is NaN; the policy has diverged")
        bid, ask = kernel.quotes(self._parameters, mid, chosen, 0)
        return float(bid), float(ask)

    def told(self, *, bid: float, ask: float, bought: float, sold: float, inventory: float) -> None:
        """Go to the next bar, in which the quotes lived and these quantities were filled."""
        state = self._batch.state
        mid = self.market.prices.close[state.bar[0]]
        half = kernel.base_half_spread(self._parameters, mid)
        state.bar[0] += 1
        state.step[0] += 1
        state.inventory[0] = inventory
        state.bid_distance[0], state.ask_distance[0] = (mid - bid) / half, (ask - mid) / half
        state.bid_filled[0], state.ask_filled[0] = bought, sold
