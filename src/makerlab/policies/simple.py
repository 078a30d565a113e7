"""Policies that know nothing of the market: any can be played on any."""

import numpy as np

from makerlab.market.base import Observations
from makerlab.policies.base import Actions


class NoQuote:
    """Quotes nothing: the value of staying out."""

    def act(self, observation: Observations) -> Actions:
        """Return infinitely wide quotes."""
        return np.full((len(observation), 2), np.inf)


class RandomQuotes:
    """Uniform random actions: what no idea at all earns."""

    def __init__(self, *, seed: int, actions: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._actions = actions

    def act(self, observation: Observations) -> Actions:
        """Return uniform actions in [-1, 1]."""
        return self._generator.uniform(-1.0, 1.0, (len(observation), self._actions))
