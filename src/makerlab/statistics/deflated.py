"""The Sharpe ratio that the best of many worthless trials would show, and what is left above it.

Source: Bailey and López de Prado, The Deflated Sharpe Ratio, Journal of Portfolio Management 40(5),
2014. Sharpe ratios are per period, kurtosis is raw (3 for a normal distribution).
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from makerlab.statistics.sharpe import Numbers, as_given, probabilistic_sharpe_ratio

EULER_MASCHERONI = 0.5772156649015329


def expected_maximum_sharpe(*, trials: npt.ArrayLike, variance: npt.ArrayLike) -> Numbers:
    """Return the expected largest Sharpe ratio of independent trials whose true one is zero.

    sqrt(V) ((1 - c) Zinv(1 - 1/N) + c Zinv(1 - 1/(N e))), c Euler's constant and V the variance of
    the ratios between trials. The formula holds for many trials; of a single one the expectation
    is zero (there it would be minus infinity), and never less. Raises ValueError for fewer than
    one trial or a negative variance.
    """
    number = np.asarray(trials, dtype=np.float64)
    spread = np.asarray(variance, dtype=np.float64)
    if np.any(number < 1.0):
        raise ValueError(f"trials: found {number}, expected at least 1")
    if np.any(spread < 0.0):
        raise ValueError(f"variance: found {spread}, expected no negative number")
    with np.errstate(divide="ignore"):
        # Zinv(1 - p) as -Zinv(p): exact where p is too small to be taken from 1.
        score = -(1.0 - EULER_MASCHERONI) * ndtri(1.0 / number)
        score -= EULER_MASCHERONI * ndtri(1.0 / (number * np.e))
    return as_given(np.sqrt(spread) * np.maximum(score, 0.0))


def deflated_sharpe_ratio(
    sharpe: npt.ArrayLike,
    *,
    observations: npt.ArrayLike,
    skewness: npt.ArrayLike,
    raw_kurtosis: npt.ArrayLike,
    trials: npt.ArrayLike,
    variance: npt.ArrayLike,
) -> Numbers:
    """Return the probability that the true Sharpe ratio exceeds what luck among trials gives.

    `probabilistic_sharpe_ratio` against `expected_maximum_sharpe`; `trials` counts all that were
    tried, `variance` is that of their Sharpe ratios per period. Errors are those of both.
    """
    return probabilistic_sharpe_ratio(
        sharpe,
        observations=observations,
        skewness=skewness,
        raw_kurtosis=raw_kurtosis,
        benchmark=expected_maximum_sharpe(trials=trials, variance=variance),
    )
