"""Probability of backtest overfitting: the published figure, an independent version, edges."""

import itertools

import numpy as np
import pytest
from scipy.stats import rankdata

from makerlab.statistics import overfitting_logits, probability_of_backtest_overfitting


def slowly(performance: np.ndarray, blocks: int) -> float:
    """The definition, word for word."""
    parts = np.array_split(performance, blocks)
    below = 0
    halves = list(itertools.combinations(range(blocks), blocks // 2))
    for half in halves:
        inside = np.concatenate([parts[n] for n in half])
        outside = np.concatenate([parts[n] for n in range(blocks) if n not in half])
        best = int(np.argmax(inside.mean(0) / inside.std(0, ddof=1)))
        ranks = rankdata(outside.mean(0) / outside.std(0, ddof=1))
        relative = ranks[best] / (performance.shape[1] + 1)
        below += np.log(relative / (1 - relative)) <= 0
    return below / len(halves)


def test_pure_noise_has_the_published_mean_and_range() -> None:
    found = [
        probability_of_backtest_overfitting(
            np.random.default_rng(seed).standard_normal((1000, 50)), blocks=8
        )
        for seed in range(20)
    ]
    assert np.mean(found) == pytest.approx(0.488, abs=5e-4)
    assert min(found) == pytest.approx(0.06, abs=5e-3)
    assert max(found) == pytest.approx(0.74, abs=5e-3)


@pytest.mark.parametrize("shape", [(64, 5, 8), (61, 2, 6), (100, 30, 4), (37, 7, 10)])
def test_it_is_the_definition_also_where_observations_do_not_divide(
    shape: tuple[int, int, int],
) -> None:
    observations, candidates, blocks = shape
    for seed in range(5):
        performance = np.random.default_rng(seed).standard_t(3, (observations, candidates)) + 5.0
        found = probability_of_backtest_overfitting(performance, blocks=blocks)
        assert found == pytest.approx(slowly(performance, blocks), abs=1e-12)


def test_a_case_by_hand() -> None:
    """Two blocks: A wins the first and loses the second, so both halves disappoint."""
    first, second = np.array([3.0, 1.0]), np.array([1.0, 3.0])
    performance = np.array([first, first + 0.1, second, second + 0.1])
    assert probability_of_backtest_overfitting(performance, blocks=2) == 1.0
    np.testing.assert_allclose(overfitting_logits(performance, blocks=2), np.log(0.5))
    steady = np.array([first, first + 0.1, first, first + 0.1])
    assert probability_of_backtest_overfitting(steady, blocks=2) == 0.0
    np.testing.assert_allclose(overfitting_logits(steady, blocks=2), np.log(2.0))


def test_a_candidate_that_is_truly_best_is_found() -> None:
    performance = np.random.default_rng(0).standard_normal((1000, 20))
    performance[:, 7] += 0.5
    assert probability_of_backtest_overfitting(performance, blocks=8) == 0.0


def test_neither_scale_nor_order_of_candidates_matters() -> None:
    generator = np.random.default_rng(4)
    performance = generator.standard_normal((200, 6))
    found = probability_of_backtest_overfitting(performance, blocks=8)
    scaled = performance * [1e-9, 1.0, 1e9, 5.0, 0.1, 30.0]
    mixed = performance[:, generator.permutation(6)]
    assert probability_of_backtest_overfitting(scaled, blocks=8) == found
    assert probability_of_backtest_overfitting(mixed, blocks=8) == found


def test_candidates_that_are_all_the_same_can_not_be_told_apart() -> None:
    """Each stands at the median, and a logit of zero counts as overfitted."""
    column = np.random.default_rng(0).standard_normal((90, 1))
    same = np.repeat(column, 3, axis=1)
    assert probability_of_backtest_overfitting(same, blocks=6) == 1.0
    assert (overfitting_logits(same, blocks=6) == 0.0).all()


def test_ties_for_best_share_a_half() -> None:
    """The twins A, B are best inside; outside, C beats both in one half of two."""
    twin = np.array([3.0, 3.1, 1.0, 1.1])
    other = np.array([1.0, 1.1, 3.0, 3.1])
    performance = np.stack([twin, twin, other], axis=1)
    logits = overfitting_logits(performance, blocks=2)
    # First half: the twins share the ranks 1 and 2 outside. Second half: C is last outside.
    np.testing.assert_allclose(sorted(logits), np.log([1 / 3, 1.5 / 2.5, 1.5 / 2.5]))
    assert probability_of_backtest_overfitting(performance, blocks=2) == 1.0


def test_a_candidate_that_does_nothing_stands_at_zero() -> None:
    generator = np.random.default_rng(1)
    losing = generator.normal(-1.0, 0.1, (80, 3))
    performance = np.column_stack([losing, np.zeros(80)])
    assert probability_of_backtest_overfitting(performance, blocks=8) == 0.0
    idle = np.zeros((80, 2))
    assert probability_of_backtest_overfitting(idle, blocks=8) == 1.0


@pytest.mark.parametrize("gain", [0.1, 1e6 / 3.0])
def test_a_gain_without_any_risk_beats_everything(gain: float) -> None:
    noisy = np.random.default_rng(2).normal(0.2, 1.0, (80, 3))
    performance = np.column_stack([noisy, np.full(80, gain)])
    assert probability_of_backtest_overfitting(performance, blocks=8) == 0.0


@pytest.mark.parametrize(
    ("shape", "blocks", "said"),
    [
        ((100,), 8, "expected .observations, candidates."),
        ((100, 1), 8, "at least two candidates"),
        ((100, 3), 7, "blocks: found 7, expected an even number"),
        ((100, 3), 0, "blocks: found 0"),
        ((100, 3), 22, "blocks: found 22"),
        ((7, 3), 8, "found 7 observations"),
        ((3, 3), 2, "found 3 observations"),
    ],
)
def test_what_can_not_be_split_is_refused(shape: tuple[int, ...], blocks: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        probability_of_backtest_overfitting(np.ones(shape), blocks=blocks)


def test_a_gap_in_the_record_is_refused() -> None:
    performance = np.ones((20, 2))
    performance[3, 1] = np.nan
    with pytest.raises(ValueError, match="found NaN"):
        probability_of_backtest_overfitting(performance, blocks=4)
