"""Episodes on one stretch of candles: the kernel with its observations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.config import EnvSettings
from makerlab.data.candles import Candles
from makerlab.data.split import Segment, contiguous_starts
from makerlab.errors import UserError
from makerlab.market import kernel
from makerlab.market.base import (
    OBSERVATION_LIMIT,
    Floats,
    Integers,
    Observations,
    checked_actions,
)
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


class CandleMarket:
    """One segment's candles with its features, shared read-only by all episodes on it."""

    observation_names: tuple[str, ...] = OBSERVATION_NAMES

    def __init__(self, candles: Candles, segment: Segment, settings: EnvSettings) -> None:
        """Cut the segment out: nothing of another segment remains reachable."""
        self.segment = segment
        self.settings = settings
        self.action_size = 3 if settings.allow_no_quote else 2
        part = slice(segment.start, segment.stop)
        self.ts_ms = candles.ts_ms[part]
        self.bar_ms = candles.source.bar_ms
        self.parameters = kernel.market_parameters(settings, bar_seconds=self.bar_ms / 1000)
        self.draws = fill_draws(settings.fill, self.ts_ms)
        columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
        self.prices = Prices(*(np.ascontiguousarray(column[part]) for column in columns))
        self.mean_price = float(np.mean(self.prices.close))
        self.features = market_features(self.prices)

    def starts(self, episode_length: int | None = None) -> Integers:
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

    def stride(self, episode_length: int) -> int:
        """Return the length of an episode: two that lie so far apart share no bar."""
        return episode_length

    def episodes(self, count: int, *, episode_length: int | None = None) -> "CandleEpisodes":
        """Return a batch of N episodes; `restart` places them before the first step."""
        return CandleEpisodes(self, count, episode_length=episode_length)

    def timestamps_ms(self, start: int, steps: int) -> Integers:
        """Return the open time of the bar in which each step's quotes lived."""
        return np.asarray(self.ts_ms[start + 1 : start + 1 + steps])

    def later_mids(self, starts: Integers, mid: Floats, *, bars: int) -> Floats:
        """Return the close `bars` after each step's; none beyond the segment or a gap."""
        bar = starts[:, None] + np.arange(mid.shape[1])[None, :] + 1
        inside = bar + bars < len(self.ts_ms)
        later = np.where(inside, bar + bars, bar)
        inside &= self.ts_ms[later] - self.ts_ms[bar] == bars * self.bar_ms
        return np.where(inside, self.prices.close[later], np.nan)


class CandleEpisodes:
    """A batch of N episodes on one market, stepped together."""

    def __init__(
        self, market: CandleMarket, episodes: int, *, episode_length: int | None = None
    ) -> None:
        """Allocate N episodes; `restart` places them before the first step."""
        self.market = market
        self.episode_length = episode_length or market.settings.episode_length
        self.parameters = market.parameters._replace(episode_length=self.episode_length)
        self.state: EpisodeState = kernel.new_state(episodes, latency=self.parameters.latency)
        self.outcome: StepOutcome = kernel.new_outcome(episodes)

    def __len__(self) -> int:
        return len(self.state.bar)

    def restart(self, starts: Integers, which: Sequence[int] | None = None) -> None:
        """Start episodes (all, or those named) at the closes of the given bars.

        Raises ValueError for a bar that has no features yet or none after it.
        """
        last = len(self.market.prices.close) - 2
        if len(starts) and not WARM_UP_BARS <= np.min(starts) <= np.max(starts) <= last:
            raise ValueError(f"episodes start at bars {WARM_UP_BARS} to {last}, found {starts}")
        chosen = range(len(self)) if which is None else which
        for episode, bar in zip(chosen, starts, strict=True):
            kernel.start(self.market.prices, self.parameters, self.state, episode, int(bar))

    def step(self, actions: npt.NDArray[Any]) -> StepOutcome:
        """Advance by one bar with actions of shape (episodes, 2 or 3); the outcome is reused.

        Raises ValueError for another shape and for NaN, and IndexError at the market's end: the
        kernel itself checks no bounds.
        """
        sizes = (len(self), 3 if np.shape(actions)[-1:] == (3,) else 2)
        chosen = checked_actions(actions, sizes)
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
