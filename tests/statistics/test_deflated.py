"""What the best of many worthless trials shows, and what is left above it."""

import numpy as np
import pytest

from makerlab.statistics import (
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    probabilistic_sharpe_ratio,
)

PUBLISHED = {
    "observations": 1250,
    "skewness": -3.0,
    "raw_kurtosis": 10.0,
    "trials": 100,
    "variance": 1 / 2 / 250,
}


@pytest.mark.parametrize(("trials", "expected"), [(10, 1.5746), (100, 2.5306), (1000, 3.2551)])
def test_published_expected_maxima(trials: int, expected: float) -> None:
    found = expected_maximum_sharpe(trials=trials, variance=1.0)
    assert found == pytest.approx(expected, abs=5e-4)


def test_the_published_example() -> None:
    hurdle = expected_maximum_sharpe(trials=100, variance=1 / 2 / 250)
    assert hurdle == pytest.approx(0.1132, abs=5e-4)
    assert deflated_sharpe_ratio(2.5 / 250**0.5, **PUBLISHED) == pytest.approx(0.9004, abs=5e-4)


def test_excess_kurtosis_would_give_the_figure_that_other_libraries_print() -> None:
    wrong = deflated_sharpe_ratio(2.5 / 250**0.5, **(PUBLISHED | {"raw_kurtosis": 10.0 - 3.0}))
    assert wrong == pytest.approx(0.9018, abs=5e-4)


@pytest.mark.parametrize("trials", [5, 50, 500])
def test_it_is_about_the_mean_of_the_largest_of_as_many_normal_numbers(trials: int) -> None:
    drawn = np.random.default_rng(0).normal(0.0, 2.0, size=(20_000, trials)).max(axis=1)
    found = expected_maximum_sharpe(trials=trials, variance=4.0)
    assert found == pytest.approx(drawn.mean(), rel=0.03)


def test_a_single_trial_was_not_chosen_so_nothing_is_deflated() -> None:
    assert expected_maximum_sharpe(trials=1, variance=1.0) == 0.0
    alone = PUBLISHED | {"trials": 1}
    shape = {name: PUBLISHED[name] for name in ("observations", "skewness", "raw_kurtosis")}
    assert deflated_sharpe_ratio(0.1, **alone) == probabilistic_sharpe_ratio(0.1, **shape)


def test_trials_that_all_did_the_same_deflate_nothing() -> None:
    assert expected_maximum_sharpe(trials=1000, variance=0.0) == 0.0


def test_more_trials_raise_the_hurdle_without_end_and_lower_what_is_left() -> None:
    trials = np.unique(np.logspace(0, 18, 200).astype(np.int64))
    hurdles = np.asarray(expected_maximum_sharpe(trials=trials, variance=0.01))
    assert (np.diff(hurdles) > 0.0).all() and np.isfinite(hurdles).all()
    left = np.asarray(deflated_sharpe_ratio(0.1, **(PUBLISHED | {"trials": trials})))
    assert (np.diff(left) <= 0.0).all()


def test_the_hurdle_scales_with_the_deviation_between_trials() -> None:
    one, four = (expected_maximum_sharpe(trials=20, variance=v) for v in (1.0, 4.0))
    assert four == pytest.approx(2.0 * one)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"trials": 0}, "trials: found 0"), ({"variance": -0.1}, "variance: found -0.1")],
)
def test_what_can_not_be_is_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        deflated_sharpe_ratio(0.1, **(PUBLISHED | wrong))


def test_what_is_not_known_stays_unknown() -> None:
    assert np.isnan(expected_maximum_sharpe(trials=10, variance=np.nan))
    assert np.isnan(deflated_sharpe_ratio(np.nan, **PUBLISHED))
