"""Small captures of both markets, line by line, for tests."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

START_MS = 1_700_000_000_000
Line = tuple[int, dict[str, Any]]


def text_of(lines: Iterable[Line]) -> str:
    """Return a capture: local times in ns and messages."""
    return "".join(f"{local_ns} {json.dumps(message)}\n" for local_ns, message in lines)


def at(milliseconds: float, *, behind_ms: float = 0.0) -> int:
    """Return the local time in ns, on a clock that runs behind the exchange's."""
    return (1_000 * START_MS + round(1_000 * (milliseconds - behind_ms))) * 1_000


def trade(
    ms: int,
    number: int,
    price: str,
    quantity: str = "0.1",
    *,
    sold: bool,
    market: str = "usdm",
    symbol: str = "TESTUSDT",
    kind: str = "MARKET",
) -> dict[str, Any]:
    """Return a trade as the market's stream sends it."""
    data: dict[str, Any] = {"e": "trade", "E": START_MS + ms, "T": START_MS + ms, "s": symbol}
    data |= {"t": number, "p": price, "q": quantity, "m": sold}
    data |= {"X": kind} if market == "usdm" else {"M": True}
    return {"stream": f"{symbol.lower()}@trade", "data": data}


def quote(
    ms: int,
    update: int,
    bid: tuple[str, str],
    ask: tuple[str, str],
    *,
    market: str = "usdm",
    symbol: str = "TESTUSDT",
) -> dict[str, Any]:
    """Return best quotes; those of spot name neither their kind nor a time."""
    data: dict[str, Any] = {"u": update, "s": symbol}
    data |= {"b": bid[0], "B": bid[1], "a": ask[0], "A": ask[1]}
    if market == "usdm":
        data = {"e": "bookTicker", **data, "T": START_MS + ms, "E": START_MS + ms}
    return {"stream": f"{symbol.lower()}@bookTicker", "data": data}


def depth(
    ms: int,
    first: int,
    last: int,
    previous: int,
    *,
    bids: Iterable[tuple[str, str]] = (),
    asks: Iterable[tuple[str, str]] = (),
    market: str = "usdm",
    symbol: str = "TESTUSDT",
) -> dict[str, Any]:
    """Return an update of the book; those of spot have no T and no pu."""
    data: dict[str, Any] = {"e": "depthUpdate", "E": START_MS + ms, "s": symbol}
    data |= {"U": first, "u": last}
    data |= {"T": START_MS + ms, "pu": previous} if market == "usdm" else {}
    data |= {"b": [list(level) for level in bids], "a": [list(level) for level in asks]}
    return {"stream": f"{symbol.lower()}@depth", "data": data}


def snapshot(
    ms: int,
    last: int,
    *,
    bids: Iterable[tuple[str, str]],
    asks: Iterable[tuple[str, str]],
    market: str = "usdm",
) -> dict[str, Any]:
    """Return a snapshot as the REST interface answers; that of spot has no time."""
    data: dict[str, Any] = {"lastUpdateId": last}
    data |= {"E": START_MS + ms, "T": START_MS + ms} if market == "usdm" else {}
    return data | {"bids": [list(level) for level in bids], "asks": [list(level) for level in asks]}


def small_capture(market: str = "usdm", *, behind_ms: float = 0.0) -> list[Line]:
    """Return a book of two levels a side, a few updates and trades; 5 ms of latency."""
    bids, asks = [("99.9", "5"), ("99.8", "7")], [("100.1", "4"), ("100.2", "6")]
    messages = [
        (0, depth(0, 1, 10, 0, bids=[("99.9", "1")], market=market)),
        (10, snapshot(10, 10, bids=bids, asks=asks, market=market)),
        (20, quote(20, 10, ("99.9", "5"), ("100.1", "4"), market=market)),
        (30, depth(30, 11, 12, 10, bids=[("99.9", "4")], market=market)),
        (40, trade(40, 1, "99.9", "0.5", sold=True, market=market)),
        (50, depth(50, 13, 15, 12, asks=[("100.1", "0"), ("100.3", "2")], market=market)),
        (60, quote(60, 15, ("99.9", "4"), ("100.2", "6"), market=market)),
        (70, trade(70, 2, "100.2", "0.3", sold=False, market=market)),
    ]
    return [(at(ms + 5, behind_ms=behind_ms), message) for ms, message in messages]


def walking_capture(seconds: int, *, seed: int, market: str = "usdm") -> list[Line]:
    """Return a book of five levels a side around a walking mid, with trades; 5 ms of latency.

    Each second the mid moves by at most one tick of 0.1; at half seconds someone sells into the
    bids or buys from the asks, one time in four through three levels.
    """
    rng = np.random.default_rng(seed)
    middle, update, number = 1000, 10, 0
    levels = {side: {middle + sign * n: "5" for n in range(1, 6)} for side, sign in _SIDES}
    first = snapshot(0, update, bids=_texts(levels["b"]), asks=_texts(levels["a"]), market=market)
    lines: list[Line] = [(at(5), first)]
    for second in range(1, seconds):
        ms = 1000 * second
        middle += int(rng.integers(-1, 2))
        wanted = {side: {middle + sign * n: "5" for n in range(1, 6)} for side, sign in _SIDES}
        changes = {
            side: {**dict.fromkeys(set(levels[side]) - set(wanted[side]), "0"), **wanted[side]}
            for side, _ in _SIDES
        }
        bids, asks = _texts(changes["b"]), _texts(changes["a"])
        body = depth(ms, update + 1, update + 2, update, bids=bids, asks=asks, market=market)
        best = (_text(middle - 1), "5"), (_text(middle + 1), "5")
        lines += [
            (at(ms + 5), body),
            (at(ms + 6), quote(ms + 1, update + 2, *best, market=market)),
        ]
        levels, update = wanted, update + 2
        sold, sign = (True, -1) if rng.random() < 0.5 else (False, 1)
        for reach in range(1, 4 if rng.random() < 0.25 else 2):
            number += 1
            price, quantity = _text(middle + sign * reach), f"{rng.uniform(0.1, 9.0):.3f}"
            stamp = ms + 500 + reach
            body = trade(stamp, number, price, quantity, sold=sold, market=market)
            lines.append((at(stamp + 5), body))
    return lines


_SIDES = (("b", -1), ("a", 1))


def _text(ticks: int) -> str:
    return f"{ticks / 10:.1f}"


def _texts(levels: dict[int, str]) -> list[tuple[str, str]]:
    return [(_text(ticks), quantity) for ticks, quantity in levels.items()]
