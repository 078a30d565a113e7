"""The markets of a config: one per segment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makerlab.config import Config
from makerlab.config.settings import SYNTHETIC
from makerlab.data.candles import Candles, DataSource, load_candles, refuse_gaps
from makerlab.data.split import SegmentName, split_candles
from makerlab.data.synthetic import generate_candles, synthetic_candles
from makerlab.market.base import Market
from makerlab.market.episodes import CandleMarket
from makerlab.market.simulated import SimulatedMarket
from makerlab.market.simulated_segments import simulated_source, split_episodes


@dataclass(frozen=True)
class Markets:
    """The segments of one data set under one environment, and where they come from."""

    train: Market
    valid: Market
    test: Market
    source: DataSource
    split_record: dict[str, Any]

    def __getitem__(self, segment: SegmentName) -> Market:
        market: Market = getattr(self, segment)
        return market


def load_markets(config: Config, *, synthetic_folder: Path | None) -> Markets:
    """Load or generate the market of a config and cut it into segments.

    Synthetic candles are kept in `synthetic_folder`, or nowhere when it is None. Raises UserError
    for bad data, and for gaps when the config forbids them.
    """
    if config.env.simulates:
        return _simulated_markets(config)
    return cut_markets(config_candles(config, synthetic_folder=synthetic_folder), config)


def config_candles(config: Config, *, synthetic_folder: Path | None) -> Candles:
    """Load or generate all candles of a config; see `load_markets`."""
    if config.env.csv_path != SYNTHETIC:
        candles = load_candles(Path(config.env.csv_path))
    elif synthetic_folder is None:
        candles = generate_candles(config.data.synthetic)
    else:
        candles = synthetic_candles(config.data.synthetic, synthetic_folder)
    if config.data.gaps == "error":
        refuse_gaps(candles)
    return candles


def cut_markets(candles: Candles, config: Config) -> Markets:
    """Cut candles into a config's segments, a market each; raises UserError when one is short."""
    split = split_candles(candles, config.data_split)
    train, valid, test = (CandleMarket(candles, part, config.env) for part in split.segments)
    return Markets(train, valid, test, candles.source, split.to_dict(candles))


def _simulated_markets(config: Config) -> Markets:
    segments, record = split_episodes(config)
    train, valid, test = (SimulatedMarket(segment, config.env) for segment in segments)
    return Markets(train, valid, test, simulated_source(config.env), record)
