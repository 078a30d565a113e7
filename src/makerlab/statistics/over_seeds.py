"""Means and t intervals of many columns at once; each is `bootstrap.mean_interval` of a column."""

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

Floats = npt.NDArray[np.float64]


def mean_intervals(values: Floats, *, confidence: float = 0.95) -> Floats:
    """Return mean, low and high, (3, columns), of values (seeds, columns).

    A column is NaN when one of its values is; without a second seed the bounds are.
    """
    seeds = len(values)
    mean = values.mean(axis=0)
    if seeds < 2:
        return np.stack([mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)])
    reach = float(stdtrit(seeds - 1, 0.5 + confidence / 2.0))
    half = reach * values.std(axis=0, ddof=1) / np.sqrt(seeds)
    return np.stack([mean, mean - half, mean + half])
