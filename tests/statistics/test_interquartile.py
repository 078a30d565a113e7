"""Interquartile mean and its stratified bootstrap."""

import numpy as np
import pytest
from scipy import stats

from makerlab.statistics import (
    interquartile_mean,
    interquartile_mean_interval,
    stratified_bootstrap,
)


def test_the_middle_half_counts() -> None:
    assert interquartile_mean([-1e9, 1.0, 2.0, 1e9]) == 1.5
    assert interquartile_mean([5.0, 1.0, 3.0]) == 3.0
    assert interquartile_mean([[0.0, 10.0, 2.0, 3.0], [4.0, 5.0, 6.0, -7.0]]) == 3.5


@pytest.mark.parametrize("size", [1, 5, 8, 11, 100])
def test_it_is_scipys_mean_trimmed_by_a_quarter(size: int) -> None:
    values = np.random.default_rng(size).standard_cauchy(size)
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))


def test_nothing_and_unknown_scores_have_none() -> None:
    assert np.isnan(interquartile_mean([]))
    assert np.isnan(interquartile_mean([1.0, np.nan, 2.0, 3.0]))
    found = interquartile_mean_interval([[1.0], [np.nan]], samples=10, seed=0)
    assert found == (None, None, None)


def test_a_single_run_has_no_interval() -> None:
    assert interquartile_mean_interval([[1.0, 2.0]], samples=10, seed=0) == (1.5, None, None)


def test_differences_between_tasks_do_not_widen_the_interval() -> None:
    """Runs are drawn within their task; a task that is easier is not uncertainty."""
    runs = np.random.default_rng(0).normal(size=(10, 4))
    flat = stratified_bootstrap(runs, statistic=lambda x: x.mean(axis=(1, 2)), samples=4000, seed=1)
    tall = stratified_bootstrap(
        runs + 100.0 * np.arange(4),
        statistic=lambda x: x.mean(axis=(1, 2)),
        samples=4000,
        seed=1,
    )
    assert flat.low is not None and flat.high is not None
    assert tall.low is not None and tall.high is not None
    assert tall.high - tall.low == pytest.approx(flat.high - flat.low)
    exact = 2 * 1.96 * np.sqrt(runs.var(axis=0, ddof=1).mean() / 40)
    assert flat.high - flat.low == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize(("runs", "tasks"), [(3, 6), (10, 1), (5, 20)])
def test_the_interval_holds_the_truth_as_often_as_it_says(runs: int, tasks: int) -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        scores = generator.normal(2.0, 1.0, (runs, tasks))
        found = interquartile_mean_interval(scores, samples=1000, seed=1)
        assert found.low is not None and found.high is not None
        hits += found.low <= 2.0 <= found.high
    assert 0.90 <= hits / 300 <= 0.99


def test_the_same_seed_gives_the_same_interval() -> None:
    scores = np.random.default_rng(0).normal(size=(5, 3))
    first, again, other = (
        interquartile_mean_interval(scores, samples=200, seed=s) for s in (1, 1, 2)
    )
    assert first == again != other


def test_scores_without_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected .runs, tasks."):
        interquartile_mean_interval([1.0, 2.0], samples=10, seed=0)
