"""A mean over seeds and periods: by hand, its level, and what it can't know."""

import numpy as np
import pytest
from scipy import stats

from makerlab.statistics.two_way import largest_p_above, two_way_mean, two_way_means


def test_where_periods_agree_it_is_the_t_test_over_seeds() -> None:
    seeds = np.array([1.0, 2.0, 4.0])
    found = two_way_mean(np.repeat(seeds[:, None], 6, axis=1))
    assert found.p_above == pytest.approx(
        stats.ttest_1samp(seeds, 0.0, alternative="greater").pvalue
    )
    assert found.p_below == pytest.approx(1.0 - found.p_above)
    low, high = stats.ttest_1samp(seeds, 0.0).confidence_interval(0.95)
    assert found.interval(0.95) == pytest.approx((seeds.mean(), low, high))


def test_where_seeds_agree_it_is_the_t_test_over_periods_corrected_for_skewness() -> None:
    even = np.array([1.0, 2.0, 3.0, 4.0, 5.0]) - 2.0
    found = two_way_mean(np.repeat(even[None], 3, axis=0))
    plain = stats.ttest_1samp(even, 0.0, alternative="greater").pvalue
    # Hall's transformation of an even sample leaves the ratio as it is.
    assert found.p_above == pytest.approx(plain)
    left = np.array([2.0, 2.5, 2.2, 2.1, -4.0])
    found = two_way_mean(np.repeat(left[None], 3, axis=0))
    assert found.p_above > stats.ttest_1samp(left, 0.0, alternative="greater").pvalue


def test_both_sources_add_up_as_squares() -> None:
    seeds, periods = np.array([[1.0], [2.0], [6.0]]), np.array([[0.0, 1.0, 3.0, 0.0]])
    found = two_way_mean(seeds + periods).interval(0.95)
    of_seeds = stats.sem(seeds.ravel()) * stats.t.ppf(0.975, 2)
    of_periods = stats.sem(periods.ravel()) * stats.t.ppf(0.975, 3)
    assert found.value == pytest.approx(4.0)
    assert found.high == pytest.approx(4.0 + np.hypot(of_seeds, of_periods))


def test_p_values_and_interval_tell_the_same() -> None:
    table = np.random.default_rng(0).normal(0.7, 1.0, (4, 9))
    for sign in (1.0, -1.0):
        found = two_way_mean(sign * table)
        p = found.p_above if sign > 0 else found.p_below
        interval = found.interval(1.0 - 2.0 * p)
        assert interval.low is not None and interval.high is not None
        nearest = interval.low if sign > 0 else -interval.high
        # The corrected p-value is never below the one that the interval shows.
        assert nearest >= -1e-9


@pytest.mark.parametrize("shape", [(1, 8), (8, 1)])
def test_a_single_seed_or_period_leaves_the_answer_open(shape: tuple[int, int]) -> None:
    found = two_way_mean(np.arange(8.0).reshape(shape))
    assert np.isnan([found.p_above, found.p_below]).all()
    assert found.interval(0.95) == (3.5, None, None)


@pytest.mark.parametrize("middle", [-3.0, -0.3, 0.0, 0.3, 3.0, 300.0])
def test_of_several_the_largest_p_value_is_found_without_computing_all(middle: float) -> None:
    random = np.random.default_rng(1)
    for seeds, periods in ((2, 2), (2, 30), (5, 20), (12, 3)):
        tables = random.normal(middle, 1.0, (6, 1, 1)) + random.gamma(0.3, 1.0, (6, seeds, periods))
        # Of these nothing varies, or nothing but the seeds.
        tables[0] = middle
        tables[1] = middle + np.arange(seeds)[:, None]
        means = two_way_means(tables)
        one_by_one = [two_way_mean(table) for table in tables]
        assert largest_p_above(means) == max(mean.p_above for mean in one_by_one)
    assert np.isnan(largest_p_above([*means, two_way_mean([[1.0, 2.0]])]))


def test_nothing_and_gaps_are_unknown_and_other_shapes_refused() -> None:
    for table in (np.empty((3, 0)), [[1.0, np.nan], [1.0, 2.0]]):
        found = two_way_mean(table)
        assert np.isnan(found.p_above) and found.interval(0.95) == (None, None, None)
    with pytest.raises(ValueError, match=r"expected \(seeds, periods\)"):
        two_way_mean([1.0, 2.0])


def test_what_never_varies_is_certain_and_zero_is_on_neither_side() -> None:
    for value, above, below in ((0.1, True, False), (-1e6 / 3, False, True), (0.0, False, False)):
        found = two_way_mean(np.full((3, 7), value))
        assert (found.p_above < 1e-9, found.p_below < 1e-9) == (above, below)
        assert found.interval(0.95) == pytest.approx((value, value, value))


EFFECTS = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 1.0), (1.0, 0.3, 0.3)]


@pytest.mark.parametrize("effects", EFFECTS)
@pytest.mark.parametrize(("seeds", "periods"), [(2, 5), (3, 12), (10, 100)])
def test_the_level_is_kept_whatever_varies(
    effects: tuple[float, float, float], seeds: int, periods: int
) -> None:
    """At most 5 % on each side of 600 tables without an effect; 3 deviations above is 7.7 %."""
    generator = np.random.default_rng(0)
    of_seed, of_period, of_cell = effects
    above = below = 0
    for _ in range(600):
        table = of_cell * generator.normal(size=(seeds, periods))
        table += of_seed * generator.normal(size=(seeds, 1))
        table += of_period * generator.normal(size=(1, periods))
        found = two_way_mean(table)
        above += found.p_above <= 0.05
        below += found.p_below <= 0.05
    assert max(above, below) / 600 < 0.077


def test_losses_that_are_rare_and_large_do_not_make_many_false_winners() -> None:
    """Seeds agree, periods are 1 - Exp(1): the plain t test finds 9 % of these above at 2.5 %."""
    generator = np.random.default_rng(0)
    plain = corrected = 0
    for _ in range(1000):
        periods = 1.0 - generator.exponential(size=20)
        plain += stats.ttest_1samp(periods, 0.0, alternative="greater").pvalue <= 0.025
        corrected += two_way_mean(np.repeat(periods[None], 3, axis=0)).p_above <= 0.025
    assert plain / 1000 > 0.055
    assert corrected / 1000 < 0.045


def test_a_large_effect_is_seen() -> None:
    table = np.random.default_rng(0).normal(3.0, 1.0, (5, 20))
    assert two_way_mean(table).p_above < 1e-4
    assert two_way_mean(-table).p_below < 1e-4
