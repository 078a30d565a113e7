"""N independent episodes on one stretch of candles: the kernel with its observations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.config import EnvSettings
from makerlab.data.candles import Candles
from makerlab.data.split import Segment, contiguous_starts
from makerlab.errors import UserError
from makerlab.market import kernel
from makerlab.market.draws import fill_draws
from makerlab.market.features import FEATURE_NAMES, WARM_UP_BARS, market_features
from makerlab.market.kernel import EpisodeState, Prices, StepOutcome

OWN_NAMES = (
    "inventory_share",
    "time_left",
    "last_bid_distance",
    "last_ask_distance",
    "last_bid_filled",
    "last_ask_filled",
)
OBSERVATION_NAMES = FEATURE_NAMES + OWN_NAMES
OBSERVATION_LIMIT = 10.0
Observations = npt.NDArray[np.float32]


class Market:
    """One segment's candles with its features, shared read-only by all episodes on it."""

    def __init__(self, candles: Candles, segment: Segment, settings: EnvSettings) -> None:
        """Cut the segment out: nothing of another segment remains reachable."""
        self.segment = segment
        self.settings = settings
        part = slice(segment.start, segment.stop)
        self.ts_ms = candles.ts_ms[part]
        self.bar_ms = candles.source.bar_ms
        self.parameters = kernel.market_parameters(settings, bar_seconds=self.bar_ms / 1000)
        self.draws = fill_draws(settings.fill, self.ts_ms)
        columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
        self.prices = Prices(*(np.ascontiguousarray(column[part]) for column in columns))
        self.features = market_features(self.prices)

    def starts(self, episode_length: int | None = None) -> npt.NDArray[np.int64]:
        """Return the bars at which an episode can start: warmed up, complete, without a gap.

        Raises UserError when the segment holds no such bar.
        """
        length = episode_length or self.settings.episode_length
        needed = WARM_UP_BARS + length + 1
        starts = contiguous_starts(self.ts_ms, self.bar_ms, length=needed) + WARM_UP_BARS
        if len(starts) == 0:
            raise UserError(
                f"data_split: the {self.segment.name} segment has {len(self.ts_ms)} bars and no "
                f"stretch of {needed} without a gap, which an episode of {length} bars needs "
                f"({WARM_UP_BARS} to warm up before it, 1 after it); "
                "use more data, a shorter episode or another split"
            )
        return starts


class Episodes:
    """A batch of N episodes on one market, stepped together."""

    def __init__(self, market: Market, episodes: int, *, episode_length: int | None = None) -> None:
        """Allocate N episodes; `restart` places them before the first step."""
        self.market = market
        length = episode_length or market.settings.episode_length
        self.parameters = market.parameters._replace(episode_length=length)
        self.state: EpisodeState = kernel.new_state(episodes, latency=self.parameters.latency)
        self.outcome: StepOutcome = kernel.new_outcome(episodes)

    def __len__(self) -> int:
        return len(self.state.bar)

    def restart(self, bars: npt.NDArray[np.int64], which: Sequence[int] | None = None) -> None:
        """Start episodes (all, or those named) at the closes of the given bars.

        Raises ValueError for a bar that has no features yet or none after it.
        """
        last = len(self.market.prices.close) - 2
        if len(bars) and not WARM_UP_BARS <= np.min(bars) <= np.max(bars) <= last:
            raise ValueError(f"episodes start at bars {WARM_UP_BARS} to {last}, found {bars}")
        chosen = range(len(self)) if which is None else which
        for episode, bar in zip(chosen, bars, strict=True):
            kernel.start(self.market.prices, self.parameters, self.state, episode, int(bar))

    def step(self, actions: npt.NDArray[Any]) -> StepOutcome:
        """Advance by one bar with actions of shape (episodes, 2 or 3); the outcome is reused.

        Raises ValueError for another shape and for NaN, which must not pass for a decision to
        stay out, and IndexError at the market's end: the kernel itself checks no bounds.
        """
        chosen = np.ascontiguousarray(actions, dtype=np.float64)
        if chosen.shape not in ((len(self), 2), (len(self), 3)):
            raise ValueError(f"found actions of shape {chosen.shape}, expected ({len(self)}, 2)")
        if np.isnan(chosen).any():
            raise ValueError("found an action that is NaN; the policy has diverged")
        if self.state.bar.max() + 1 >= len(self.market.prices.close):
            raise IndexError("no bar is left: the episode has ended")
        market = self.market
        kernel.step(market.prices, market.draws, self.parameters, self.state, chosen, self.outcome)
        return self.outcome

    def observe(self) -> Observations:
        """Return observations of shape (episodes, len(OBSERVATION_NAMES)), each within +-10."""
        state, parameters = self.state, self.parameters
        shared = len(FEATURE_NAMES)
        result = np.empty((len(self), len(OBSERVATION_NAMES)), np.float32)
        result[:, :shared] = self.market.features[state.bar]
        own = result[:, shared:]
        own[:, 0] = state.inventory / parameters.max_inventory
        own[:, 1] = 1.0 - state.step / parameters.episode_length
        own[:, 2] = np.clip(state.bid_distance, -OBSERVATION_LIMIT, OBSERVATION_LIMIT)
        own[:, 3] = np.clip(state.ask_distance, -OBSERVATION_LIMIT, OBSERVATION_LIMIT)
        own[:, 4] = state.bid_filled / parameters.order_size
        own[:, 5] = state.ask_filled / parameters.order_size
        return result

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of the state, for a checkpoint."""
        return {name: array.copy() for name, array in self.state._asdict().items()}

    def restore(self, snapshot: dict[str, npt.NDArray[Any]]) -> None:
        """Take back a state given by `snapshot`."""
        for name, array in self.state._asdict().items():
            array[:] = snapshot[name]
