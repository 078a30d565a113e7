"""A mean that is uncertain twice: over the seeds of a learner and over the periods it was judged.

All seeds are judged on the same periods, so a table of results (seeds, periods) has two margins.
Agreement of seeds says nothing of other periods, agreement of periods nothing of other seeds.
"""

import math
from collections.abc import Sequence
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

    def p_above_exceeds(self, level: float) -> bool:
        """Return whether `p_above` is larger than a level, much faster than by computing it.

        A tail beyond a distance is larger than a level when half the width there exceeds it.
        """
        if self.mean <= 0.0:
            return level < 0.5 or self._half(1.0 - level) < -self.mean
        nearest = min(self.mean, self._corrected(self.mean, self.skewness))
        return level < 0.5 and self._half(max(level, SMALLEST_P)) > nearest

    def _half(self, tail: float) -> float:
        of_seeds = self.of_seeds * float(stdtrit(self.seeds - 1, tail)) ** 2
        return math.sqrt(of_seeds + self.of_periods * float(stdtrit(self.periods - 1, tail)) ** 2)

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
        found = brentq(lambda log_p: self._half(math.exp(log_p)) - distance, *_LOG_RANGE)
        return math.exp(found)


_LOG_RANGE = (math.log(SMALLEST_P), math.log(0.5))
_USUAL = 0.025

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
    return two_way_means(table[None])[0]


def two_way_means(values: Floats) -> list[TwoWayMean]:
    """Return the two-way mean of each of several tables, (tables, seeds, periods)."""
    count, seeds, periods = values.shape
    if seeds == 0 or periods == 0:
        return [UNKNOWN] * count
    of_seeds, of_periods = values.mean(axis=2), values.mean(axis=1)
    # What is but rounding is zero; NaN is not larger than anything.
    floor = 1e-24 * np.square(values).max(axis=(1, 2))
    columns = (
        values.mean(axis=(1, 2)),
        _squared_error(of_seeds, floor),
        _squared_error(of_periods, floor),
        _skewness(of_periods, floor),
    )
    return [
        UNKNOWN if math.isnan(mean) else TwoWayMean(mean, seeds, periods, *rest)
        for mean, *rest in zip(*(column.tolist() for column in columns), strict=True)
    ]


def largest_p_above(means: Sequence[TwoWayMean]) -> float:
    """Return the largest `p_above` of several, NaN where one can't be told.

    Roots are sought only for those that exceed what was found before them.
    """
    if any(math.isnan(mean.mean + mean.of_seeds + mean.of_periods) for mean in means):
        return float("nan")
    # The larger a mean beside its errors, the smaller its p-value, nearly.
    first, *others = sorted(means, key=lambda mean: mean.mean / (mean._half(_USUAL) or 1.0))
    largest = first.p_above
    for mean in others:
        if mean.p_above_exceeds(largest):
            largest = mean.p_above
    return largest


def _squared_error(means: Floats, floor: Floats) -> Floats:
    """Return the variance of a mean of means (tables, means); what is but rounding is zero."""
    size = means.shape[1]
    if size < 2:
        return np.full(len(means), np.nan)
    variance = means.var(axis=1, ddof=1)
    return np.where(variance > floor, variance / size, 0.0)


def _skewness(means: Floats, floor: Floats) -> Floats:
    """Return the skewness of means (tables, means), NaN where nothing varies."""
    size = means.shape[1]
    if size < 3:
        return np.full(len(means), np.nan)
    variance = means.var(axis=1, ddof=1)
    third = ((means - means.mean(axis=1, keepdims=True)) ** 3).mean(axis=1)
    third *= size**2 / ((size - 1) * (size - 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > floor, third / variance**1.5, np.nan)
