"""What is wrong with a capture: counts that a replay reports before anyone believes it."""

import heapq
from typing import Any

import numpy as np

from makerlab.data.capture import UNKNOWN, Capture, Depth


def check_capture(capture: Capture) -> dict[str, Any]:
    """Return counts of faults by name; all zero is a clean capture.

    `sequence_gaps`: depth updates that don't follow the one before (USD-M: pu is the last u; spot:
    U is the last u + 1). `snapshot_gaps`: snapshots whose next update does not join on.
    `crossed_books`: updates after which the best bid was not below the best ask. `missing_trades`
    counts skipped trade numbers; the others count times that run backwards, by clock and stream.
    """
    depth = capture.depth
    return {
        "messages": {
            "trades": len(capture.trades.price),
            "best_quotes": len(capture.quotes.bid),
            "depth_updates": int(np.sum(~depth.is_snapshot)),
            "snapshots": int(np.sum(depth.is_snapshot)),
            **{f"left out: {kind}": count for kind, count in capture.left_out.items()},
        },
        "sequence_gaps": _sequence_gaps(depth),
        "snapshot_gaps": _snapshot_gaps(depth),
        "missing_trades": int(np.sum(np.maximum(np.diff(capture.trades.number) - 1, 0))),
        "best_quotes_out_of_order": int(np.sum(np.diff(capture.quotes.update) < 0)),
        "crossed_books": _crossed_books(depth),
        "local_time_backwards": sum(
            int(np.sum(np.diff(part.local_ns) < 0))
            for part in (capture.trades, capture.quotes, capture.depth)
        ),
        "exchange_time_backwards": sum(
            _backwards(times)
            for times in (
                capture.trades.exchange_ns,
                capture.quotes.exchange_ns,
                depth.exchange_ns[~depth.is_snapshot],
            )
        ),
    }


def faults(checks: dict[str, Any]) -> list[str]:
    """Return the counts that are not zero, in words."""
    return [
        f"{count} {name.replace('_', ' ')}"
        for name, count in checks.items()
        if name != "messages" and count
    ]


def _sequence_gaps(depth: Depth) -> int:
    updates = ~depth.is_snapshot
    first, last, previous = depth.first[updates], depth.last[updates], depth.previous[updates]
    if np.all(previous == UNKNOWN):
        return int(np.sum(first[1:] != last[:-1] + 1))
    return int(np.sum(previous[1:] != last[:-1]))


def _snapshot_gaps(depth: Depth) -> int:
    """A snapshot joins on when some update spans the number after it, or ends where it ends."""
    updates = ~depth.is_snapshot
    first, last = depth.first[updates], depth.last[updates]
    previous = np.where(depth.previous[updates] == UNKNOWN, first - 1, depth.previous[updates])
    gaps = 0
    for number in depth.last[depth.is_snapshot]:
        joined = np.any((np.minimum(first - 1, previous) <= number) & (last >= number))
        gaps += not joined
    return gaps


def _backwards(times: Any) -> int:
    known = times[times != UNKNOWN]
    return int(np.sum(np.diff(known) < 0))


class _Side:
    """One side of a book: quantities by price and the best price, found lazily."""

    def __init__(self, sign: float) -> None:
        self._sign = sign
        self._quantity: dict[float, float] = {}
        self._heap: list[float] = []

    def clear(self) -> None:
        self._quantity.clear()
        self._heap.clear()

    def set(self, price: float, quantity: float) -> None:
        if quantity == 0.0:
            self._quantity.pop(price, None)
        else:
            if price not in self._quantity:
                heapq.heappush(self._heap, self._sign * price)
            self._quantity[price] = quantity

    def best(self) -> float | None:
        while self._heap and self._sign * self._heap[0] not in self._quantity:
            heapq.heappop(self._heap)
        return self._sign * self._heap[0] if self._heap else None


def _crossed_books(depth: Depth) -> int:
    """Play the updates after the first snapshot in order of their numbers and count crossings."""
    bids, asks, crossed = _Side(-1.0), _Side(1.0), 0
    starts = np.concatenate([[0], depth.stop[:-1]])
    snapshots = np.flatnonzero(depth.is_snapshot)
    held = depth.last[snapshots[0]] if len(snapshots) else UNKNOWN
    order = np.lexsort((~depth.is_snapshot, depth.last))
    for at in order:
        if depth.last[at] < held or (depth.last[at] == held and not depth.is_snapshot[at]):
            continue
        if depth.is_snapshot[at]:
            bids.clear()
            asks.clear()
        for level in range(starts[at], depth.stop[at]):
            side = bids if depth.is_bid[level] else asks
            side.set(float(depth.price[level]), float(depth.quantity[level]))
        bid, ask = bids.best(), asks.best()
        crossed += bid is not None and ask is not None and bid >= ask
    return crossed
