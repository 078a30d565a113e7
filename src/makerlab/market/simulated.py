"""Simulated markets whose best quotes are known: Avellaneda-Stoikov and Cartea-Jaimungal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.config import EnvSettings
from makerlab.data.split import Segment
from makerlab.market import simulated_kernel as kernel
from makerlab.market.base import (
    ACCOUNTS,
    Floats,
    Integers,
    Observations,
    checked_actions,
)
from makerlab.market.layout import StepOutcome, new_outcome
from makerlab.market.simulated_kernel import SimulatedParameters, SimulatedState

STEP_MS = 1000
"""A step lasts a second on the clock of files and of annualised ratios."""

CLOCK_START_MS = 946_684_800_000  # 2000-01-01T00:00Z

SIMULATED_NAMES = ("inventory_share", "inventory_scaled", "time_left", "signal")


class SimulatedMarket:
    """A range of a simulated market's episodes, each with random numbers of its own."""

    observation_names: tuple[str, ...] = SIMULATED_NAMES
    action_size: int = 2
    bar_ms: int = STEP_MS

    def __init__(self, segment: Segment, settings: EnvSettings) -> None:
        """Take the episodes with the numbers segment.start to segment.stop - 1."""
        self.segment = segment
        self.settings = settings
        self.mean_price = settings.simulated.mid

    def starts(self, episode_length: int | None = None) -> Integers:
        """Return the numbers of all episodes."""
        return np.arange(self.segment.start, self.segment.stop, dtype=np.int64)

    def stride(self, episode_length: int) -> int:
        """Return 1: episodes share nothing."""
        return 1

    def episodes(self, count: int, *, episode_length: int | None = None) -> "SimulatedEpisodes":
        """Return a batch of N episodes; `restart` places them before the first step."""
        return SimulatedEpisodes(self, count, episode_length=episode_length)

    def timestamps_ms(self, start: int, steps: int) -> Integers:
        """Return the time of each step on a made-up clock on which episodes follow each other."""
        first = start * self.settings.episode_length
        return CLOCK_START_MS + STEP_MS * np.arange(first, first + steps, dtype=np.int64)

    def later_mids(self, starts: Integers, mid: Floats, *, bars: int) -> Floats:
        """Return the mid `bars` steps later in the same episode."""
        later = np.full_like(mid, np.nan)
        later[:, :-bars] = mid[:, bars:]
        return later


class SimulatedEpisodes:
    """A batch of N episodes of a simulated market, stepped together."""

    def __init__(
        self, market: SimulatedMarket, episodes: int, *, episode_length: int | None = None
    ) -> None:
        """Allocate N episodes; `restart` places them before the first step."""
        self.market = market
        self.episode_length = episode_length or market.settings.episode_length
        self.parameters: SimulatedParameters = kernel.simulated_parameters(
            market.settings, self.episode_length
        )
        self.state: SimulatedState = kernel.new_simulated_state(episodes)
        self.outcome: StepOutcome = new_outcome(episodes)
        self.observation: Observations = np.zeros((episodes, len(SIMULATED_NAMES)), np.float32)

    def __len__(self) -> int:
        return len(self.state.step)

    def restart(self, starts: Integers, which: Sequence[int] | None = None) -> None:
        """Start episodes (all, or those named); raises ValueError outside the segment."""
        segment = self.market.segment
        if len(starts) and not segment.start <= np.min(starts) <= np.max(starts) < segment.stop:
            raise ValueError(
                f"episodes have the numbers {segment.start} to {segment.stop - 1}, found {starts}"
            )
        chosen = np.arange(len(self)) if which is None else np.array(which, np.int64)
        if len(chosen) != len(starts):
            raise ValueError(f"found {len(starts)} starts for {len(chosen)} episodes")
        kernel.begin(self.parameters, self.state, chosen, np.asarray(starts, np.int64))
        self._observe()

    def step(self, actions: npt.NDArray[Any]) -> StepOutcome:
        """Advance by one step with actions of shape (episodes, 2) and observe.

        Raises ValueError for another shape and for NaN. The outcome and `observation` are
        overwritten by the next step.
        """
        chosen = checked_actions(actions, (len(self), 2))
        kernel.advance(self.parameters, self.state, chosen, self.outcome, self.observation)
        return self.outcome

    def accounts(self, episode: int) -> tuple[Any, ...]:
        """Return the numbers of one episode that `ACCOUNTS` names, as plain Python."""
        columns = self.outcome._asdict() | self.state._asdict()
        return tuple(columns[name].item(episode) for name in ACCOUNTS)

    def observe(self) -> Observations:
        """Observe the state as it stands; returns a copy of `observation`, within +-10."""
        self._observe()
        return self.observation.copy()

    def _observe(self) -> None:
        kernel.observe(self.parameters, self.state, self.observation)

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of the state, for a checkpoint."""
        return {name: array.copy() for name, array in self.state._asdict().items()}

    def restore(self, snapshot: dict[str, npt.NDArray[Any]]) -> None:
        """Take back a state given by `snapshot`."""
        for name, array in self.state._asdict().items():
            array[:] = snapshot[name]
        self._observe()
