"""The mean of the middle half of scores: steadier than the mean, sharper than the median.

Source: Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice,
NeurIPS 2021 (rliable), where scores are (runs, tasks) and runs are resampled within each task.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

from makerlab.statistics.bootstrap import UNDEFINED, Estimate

Floats = npt.NDArray[np.float64]


def interquartile_mean(scores: npt.ArrayLike) -> float:
    """Return the mean of all scores but the lowest and the highest quarter.

    Scores of any shape are taken together; from each end floor(n / 4) of n are left out, so of
    fewer than four none is. NaN when there is none or one is NaN.
    """
    values = np.asarray(scores, dtype=np.float64).ravel()
    return float(_middle(values)) if values.size else float("nan")


def interquartile_mean_interval(
    scores: npt.ArrayLike, *, samples: int, seed: int, confidence: float = 0.95
) -> Estimate:
    """Return the interquartile mean of scores (runs, tasks) with its stratified interval.

    Without bounds for a single run, undefined for none or where a score is NaN. Raises ValueError
    for another shape.
    """

    def statistic(resampled: Floats) -> Floats:
        return _middle(resampled.reshape(len(resampled), -1))

    return stratified_bootstrap(
        scores, statistic=statistic, samples=samples, seed=seed, confidence=confidence
    )


def stratified_bootstrap(
    scores: npt.ArrayLike,
    *,
    statistic: Callable[[Floats], Floats],
    samples: int,
    seed: int,
    confidence: float = 0.95,
) -> Estimate:
    """Return a statistic of scores (runs, tasks) with an interval over runs, task by task.

    `statistic` maps (samples, runs, tasks) to (samples,). Each resample draws every task's runs
    anew from that task's own. Percentiles are taken further out than the confidence says, as in
    `bootstrap.percentile_interval`, because a resample of n runs varies by (n - 1)/n too little.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"scores: found shape {values.shape}, expected (runs, tasks)")
    if values.size == 0 or np.isnan(values).any():
        return UNDEFINED
    runs, tasks = values.shape
    value = float(statistic(values[None])[0])
    if runs < 2:
        return Estimate(value, None, None)
    generator = np.random.default_rng(seed)
    drawn = generator.integers(runs, size=(samples, runs, tasks))
    resampled = statistic(np.take_along_axis(values[None], drawn, axis=1))
    reach = float(stdtrit(tasks * (runs - 1), 0.5 + confidence / 2.0))
    tail = float(ndtr(-np.sqrt(runs / (runs - 1)) * reach))
    low, high = np.quantile(resampled, [tail, 1.0 - tail])
    return Estimate(value, float(low), float(high))


def _middle(values: Floats) -> Floats:
    """Return the mean of the middle half along the last axis."""
    size = values.shape[-1]
    cut = size // 4
    middle: Floats = np.sort(values, axis=-1)[..., cut : size - cut].mean(axis=-1)
    return np.where(np.isnan(values).any(axis=-1), np.nan, middle)
