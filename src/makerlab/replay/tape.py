"""A capture made ready for replay: one clock, whole books, ticks and lots, events in both orders.

The local clock of a recorder may run behind the exchange's, so that messages seem to arrive before
they were sent. All local times are then moved by as much as the fastest message needs to take no
time at all; what remains is latency that the capture really shows.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.data.capture import UNKNOWN, Capture, Depth, Floats, Integers
from makerlab.errors import UserError

# The event layout of hftbacktest (types.event_dtype) and its flags.
EVENT = np.dtype(
    [
        ("ev", "u8"),
        ("exch_ts", "i8"),
        ("local_ts", "i8"),
        ("px", "f8"),
        ("qty", "f8"),
        ("order_id", "u8"),
        ("ival", "i8"),
        ("fval", "f8"),
    ],
    align=True,
)
DEPTH, TRADE, CLEAR, SNAPSHOT = 1, 2, 3, 4
AT_EXCHANGE, AT_LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28

_SMALLEST = 1e-8


@dataclasses.dataclass(frozen=True)
class Tape:
    """Events of one symbol with corrected local times.

    `events` come once by the exchange's clock, then once by the local one; `mid` and its times are
    the market's own between best quotes. `facts` says how the tape was made.
    """

    events: npt.NDArray[Any]
    trade_local_ns: Integers
    trade_exchange_ns: Integers
    trade_price: Floats
    trade_quantity: Floats
    trade_sold: npt.NDArray[np.bool_]
    mid_ns: Integers
    mid: Floats
    tick: float
    lot: float
    facts: Mapping[str, Any]


def make_tape(capture: Capture, *, tick: float | None = None, lot: float | None = None) -> Tape:
    """Correct the clock, order the book's messages and convert them.

    Raises UserError for a capture without depth updates.
    """
    depth = capture.depth
    if not len(depth.last):
        raise UserError(f"{capture.path}: holds no depth updates, a replay needs the book")
    offset = _clock_offset(capture)
    latency = _latencies(capture) + offset
    typical = int(np.median(latency))
    depth, dropped = _from_snapshot(_timed(depth, offset, typical))
    trades = capture.trades
    trade_local = trades.local_ns + offset
    tick = tick or _step_of(np.concatenate([depth.price, trades.price]))
    lot = lot or _step_of(np.concatenate([depth.quantity, trades.quantity]))
    rows = np.concatenate([_depth_events(depth), _trade_events(capture, trade_local)])
    mid_ns, mid = _mids(capture, offset, typical)
    return Tape(
        events=_in_both_orders(rows),
        trade_local_ns=trade_local,
        trade_exchange_ns=trades.exchange_ns,
        trade_price=trades.price,
        trade_quantity=trades.quantity,
        trade_sold=trades.sold,
        mid_ns=mid_ns,
        mid=mid,
        tick=tick,
        lot=lot,
        facts={
            "symbol": capture.symbol,
            "market": capture.market,
            "clock_correction_ms": offset / 1e6,
            "feed_latency_ms": {
                "median": typical / 1e6,
                "p95": float(np.quantile(latency, 0.95)) / 1e6,
                "max": float(latency.max()) / 1e6,
            },
            "tick": tick,
            "lot": lot,
            "depth_messages_before_the_snapshot": dropped,
        },
    )


def _latencies(capture: Capture) -> Integers:
    """Return local minus exchange time of every message that carries both."""
    parts = []
    for part in (capture.trades, capture.quotes, capture.depth):
        timed = part.exchange_ns != UNKNOWN
        parts.append(part.local_ns[timed] - part.exchange_ns[timed])
    return np.concatenate(parts)


def _clock_offset(capture: Capture) -> int:
    """Return what to add to local times so that no message arrives before it was sent."""
    return max(0, -int(_latencies(capture).min()))


def _timed(depth: Depth, offset: int, typical: int) -> Depth:
    """Correct local times; a snapshot without a time of its own was made a usual latency before."""
    local = depth.local_ns + offset
    unknown = depth.exchange_ns == UNKNOWN
    return dataclasses.replace(
        depth,
        local_ns=local,
        exchange_ns=np.where(unknown, local - typical, depth.exchange_ns),
    )


def _from_snapshot(depth: Depth) -> tuple[Depth, int]:
    """Begin with the first snapshot and drop updates that each snapshot already holds.

    A snapshot is an answer, so it arrives after updates that are newer than it: it is moved before
    the first of them, on both clocks. Without any snapshot the book builds up from updates.
    """
    snapshots = np.flatnonzero(depth.is_snapshot)
    if not len(snapshots):
        return depth, 0
    local, exchange = depth.local_ns.copy(), depth.exchange_ns.copy()
    keep = np.ones(len(depth.last), np.bool_)
    rank = depth.last.astype(np.float64)
    for number, at in enumerate(snapshots):
        newer = np.flatnonzero(~depth.is_snapshot & (depth.last > depth.last[at]))
        if number == 0:
            keep &= depth.is_snapshot | (depth.last > depth.last[at])
        if len(newer):
            local[at] = min(local[at], local[newer].min())
            exchange[at] = min(exchange[at], exchange[newer].min())
        rank[at] = depth.last[at] + 0.5
    order = np.argsort(rank, kind="stable")
    order = order[keep[order]]
    starts = np.concatenate([[0], depth.stop[:-1]])
    levels = np.concatenate([np.arange(starts[at], depth.stop[at]) for at in order])
    arranged = Depth(
        local_ns=local[order],
        exchange_ns=exchange[order],
        first=depth.first[order],
        last=depth.last[order],
        previous=depth.previous[order],
        is_snapshot=depth.is_snapshot[order],
        stop=np.cumsum((depth.stop - starts)[order]),
        is_bid=depth.is_bid[levels],
        price=depth.price[levels],
        quantity=depth.quantity[levels],
    )
    return arranged, int(np.sum(~keep))


def _step_of(values: Floats) -> float:
    """Return the largest step that all values are multiples of, down to 1e-8."""
    whole = np.unique(np.rint(values / _SMALLEST).astype(np.int64))
    return float(np.gcd.reduce(whole)) * _SMALLEST


def _depth_events(depth: Depth) -> npt.NDArray[Any]:
    """Return one event per level; a snapshot clears each side as far as its levels go first."""
    counts = np.diff(depth.stop, prepend=0)
    rows = np.zeros(len(depth.price), EVENT)
    snapshot = np.repeat(depth.is_snapshot, counts)
    side = np.where(depth.is_bid, BUY, SELL).astype(np.uint64)
    rows["ev"] = np.where(snapshot, SNAPSHOT, DEPTH).astype(np.uint64) | side
    rows["exch_ts"] = np.repeat(depth.exchange_ns, counts)
    rows["local_ts"] = np.repeat(depth.local_ns, counts)
    rows["px"], rows["qty"] = depth.price, depth.quantity
    places, clears = [], []
    for at in np.flatnonzero(depth.is_snapshot):
        start, stop = int(depth.stop[at] - counts[at]), int(depth.stop[at])
        for is_bid, flag in ((True, BUY), (False, SELL)):
            prices = depth.price[start:stop][depth.is_bid[start:stop] == is_bid]
            if len(prices):
                farthest = prices.min() if is_bid else prices.max()
                times = (depth.exchange_ns[at], depth.local_ns[at])
                places.append(start + int(np.argmax(depth.is_bid[start:stop] == is_bid)))
                clears.append((CLEAR | flag, *times, farthest, 0.0, 0, 0, 0.0))
    if not places:
        return rows
    return np.insert(rows, places, np.array(clears, EVENT))


def _trade_events(capture: Capture, local_ns: Integers) -> npt.NDArray[Any]:
    trades = capture.trades
    rows = np.zeros(len(trades.price), EVENT)
    rows["ev"] = np.where(trades.sold, SELL, BUY).astype(np.uint64) | np.uint64(TRADE)
    rows["exch_ts"], rows["local_ts"] = trades.exchange_ns, local_ns
    rows["px"], rows["qty"] = trades.price, trades.quantity
    return rows


def _in_both_orders(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return every event for the exchange by its clock, then for the maker by the local one.

    The exchange's clock counts ms: of equal times the order of arrival decides.
    """
    by_local = rows[np.argsort(rows["local_ts"], kind="stable")]
    by_exchange = by_local[np.argsort(by_local["exch_ts"], kind="stable")]
    by_exchange["ev"] |= np.uint64(AT_EXCHANGE)
    by_local["ev"] |= np.uint64(AT_LOCAL)
    return np.concatenate([by_exchange, by_local])


def _mids(capture: Capture, offset: int, typical: int) -> tuple[Integers, Floats]:
    """Return the mid between best quotes by the exchange's clock; trades where there are none."""
    quotes, trades = capture.quotes, capture.trades
    if not len(quotes.bid):
        return trades.exchange_ns, trades.price
    unknown = quotes.exchange_ns == UNKNOWN
    times = np.where(unknown, quotes.local_ns + offset - typical, quotes.exchange_ns)
    order = np.argsort(times, kind="stable")
    return times[order], ((quotes.bid + quotes.ask) / 2.0)[order]
