"""What a policy earned, with intervals: metrics of many episodes and their differences.

Every metric is a function of sums per episode, so a bootstrap over episodes is one matrix product
for all resamples. Penalties shape the reward only; no money metric knows of them.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from makerlab.evaluation.rollout import Trajectories
from makerlab.statistics.bootstrap import Estimate, percentile_interval

Floats = npt.NDArray[np.float64]
Sums = dict[str, Floats]

MARKOUT_BARS = (1, 5, 15)
MILLISECONDS_PER_YEAR = 365 * 86_400_000

# Name of each metric, and what it is; the order is that of every file and table.
METRICS: Mapping[str, str] = {
    "net_profit": "Mean profit of an episode, currency, after fees; penalties are not money.",
    "return_on_capital": "Mean profit of an episode over the initial cash.",
    "sharpe": "Annualised Sharpe ratio of returns per bar on the initial cash.",
    "sortino": "Annualised Sortino ratio; the downside deviation divides by all bars.",
    "max_drawdown_pct": "Mean over episodes of the largest fall of equity from its peak, percent.",
    "max_drawdown": "Mean over episodes of the largest fall of equity from its peak, currency.",
    "turnover": "Mean notional traded in an episode, currency.",
    "fees": "Mean fees of an episode, currency, the final flattening included.",
    "bid_fills": "Mean number of bars of an episode in which the bid was filled.",
    "ask_fills": "Mean number of bars of an episode in which the ask was filled.",
    "spread_captured": "Mean over episodes of fills against the mid of the decision, currency.",
    "inventory_profit": "Mean over episodes of position times move of the mid, currency.",
    "mean_abs_inventory": "Mean absolute position, base units.",
    "max_abs_inventory": "Mean over episodes of the largest absolute position, base units.",
    "time_at_cap": "Share of bars at the position limit.",
    **{
        f"markout_{bars}_bps": f"Mean gain of a fill at the close {bars} bars after its own, "
        "basis points of its price, before fees."
        for bars in MARKOUT_BARS
    },
    "profit_per_turnover_bps": "Profit over notional traded, basis points.",
    "episode_reward": "Mean sum of rewards of an episode, penalties included.",
}


def episode_sums(trajectories: Trajectories) -> Sums:
    """Return the sums per episode, arrays of shape (episodes,), behind all metrics."""
    capital = trajectories.market.settings.initial_cash
    limit = trajectories.market.settings.max_inventory
    opening = np.full((len(trajectories.starts), 1), capital)
    position = np.abs(trajectories.inventory)
    sums = equity_sums(np.concatenate([opening, trajectories.equity], axis=1))
    sums |= {
        "bid_fills": np.nansum(trajectories.bid_filled > 0.0, axis=1).astype(np.float64),
        "ask_fills": np.nansum(trajectories.ask_filled > 0.0, axis=1).astype(np.float64),
        "position": np.nansum(position, axis=1),
        "largest_position": np.nanmax(position, axis=1),
        "bars_at_cap": np.nansum(position >= limit * (1.0 - 1e-9), axis=1).astype(np.float64),
    }
    for name in ("turnover", "fees", "spread_captured", "inventory_profit", "reward"):
        sums[name] = np.nansum(getattr(trajectories, name), axis=1)
    for bars in MARKOUT_BARS:
        gain, count = _markouts(trajectories, bars)
        sums[f"markout_{bars}"], sums[f"markout_{bars}_fills"] = gain, count
    return sums


def equity_sums(equity: Floats) -> Sums:
    """Return the sums behind the metrics of equity alone, arrays of shape (episodes,).

    `equity` is (episodes, bars + 1), currency: its first column is the capital, on which returns
    are measured; NaN after an early end.
    """
    capital = equity[:, 0]
    returns = np.diff(equity, axis=1) / capital[:, None]
    final = np.array([row[np.isfinite(row)][-1] for row in equity])
    peak = np.fmax.accumulate(equity, axis=1)
    return {
        "bars": np.isfinite(returns).sum(axis=1).astype(np.float64),
        "profit": final - capital,
        "return": np.nansum(returns, axis=1),
        "return_squared": np.nansum(np.square(returns), axis=1),
        "downside_squared": np.nansum(np.square(np.minimum(returns, 0.0)), axis=1),
        "drawdown": np.nanmax(peak - equity, axis=1),
        "drawdown_share": np.nanmax((peak - equity) / peak, axis=1),
        "capital": capital,
    }


def _markouts(trajectories: Trajectories, bars: int) -> tuple[Floats, Floats]:
    """Return sum of gains (basis points) and number of fills with a close `bars` later.

    Fills whose later bar lies beyond the segment or beyond a gap are left out.
    """
    later = trajectories.market.later_mids(trajectories.starts, trajectories.mid, bars=bars)
    inside = np.isfinite(later)
    bought = inside & (trajectories.bid_filled > 0.0)
    sold = inside & (trajectories.ask_filled > 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        bought_gain = np.where(bought, (later - trajectories.bid) / trajectories.bid, 0.0)
        sold_gain = np.where(sold, (trajectories.ask - later) / trajectories.ask, 0.0)
    gain = 1e4 * (bought_gain + sold_gain).sum(axis=1)
    return gain, (bought.sum(axis=1) + sold.sum(axis=1)).astype(np.float64)


def metric_values(sums: Sums, weights: Floats, *, bar_ms: int) -> dict[str, Floats]:
    """Return every metric for weighted episodes: weights (rows, episodes) to (rows,) each."""
    total = {name: weights @ values for name, values in sums.items()}
    episodes, bars = weights.sum(axis=1), total["bars"]
    fills = {bars_: _nan_if_zero(total[f"markout_{bars_}_fills"]) for bars_ in MARKOUT_BARS}
    return {
        **equity_values(sums, weights, bar_ms=bar_ms),
        "turnover": total["turnover"] / episodes,
        "fees": total["fees"] / episodes,
        "bid_fills": total["bid_fills"] / episodes,
        "ask_fills": total["ask_fills"] / episodes,
        "spread_captured": total["spread_captured"] / episodes,
        "inventory_profit": total["inventory_profit"] / episodes,
        "mean_abs_inventory": total["position"] / bars,
        "max_abs_inventory": total["largest_position"] / episodes,
        "time_at_cap": total["bars_at_cap"] / bars,
        **{
            f"markout_{bars_}_bps": total[f"markout_{bars_}"] / fills[bars_]
            for bars_ in MARKOUT_BARS
        },
        "profit_per_turnover_bps": 1e4 * total["profit"] / _nan_if_zero(total["turnover"]),
        "episode_reward": total["reward"] / episodes,
    }


def equity_values(sums: Sums, weights: Floats, *, bar_ms: int) -> dict[str, Floats]:
    """Return the metrics that equity alone decides, for weighted episodes as `metric_values`."""
    total = {name: weights @ values for name, values in sums.items()}
    episodes = weights.sum(axis=1)
    per_year = MILLISECONDS_PER_YEAR / bar_ms
    bars = total["bars"]
    mean_return = total["return"] / bars
    variance = (total["return_squared"] - bars * np.square(mean_return)) / (bars - 1.0)
    # A difference of equal sums leaves rounding of either sign where nothing varied.
    varies = variance > 1e-12 * total["return_squared"] / bars
    deviation = np.sqrt(np.where(varies, variance, np.nan))
    downside = np.sqrt(_nan_if_zero(total["downside_squared"] / bars))
    return {
        "net_profit": total["profit"] / episodes,
        "return_on_capital": total["profit"] / total["capital"],
        "sharpe": mean_return / deviation * np.sqrt(per_year),
        "sortino": mean_return / downside * np.sqrt(per_year),
        "max_drawdown_pct": 100.0 * total["drawdown_share"] / episodes,
        "max_drawdown": total["drawdown"] / episodes,
    }


def metric_estimates(
    sums: Sums, weights: Floats, *, bar_ms: int, confidence: float
) -> dict[str, Estimate]:
    """Return every metric with its bootstrap interval over episodes."""
    return _estimates(lambda w: metric_values(sums, w, bar_ms=bar_ms), weights, confidence)


def difference_estimates(
    sums: Sums, other: Sums, weights: Floats, *, bar_ms: int, confidence: float
) -> dict[str, Estimate]:
    """Return every metric minus the other policy's, paired: both on the same resamples."""

    def differences(weights: Floats) -> dict[str, Floats]:
        first = metric_values(sums, weights, bar_ms=bar_ms)
        second = metric_values(other, weights, bar_ms=bar_ms)
        return {name: first[name] - second[name] for name in first}

    return _estimates(differences, weights, confidence)


def point_value(sums: Sums, metric: str, *, bar_ms: int) -> float:
    """Return one metric over all episodes, without an interval; NaN where undefined."""
    weights = np.ones((1, len(sums["bars"])))
    return float(metric_values(sums, weights, bar_ms=bar_ms)[metric][0])


def _estimates(
    values: Callable[[Floats], dict[str, Floats]], weights: Floats, confidence: float
) -> dict[str, Estimate]:
    point = values(np.ones((1, weights.shape[1])))
    resampled = values(weights)
    result = {}
    for name in METRICS:
        result[name] = percentile_interval(
            float(point[name][0]),
            resampled[name],
            episodes=weights.shape[1],
            confidence=confidence,
        )
    return result


def _nan_if_zero(values: Floats) -> Floats:
    return np.where(values == 0.0, np.nan, values)
