"""The recorded book at any time of the exchange's clock: who stood where before us."""

import numpy as np
import numpy.typing as npt

from makerlab.replay.tape import AT_EXCHANGE, BUY, SNAPSHOT, TRADE, Tape

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class RecordedBook:
    """Quantities by side, price and time, and the trades at a price between two times."""

    def __init__(self, tape: Tape) -> None:
        """Sort the book's events once; nothing is copied per question."""
        events = tape.events[(tape.events["ev"] & np.uint64(AT_EXCHANGE)) != 0]
        kind = events["ev"] & np.uint64(0xFF)
        levels = events[(kind != TRADE) & (kind != 3)]
        self._tick = tape.tick
        self._sides: dict[bool, tuple[Integers, Integers, Floats]] = {}
        for is_bid in (True, False):
            side = levels[((levels["ev"] & np.uint64(BUY)) != 0) == is_bid]
            ticks = np.rint(side["px"] / tape.tick).astype(np.int64)
            self._sides[is_bid] = (ticks, side["exch_ts"], side["qty"])
        self._snapshot_ns = levels["exch_ts"][(levels["ev"] & np.uint64(0xFF)) == SNAPSHOT]
        order = np.argsort(tape.trade_exchange_ns, kind="stable")
        self._trade_ns = tape.trade_exchange_ns[order]
        self._trade_ticks = np.rint(tape.trade_price[order] / tape.tick).astype(np.int64)
        self._trade_quantity = tape.trade_quantity[order]
        self._trade_sold = tape.trade_sold[order]

    def quantity_at(self, *, is_bid: bool, price: float, ns: int) -> float:
        """Return what stood at a price, 0 where nothing is known to."""
        ticks, times, quantities = self._sides[is_bid]
        stop = int(np.searchsorted(times, ns, side="right"))
        found = np.flatnonzero(ticks[:stop] == self._ticks(price))
        return float(quantities[found[-1]]) if len(found) else 0.0

    def take(self, *, is_buy: bool, quantity: float, ns: int) -> float:
        """Return the average price of taking a quantity, level by level; NaN on an empty side."""
        ticks, times, quantities = self._sides[not is_buy]
        stop = int(np.searchsorted(times, ns, side="right"))
        # The last word on each price counts; reversed, that is the first.
        prices, first = np.unique(ticks[:stop][::-1], return_index=True)
        there = quantities[:stop][::-1][first]
        prices, there = prices[there > 0.0], there[there > 0.0]
        if not is_buy:
            prices, there = prices[::-1], there[::-1]
        before = np.concatenate([[0.0], np.cumsum(there)[:-1]])
        taken = np.clip(quantity - before, 0.0, there)
        total = float(taken.sum())
        return float(prices @ taken) * self._tick / total if total > 0.0 else float("nan")

    def traded_at(self, *, sold: bool, price: float, after_ns: int, until_ns: int) -> float:
        """Return the volume of one kind of aggressor at a price in a span, the end included."""
        first = np.searchsorted(self._trade_ns, after_ns, side="right")
        span = slice(int(first), int(np.searchsorted(self._trade_ns, until_ns, side="right")))
        same = (self._trade_ticks[span] == self._ticks(price)) & (self._trade_sold[span] == sold)
        return float(self._trade_quantity[span][same].sum())

    def trade_relative_to(self, *, is_bid: bool, price: float, ns: int) -> str | None:
        """Return whether trades of that instant went `through` a resting price, or `at` it."""
        span = slice(*np.searchsorted(self._trade_ns, [ns, ns + 1]))
        beyond = self._trade_ticks[span] - self._ticks(price)
        meets = self._trade_sold[span] == is_bid
        through = (beyond < 0) if is_bid else (beyond > 0)
        if np.any(meets & through):
            return "through"
        return "at" if np.any(meets & (beyond == 0)) else None

    def _ticks(self, price: float) -> int:
        return round(price / self._tick)
