"""The compiled part of a replay: loops over hftbacktest's session, which is compiled itself."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from hftbacktest import (
    CANCELED,
    EXPIRED,
    FILLED,
    GTX,
    LIMIT,
    MARKET,
    NONE,
)
from hftbacktest.order import IOC, REJECTED

_CAPACITY = 4096
"""Executions that one call can hear of."""
_ANSWERED, _END_OF_DATA, _FEED, _TIMEOUT = 3, 1, 2, 0


class Live(NamedTuple):
    """Orders under way, (orders,); a number of 0 is a free place."""

    number: npt.NDArray[np.int64]
    is_buy: npt.NDArray[np.bool_]
    ticks: npt.NDArray[np.int64]
    leaves: npt.NDArray[np.float64]
    cancelled: npt.NDArray[np.bool_]


class Heard(NamedTuple):
    """What came back, (capacity,) of which `count` executions and `rejects` rejections count."""

    number: npt.NDArray[np.int64]
    is_buy: npt.NDArray[np.bool_]
    maker: npt.NDArray[np.bool_]
    price: npt.NDArray[np.float64]
    quantity: npt.NDArray[np.float64]
    exchange_ns: npt.NDArray[np.int64]
    local_ns: npt.NDArray[np.int64]
    rejected: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


def new_live(orders: int) -> Live:
    """Return room for that many orders under way."""
    return Live(
        np.zeros(orders, np.int64),
        np.zeros(orders, np.bool_),
        np.zeros(orders, np.int64),
        np.zeros(orders),
        np.zeros(orders, np.bool_),
    )


def new_heard() -> Heard:
    """Return an empty record of answers."""
    kinds = ("i8", "?", "?", "f8", "f8", "i8", "i8", "i8")
    columns = [np.zeros(_CAPACITY, kind) for kind in kinds]
    return Heard._make([*columns, np.zeros(2, np.int64)])


@numba.njit
def start(session: Any) -> None:
    """Go to the first event."""
    session.elapse(np.uint64(0))


@numba.njit
def run_until(session: Any, live: Live, heard: Heard, until: int, tick: float) -> bool:
    """Let time pass until a local time or the end of the data; returns whether it was reached.

    Raises RuntimeError when hftbacktest reports an error or more answers come than there is room.
    """
    while session.current_timestamp < until:
        code = session.wait_next_feed(True, until - session.current_timestamp)
        if code == _ANSWERED:
            _listen(session, live, heard, tick)
        elif code == _END_OF_DATA:
            _listen(session, live, heard, tick)
            return False
        elif code not in (_FEED, _TIMEOUT):
            raise RuntimeError("hftbacktest reports an error while time passes")
    return True


@numba.njit
def _listen(session: Any, live: Live, heard: Heard, tick: float) -> None:
    """Note what each order under way has become."""
    orders = session.orders(np.uint64(0))
    for place in range(len(live.number)):
        if live.number[place] == 0:
            continue
        order = orders.get(np.uint64(live.number[place]))
        if order is None:
            continue
        status = order.status
        left = 0.0 if status == FILLED else order.leaves_qty
        filled = live.leaves[place] - left
        if filled > 1e-12 and order.exec_qty > 0.0:
            count = heard.counts[0]
            if count == len(heard.number):
                raise RuntimeError("more executions in one step than a replay has room for")
            heard.number[count] = live.number[place]
            heard.is_buy[count] = live.is_buy[place]
            heard.maker[count] = order.arr[0].maker
            heard.price[count] = order.exec_price_tick * tick
            heard.quantity[count] = filled
            heard.exchange_ns[count] = order.exch_timestamp
            heard.local_ns[count] = session.current_timestamp
            heard.counts[0] += 1
            live.leaves[place] = left
        if order.req == NONE and status in (FILLED, CANCELED, EXPIRED, REJECTED):
            if status in (EXPIRED, REJECTED) and live.ticks[place] > 0:
                heard.rejected[heard.counts[1]] = live.number[place]
                heard.counts[1] += 1
            live.number[place] = 0
    session.clear_inactive_orders(np.uint64(0))


@numba.njit
def cancel_others(session: Any, live: Live, is_buy: bool, ticks: int) -> tuple[bool, float]:
    """Cancel a side's orders but one at `ticks`; returns whether that is there, and all leaves.

    An order whose answer is still on its way can't be cancelled yet; it is at the next call.
    """
    kept, exposed = False, 0.0
    orders = session.orders(np.uint64(0))
    for place in range(len(live.number)):
        if live.number[place] == 0 or live.is_buy[place] != is_buy:
            continue
        exposed += live.leaves[place]
        if live.ticks[place] == ticks and not live.cancelled[place]:
            kept = True
            continue
        order = orders.get(np.uint64(live.number[place]))
        if order is not None and order.cancellable:
            session.cancel(np.uint64(0), np.uint64(live.number[place]), False)
            live.cancelled[place] = True
    return kept, exposed


@numba.njit
def submit(
    session: Any, live: Live, number: int, is_buy: bool, ticks: int, tick: float, quantity: float
) -> None:
    """Send a post-only limit order, or a market order when `ticks` is 0."""
    place = -1
    for candidate in range(len(live.number)):
        if live.number[candidate] == 0:
            place = candidate
            break
    if place < 0:
        raise RuntimeError("more orders under way than a replay has room for")
    kind, force = (LIMIT, GTX) if ticks > 0 else (MARKET, IOC)
    asset, name, price = np.uint64(0), np.uint64(number), ticks * tick
    if is_buy:
        code = session.submit_buy_order(asset, name, price, quantity, force, kind, False)
    else:
        code = session.submit_sell_order(asset, name, price, quantity, force, kind, False)
    if code != 0:
        raise RuntimeError("hftbacktest refuses an order")
    live.number[place] = number
    live.is_buy[place] = is_buy
    live.ticks[place] = ticks
    live.leaves[place] = quantity
    live.cancelled[place] = False
