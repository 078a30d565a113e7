"""Playing policies: the same episodes for all, none overlapping, every step kept."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made_up_candles import (
    MINUTE_MS,
    START_MS,
    candles_of,
    flat_then,
    market_of,
    play,
    random_walk,
)

from makerlab.evaluation.rollout import evaluation_starts, rollout
from makerlab.market.base import Observations
from makerlab.market.episodes import CandleMarket
from makerlab.market.features import WARM_UP_BARS
from makerlab.policies.baselines import FixedSymmetric, RandomQuotes

WALK = random_walk(900, seed=61)


def market_with_gaps(gaps: list[int]) -> CandleMarket:
    stamps = START_MS + MINUTE_MS * np.arange(600)
    for gap in gaps:
        stamps[gap:] += 3 * MINUTE_MS
    names = ("open", "high", "low", "close", "volume")
    price = np.full(600, 100.0)
    return market_of(candles_of(dict.fromkeys(names, price), ts_ms=stamps))


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.integers(150, 599), max_size=3),
    episodes=st.integers(1, 30),
    length=st.integers(1, 80),
)
def test_judged_episodes_are_whole_and_share_no_bar(
    gaps: list[int], episodes: int, length: int
) -> None:
    market = market_with_gaps(gaps)
    starts = evaluation_starts(market, episodes=episodes, episode_length=length)
    assert 1 <= len(starts) <= episodes
    assert np.all(np.diff(starts) >= length)
    assert set(starts.tolist()) <= set(market.starts(length).tolist())


def test_fewer_episodes_come_back_when_fewer_fit() -> None:
    market = market_of(WALK)
    assert len(evaluation_starts(market, episodes=1000, episode_length=100)) == 8
    assert len(evaluation_starts(market, episodes=5, episode_length=100)) == 5


def test_judged_episodes_spread_over_the_whole_segment() -> None:
    market = market_of(WALK)
    starts = evaluation_starts(market, episodes=4, episode_length=50)
    assert starts[0] == WARM_UP_BARS and starts[-1] >= 900 - 1 - 2 * 50
    assert np.diff(starts).max() <= 1.5 * np.diff(starts).min()


class Watcher:
    """Quotes like another policy and remembers what it was shown."""

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self.seen: list[Observations] = []

    def act(self, observation: Observations) -> Any:
        self.seen.append(observation.copy())
        return self.policy.act(observation)


def test_all_policies_see_the_same_market() -> None:
    market = market_of(WALK, episode_length=50)
    starts = evaluation_starts(market, episodes=5, episode_length=50)
    watchers = [Watcher(FixedSymmetric()), Watcher(RandomQuotes(seed=3, actions=2))]
    for watcher in watchers:
        rollout(market, watcher, starts)
    shared = market.features.shape[1]
    assert len(watchers[0].seen) == 50
    for first, second in zip(watchers[0].seen, watchers[1].seen, strict=True):
        np.testing.assert_array_equal(first[:, :shared], second[:, :shared])


def test_a_rollout_is_the_kernel_with_the_policys_actions() -> None:
    market = market_of(WALK, episode_length=40, fee_rate=0.0002)
    starts = np.array([60, 200, 333])
    generator = np.random.default_rng(4)
    actions = [generator.uniform(-1, 1, (3, 2)) for _ in range(40)]
    queue = iter(actions)

    class Scripted:
        def act(self, observation: Observations) -> Any:
            return next(queue)

    found = rollout(market, Scripted(), starts)
    expected = play(market, np.array(actions), starts=starts.tolist())
    for name in ("bid", "ask", "fees", "reward", "cash", "inventory", "equity", "liquidated"):
        np.testing.assert_array_equal(getattr(found, name), expected[name].T)
    np.testing.assert_array_equal(found.start_mid, WALK.close[starts])


def test_the_same_policy_and_seed_give_the_same_trajectories() -> None:
    market = market_of(WALK, episode_length=40)
    first, again = (
        rollout(market, RandomQuotes(seed=9, actions=2), np.array([60, 300])) for _ in range(2)
    )
    np.testing.assert_array_equal(first.equity, again.equity)


def test_a_step_carries_the_open_time_of_the_bar_its_quotes_lived_in() -> None:
    market = market_of(WALK, episode_length=3)
    found = rollout(market, FixedSymmetric(), np.array([100]))
    stamps = found.timestamps_ms(0)
    assert stamps.tolist() == [START_MS + MINUTE_MS * bar for bar in (101, 102, 103)]
    np.testing.assert_array_equal(found.mid[0], WALK.close[101:104])


def test_a_ruined_episode_ends_and_the_others_go_on() -> None:
    crash = [(100.0, 100.0, 99.0, 100.0), *[(50.0, 50.0, 50.0, 50.0)] * 4]
    bars = [*crash, *[(50.0, 50.0, 50.0, 50.0)] * 80]
    market = market_of(flat_then(*bars), initial_cash=40.0, episode_length=4)
    found = rollout(market, FixedSymmetric(), np.array([WARM_UP_BARS, WARM_UP_BARS + 20]))
    assert np.isfinite(found.equity[0]).tolist() == [True, True, False, False]
    assert np.isfinite(found.equity[1]).all()
    assert np.isnan(found.reward[0, 2:]).all()


def test_a_diverged_policy_is_an_error_and_not_one_that_stays_out() -> None:
    class Diverged:
        def act(self, observation: Observations) -> Any:
            return np.full((len(observation), 2), np.nan)

    with pytest.raises(ValueError, match="diverged"):
        rollout(market_of(WALK), Diverged(), np.array([60]))
