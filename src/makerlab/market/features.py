"""What an agent may know of the market at the close of a bar.

Each row depends on that bar and the `WARM_UP_BARS` before it, on nothing else: no later bar, no
first bar of the file, no statistic of the whole span. All features are free of the price level.
"""

import math

import numpy as np
import numpy.typing as npt

from makerlab.compiling import kept
from makerlab.market.layout import Floats, Prices

RETURN_WINDOWS = (1, 5, 15, 60)
EMA_HALF_LIVES = (5.0, 20.0)
WARM_UP_BARS = 60
TYPICAL_VOLATILITY = 1e-3
CLIP = 10.0

FEATURE_NAMES = (
    *(f"return_{window}" for window in RETURN_WINDOWS),
    *(f"ema_deviation_{half_life:g}" for half_life in EMA_HALF_LIVES),
    "log_volatility",
    "volatility_ratio",
    "range",
    "close_position",
    "log_relative_volume",
)


Features = npt.NDArray[np.float32]


def market_features(prices: Prices) -> Features:
    """Return features of shape (bars, len(FEATURE_NAMES)); NaN in the first WARM_UP_BARS rows.

    Returns are log returns over 1, 5, 15 and 60 bars divided by the volatility of 60 bars times
    the root of their length; deviations are of the log close from exponential averages over 60
    bars; log_volatility is the log of the volatility of 60 bars over 0.001 (see `volatility_of`).
    """
    windows = np.array(RETURN_WINDOWS, np.int64)
    weights = np.stack([_ema_weights(half_life) for half_life in EMA_HALF_LIVES])
    contiguous = Prices._make(np.ascontiguousarray(column) for column in prices)
    features = np.full((len(prices.close), len(FEATURE_NAMES)), np.nan)
    _fill_features(contiguous, np.log(contiguous.close), windows, weights, features)
    return np.clip(features, -CLIP, CLIP).astype(np.float32)


def volatility_of(log_volatility: Floats) -> Floats:
    """Return the volatility per bar, a fraction of price, from its feature."""
    return TYPICAL_VOLATILITY * np.exp(log_volatility)


def _ema_weights(half_life: float) -> Floats:
    """Weights of the last WARM_UP_BARS bars, newest first, adding up to one."""
    weights = 0.5 ** (np.arange(WARM_UP_BARS) / half_life)
    return np.asarray(weights / weights.sum())


@kept
def _fill_features(
    prices: Prices,
    log_close: Floats,
    windows: npt.NDArray[np.int64],
    ema_weights: Floats,
    features: Floats,
) -> None:
    floor = 1e-6
    for t in range(WARM_UP_BARS, log_close.shape[0]):
        long_sum = short_sum = volume_sum = 0.0
        for back in range(WARM_UP_BARS):
            change = log_close[t - back] - log_close[t - back - 1]
            long_sum += change * change
            if back < 5:
                short_sum += change * change
            volume_sum += prices.volume[t - back]
        volatility = max(math.sqrt(long_sum / WARM_UP_BARS), floor)
        column = 0
        for window in windows:
            move = log_close[t] - log_close[t - window]
            features[t, column] = move / (volatility * math.sqrt(window))
            column += 1
        for row in range(ema_weights.shape[0]):
            average = 0.0
            for back in range(WARM_UP_BARS):
                average += ema_weights[row, back] * log_close[t - back]
            features[t, column] = (log_close[t] - average) / volatility
            column += 1
        features[t, column] = math.log(volatility / TYPICAL_VOLATILITY)
        short = max(math.sqrt(short_sum / 5.0), floor)
        features[t, column + 1] = math.log(short / volatility)
        height = prices.high[t] - prices.low[t]
        features[t, column + 2] = height / (prices.close[t] * volatility)
        position = 2.0 * (prices.close[t] - prices.low[t]) / height - 1.0 if height > 0.0 else 0.0
        features[t, column + 3] = position
        mean_volume = volume_sum / WARM_UP_BARS
        relative = prices.volume[t] / mean_volume if mean_volume > 0.0 else 1.0
        features[t, column + 4] = math.log(max(relative, 1e-3))
