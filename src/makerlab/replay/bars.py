"""Candles of any length from a tape's trades, as whoever sat at the recorder saw them."""

import numpy as np

from makerlab.data.candles import Candles, DataSource
from makerlab.replay.tape import Tape


def bars_of_tape(tape: Tape, *, step_ns: int, delay_ns: int, path: str, sha256: str) -> Candles:
    """Return whole bars of `step_ns`, by the local clock plus `delay_ns`, on its round times.

    A bar without a trade stands at the last close with no volume, as exchanges write it. The first
    bar begins at the first round time after a trade, the last one ends before the last trade.
    """
    seen = tape.trade_local_ns + delay_ns
    order = np.argsort(seen, kind="stable")
    seen, price = seen[order], tape.trade_price[order]
    quantity = tape.trade_quantity[order]
    first = -(-int(seen[0]) // step_ns) * step_ns
    count = (int(seen[-1]) - first) // step_ns
    edges = first + step_ns * np.arange(count + 1, dtype=np.int64)
    # A trade seen exactly at a decision is known to it: bars are open below, closed above.
    cuts = np.searchsorted(seen, edges, side="right")
    columns = np.empty((5, count))
    close = price[max(cuts[0] - 1, 0)]
    for bar in range(count):
        inside = slice(cuts[bar], cuts[bar + 1])
        traded = price[inside]
        if len(traded):
            close = traded[-1]
            values = (traded[0], traded.max(), traded.min(), close, quantity[inside].sum())
        else:
            values = (close, close, close, close, 0.0)
        columns[:, bar] = values
    opened, high, low, closed, volume = columns
    source = DataSource(
        kind="file",
        path=path,
        sha256=sha256,
        rows=count,
        bar_ms=step_ns // 1_000_000,
        start_ms=int(edges[0]) // 1_000_000,
        end_ms=int(edges[-1]) // 1_000_000,
        gaps=(),
    )
    return Candles(
        ts_ms=edges[:-1] // 1_000_000,
        open=opened,
        high=high,
        low=low,
        close=closed,
        volume=volume,
        source=source,
    )
