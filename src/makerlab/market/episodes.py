"""Episodes on one stretch of candles: the compiled kernel behind checks, with its observations."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.config import EnvSettings
from makerlab.data.candles import Candles
from makerlab.data.split import Segment, contiguous_starts
from makerlab.errors import UserError
from makerlab.market import kernel
from makerlab.market.base import ACCOUNTS, DIVERGED, Floats, Integers, Observations
from makerlab.market.draws import fill_draws
from makerlab.market.features import FEATURE_NAMES, WARM_UP_BARS, Features, market_features
from makerlab.market.layout import (
    EPISODE,
    EpisodeState,
    Prices,
    StepOutcome,
    market_parameters,
    outcome_of,
    parameter_row,
    state_of,
)

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

    def __init__(
        self,
        candles: Candles,
        segment: Segment,
        settings: EnvSettings,
        *,
        features: Features | None = None,
    ) -> None:
        """Cut the segment out: nothing of another segment remains reachable.

        `features` are those of these candles as a whole, where they are at hand.
        """
        self.segment = segment
        self.settings = settings
        self.action_size = 3 if settings.allow_no_quote else 2
        part = slice(segment.start, segment.stop)
        self.ts_ms = candles.ts_ms[part]
        self.bar_ms = candles.source.bar_ms
        self.parameters = market_parameters(settings, bar_seconds=self.bar_ms / 1000)
        self.draws = fill_draws(settings.fill, self.ts_ms)
        columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
        self.bars = np.stack([column[part] for column in columns], axis=1)
        self.prices = Prices(*self.bars.T)
        self.mean_price = float(np.mean(self.prices.close))
        self.features = market_features(self.prices) if features is None else features[part]
        # What the first bars of a whole look like may be known from before the segment.
        self.features[:WARM_UP_BARS] = np.nan

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
    """A batch of N episodes on one market, stepped together in one compiled call.

    `step` also writes `observation`, float32 (episodes, len(OBSERVATION_NAMES)): what is seen after
    the step, in the same memory every time. Together they allocate nothing when actions are
    C-contiguous float64; whoever keeps an observation copies it.
    """

    def __init__(
        self, market: CandleMarket, episodes: int, *, episode_length: int | None = None
    ) -> None:
        """Allocate N episodes; `restart` places them before the first step."""
        self.market = market
        self.episode_length = episode_length or market.settings.episode_length
        self.parameters = market.parameters._replace(episode_length=self.episode_length)
        self._parameters = parameter_row(self.parameters)
        self._table = np.zeros(episodes, EPISODE)
        self._waiting = np.zeros((episodes, self.parameters.latency + 1, 2))
        self.state: EpisodeState = state_of(self._table, self._waiting)
        self.outcome: StepOutcome = outcome_of(self._table)
        self.observation: Observations = np.zeros((episodes, len(OBSERVATION_NAMES)), np.float32)

    def __len__(self) -> int:
        return len(self._table)

    def restart(self, starts: Integers, which: Sequence[int] | None = None) -> None:
        """Start episodes (all, or those named) at the closes of the given bars.

        Raises ValueError for a bar that has no features yet or none after it.
        """
        last = len(self.market.bars) - 2
        if len(starts) and not WARM_UP_BARS <= np.min(starts) <= np.max(starts) <= last:
            raise ValueError(f"episodes start at bars {WARM_UP_BARS} to {last}, found {starts}")
        chosen = np.arange(len(self)) if which is None else np.array(which, np.int64)
        if len(chosen) != len(starts):
            raise ValueError(f"found {len(starts)} starts for {len(chosen)} episodes")
        bars = np.ascontiguousarray(starts, np.int64)
        kernel.begin(self.market.bars, self._parameters, self._table, self._waiting, chosen, bars)
        self._observe()

    def step(self, actions: npt.NDArray[Any]) -> StepOutcome:
        """Advance by one bar with actions of shape (episodes, 2 or 3) and observe.

        Raises ValueError for another shape and for NaN, and IndexError at the market's end; then
        nothing has moved. The outcome and `observation` are overwritten by the next step.
        """
        chosen = np.ascontiguousarray(actions, dtype=np.float64)
        if chosen.ndim != 2 or len(chosen) != len(self._table) or chosen.shape[1] not in (2, 3):
            raise ValueError(f"found actions of shape {chosen.shape}, expected ({len(self)}, 2)")
        market = self.market
        done = kernel.advance(
            market.bars,
            market.features,
            market.draws,
            self._parameters,
            self._table,
            self._waiting,
            chosen,
            self.observation,
        )
        if done == kernel.NOT_A_NUMBER:
            raise ValueError(DIVERGED)
        if done == kernel.NO_BAR_LEFT:
            raise IndexError("no bar is left: the episode has ended")
        return self.outcome

    def accounts(self, episode: int) -> tuple[Any, ...]:
        """Return the numbers of one episode that `ACCOUNTS` names, as plain Python."""
        chosen: tuple[Any, ...] = _chosen(self._table.item(episode))
        return chosen

    def observe(self) -> Observations:
        """Observe the state as it stands; returns a copy of `observation`, within +-10."""
        self._observe()
        return self.observation.copy()

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of the state, for a checkpoint."""
        return {name: array.copy() for name, array in self.state._asdict().items()}

    def restore(self, snapshot: dict[str, npt.NDArray[Any]]) -> None:
        """Take back a state given by `snapshot`."""
        for name, array in self.state._asdict().items():
            array[:] = snapshot[name]
        self._observe()

    def _observe(self) -> None:
        kernel.observe(self.market.features, self._parameters, self._table, self.observation)


_chosen = operator.itemgetter(*[(EPISODE.names or ()).index(name) for name in ACCOUNTS])
