"""Bootstrap intervals over independent episodes, and t intervals over seeds."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtr, stdtrit

Floats = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A number with its interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Return {value, low, high}."""
        return self._asdict()


UNDEFINED = Estimate(None, None, None)

FEWEST_EPISODES = 5
"""Resamples of fewer can't reach as far as the truth may lie: of 3, three times in four."""


def resample_weights(episodes: int, *, samples: int, seed: int) -> Floats:
    """Return how often each episode is drawn in each resample: (samples, episodes)."""
    generator = np.random.default_rng(seed)
    shares = np.full(episodes, 1.0 / episodes)
    return generator.multinomial(episodes, shares, size=samples).astype(np.float64)


def percentile_interval(
    value: float, resampled: Floats, *, episodes: int, confidence: float
) -> Estimate:
    """Return the expanded percentile interval of a value from its resamples (samples,).

    Undefined (None) where the value is NaN; without bounds for fewer than FEWEST_EPISODES or when
    over a tenth of the resamples are NaN. The plain percentile interval is that of a normal
    distribution with the deviation divided by n: of 20 episodes 95 % hold the truth 92 % of the
    time, of 5 only 83 %. Percentiles further out, Phi(-sqrt(n/(n-1)) t), make up for it.
    Source: Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician
    69(4), 2015, section on expanded percentile intervals.
    """
    if not np.isfinite(value):
        return UNDEFINED
    defined = resampled[np.isfinite(resampled)]
    if episodes < FEWEST_EPISODES or len(defined) < 0.9 * len(resampled):
        return Estimate(value, None, None)
    reach = float(stdtrit(episodes - 1, 0.5 + confidence / 2.0))
    tail = float(ndtr(-np.sqrt(episodes / (episodes - 1)) * reach))
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    return Estimate(value, float(low), float(high))


def mean_interval(values: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Return mean and Student t interval of a few independent values, such as seeds."""
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) == 0:
        return UNDEFINED
    mean = float(sample.mean())
    if len(sample) < 2:
        return Estimate(mean, None, None)
    reach = float(stdtrit(len(sample) - 1, 0.5 + confidence / 2.0))
    half = reach * float(sample.std(ddof=1)) / float(np.sqrt(len(sample)))
    return Estimate(mean, mean - half, mean + half)


def mean_above(values: npt.ArrayLike) -> float:
    """Return the one-sided p-value of "the true mean is not above zero"; NaN of fewer than two.

    Student's t test; values that are all the same are as sure as their sign.
    """
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < 2:
        return float("nan")
    error = float(sample.std(ddof=1)) / float(np.sqrt(len(sample)))
    if error <= 1e-12 * float(np.abs(sample).max()):
        return float(np.interp(np.sign(sample.mean()), (-1.0, 0.0, 1.0), (1.0, 0.5, 0.0)))
    return float(stdtr(len(sample) - 1, -float(sample.mean()) / error))
