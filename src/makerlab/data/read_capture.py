"""Raw exchange captures: lines of a local time and a message, read whole and checked as they come.

A line is `local_time {json}` as Binance's streams send it, combined (`{"stream", "data"}`) or not:
depth updates, best quotes, trades, and snapshots of the book as its REST interface answers. USD-M
futures and spot differ: spot messages carry no transaction time, no previous update number and no
kind of trade, and its best quotes and snapshots no time at all.
"""

import gzip
import hashlib
import json
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from makerlab.data.capture import (
    UNKNOWN,
    BestQuotes,
    Capture,
    Depth,
    Floats,
    Integers,
    MarketKind,
    Trades,
)
from makerlab.errors import UserError, nearest

_NANOSECONDS = {19: 1, 16: 1_000, 13: 1_000_000}
"""Nanoseconds of one unit by the number of digits of a time of our days."""


def read_capture(
    path: Path, *, market: MarketKind | None = None, symbol: str | None = None
) -> Capture:
    """Read a capture, gzipped or plain.

    Raises UserError naming the line for what is no message, and for a capture of several symbols
    when none is chosen, of another market than the one given, or without trades.
    """
    content, sha256 = _read(path)
    rows = _Rows()
    lines = content.split(b"\n")
    last = max((n for n, line in enumerate(lines) if line.strip()), default=UNKNOWN)
    for number, line in enumerate(lines):
        if line.strip():
            try:
                _take(line, rows)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                if number == last and number > 0:
                    # A recorder that is stopped leaves half a line.
                    rows.left_out["cut last line"] += 1
                else:
                    raise UserError(f"{path}: line {number + 1}: {_problem(line, error)}") from None
    chosen = _choose_symbol(path, rows, symbol)
    found = _choose_market(path, rows, market)
    if not rows.trades[chosen]:
        raise UserError(f"{path}: holds no trades of {chosen}, expected a stream of them")
    return Capture(
        path=str(path),
        sha256=sha256,
        market=found,
        symbol=chosen,
        trades=_trades(rows.trades[chosen]),
        quotes=_quotes(rows.quotes[chosen]),
        depth=_depth(rows.depth[chosen], rows.levels[chosen]),
        left_out=dict(sorted(rows.left_out.items())),
    )


class _Rows:
    """What has been read so far, by symbol; a snapshot names none and goes to its neighbour."""

    def __init__(self) -> None:
        self.trades: dict[str, list[tuple[Any, ...]]] = {}
        self.quotes: dict[str, list[tuple[Any, ...]]] = {}
        self.depth: dict[str, list[tuple[Any, ...]]] = {}
        self.levels: dict[str, list[tuple[bool, str, str]]] = {}
        self.left_out: Counter[str] = Counter()
        self.markets: set[MarketKind] = set()
        self.latest = ""
        self.waiting: list[tuple[int, Any]] = []

    def open(self, symbol: str) -> None:
        """Make room for a symbol, remember that it spoke last, and give it waiting snapshots."""
        for place in (self.trades, self.quotes, self.depth, self.levels):
            place.setdefault(symbol, [])
        self.latest = symbol
        waiting, self.waiting = self.waiting, []
        for local_ns, data in waiting:
            _take_snapshot(local_ns, data, self)


def _read(path: Path) -> tuple[bytes, str]:
    """Return the text of a capture and the hash of its file."""
    try:
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except FileNotFoundError:
        names = [entry.name for entry in path.parent.glob("*")] if path.parent.is_dir() else []
        hint = f"; {nearest(path.name, names)}" if 0 < len(names) < 1000 else ""
        raise UserError(f"{path}: no such capture{hint}") from None
    except IsADirectoryError:
        raise UserError(f"{path}: found a directory, expected a capture") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(f"{path}: damaged, its gzip stream is cut or broken") from None
    if not content.strip():
        raise UserError(f"{path}: the file is empty, expected lines of a local time and a message")
    return content, sha256


def _take(line: bytes, rows: _Rows) -> None:
    stamp, _, text = line.strip().partition(b" ")
    local_ns = _to_ns(int(stamp))
    message = json.loads(text)
    data = message.get("data", message)
    kind = data.get("e") or ("bookTicker" if {"b", "B", "a", "A"} <= data.keys() else None)
    if kind is None and "lastUpdateId" in data:
        _take_snapshot(local_ns, data, rows)
    elif kind not in {"trade", "bookTicker", "depthUpdate"}:
        rows.left_out["error answer" if "code" in data else str(kind)] += 1
    else:
        rows.open(data["s"])
        _TAKE[kind](local_ns, data, rows)


def _take_trade(local_ns: int, data: Any, rows: _Rows) -> None:
    # Liquidations against the insurance fund and the like are no orders that meet a quote.
    if data.get("X", "MARKET") != "MARKET":
        rows.left_out[f"trade of kind {data['X']}"] += 1
        return
    exchange_ns = _to_ns(data["T"])
    row = (local_ns, exchange_ns, int(data["t"]), data["p"], data["q"], bool(data["m"]))
    rows.trades[data["s"]].append(row)


def _take_quote(local_ns: int, data: Any, rows: _Rows) -> None:
    exchange_ns = _to_ns(data["T"]) if "T" in data else UNKNOWN
    row = (local_ns, exchange_ns, int(data["u"]), data["b"], data["B"], data["a"], data["A"])
    rows.quotes[data["s"]].append(row)


def _take_depth(local_ns: int, data: Any, rows: _Rows) -> None:
    rows.markets.add("usdm" if "pu" in data else "spot")
    numbers = (int(data["U"]), int(data["u"]), int(data.get("pu", UNKNOWN)))
    levels = rows.levels[data["s"]]
    levels += [(True, price, quantity) for price, quantity in data["b"]]
    levels += [(False, price, quantity) for price, quantity in data["a"]]
    exchange_ns = _to_ns(data["T"] if "T" in data else data["E"])
    rows.depth[data["s"]].append((local_ns, exchange_ns, *numbers, False, len(levels)))


def _take_snapshot(local_ns: int, data: Any, rows: _Rows) -> None:
    symbol = data.get("s", data.get("symbol", rows.latest))
    if not symbol:
        rows.waiting.append((local_ns, data))
        return
    rows.open(symbol)
    levels = rows.levels[symbol]
    levels += [(True, price, quantity) for price, quantity in data["bids"]]
    levels += [(False, price, quantity) for price, quantity in data["asks"]]
    exchange_ns = _to_ns(data["T"]) if "T" in data else UNKNOWN
    numbers = (UNKNOWN, int(data["lastUpdateId"]), UNKNOWN)
    rows.depth[symbol].append((local_ns, exchange_ns, *numbers, True, len(levels)))


_TAKE = {"trade": _take_trade, "bookTicker": _take_quote, "depthUpdate": _take_depth}


def _to_ns(time: Any) -> int:
    """Return ns of a time in ns, us or ms, told apart by their digits."""
    unit = _NANOSECONDS.get(len(str(int(time))))
    if unit is None:
        raise ValueError(f"time {time}")
    return int(time) * unit


def _problem(line: bytes, error: Exception) -> str:
    shown = line[:40].decode("utf-8", "replace")
    if isinstance(error, KeyError):
        return f"the message has no field {error}, expected one of Binance's streams"
    if isinstance(error, ValueError) and str(error).startswith("time "):
        return f"found {error}, expected ms, us or ns since 1970 (13, 16 or 19 digits)"
    return f"found '{shown}', expected a local time, a space and a JSON message"


def _choose_symbol(path: Path, rows: _Rows, symbol: str | None) -> str:
    symbols = sorted(rows.trades)
    if symbol is None and len(symbols) > 1:
        raise UserError(f"{path}: holds {', '.join(symbols)}; choose one with --symbol")
    chosen = symbol or (symbols[0] if symbols else "")
    if chosen not in rows.trades:
        hint = nearest(chosen, symbols) if symbols else "it holds no message of any symbol"
        raise UserError(f"{path}: holds nothing of symbol '{chosen}'; {hint}")
    return chosen


def _choose_market(path: Path, rows: _Rows, market: MarketKind | None) -> MarketKind:
    if len(rows.markets) > 1:
        raise UserError(f"{path}: holds depth updates of both usdm and spot, expected one of them")
    found: MarketKind = next(iter(rows.markets), market or "usdm")
    if market is not None and market != found:
        raise UserError(f"{path}: its depth updates are those of {found}, --market says {market}")
    return found


def _columns(rows: list[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _integers(values: tuple[Any, ...]) -> Integers:
    return np.array(values, np.int64)


def _floats(values: tuple[Any, ...]) -> Floats:
    return np.array([float(value) for value in values], np.float64)


def _trades(rows: list[tuple[Any, ...]]) -> Trades:
    local, exchange, number, price, quantity, sold = _columns(rows, 6)
    return Trades(
        local_ns=_integers(local),
        exchange_ns=_integers(exchange),
        number=_integers(number),
        price=_floats(price),
        quantity=_floats(quantity),
        sold=np.array(sold, np.bool_),
    )


def _quotes(rows: list[tuple[Any, ...]]) -> BestQuotes:
    local, exchange, update, bid, bid_quantity, ask, ask_quantity = _columns(rows, 7)
    return BestQuotes(
        local_ns=_integers(local),
        exchange_ns=_integers(exchange),
        update=_integers(update),
        bid=_floats(bid),
        bid_quantity=_floats(bid_quantity),
        ask=_floats(ask),
        ask_quantity=_floats(ask_quantity),
    )


def _depth(rows: list[tuple[Any, ...]], levels: list[tuple[bool, str, str]]) -> Depth:
    local, exchange, first, last, previous, is_snapshot, stop = _columns(rows, 7)
    is_bid, price, quantity = _columns(levels, 3)
    return Depth(
        local_ns=_integers(local),
        exchange_ns=_integers(exchange),
        first=_integers(first),
        last=_integers(last),
        previous=_integers(previous),
        is_snapshot=np.array(is_snapshot, np.bool_),
        stop=_integers(stop),
        is_bid=np.array(is_bid, np.bool_),
        price=_floats(price),
        quantity=_floats(quantity),
    )
