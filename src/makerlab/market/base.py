"""What every market offers, candles and simulations alike: N independent episodes in one call."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from makerlab.config import EnvSettings
from makerlab.data.split import Segment
from makerlab.market.layout import StepOutcome

OBSERVATION_LIMIT = 10.0
DIVERGED = "found an action that is NaN; the policy has diverged"

ACCOUNTS = (
    "cash",
    "inventory",
    "equity",
    "mid",
    "bid",
    "ask",
    "bid_filled",
    "ask_filled",
    "fees",
    "turnover",
    "spread_captured",
    "inventory_profit",
    "reward",
    "terminated",
    "truncated",
)
"""Money, fills, reward and ends of a step; the last three are what Gymnasium returns apart."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Observations = npt.NDArray[np.float32]


class Accounts(Protocol):
    """The part of an episode's state that every market keeps; arrays of shape (episodes,)."""

    @property
    def cash(self) -> Floats:
        """Money, currency."""
        ...

    @property
    def inventory(self) -> Floats:
        """Position, base units."""
        ...

    @property
    def equity(self) -> Floats:
        """Cash plus inventory at the mid, currency."""
        ...

    @property
    def start_mid(self) -> Floats:
        """Mid at the episode's start, currency."""
        ...


class Episodes(Protocol):
    """A batch of N episodes on one market, stepped together."""

    episode_length: int
    outcome: StepOutcome
    observation: Observations

    @property
    def state(self) -> Accounts:
        """Where the episodes stand."""
        ...

    def __len__(self) -> int:
        """Return N."""
        ...

    def restart(self, starts: Integers, which: Sequence[int] | None = None) -> None:
        """Start episodes (all, or those named) at starts of the market."""
        ...

    def step(self, actions: npt.NDArray[Any]) -> StepOutcome:
        """Advance by one step with actions of shape (episodes, actions) and observe.

        The outcome and `observation` are overwritten by the next step.
        """
        ...

    def accounts(self, episode: int) -> tuple[Any, ...]:
        """Return the numbers of one episode that `ACCOUNTS` names, as plain Python."""
        ...

    def observe(self) -> Observations:
        """Return a copy of `observation`, (episodes, len(observation_names)), within +-10."""
        ...

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of the state, for a checkpoint."""
        ...

    def restore(self, snapshot: dict[str, npt.NDArray[Any]]) -> None:
        """Take back a state given by `snapshot`."""
        ...


class Market(Protocol):
    """One segment of a market: where episodes may start, and how they are played.

    A start is a whole number: the bar at whose close an episode on candles begins, the number of
    an episode of a simulation.
    """

    settings: EnvSettings
    segment: Segment
    bar_ms: int
    mean_price: float
    observation_names: tuple[str, ...]
    action_size: int

    def starts(self, episode_length: int | None = None) -> Integers:
        """Return all starts, ascending."""
        ...

    def stride(self, episode_length: int) -> int:
        """Return how far apart two starts must lie for their episodes to share nothing."""
        ...

    def episodes(self, count: int, *, episode_length: int | None = None) -> Episodes:
        """Return a batch of N episodes; `restart` places them before the first step."""
        ...

    def timestamps_ms(self, start: int, steps: int) -> Integers:
        """Return the open time of each step's bar, shape (steps,), for an episode's start."""
        ...

    def later_mids(self, starts: Integers, mid: Floats, *, bars: int) -> Floats:
        """Return the mid `bars` steps after each step, NaN where there is none.

        `mid` is that at the end of each step, shape (episodes, steps), as is the result.
        """
        ...


def checked_actions(actions: npt.NDArray[Any], shape: tuple[int, ...]) -> Floats:
    """Return actions as float64; raises ValueError for another shape and for NaN.

    NaN must not pass for a decision to stay out.
    """
    chosen = np.ascontiguousarray(actions, dtype=np.float64)
    if chosen.shape != shape:
        raise ValueError(f"found actions of shape {chosen.shape}, expected {shape}")
    if np.isnan(chosen).any():
        raise ValueError(DIVERGED)
    return chosen
