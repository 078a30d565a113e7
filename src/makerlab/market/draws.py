"""What a fill model leaves to chance: one number per bar and purpose, whoever asks and when.

A draw is a function of the seed and the bar's open time alone, so it is the same for every policy,
number of episodes, order of calls and cut of the data, and no draw tells of another bar.
"""

import numpy as np
import numpy.typing as npt

from makerlab.config import FillSettings

Floats = npt.NDArray[np.float64]
_Words = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


BID, ASK, SIDE = range(3)
"""Columns of draws: the first two decide whether a quote fills, the third which fill is kept."""


def fill_draws(settings: FillSettings, ts_ms: npt.NDArray[np.int64]) -> Floats:
    """Return uniform numbers in [0, 1), (bars, 3), for bars with these open times.

    Without rows where the fill model leaves nothing to chance.
    """
    by_chance = settings.rule == "calibrated_intensity" or settings.both_touched == "seeded_random"
    times = ts_ms if by_chance else ts_ms[:0]
    streams = (BID, ASK, SIDE)
    return np.stack([uniform(times, seed=settings.seed, stream=one) for one in streams], axis=1)


def uniform(ts_ms: npt.NDArray[np.int64], *, seed: int, stream: int) -> Floats:
    """Return a number in [0, 1) for each time, (bars,): a hash of time, seed and stream.

    The finalizer of SplitMix64 (Steele, Lea, Flood, Fast splittable pseudorandom number
    generators, OOPSLA 2014), applied to the seed and stream first and then to the time.
    """
    key = _mixed(np.array([seed * 4 + stream], np.uint64))
    words = _mixed(ts_ms.astype(np.uint64) ^ key) >> np.uint64(11)
    return words.astype(np.float64) * 2.0**-53


def _mixed(words: _Words) -> _Words:
    mixed = words + _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
