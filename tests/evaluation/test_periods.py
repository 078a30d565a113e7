"""Profits per period: they add up, days are whole, and where there are none episodes stand in."""

import numpy as np
import pytest
from tests.made_up_candles import market_of, random_walk

from makerlab.evaluation.metrics import episode_sums, metric_values
from makerlab.evaluation.periods import DAY_MS, SegmentProfits, bar_gains, segment_profits
from makerlab.evaluation.rollout import evaluation_starts, rollout
from makerlab.policies.baselines import FixedSymmetric, RandomQuotes

WALK = random_walk(9 * 1440, seed=5, path_steps=4)


def profits_of(*, length: int, episodes: int = 1000) -> SegmentProfits:
    market = market_of(WALK)
    starts = evaluation_starts(market, episodes=episodes, episode_length=length)
    policies = {"fixed": FixedSymmetric(), "random": RandomQuotes(seed=0, actions=2)}
    played = {n: rollout(market, p, starts, episode_length=length) for n, p in policies.items()}
    gains = {name: bar_gains(trajectories) for name, trajectories in played.items()}
    found = segment_profits(played["fixed"], gains)
    for name, trajectories in played.items():
        sums = episode_sums(trajectories)
        np.testing.assert_allclose(found.episodes.profits[name], sums["profit"], atol=1e-6)
        mean = metric_values(sums, np.ones((1, len(starts))), bar_ms=market.bar_ms)["net_profit"]
        assert found.episodes.profits[name].mean() == pytest.approx(mean[0])
    return found


def test_episodes_side_by_side_make_days() -> None:
    """Nine days; the first lacks the bars that warm up, the last those that fill no episode."""
    found = profits_of(length=500)
    assert found.days is not None
    assert found.days.name == "day" and found.days.per_year == 365.0
    assert (found.days.starts_ms % DAY_MS == 0).all()
    assert len(found.days.starts_ms) == 8
    for profits in found.days.profits.values():
        assert profits.shape == (8,)


def test_whole_days_hold_what_the_bars_in_them_earned() -> None:
    found = profits_of(length=480)
    assert found.days is not None
    # 60 bars warm up, so a day is three episodes but for an hour of the next day's first.
    by_episode = found.episodes.profits["fixed"]
    assert found.days.profits["fixed"].sum() == pytest.approx(
        by_episode.sum(), abs=3 * np.abs(by_episode).max()
    )


def test_episodes_spread_over_the_segment_are_periods_of_their_own() -> None:
    found = profits_of(length=500, episodes=12)
    assert found.days is None
    assert found.episodes.name == "episode"
    assert found.episodes.per_year == pytest.approx(365 * 1440 / 500)
    assert len(found.episodes.starts_ms) == 12
    assert (np.diff(found.episodes.starts_ms) >= 500 * 60_000).all()


def test_what_is_stored_is_what_was_found() -> None:
    found = profits_of(length=500).to_dict()
    assert found["days"]["period"] == "day" and found["episodes"]["period"] == "episode"
    assert len(found["days"]["starts_ms"]) == len(found["days"]["profits"]["random"]) == 8
