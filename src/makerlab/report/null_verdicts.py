"""How often verdicts are wrong where nothing is better or worse than the baselines.

Made-up profits without an edge go through the very functions that judge stored runs.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from makerlab.report.profits import StoredPeriods, StoredProfits
from makerlab.report.stored import StoredSegment
from makerlab.report.verdict import LEVEL, Verdict, compare, judge_together

Floats = npt.NDArray[np.float64]
DAY_MS = 86_400_000


class Noise(NamedTuple):
    """Standard deviations of what seeds, days and single results add to a profit."""

    seeds: float
    days: float
    cells: float


class WrongVerdicts(NamedTuple):
    """Groups of configs with any wrong verdict, of how many."""

    better: int
    worse: int
    groups: int


def wrong_verdicts(
    groups: int, *, configs: int, seeds: int, days: int, noise: Noise, seed: int
) -> WrongVerdicts:
    """Judge groups of configs whose true profit is exactly the baseline's, zero.

    A day's noise is shared by all seeds and configs, as a market's is. Groups in which any config
    is called better, or worse, are counted.
    """
    generator = np.random.default_rng(seed)
    better = worse = 0
    for _ in range(groups):
        of_days = noise.days * generator.normal(size=(1, 1, days))
        of_seeds = noise.seeds * generator.normal(size=(configs, seeds, 1))
        cells = noise.cells * generator.normal(size=(configs, seeds, days))
        outcomes = [each.outcome for each in _judged(of_days + of_seeds + cells)]
        better += "better" in outcomes
        worse += "worse" in outcomes
    return WrongVerdicts(better, worse, groups)


def most_by_chance(repetitions: int, *, level: float = LEVEL, chance: float = 0.001) -> int:
    """Return the number of wrong ones that a true level exceeds only with this small chance.

    The smallest count c with P(Binomial(repetitions, level) > c) <= chance.
    """
    counts = np.arange(repetitions + 1)
    return int(np.argmax(bdtr(counts, repetitions, level) >= 1.0 - chance))


def _judged(profits: Floats) -> list[Verdict]:
    """Return the verdicts on profits (configs, seeds, days) beside a baseline that earns zero."""
    segment = StoredSegment.model_validate({"best_baseline": "no_quote"})
    found = [
        compare([segment] * profits.shape[1], [_stored(each) for each in config])
        for config in profits
    ]
    return judge_together(found, variants=len(found))


def _stored(profits: Floats) -> StoredProfits:
    periods = StoredPeriods(
        period="episode",
        per_year=365.0,
        starts_ms=tuple(DAY_MS * day for day in range(len(profits))),
        profits={"policy": tuple(profits.tolist()), "no_quote": (0.0,) * len(profits)},
    )
    return StoredProfits(episodes=periods)
