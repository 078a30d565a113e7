"""Intervals: reproducible, honest about what they don't know, right as often as they say."""

import numpy as np
import pytest
from scipy import stats

from makerlab.statistics.bootstrap import (
    UNDEFINED,
    Estimate,
    mean_above,
    mean_interval,
    percentile_interval,
    resample_weights,
)


def test_a_resample_draws_as_many_episodes_as_there_are() -> None:
    weights = resample_weights(7, samples=500, seed=3)
    assert weights.shape == (500, 7)
    assert (weights.sum(axis=1) == 7).all() and (weights >= 0).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(7), abs=0.15)


def test_the_same_seed_gives_the_same_resamples() -> None:
    first, again, other = (resample_weights(5, samples=50, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_percentiles_lie_further_out_the_fewer_the_episodes() -> None:
    """Phi(-sqrt(n / (n - 1)) t) rather than 5 %: 1.9 % for five episodes, 5 % for very many."""
    resampled = np.arange(100_001.0)
    lows = {}
    for episodes in (5, 20, 100_000):
        value, low, high = percentile_interval(
            50_000.0, resampled, episodes=episodes, confidence=0.9
        )
        assert value == 50_000.0 and low is not None and high is not None
        assert low == pytest.approx(100_000.0 - high, abs=1e-3)
        lows[episodes] = low / 100_000.0
    expected = stats.norm.cdf(-np.sqrt(5 / 4) * stats.t.ppf(0.95, 4))
    assert lows[5] == pytest.approx(expected, rel=1e-6)
    assert lows[5] < lows[20] < lows[100_000] == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize("episodes", [5, 8, 20])
def test_intervals_over_episodes_hold_the_truth_as_often_as_they_say(episodes: int) -> None:
    """The plain percentile interval does so in 83, 90 and 92 of 100 cases."""
    generator = np.random.default_rng(0)
    weights = resample_weights(episodes, samples=2000, seed=1)
    hits = 0
    for _ in range(400):
        sample = generator.normal(2.0, 5.0, episodes)
        means = weights @ sample / episodes
        found = percentile_interval(sample.mean(), means, episodes=episodes, confidence=0.95)
        assert found.low is not None and found.high is not None
        hits += found.low <= 2.0 <= found.high
    assert 0.90 <= hits / 400 <= 0.98


def test_an_undefined_value_has_no_interval() -> None:
    assert percentile_interval(np.nan, np.ones(10), episodes=5, confidence=0.95) == UNDEFINED


@pytest.mark.parametrize("episodes", [1, 2, 4])
def test_too_few_episodes_give_a_value_without_bounds(episodes: int) -> None:
    found = percentile_interval(3.0, np.full(10, 3.0), episodes=episodes, confidence=0.95)
    assert found == Estimate(3.0, None, None)


@pytest.mark.parametrize(("undefined", "bounded"), [(0, True), (10, True), (11, False)])
def test_bounds_need_nine_resamples_in_ten(undefined: int, bounded: bool) -> None:
    resampled = np.ones(100)
    resampled[:undefined] = np.nan
    found = percentile_interval(1.0, resampled, episodes=5, confidence=0.95)
    assert (found.low is not None) == bounded


def test_a_mean_over_seeds_has_students_interval() -> None:
    values = [3.0, 5.0, 4.0, 9.0]
    expected = stats.t.interval(0.9, 3, np.mean(values), stats.sem(values))
    found = mean_interval(values, confidence=0.9)
    assert found.value == pytest.approx(5.25)
    assert (found.low, found.high) == pytest.approx(expected)


def test_no_seed_or_one_seed_gives_no_bounds() -> None:
    assert mean_interval([]) == UNDEFINED
    assert mean_interval([2.5]) == Estimate(2.5, None, None)


def test_three_seeds_hold_the_truth_as_often_as_they_say() -> None:
    samples = np.random.default_rng(5).normal(7.0, 3.0, (2000, 3))
    found = [mean_interval(row) for row in samples]
    hits = [e.low <= 7.0 <= e.high for e in found if e.low is not None and e.high is not None]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_an_estimate_is_written_as_three_plain_values() -> None:
    assert Estimate(1.0, None, None).to_dict() == {"value": 1.0, "low": None, "high": None}


def test_the_p_value_of_a_mean_is_students() -> None:
    values = np.random.default_rng(3).normal(0.4, 1.0, 7)
    expected = stats.ttest_1samp(values, 0.0, alternative="greater").pvalue
    assert mean_above(values) == pytest.approx(expected)
    assert mean_above(-values) == pytest.approx(1.0 - expected)
    assert np.isnan(mean_above([1.0]))
    assert [mean_above([x, x, x]) for x in (2.0, 0.0, -2.0)] == [0.0, 0.5, 1.0]
