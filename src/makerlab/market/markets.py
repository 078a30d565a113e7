"""The markets of a config: one per segment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba

from makerlab.config import Config
from makerlab.config.settings import SYNTHETIC
from makerlab.data.array_cache import Arrays, Facts, code_digest, kept_arrays
from makerlab.data.candles import Candles, DataSource, load_candles, refuse_gaps
from makerlab.data.split import SegmentName, split_candles
from makerlab.data.synthetic import generate_candles, synthetic_candles
from makerlab.market import features as features_code
from makerlab.market.base import Market
from makerlab.market.episodes import CandleMarket
from makerlab.market.features import Features, market_features
from makerlab.market.layout import Prices
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


def load_markets(
    config: Config, *, synthetic_folder: Path | None, cache_folder: Path | None = None
) -> Markets:
    """Load or generate the market of a config and cut it into segments.

    Synthetic candles are kept in `synthetic_folder`, or nowhere when it is None; what reading and
    preparing candles comes to is kept in `cache_folder`. Raises UserError for bad data, and for
    gaps when the config forbids them.
    """
    if config.env.simulates:
        return _simulated_markets(config)
    candles = config_candles(config, synthetic_folder=synthetic_folder, cache_folder=cache_folder)
    return cut_markets(candles, config, features=_features(candles, cache_folder))


def config_candles(
    config: Config, *, synthetic_folder: Path | None, cache_folder: Path | None = None
) -> Candles:
    """Load or generate all candles of a config; see `load_markets`."""
    if config.env.csv_path != SYNTHETIC:
        candles = load_candles(Path(config.env.csv_path), cache_folder=cache_folder)
    elif synthetic_folder is None:
        candles = generate_candles(config.data.synthetic)
    else:
        candles = synthetic_candles(config.data.synthetic, synthetic_folder)
    if config.data.gaps == "error":
        refuse_gaps(candles)
    return candles


def cut_markets(candles: Candles, config: Config, *, features: Features | None = None) -> Markets:
    """Cut candles into a config's segments, a market each; raises UserError when one is short.

    `features` are those of these very candles, where they are at hand.
    """
    split = split_candles(candles, config.data_split)
    train, valid, test = (
        CandleMarket(candles, part, config.env, features=features) for part in split.segments
    )
    return Markets(train, valid, test, candles.source, split.to_dict(candles))


def _features(candles: Candles, cache_folder: Path | None) -> Features | None:
    """Return the features of all candles from the cache; None, to be made, without one."""
    if cache_folder is None:
        return None

    def made() -> tuple[Facts, Arrays]:
        columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
        return {}, {"features": market_features(Prices(*columns))}

    code = code_digest([features_code.__file__ or ""])
    key = f"features-{candles.source.sha256}-{code}-numba{numba.__version__}"
    return kept_arrays(cache_folder, key, made)[1]["features"]


def _simulated_markets(config: Config) -> Markets:
    segments, record = split_episodes(config)
    train, valid, test = (SimulatedMarket(segment, config.env) for segment in segments)
    return Markets(train, valid, test, simulated_source(config.env), record)
