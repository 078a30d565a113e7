"""The one protocol of everything that quotes."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from makerlab.market.base import Observations
from makerlab.market.episodes import OBSERVATION_NAMES

Actions = npt.NDArray[np.floating[Any]]


class Policy(Protocol):
    """A market maker: closed-form, random or learned."""

    def act(self, observation: Observations) -> Actions:
        """Return actions of shape (episodes, 2 or 3) for observations (episodes, features).

        On candles the first action widens (+1) or narrows (-1) the half-spread by alpha, the
        second moves both quotes up (+1) or down (-1) by beta half-spreads; the third, where the
        environment has one, leaves out the bid (below -1/3) or the ask (above 1/3). On simulated
        markets the actions are the depths of bid and ask, from the least allowed (-1) to the
        largest (+1). Infinite actions leave out both sides.
        """
        ...


def observed(observation: Observations, name: str) -> npt.NDArray[np.float64]:
    """Return one named column of observations as float64."""
    return observation[:, OBSERVATION_NAMES.index(name)].astype(np.float64)
