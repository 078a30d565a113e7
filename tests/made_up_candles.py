"""Small made-up candles and markets, and a way to play fixed actions on them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from makerlab.config import EnvSettings, FillSettings
from makerlab.data.candles import Candles, candles_from_frame
from makerlab.data.split import Segment
from makerlab.market.episodes import CandleEpisodes, CandleMarket
from makerlab.market.features import WARM_UP_BARS

MINUTE_MS = 60_000
START_MS = 1_733_011_200_000  # 2024-12-01T00:00Z
PLENTY = 1e9
"""A volume that bounds no fill."""

Floats = npt.NDArray[np.float64]
Bar = tuple[float, float, float, float] | tuple[float, float, float, float, float]


def candles_of(columns: dict[str, Any], *, ts_ms: npt.ArrayLike | None = None) -> Candles:
    """Return candles of open, high, low, close and volume, by default minute after minute."""
    bars = len(columns["close"])
    stamps = START_MS + MINUTE_MS * np.arange(bars) if ts_ms is None else ts_ms
    frame = pd.DataFrame({"timestamp": stamps} | columns)
    return candles_from_frame(frame, path="made_up.csv", sha256="0" * 64)


def random_walk(
    bars: int = 400,
    *,
    seed: int = 0,
    volatility_bps: float = 10.0,
    path_steps: int = 12,
    price: float = 1000.0,
    volume: float | None = None,
    chunk: int = 50_000,
) -> Candles:
    """Return a driftless Gaussian walk; each bar opens at the close before it.

    The log mid moves by volatility_bps per root of a bar in `path_steps` equal steps.
    """
    generator = np.random.default_rng(seed)
    parts = []
    for first in range(0, bars, chunk):
        count = min(chunk, bars - first)
        path = generator.standard_normal((count, path_steps))
        path *= volatility_bps / 1e4 / np.sqrt(path_steps)
        np.cumsum(path, axis=1, out=path)
        parts.append(np.stack([path.max(axis=1), path.min(axis=1), path[:, -1]]))
    highest, lowest, last = np.concatenate(parts, axis=1)
    opening = np.log(price) + np.concatenate([[0.0], np.cumsum(last)[:-1]])
    columns = {
        "open": np.exp(opening),
        "high": np.exp(opening + np.maximum(highest, 0.0)),
        "low": np.exp(opening + np.minimum(lowest, 0.0)),
        "close": np.exp(opening + last),
        "volume": generator.lognormal(2.0, 0.7, bars) if volume is None else np.full(bars, volume),
    }
    # Rounding of exp may put a close a hair outside its own range.
    columns["high"] = np.maximum.reduce([columns[name] for name in ("open", "high", "close")])
    columns["low"] = np.minimum.reduce([columns[name] for name in ("open", "low", "close")])
    return candles_of(columns)


def flat_then(*bars: Bar, price: float = 100.0) -> Candles:
    """Return bars that stand still at a price, then (open, high, low, close[, volume]) bars.

    An episode that starts at WARM_UP_BARS decides at the last still bar; the first given bar is
    the one its first quotes live in.
    """
    still: list[Bar] = [(price, price, price, price, PLENTY)] * (WARM_UP_BARS + 1)
    rows = np.array([(*bar, PLENTY)[:5] for bar in (*still, *bars)], dtype=np.float64)
    names = ("open", "high", "low", "close", "volume")
    return candles_of({name: rows[:, column] for column, name in enumerate(names)})


def market_of(
    candles: Candles,
    *,
    fill: dict[str, Any] | None = None,
    start: int = 0,
    stop: int | None = None,
    **env: Any,
) -> CandleMarket:
    """Return a market on bars start..stop-1: no fee, 10 basis points, fills without fine print.

    Everything unsaid is generous: one unit per order, volume taken whole, no flattening.
    """
    defaults: dict[str, Any] = {
        "order_size": 1.0,
        "max_inventory": 5.0,
        "initial_cash": 1e6,
        "episode_length": 20,
    }
    if "base_spread" not in env:
        defaults["base_spread_bps"] = 10.0
    rules: dict[str, Any] = {"volume_participation": 1.0, "liquidate_at_end": False}
    settings = EnvSettings(fill=FillSettings(**(rules | (fill or {}))), **(defaults | env))
    bounds = (start, len(candles) if stop is None else stop)
    return CandleMarket(candles, Segment("train", *bounds), settings)


def play(
    market: CandleMarket,
    actions: npt.ArrayLike,
    *,
    starts: Sequence[int] = (WARM_UP_BARS,),
    episode_length: int | None = None,
) -> dict[str, Floats]:
    """Play actions of shape (steps, episodes or 1, 2 or 3); returns arrays of (steps, episodes).

    The keys are those of the outcome and of the state, and `observation` (steps, episodes, n):
    what is seen after each step.
    """
    given = np.asarray(actions, dtype=np.float64)
    episodes = CandleEpisodes(market, len(starts), episode_length=episode_length or len(given))
    episodes.restart(np.array(starts, np.int64))
    taken = np.broadcast_to(given, (len(given), len(starts), given.shape[2]))
    rows = []
    for action in taken:
        outcome = episodes.step(action)
        row = {**outcome._asdict(), **{f: getattr(episodes.state, f) for f in STATE_NAMES}}
        row["observation"] = episodes.observe()
        rows.append({name: values.copy() for name, values in row.items()})
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


STATE_NAMES = ("cash", "inventory", "equity", "bar")
HOLD = [[np.inf, 0.0]]
"""An action that quotes nothing."""


def one(spread: float = 0.0, skew: float = 0.0) -> list[list[float]]:
    """Return one step's action for every episode."""
    return [[spread, skew]]
