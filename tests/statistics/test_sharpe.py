"""Probabilistic Sharpe ratio and track record: published figures, limits, monotony."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from makerlab import statistics
from makerlab.statistics import minimum_track_record_length, moments, probabilistic_sharpe_ratio

PUBLISHED = {"skewness": -2.448, "raw_kurtosis": 10.164}
NORMAL = {"skewness": 0.0, "raw_kurtosis": 3.0}


@pytest.mark.parametrize(
    ("observations", "shape", "expected"),
    [(24, PUBLISHED, 0.9134), (24, NORMAL, 0.9817), (36, PUBLISHED, 0.9535)],
)
def test_published_probabilities(
    observations: int, shape: dict[str, float], expected: float
) -> None:
    found = probabilistic_sharpe_ratio(0.458, observations=observations, **shape)
    assert found == pytest.approx(expected, abs=5e-4)
    assert type(found) is float


def test_excess_kurtosis_would_give_the_figure_that_other_libraries_print() -> None:
    wrong = probabilistic_sharpe_ratio(
        0.458, observations=24, skewness=-2.448, raw_kurtosis=10.164 - 3.0
    )
    assert wrong == pytest.approx(0.9200, abs=5e-4)


@pytest.mark.parametrize(("shape", "expected"), [(PUBLISHED, 34.56), (NORMAL, 15.25)])
def test_published_track_record_lengths(shape: dict[str, float], expected: float) -> None:
    found = minimum_track_record_length(0.458, benchmark=0.0, confidence=0.95, **shape)
    assert found == pytest.approx(expected, abs=5e-3)


def test_a_case_by_hand() -> None:
    """SR 1, T 17: 1 - 0 + (3 - 1)/4 = 1.5, so z = 4 / sqrt(1.5); against 0.5 half of that."""
    whole = probabilistic_sharpe_ratio(1.0, observations=17, **NORMAL)
    half = probabilistic_sharpe_ratio(1.0, observations=17, benchmark=0.5, **NORMAL)
    assert whole == pytest.approx(stats.norm.cdf(4.0 / 1.5**0.5), abs=1e-12)
    assert half == pytest.approx(stats.norm.cdf(2.0 / 1.5**0.5), abs=1e-12)
    length = minimum_track_record_length(1.0, benchmark=0.5, confidence=0.975, **NORMAL)
    assert length == pytest.approx(1.0 + 1.5 * (1.959964 / 0.5) ** 2, abs=1e-4)


@given(
    st.floats(0.01, 2.0),
    st.floats(-0.5, 0.5),
    st.floats(-2.0, 2.0),
    st.floats(0.0, 20.0),
    st.floats(0.55, 0.999),
)
def test_the_minimum_length_is_where_the_probability_reaches_the_confidence(
    excess: float, benchmark: float, skewness: float, above: float, confidence: float
) -> None:
    shape = {"skewness": skewness, "raw_kurtosis": 1.0 + skewness**2 + above}
    sharpe = benchmark + excess
    length = minimum_track_record_length(
        sharpe, benchmark=benchmark, confidence=confidence, **shape
    )
    assert isinstance(length, float) and length >= 1.0
    if length > 2.0:
        found = probabilistic_sharpe_ratio(
            sharpe, observations=length, benchmark=benchmark, **shape
        )
        assert found == pytest.approx(confidence, abs=1e-9)


def test_more_observations_speak_louder_for_and_against() -> None:
    lengths = np.arange(2, 500)
    above = np.asarray(probabilistic_sharpe_ratio(0.1, observations=lengths, **PUBLISHED))
    below = np.asarray(probabilistic_sharpe_ratio(-0.1, observations=lengths, **PUBLISHED))
    assert (np.diff(above) > 0.0).all() and (np.diff(below) < 0.0).all()


def test_fat_and_left_tails_cost_confidence() -> None:
    kurtoses = np.linspace(3.0, 30.0, 20)
    found = np.asarray(
        probabilistic_sharpe_ratio(0.3, observations=50, skewness=0.0, raw_kurtosis=kurtoses)
    )
    assert (np.diff(found) < 0.0).all()
    left, right = (
        probabilistic_sharpe_ratio(0.3, observations=50, skewness=s, raw_kurtosis=6.0)
        for s in (-1.0, 1.0)
    )
    assert left < right


def test_at_the_benchmark_it_is_a_coin_and_no_record_is_long_enough() -> None:
    found = probabilistic_sharpe_ratio(0.2, observations=100, benchmark=0.2, **PUBLISHED)
    assert found == 0.5
    for sharpe in (0.2, 0.1, -3.0):
        length = minimum_track_record_length(sharpe, benchmark=0.2, confidence=0.95, **PUBLISHED)
        assert length == np.inf


def test_a_confidence_of_a_half_needs_no_record_and_one_beyond_is_refused() -> None:
    for confidence in (0.5, 0.3):
        length = minimum_track_record_length(0.4, benchmark=0.0, confidence=confidence, **PUBLISHED)
        assert length == 1.0
    for confidence in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match="confidence: found"):
            minimum_track_record_length(0.4, benchmark=0.0, confidence=confidence, **PUBLISHED)


def test_moments_that_no_distribution_has_give_nothing() -> None:
    """Kurtosis is at least 1 + skewness^2: 1 - 3 * 2/3 + (1 - 1)/4 ... is below zero."""
    impossible = {"skewness": 3.0, "raw_kurtosis": 1.0}
    assert np.isnan(probabilistic_sharpe_ratio(1.0, observations=50, **impossible))
    length = minimum_track_record_length(1.0, benchmark=0.0, confidence=0.95, **impossible)
    assert np.isnan(length)


def test_where_the_estimate_is_exact_the_answer_is_certain() -> None:
    """Two values at equal odds, skewness 0 and kurtosis 1, leave 1; skewed ones can leave 0."""
    exact = {"skewness": 1.5, "raw_kurtosis": 1.0 + 1.5**2}
    sharpe = 2.0 / 1.5
    for benchmark, expected in ((0.0, 1.0), (sharpe, 0.5), (2.0, 0.0)):
        found = probabilistic_sharpe_ratio(sharpe, observations=9, benchmark=benchmark, **exact)
        assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("observations", [0, 1])
def test_a_single_observation_says_nothing(observations: int) -> None:
    assert np.isnan(probabilistic_sharpe_ratio(0.4, observations=observations, **NORMAL))


def test_arrays_give_each_number_its_answer() -> None:
    sharpes = np.array([[0.1, 0.458], [np.nan, -0.2]])
    found = np.asarray(probabilistic_sharpe_ratio(sharpes, observations=24, **PUBLISHED))
    assert found.shape == (2, 2)
    assert found[0, 1] == probabilistic_sharpe_ratio(0.458, observations=24, **PUBLISHED)
    assert np.isnan(found[1, 0])
    lengths = minimum_track_record_length(
        [0.458, -0.1], benchmark=0.0, confidence=0.95, **PUBLISHED
    )
    np.testing.assert_allclose(np.asarray(lengths), [34.56, np.inf], atol=5e-3)


def test_moments_are_those_of_scipy() -> None:
    sample = np.random.default_rng(0).gamma(2.0, size=300) - 1.5
    found = moments(sample)
    assert found.observations == 300
    assert found.sharpe == pytest.approx(sample.mean() / sample.std(ddof=1))
    assert found.skewness == pytest.approx(stats.skew(sample))
    assert found.raw_kurtosis == pytest.approx(stats.kurtosis(sample, fisher=False))


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e6 / 3.0])
def test_returns_that_do_not_vary_have_no_sharpe_ratio(constant: float) -> None:
    found = moments(np.full(30, constant))
    assert found.mean == pytest.approx(constant)
    assert np.isnan([found.sharpe, found.skewness, found.raw_kurtosis]).all()
    assert np.isnan(
        probabilistic_sharpe_ratio(
            found.sharpe,
            observations=30,
            skewness=found.skewness,
            raw_kurtosis=found.raw_kurtosis,
        )
    )


def test_of_no_or_one_return_little_is_known() -> None:
    assert moments([]).observations == 0 and np.isnan(moments([]).mean)
    assert moments([2.0]).mean == 2.0 and np.isnan(moments([2.0]).sharpe)


def test_under_no_edge_the_probability_is_spread_evenly() -> None:
    """A PSR above 0.95 turns up in 5 of 100 worthless records, skewed ones too."""
    generator = np.random.default_rng(3)
    records = generator.exponential(size=(2000, 200)) - 1.0
    found = []
    for record in records:
        known = moments(record)
        found.append(
            probabilistic_sharpe_ratio(
                known.sharpe,
                observations=known.observations,
                skewness=known.skewness,
                raw_kurtosis=known.raw_kurtosis,
            )
        )
    share = float(np.mean(np.asarray(found) > 0.95))
    assert 0.03 < share < 0.07


def test_every_public_name_is_there_and_no_other() -> None:
    for name in statistics.__all__:
        assert callable(getattr(statistics, name))
    assert set(statistics.__all__) <= set(dir(statistics))
    with pytest.raises(AttributeError, match="no attribute 'sharp_ratio'"):
        _ = statistics.sharp_ratio
