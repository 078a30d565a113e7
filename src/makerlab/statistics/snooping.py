"""Whether the best of many candidates beats a benchmark by more than the search explains.

Source: White, A Reality Check for Data Snooping, Econometrica 68(5), 2000, with the stationary
bootstrap.
"""

import numpy as np
import numpy.typing as npt

from makerlab.statistics.resampling import stationary_indices

Floats = npt.NDArray[np.float64]

_AT_ONCE = 256


def reality_check(
    differences: npt.ArrayLike,
    *,
    block: float,
    samples: int,
    seed: int,
    studentized: bool = False,
) -> float:
    """Return the p-value of "no candidate is better than the benchmark".

    `differences`: performance minus the benchmark's, (observations, candidates) in time order,
    larger is better. The largest mean is held against the largest of the resampled, recentred
    means; all candidates are resampled together, so what they share is taken into account.
    `studentized` divides each by its standard deviation over resamples, so that no noisy candidate
    drowns the others; one that never varies can then not be the best. (1 + exceeding resamples) /
    (1 + samples): never zero. Raises ValueError for an empty table, NaN, or a block out of range.
    """
    gains = np.asarray(differences, dtype=np.float64)
    if gains.ndim != 2 or gains.size == 0:
        raise ValueError(
            f"differences: found shape {gains.shape}, expected (observations, candidates)"
        )
    if not np.isfinite(gains).all():
        raise ValueError("differences: found NaN or infinity, expected finite numbers")
    mean = gains.mean(axis=0)
    taken = stationary_indices(len(gains), block=block, samples=samples, seed=seed)
    parts = [gains[taken[n : n + _AT_ONCE]].mean(axis=1) for n in range(0, samples, _AT_ONCE)]
    centred = np.concatenate(parts) - mean
    scale = centred.std(axis=0) if studentized else np.ones_like(mean)
    with np.errstate(divide="ignore"):
        weight = np.where(scale > 1e-12 * np.max(np.abs(gains)), 1.0 / scale, 0.0)
    best = float(np.max(mean * weight))
    # Equal up to rounding counts as reached: of candidates that are the benchmark all are zero.
    reached = np.max(centred * weight, axis=1) >= best - 1e-12 * abs(best)
    return float((1 + np.count_nonzero(reached)) / (1 + samples))
