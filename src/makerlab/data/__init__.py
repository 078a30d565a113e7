"""Candles: loading, splitting and fetching."""

from makerlab.data.candles import (
    Candles,
    DataSource,
    Gap,
    candles_from_frame,
    load_candles,
    refuse_gaps,
    write_candles,
)
from makerlab.data.split import Segment, Split, contiguous_starts, split_candles

__all__ = [
    "Candles",
    "DataSource",
    "Gap",
    "Segment",
    "Split",
    "candles_from_frame",
    "contiguous_starts",
    "load_candles",
    "refuse_gaps",
    "split_candles",
    "write_candles",
]
