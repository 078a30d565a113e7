"""The deepest trade of each window beyond the mid at its start, from trades or from bars."""

import dataclasses

import numpy as np
import numpy.typing as npt

from makerlab.data.candles import Candles
from makerlab.data.capture import UNKNOWN, Capture

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NANOSECONDS = 1_000_000_000
BASIS_POINTS = 1e4


@dataclasses.dataclass(frozen=True)
class Windows:
    """Windows side by side, oldest first; arrays of shape (windows,).

    `bid_bps` and `ask_bps` are how far below and above the mid of the start the deepest trade lies
    that an order on that side could have met; -inf where there was none.
    """

    start_ns: Integers
    seconds: float
    mid: Floats
    bid_bps: Floats
    ask_bps: Floats

    def __len__(self) -> int:
        return len(self.start_ns)

    def between(self, start_ns: int, stop_ns: int) -> "Windows":
        """Return the windows that start in a span of time."""
        inside = (self.start_ns >= start_ns) & (self.start_ns < stop_ns)
        arrays = {
            name: getattr(self, name)[inside] for name in ("start_ns", "mid", "bid_bps", "ask_bps")
        }
        return dataclasses.replace(self, **arrays)

    @property
    def volatility_bps(self) -> float:
        """Standard deviation of the mid's move over one window, basis points."""
        steps = np.diff(self.start_ns) == round(self.seconds * NANOSECONDS)
        return float(BASIS_POINTS * np.std(np.diff(np.log(self.mid))[steps]))


def windows_of_capture(capture: Capture, seconds: float) -> Windows:
    """Cut a capture's trades into windows by the exchange's clock.

    The mid is that of the last best quotes before a window starts, or the last trade's price where
    the capture's quotes carry no time. An aggressor that sells meets bids, one that buys asks.
    """
    trades, quotes = capture.trades, capture.quotes
    timed = len(quotes.exchange_ns) > 0 and bool(np.all(quotes.exchange_ns != UNKNOWN))
    times = quotes.exchange_ns if timed else trades.exchange_ns
    mids = (quotes.bid + quotes.ask) / 2.0 if timed else trades.price
    order = np.argsort(times, kind="stable")
    times, mids = times[order], mids[order]
    length = round(seconds * NANOSECONDS)
    first = int(times[0])
    last = min(int(times[-1]), int(trades.exchange_ns.max()))
    starts = first + length * np.arange((last - first) // length, dtype=np.int64)
    mid = mids[np.searchsorted(times, starts, side="right") - 1]
    return Windows(
        start_ns=starts,
        seconds=seconds,
        mid=mid,
        bid_bps=_deepest(capture, starts, length, mid, sold=True),
        ask_bps=_deepest(capture, starts, length, mid, sold=False),
    )


def windows_of_candles(candles: Candles) -> Windows:
    """Take each bar as a window, its mid the close before it; bars after a gap are left out."""
    follows = np.diff(candles.ts_ms) == candles.bar_ms
    mid = candles.close[:-1][follows]
    low, high = candles.low[1:][follows], candles.high[1:][follows]
    return Windows(
        start_ns=candles.ts_ms[1:][follows] * 1_000_000,
        seconds=candles.bar_ms / 1000,
        mid=mid,
        bid_bps=BASIS_POINTS * (mid - low) / mid,
        ask_bps=BASIS_POINTS * (high - mid) / mid,
    )


def _deepest(capture: Capture, starts: Integers, length: int, mid: Floats, *, sold: bool) -> Floats:
    trades = capture.trades
    deepest = np.full(len(starts), -np.inf)
    if not len(starts):
        return deepest
    window = (trades.exchange_ns - starts[0]) // length
    chosen = (trades.sold == sold) & (window >= 0) & (window < len(starts))
    place = window[chosen]
    beyond = (mid[place] - trades.price[chosen]) * (1.0 if sold else -1.0)
    np.maximum.at(deepest, place, BASIS_POINTS * beyond / mid[place])
    return deepest
