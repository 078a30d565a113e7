"""Several questions asked at once: p-values that keep the level for all of them together."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def holm_adjusted(p_values: npt.ArrayLike, *, family: int | None = None) -> Floats:
    """Return Holm's adjusted p-values, (hypotheses,), in the order given.

    Rejecting those at or below a level makes the chance of any false rejection at most that level,
    whatever the dependence. `family` is the number of hypotheses ever asked, when that is more
    than are given; those missing are taken as the least significant. NaN stays NaN and counts.
    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979.
    """
    found = np.asarray(p_values, dtype=np.float64)
    count = max(len(found), family or 0)
    order = np.argsort(found, kind="stable")
    scaled = found[order] * (count - np.arange(len(found)))
    adjusted = np.empty_like(found)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted
