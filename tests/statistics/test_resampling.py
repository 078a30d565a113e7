"""Paired and block bootstraps: what is drawn, against theory and against `arch`."""

import numpy as np
import pytest
from arch.bootstrap import CircularBlockBootstrap, StationaryBootstrap

from makerlab.statistics import (
    block_bootstrap,
    circular_block_indices,
    paired_bootstrap,
    stationary_indices,
)
from makerlab.statistics.bootstrap import Estimate


def autoregressive(size: int, seed: int, *, memory: float = 0.7) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=size + 100)
    values = np.zeros(size + 100)
    for place in range(1, len(values)):
        values[place] = memory * values[place - 1] + noise[place]
    return values[100:]


def width(found: Estimate) -> float:
    assert found.low is not None and found.high is not None
    return found.high - found.low


def test_circular_blocks_are_whole_and_run_on_past_the_end() -> None:
    taken = circular_block_indices(10, block=4, samples=300, seed=0)
    assert taken.shape == (300, 10)
    steps = np.diff(taken, axis=1) % 10
    inside = [place for place in range(9) if (place + 1) % 4]
    assert (steps[:, inside] == 1).all()
    assert np.bincount(taken.ravel(), minlength=10) == pytest.approx(300, rel=0.25)


def test_stationary_blocks_have_the_mean_length_asked_for() -> None:
    taken = stationary_indices(200, block=5.0, samples=400, seed=0)
    breaks = (np.diff(taken, axis=1) % 200 != 1).mean()
    # A new block begins by chance just where the old one would have gone on: 1 in 200.
    assert breaks == pytest.approx(1 / 5 * (1 - 1 / 200), rel=0.02)
    assert np.bincount(taken.ravel(), minlength=200) == pytest.approx(400, rel=0.4)


def test_blocks_of_one_are_independent_draws() -> None:
    for taken in (
        stationary_indices(50, block=1, samples=2000, seed=1),
        circular_block_indices(50, block=1, samples=2000, seed=1),
    ):
        assert (np.diff(taken, axis=1) % 50 == 1).mean() == pytest.approx(1 / 50, rel=0.1)


@pytest.mark.parametrize("kind", ["stationary", "circular"])
def test_means_of_resamples_spread_as_those_of_arch(kind: str) -> None:
    values = autoregressive(300, 0)
    draw = stationary_indices if kind == "stationary" else circular_block_indices
    ours = values[draw(300, block=10, samples=4000, seed=2)].mean(axis=1)
    oracle = StationaryBootstrap if kind == "stationary" else CircularBlockBootstrap
    theirs = oracle(10, values, seed=3).apply(lambda x: x.mean(), 4000)[:, 0]
    assert ours.mean() == pytest.approx(theirs.mean(), abs=5 * theirs.std() / 4000**0.5)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.05)


@pytest.mark.parametrize("kind", ["stationary", "circular"])
def test_blocks_know_of_the_dependence_that_single_draws_miss(kind: str) -> None:
    """With memory 0.7 a mean varies sqrt(1.7 / 0.3) = 2.4 times as much as if independent."""
    values = autoregressive(2000, 1)
    single = block_bootstrap(values, block=1, samples=2000, seed=0)
    blocks = block_bootstrap(values, block=40, samples=2000, seed=0, kind=kind)  # type: ignore[arg-type]
    assert width(blocks) / width(single) == pytest.approx(2.4, rel=0.25)


def test_block_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    hits = 0
    for seed in range(200):
        found = block_bootstrap(autoregressive(300, seed), block=15, samples=500, seed=0)
        assert found.low is not None and found.high is not None
        hits += found.low <= 0.0 <= found.high
    assert 0.87 <= hits / 200 <= 0.99


def test_what_pairs_have_in_common_cancels() -> None:
    generator = np.random.default_rng(0)
    market = generator.normal(0.0, 100.0, 200)
    first, second = (market + generator.normal(gain, 1.0, 200) for gain in (1.0, 0.0))
    found = paired_bootstrap(first, second, samples=2000, seed=0)
    assert found.value == pytest.approx((first - second).mean())
    assert width(found) == pytest.approx(2 * 1.96 * 2**0.5 / 200**0.5, rel=0.1)
    again = paired_bootstrap(second, first, samples=2000, seed=0)
    assert again.value == pytest.approx(-(found.value or 0.0))


def test_a_policy_paired_with_itself_differs_by_exactly_nothing() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert paired_bootstrap(values, values, samples=100, seed=0) == (0.0, 0.0, 0.0)


def test_too_few_pieces_have_no_interval() -> None:
    values = np.arange(20.0)
    assert block_bootstrap(values, block=5, samples=100, seed=0) == (9.5, None, None)
    assert block_bootstrap([], block=1, samples=100, seed=0) == (None, None, None)
    assert block_bootstrap([1.0, np.nan], block=1, samples=100, seed=0) == (None, None, None)


def test_wrong_shapes_and_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="expected pairs"):
        paired_bootstrap([1.0, 2.0], [1.0], samples=10, seed=0)
    for draw in (stationary_indices, circular_block_indices):
        for block in (0, 11):
            with pytest.raises(ValueError, match="block: found"):
                draw(10, block=block, samples=5, seed=0)
