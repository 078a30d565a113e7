"""A run's episodes bar by bar, packed for the page's own zoomable chart, and a table of fills."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from makerlab.report.html.artefacts import Columns, Shelf
from makerlab.report.html.numbers import NOTHING, plain
from makerlab.report.html.scales import Floats
from makerlab.report.html.view import Table
from makerlab.report.records import RunRecord

MOST_BARS = 60_000
"""Bars put into one page; more would make it slow to open."""

MOST_FILLS = 2_000
SEGMENTS = ("test", "valid", "train")
_NEEDED = ("timestamp", "mid", "bid", "ask", "bid_filled", "ask_filled", "inventory")
_PRICE_DIGITS = 8


@dataclass(frozen=True)
class Quotes:
    """Episodes as the page's script reads them, every fill as a table, what was left out."""

    episodes: tuple[Mapping[str, Any], ...]
    fills: Table
    note: str


def quotes_of(record: RunRecord, shelf: Shelf) -> Quotes:
    """Return all written episodes of a run, test ones first, as many as fit into a page."""
    packed, rows, bars, left_out = [], list[tuple[str, ...]](), 0, 0
    for segment in SEGMENTS:
        for number, episode in enumerate(shelf.episodes(record, segment)):
            if any(name not in episode for name in _NEEDED):
                continue
            bars += len(episode["mid"])
            if bars > MOST_BARS:
                left_out += 1
                continue
            name = f"{segment} {number}"
            packed.append(_packed(name, episode))
            rows += _fills(name, episode)
    note = f"{left_out} more episodes are in the run's evaluation folder." if left_out else ""
    return Quotes(tuple(packed), _table(rows), note)


def _packed(name: str, episode: Columns) -> dict[str, Any]:
    """Return an episode with no digit that no eye could see."""
    decimals = max(0, _PRICE_DIGITS - 1 - int(np.floor(np.log10(np.nanmax(episode["mid"])))))
    stamps = episode["timestamp"]
    step = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 60_000.0
    return {
        "name": name,
        "start": stamps[0],
        "step": step,
        **{key: _rounded(episode[key], decimals) for key in ("mid", "bid", "ask")},
        **{key: _rounded(episode[key], 6) for key in ("bid_filled", "ask_filled", "inventory")},
        "equity": _rounded(episode["equity"], 2) if "equity" in episode else [],
    }


def _rounded(values: Floats, decimals: int) -> list[float | None]:
    rounded = np.round(values, decimals)
    # Whole numbers are written without their .0: a third of a page is zeros.
    return [
        None if not math.isfinite(x) else int(x) if x == int(x) else x for x in rounded.tolist()
    ]


def _fills(name: str, episode: Columns) -> list[tuple[str, ...]]:
    rows = []
    for side, word in (("bid", "bought"), ("ask", "sold")):
        for bar in np.flatnonzero(episode[f"{side}_filled"] > 0.0).tolist():
            stamp = datetime.fromtimestamp(episode["timestamp"][bar] / 1e3, UTC)
            rows.append(
                (
                    name,
                    f"{stamp:%Y-%m-%d %H:%M:%S}",
                    word,
                    plain(float(episode[f"{side}_filled"][bar])),
                    plain(float(episode[side][bar]), digits=_PRICE_DIGITS),
                    _gain(episode, side, bar),
                    plain(float(episode["inventory"][bar])),
                )
            )
    return sorted(rows, key=lambda row: row[1])


def _gain(episode: Columns, side: str, bar: int) -> str:
    later = bar + 5
    if later >= len(episode["mid"]):
        return NOTHING
    price, sign = episode[side][bar], 1.0 if side == "bid" else -1.0
    return plain(float(1e4 * sign * (episode["mid"][later] - price) / price))


def _table(rows: Sequence[tuple[str, ...]]) -> Table:
    more = len(rows) - MOST_FILLS
    left_out = f"; {more} more are in the episodes' CSV files" if more > 0 else ""
    return Table(
        caption=f"{len(rows)} fills of the episodes above{left_out}",
        header=(
            "episode",
            "bar (UTC)",
            "side",
            "amount",
            "price",
            "gain after 5 bars, bps",
            "position",
        ),
        rows=tuple(rows[:MOST_FILLS]),
    )
