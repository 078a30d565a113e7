"""A mean that is uncertain twice: over the seeds of a learner and over the periods it was judged.

All seeds are judged on the same periods, so a table of results (seeds, periods) has two margins.
Agreement of seeds says nothing of other periods, agreement of periods nothing of other seeds.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import stdtrit

from makerlab.statistics.bootstrap import UNDEFINED, Estimate

Floats = npt.NDArray[np.float64]

SMALLEST_P = 1e-12
"""P-values are not followed further down."""


@dataclass(frozen=True)
class TwoWayMean:
    """A mean over seeds and periods with what is known of its two uncertainties.

    `of_seeds` and `of_periods` are the squared standard errors from the means of seeds and from
    the means of periods, NaN where there is only one; `skewness` is that of the periods' means.
    """

    mean: float
    seeds: int
    periods: int
    of_seeds: float
    of_periods: float
    skewness: float

    @property
    def p_above(self) -> float:
        """One-sided p-value of "the true mean is not above zero"; NaN where it can't be told."""
        return self._p(self.mean, self.skewness)

    @property
    def p_below(self) -> float:
        """One-sided p-value of "the true mean is not below zero"; NaN where it can't be told."""
        return self._p(-self.mean, -self.skewness)

    def interval(self, confidence: float) -> Estimate:
        """Return the mean with its two-sided interval; without bounds where an error is unknown.

        Half its width is the root of the sum of squares of the two margins' t intervals.
        """
        if np.isnan(self.mean):
            return UNDEFINED
        half = self._half(0.5 - confidence / 2.0)
        if np.isnan(half):
            return Estimate(self.mean, None, None)
        return Estimate(self.mean, self.mean - half, self.mean + half)

    def _half(self, tail: float) -> float:
        of_seeds = self.of_seeds * float(stdtrit(self.seeds - 1, tail)) ** 2
        return float(
            np.sqrt(of_seeds + self.of_periods * float(stdtrit(self.periods - 1, tail)) ** 2)
        )

    def _p(self, mean: float, skewness: float) -> float:
        """Return the larger of the plain and the corrected p-value of a mean above zero."""
        if np.isnan(mean) or np.isnan(self.of_seeds) or np.isnan(self.of_periods):
            return float("nan")
        if mean <= 0.0:
            return 1.0 - self._tail(-mean)
        return max(self._tail(mean), self._tail(self._corrected(mean, skewness)))

    def _corrected(self, mean: float, skewness: float) -> float:
        """Return the mean less what skewed periods add to its t ratio (Hall's transformation)."""
        deviation = float(np.sqrt(self.of_periods * self.periods))
        if deviation == 0.0 or np.isnan(skewness):
            return mean
        ratio, third = mean / deviation, skewness / 3.0
        bent = ratio + third * ratio**2 + third**2 * ratio**3 / 3.0
        return deviation * (bent + skewness / (6.0 * self.periods))

    def _tail(self, distance: float) -> float:
        """Return the probability at which half the interval's width is a distance."""
        if distance <= 0.0:
            return 0.5
        if distance >= self._half(SMALLEST_P):
            return SMALLEST_P
        found = brentq(lambda log_p: self._half(np.exp(log_p)) - distance, *_LOG_RANGE)
        return float(np.exp(found))


_LOG_RANGE = (float(np.log(SMALLEST_P)), float(np.log(0.5)))

UNKNOWN = TwoWayMean(float("nan"), 0, 0, float("nan"), float("nan"), float("nan"))


def two_way_mean(values: npt.ArrayLike) -> TwoWayMean:
    """Return the mean of values (seeds, periods) with an error that covers both.

    With a the variance of the seeds' means over their number S and b that of the periods' means
    over theirs P, the mean's error at a level is sqrt(a t(S-1)^2 + b t(P-1)^2), t Student's
    quantiles. For normal effects of seeds and of periods that keeps the level whatever their sizes;
    noise of single cells is in a and in b, so it is rather too wide. P-values are also corrected
    for the skewness of the periods' means: many small gains and few large losses make a mean look
    surer than it is. What never happened in the record no correction can know.
    Unknown for an empty table or NaN. Raises ValueError for another shape.
    Sources: Banerjee, Approximate confidence interval for linear functions of means of k
    populations, Sankhya 22, 1960; Hall, On the removal of skewness by transformation, Journal of
    the Royal Statistical Society B 54(1), 1992.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"values: found shape {table.shape}, expected (seeds, periods)")
    if table.size == 0 or np.isnan(table).any():
        return UNKNOWN
    seeds, periods = table.shape
    of_seeds, of_periods = table.mean(axis=1), table.mean(axis=0)
    floor = 1e-24 * float(np.max(np.square(table)))
    return TwoWayMean(
        mean=float(table.mean()),
        seeds=seeds,
        periods=periods,
        of_seeds=_squared_error(of_seeds, floor),
        of_periods=_squared_error(of_periods, floor),
        skewness=_skewness(of_periods, floor),
    )


def _squared_error(means: Floats, floor: float) -> float:
    """Return the variance of a mean of means; what is but rounding is zero."""
    if len(means) < 2:
        return float("nan")
    variance = float(means.var(ddof=1))
    return variance / len(means) if variance > floor else 0.0


def _skewness(means: Floats, floor: float) -> float:
    size = len(means)
    if size < 3 or float(means.var(ddof=1)) <= floor:
        return float("nan")
    third = float(np.mean((means - means.mean()) ** 3)) * size**2 / ((size - 1) * (size - 2))
    return float(third / means.var(ddof=1) ** 1.5)
