"""Verdicts keep their level where nothing is better or worse than the baseline."""

import pytest
from scipy.stats import binom

from makerlab.report.null_verdicts import Noise, most_by_chance, wrong_verdicts
from makerlab.report.verdict import LEVEL

GROUPS = 150


@pytest.mark.parametrize(
    "noise", [Noise(1.0, 0.0, 0.0), Noise(0.0, 1.0, 0.0), Noise(1.0, 1.0, 1.0)]
)
@pytest.mark.parametrize(("seeds", "days"), [(2, 8), (3, 20)])
def test_wrong_verdicts_are_no_more_than_the_level_for_all_configs_together(
    noise: Noise, seeds: int, days: int
) -> None:
    """Four configs a group; more than 16 of 150 groups has a chance below 1 in 1000 at 5 %."""
    found = wrong_verdicts(GROUPS, configs=4, seeds=seeds, days=days, noise=noise, seed=0)
    assert found.better + found.worse <= most_by_chance(GROUPS)


def test_the_bound_is_the_binomial_one() -> None:
    for repetitions in (20, 150, 2000):
        count = most_by_chance(repetitions)
        assert (
            binom.sf(count, repetitions, LEVEL) <= 0.001 < binom.sf(count - 1, repetitions, LEVEL)
        )
    assert most_by_chance(20) == 5
