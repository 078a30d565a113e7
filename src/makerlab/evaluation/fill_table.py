"""What a static symmetric quoter earns on candles under each fill model, before fees."""

from typing import Any

import numpy as np

from makerlab.config import EnvSettings, FillSettings
from makerlab.data.candles import Candles
from makerlab.data.split import Segment
from makerlab.errors import UserError
from makerlab.market.episodes import CandleMarket
from makerlab.market.features import WARM_UP_BARS
from makerlab.market.fill_card import optimistic_assumptions
from makerlab.policies.baselines import fill_intensity

DISTANCES_BPS = (2.0, 5.0, 10.0)

# One unit per fill, a cap of five, all the volume there is: what the reference figures assume.
_PLAIN: dict[str, Any] = {"volume_participation": 1.0, "liquidate_at_end": False}
_MODELS: dict[str, dict[str, Any]] = {
    "trade-through, both": {"both_touched": "both"},
    "trade-through, path": {"both_touched": "path"},
    "trade-through, one by chance": {"both_touched": "seeded_random"},
    "trade-through, worse side (default)": {},
    "worse side, penetration 1 bp": {"penetration_bps": 1.0},
    "worse side, latency of one bar": {"latency_bars": 1},
    "touch, worse side": {"rule": "touch"},
    "calibrated intensity, worse side": {"rule": "calibrated_intensity"},
}


def fill_rows(candles: Candles) -> list[dict[str, Any]]:
    """Return a row per fill model and distance: fills per bar, and gain per fill in basis points.

    The gain is the whole profit, inventory marked at the last close, over the number of fills and
    the mean price, gross of fees. Intensities are fitted to the same bars. Raises UserError when
    the candles are too few to warm up and quote.
    """
    if len(candles) < WARM_UP_BARS + 2:
        raise UserError(
            f"{candles.source.path}: {len(candles)} bars in the days asked for, expected at least "
            f"{WARM_UP_BARS + 2}"
        )
    return [
        _row(candles, name, rules, distance)
        for name, rules in _MODELS.items()
        for distance in DISTANCES_BPS
    ]


def _row(candles: Candles, name: str, rules: dict[str, Any], distance_bps: float) -> dict[str, Any]:
    fill = _PLAIN | rules
    if fill.get("rule") == "calibrated_intensity":
        fill |= _fitted(_market(candles, distance_bps, FillSettings(**_PLAIN)))
    settings = FillSettings(**fill)
    market = _market(candles, distance_bps, settings)
    steps = len(candles) - WARM_UP_BARS - 1
    episodes = market.episodes(1, episode_length=steps)
    episodes.restart(np.array([WARM_UP_BARS]))
    action, fills = np.zeros((1, 2)), 0
    for _ in range(steps):
        outcome = episodes.step(action)
        fills += int(outcome.bid_filled[0] > 0.0) + int(outcome.ask_filled[0] > 0.0)
    profit = float(episodes.state.equity[0]) - market.settings.initial_cash
    gain = 1e4 * profit / fills / market.mean_price if fills else None
    return {
        "fill model": name,
        "optimistic": "yes" if optimistic_assumptions(settings) else "no",
        "distance (bp)": distance_bps,
        "fills per bar": fills / steps,
        "gain per fill (bp)": gain,
    }


def _market(candles: Candles, distance_bps: float, fill: FillSettings) -> CandleMarket:
    env = EnvSettings(
        base_spread_bps=distance_bps,
        order_size=1.0,
        max_inventory=5.0,
        initial_cash=1e7,
        fill=fill,
    )
    return CandleMarket(candles, Segment("train", 0, len(candles)), env)


def _fitted(market: CandleMarket) -> dict[str, float]:
    fitted = fill_intensity(market)
    per_second, per_bp = fitted.intensity * 1000.0 / market.bar_ms, fitted.decay / 1e4
    return {
        "bid_intensity": per_second,
        "bid_decay": per_bp,
        "ask_intensity": per_second,
        "ask_decay": per_bp,
    }
