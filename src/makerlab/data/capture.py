"""What a raw exchange capture holds: one symbol's trades, best quotes and changes of the book."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
MarketKind = Literal["usdm", "spot"]

UNKNOWN = -1
"""Stands for a time or number that the message does not carry."""


@dataclasses.dataclass(frozen=True)
class Trades:
    """Trades as arrays of shape (trades,); times in ns, `sold` where the aggressor sold."""

    local_ns: Integers
    exchange_ns: Integers
    number: Integers
    price: Floats
    quantity: Floats
    sold: Flags


@dataclasses.dataclass(frozen=True)
class BestQuotes:
    """Best bids and asks as arrays of shape (quotes,); on spot the exchange's time is UNKNOWN."""

    local_ns: Integers
    exchange_ns: Integers
    update: Integers
    bid: Floats
    bid_quantity: Floats
    ask: Floats
    ask_quantity: Floats


@dataclasses.dataclass(frozen=True)
class Depth:
    """Updates and snapshots of the book, (messages,); `stop` ends each one's levels, (levels,).

    `first`, `last` and `previous` number the updates (U, u, pu); a snapshot has `last` alone.
    """

    local_ns: Integers
    exchange_ns: Integers
    first: Integers
    last: Integers
    previous: Integers
    is_snapshot: Flags
    stop: Integers
    is_bid: Flags
    price: Floats
    quantity: Floats


@dataclasses.dataclass(frozen=True)
class Capture:
    """One symbol's messages, in the order of the file. Times are the file's own, in ns."""

    path: str
    sha256: str
    market: MarketKind
    symbol: str
    trades: Trades
    quotes: BestQuotes
    depth: Depth
    left_out: Mapping[str, int]
    """Messages that are none of the above, by kind."""
