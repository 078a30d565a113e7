"""How sure a Sharpe ratio is, given the length and the shape of its record.

Everywhere here a Sharpe ratio is per period (mean over standard deviation of the returns of one
period, never annualised), `observations` counts those periods, and kurtosis is raw: 3 for a normal
distribution. Excess kurtosis put in its place makes fat tails look thin.

Arguments may be numbers or arrays; arrays are taken together by numpy's rules. NaN gives NaN.
Source: Bailey and López de Prado, The Sharpe Ratio Efficient Frontier, Journal of Risk 15(2), 2012.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

Floats = npt.NDArray[np.float64]
Numbers = float | Floats


class Moments(NamedTuple):
    """What the formulas take of a record of returns; NaN where nothing varies."""

    observations: int
    mean: float
    sharpe: float
    skewness: float
    raw_kurtosis: float


def moments(returns: npt.ArrayLike) -> Moments:
    """Return the moments of returns (periods,): Sharpe with ddof 1, skewness and raw kurtosis.

    Skewness is m3 / m2^1.5 and kurtosis m4 / m2^2, of central moments that divide by all periods.
    Returns that don't vary have a mean but neither Sharpe ratio nor shape.
    """
    sample = np.asarray(returns, dtype=np.float64)
    size = len(sample)
    if size == 0:
        return Moments(0, np.nan, np.nan, np.nan, np.nan)
    mean = float(sample.sum()) / size
    centred = sample - mean
    squared = np.square(centred)
    second = float(squared.sum()) / size
    # What rounding leaves of a constant is no variation.
    if size < 2 or second <= 1e-24 * float(np.square(sample).max()):
        return Moments(size, mean, np.nan, np.nan, np.nan)
    return Moments(
        observations=size,
        mean=mean,
        sharpe=mean / float(np.sqrt(second * size / (size - 1))),
        skewness=float((squared * centred).sum()) / size / second**1.5,
        raw_kurtosis=float(np.square(squared).sum()) / size / second**2,
    )


def probabilistic_sharpe_ratio(
    sharpe: npt.ArrayLike,
    *,
    observations: npt.ArrayLike,
    skewness: npt.ArrayLike,
    raw_kurtosis: npt.ArrayLike,
    benchmark: npt.ArrayLike = 0.0,
) -> Numbers:
    """Return the probability that the true Sharpe ratio lies above the benchmark's.

    Z[(SR - SR*) sqrt(T - 1) / sqrt(1 - g3 SR + (g4 - 1)/4 SR^2)], both per period. NaN for fewer
    than two observations and for moments no distribution has (the root's content is negative).
    Where that is zero the estimate is taken as exact: 0 or 1, or 0.5 at the benchmark itself.
    """
    ratio, length = _floats(sharpe), _floats(observations)
    variance = _estimation_variance(ratio, skewness, raw_kurtosis)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = (ratio - _floats(benchmark)) * np.sqrt(length - 1.0)
        score = np.where(excess == 0.0, 0.0 * variance, excess / np.sqrt(variance))
    return as_given(np.where(length < 2.0, np.nan, ndtr(score)))


def minimum_track_record_length(
    sharpe: npt.ArrayLike,
    *,
    benchmark: npt.ArrayLike,
    skewness: npt.ArrayLike,
    raw_kurtosis: npt.ArrayLike,
    confidence: npt.ArrayLike,
) -> Numbers:
    """Return how many observations make `probabilistic_sharpe_ratio` reach the confidence.

    1 + (1 - g3 SR + (g4 - 1)/4 SR^2) (Zinv(confidence) / (SR - SR*))^2, in periods, not rounded.
    Infinite for a Sharpe ratio at or below the benchmark: no record is long enough, though the
    square hides that. 1 for a confidence of a half or less. NaN for moments no distribution has.
    Raises ValueError for a confidence outside (0, 1).
    """
    level = _floats(confidence)
    if np.any((level <= 0.0) | (level >= 1.0)):
        raise ValueError(f"confidence: found {level}, expected a number between 0 and 1")
    ratio = _floats(sharpe)
    variance = _estimation_variance(ratio, skewness, raw_kurtosis)
    distance = ratio - _floats(benchmark)
    with np.errstate(divide="ignore", invalid="ignore"):
        length = 1.0 + variance * np.square(np.maximum(ndtri(level), 0.0) / distance)
    beyond_reach = np.where(np.isnan(variance), np.nan, np.inf)
    return as_given(np.where(distance <= 0.0, beyond_reach, length))


def as_given(values: npt.ArrayLike) -> Numbers:
    """Return a float for a single number, an array for an array."""
    found = _floats(values)
    return float(found) if found.ndim == 0 else found


def _estimation_variance(
    sharpe: Floats, skewness: npt.ArrayLike, raw_kurtosis: npt.ArrayLike
) -> Floats:
    """Return (T - 1) times the variance of the estimated ratio; NaN where it would be negative."""
    skewed = _floats(skewness) * sharpe
    variance = 1.0 - skewed + (_floats(raw_kurtosis) - 1.0) / 4.0 * np.square(sharpe)
    return np.where(variance < 0.0, np.nan, variance)


def _floats(values: npt.ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)
