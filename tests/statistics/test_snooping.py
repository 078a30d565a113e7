"""White's reality check: against `arch`, its level, its power."""

import numpy as np
import pytest
from arch.bootstrap import SPA

from makerlab.statistics import holm_adjusted, reality_check


@pytest.mark.parametrize(("best", "seed"), [(0.0, 0), (0.12, 1), (0.2, 2), (-0.1, 3)])
def test_the_p_value_is_that_of_arch(best: float, seed: int) -> None:
    """Its `upper` p-value, recentring every model, is White's; its losses are our gains."""
    gains = np.random.default_rng(seed).normal(0.0, [1.0, 1.5, 0.5, 1.0], size=(300, 4))
    gains[:, 2] += best
    assert reality_check(gains, block=8, samples=4000, seed=seed) == pytest.approx(
        by_arch(gains, seed=seed), abs=0.03
    )


@pytest.mark.parametrize("seed", range(3))
def test_studentized_it_is_that_of_candidates_brought_to_the_same_scale(seed: int) -> None:
    """`arch` compares means as they are, whatever its `studentize` says."""
    gains = np.random.default_rng(seed).normal(0.05, [1.0, 30.0, 0.01, 1.0], size=(300, 4))
    scaled = gains / gains.std(axis=0)
    found = reality_check(gains, block=1, samples=4000, seed=seed, studentized=True)
    assert found == pytest.approx(by_arch(scaled, seed=seed, block=1), abs=0.03)


def by_arch(gains: np.ndarray, *, seed: int, block: int = 8) -> float:
    oracle = SPA(np.zeros(len(gains)), -gains, block_size=block, reps=4000, seed=seed)
    oracle.compute()
    return float(oracle.pvalues["upper"])


def test_worthless_candidates_pass_no_more_often_than_the_level() -> None:
    """5 % of 400 searches among 10 candidates; 3 deviations above it is 8.3 %."""
    generator = np.random.default_rng(0)
    found = [
        reality_check(generator.normal(size=(60, 10)), block=1, samples=400, seed=n)
        for n in range(400)
    ]
    assert np.mean(np.array(found) <= 0.05) < 0.083
    # Each alone would pass in 40 of 100 searches.
    assert np.mean(np.array(found) <= 0.4) > 0.25


def test_a_true_winner_among_many_is_seen() -> None:
    gains = np.random.default_rng(1).normal(size=(250, 30))
    gains[:, 11] += 0.5
    assert reality_check(gains, block=1, samples=999, seed=0) == 0.001


def test_more_candidates_to_choose_from_need_more_evidence() -> None:
    gains = np.random.default_rng(5).normal(size=(100, 40))
    gains -= gains.mean(axis=0)
    gains[:, 0] += 0.2
    alone = reality_check(gains[:, :1], block=1, samples=2000, seed=0)
    among = reality_check(gains, block=1, samples=2000, seed=0)
    assert alone < among


def test_candidates_that_are_the_benchmark_prove_nothing() -> None:
    for studentized in (False, True):
        found = reality_check(
            np.zeros((30, 2)), block=1, samples=100, seed=0, studentized=studentized
        )
        assert found == 1.0


def test_losing_to_the_benchmark_is_no_evidence() -> None:
    losing = np.random.default_rng(0).normal(-1.0, 0.1, size=(50, 3))
    assert reality_check(losing, block=1, samples=200, seed=0) == 1.0


@pytest.mark.parametrize("shape", [(0, 3), (5,), (5, 0)])
def test_an_empty_table_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="differences: found shape"):
        reality_check(np.zeros(shape), block=1, samples=10, seed=0)


def test_a_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="found NaN"):
        reality_check([[1.0, np.nan]] * 5, block=1, samples=10, seed=0)


def test_holms_correction_by_hand() -> None:
    np.testing.assert_allclose(holm_adjusted([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm_adjusted([0.5, 0.9]), [1.0, 1.0])
    np.testing.assert_allclose(holm_adjusted([]), [])


def test_questions_asked_before_count_too() -> None:
    """Of a hundred questions the two that are left are the best, not the only ones."""
    np.testing.assert_allclose(holm_adjusted([0.0002, 0.001], family=100), [0.02, 0.099])
    np.testing.assert_allclose(holm_adjusted([0.01, 0.02], family=1), [0.02, 0.02])


def test_an_unknown_p_value_counts_and_stays_unknown() -> None:
    np.testing.assert_allclose(holm_adjusted([0.01, np.nan]), [0.02, np.nan])
