"""Bootstraps for observations that come in pairs, and for those that hang together in time.

Sources: Politis and Romano, A Circular Block-Resampling Procedure for Stationary Data, 1992, and
The Stationary Bootstrap, Journal of the American Statistical Association 89(428), 1994.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from makerlab.statistics.bootstrap import UNDEFINED, Estimate, percentile_interval

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def stationary_indices(observations: int, *, block: float, samples: int, seed: int) -> Indices:
    """Return which observations each resample takes, (samples, observations).

    Blocks begin anywhere, run on past the end to the beginning, and have geometric lengths of mean
    `block`; with 1 every observation is drawn alone. Raises ValueError for a block outside 1 to
    the number of observations.
    """
    _check(observations, block)
    generator = np.random.default_rng(seed)
    begins = generator.random((samples, observations)) < 1.0 / block
    begins[:, 0] = True
    firsts = generator.integers(observations, size=(samples, observations))
    places = np.arange(observations)
    latest = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    taken: Indices = (np.take_along_axis(firsts, latest, axis=1) + places - latest) % observations
    return taken


def circular_block_indices(observations: int, *, block: int, samples: int, seed: int) -> Indices:
    """Return which observations each resample takes, (samples, observations), in equal blocks.

    Blocks begin anywhere and run on past the end to the beginning; the last one is cut to fit.
    Raises ValueError for a block outside 1 to the number of observations.
    """
    _check(observations, block)
    generator = np.random.default_rng(seed)
    number = -(-observations // block)
    firsts = generator.integers(observations, size=(samples, number, 1))
    taken: Indices = (firsts + np.arange(block)).reshape(samples, -1) % observations
    return taken[:, :observations]


def block_bootstrap(
    values: npt.ArrayLike,
    *,
    block: int,
    samples: int,
    seed: int,
    confidence: float = 0.95,
    kind: Literal["stationary", "circular"] = "stationary",
) -> Estimate:
    """Return the mean of values in time order, (observations,), with an interval over blocks.

    `block` should span what hangs together; observations / block independent pieces are then all
    there is, and fewer than five give no bounds. Undefined for no values or where one is NaN.
    """
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) == 0 or np.isnan(sample).any():
        return UNDEFINED
    draw = stationary_indices if kind == "stationary" else circular_block_indices
    taken = draw(len(sample), block=block, samples=samples, seed=seed)
    return percentile_interval(
        float(sample.mean()),
        sample[taken].mean(axis=1),
        episodes=len(sample) // block,
        confidence=confidence,
    )


def paired_bootstrap(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    samples: int,
    seed: int,
    confidence: float = 0.95,
    block: int = 1,
) -> Estimate:
    """Return the mean of first minus second, both (observations,), pairs resampled together.

    What both have in common cancels, so the interval is about the difference alone. Raises
    ValueError when they are not of the same length.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(f"found shapes {one.shape} and {other.shape}, expected pairs")
    return block_bootstrap(
        one - other, block=block, samples=samples, seed=seed, confidence=confidence
    )


def _check(observations: int, block: float) -> None:
    if not 1 <= block <= observations:
        raise ValueError(
            f"block: found {block}, expected 1 to the number of observations, {observations}"
        )
