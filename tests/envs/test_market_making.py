"""The Gymnasium environments: checked by others' checkers, reproducible, equal to the kernel."""

import subprocess
import sys
import warnings
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as stable_baselines_check
from tests.made_up_candles import flat_then, market_of, play, random_walk

from makerlab.config import Config
from makerlab.data.split import Segment
from makerlab.envs import MarketMakingEnv, MarketMakingVectorEnv
from makerlab.errors import UserError
from makerlab.market.episodes import CandleMarket
from makerlab.market.features import WARM_UP_BARS

NAME = "makerlab/MarketMaking-v0"
WALK = random_walk(300, seed=31, volatility_bps=15.0)
LENGTH = 15


def market(**env: Any) -> CandleMarket:
    return market_of(WALK, **({"episode_length": LENGTH, "fee_rate": 0.0001} | env))


def made(**options: Any) -> MarketMakingEnv:
    env = gymnasium.make(NAME, **options).unwrapped
    assert isinstance(env, MarketMakingEnv)
    return env


@pytest.mark.parametrize("options", [{}, {"allow_no_quote": True}])
def test_both_checkers_accept_it(options: dict[str, bool]) -> None:
    env = gymnasium.make(NAME, market=market(**options)).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gymnasium_check(env, skip_render_check=True)
        stable_baselines_check(env)


def test_it_is_made_by_name_from_keys_of_the_config() -> None:
    env = made(
        config=Config.model_validate(
            {"env": {"base_spread_bps": 8}, "data": {"synthetic": {"days": 1}}}
        ),
        episode_length=30,
        base_spread=2.0,
    )
    assert (env.market.settings.episode_length, env.market.settings.base_spread) == (30, 2.0)
    assert env.market.settings.base_spread_bps is None
    env.reset(seed=0)
    ended = [env.step(np.zeros(2))[3] for _ in range(30)]
    assert ended == [False] * 29 + [True]


def test_its_name_alone_is_enough_when_it_names_the_package() -> None:
    """Gymnasium loads no plug-ins: either makerlab.envs was imported, or the name says so."""
    code = (
        "import gymnasium\n"
        f"env = gymnasium.make('makerlab.envs:{NAME}', episode_length=20)\n"
        "env.reset(seed=0)\n"
        "env.step(env.action_space.sample())\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_it_is_made_by_name_for_a_segment() -> None:
    config = Config.model_validate(
        {"env": {"base_spread_bps": 8, "episode_length": 30}, "data": {"synthetic": {"days": 1}}}
    )
    train, valid = (made(config=config, segment=name).market for name in ("train", "valid"))
    assert (train.segment.name, valid.segment.name) == ("train", "valid")
    assert train.ts_ms[-1] < valid.ts_ms[0]


def test_an_unknown_key_is_one_line_naming_the_nearest() -> None:
    with pytest.raises(
        UserError, match=r"unknown key 'max_inventori'.*did you mean 'max_inventory"
    ):
        MarketMakingEnv(max_inventori=3)


@pytest.mark.parametrize("kind", [MarketMakingEnv, MarketMakingVectorEnv])
def test_settings_beside_a_market_are_refused_rather_than_ignored(kind: Any) -> None:
    with pytest.raises(TypeError, match="has its settings already"):
        kind(market=market(), episode_length=7)


def test_the_vector_environment_is_made_by_name() -> None:
    env = gymnasium.make_vec(NAME, num_envs=3, market=market())
    assert isinstance(env.unwrapped, MarketMakingVectorEnv)
    observation, _ = env.reset(seed=1)
    assert observation.shape == (3, *env.single_observation_space.shape)  # type: ignore[misc]
    assert observation in env.observation_space
    stepped = env.step(env.action_space.sample())
    assert [len(part) for part in stepped[:4]] == [3, 3, 3, 3]


# --- reproducibility -------------------------------------------------------------------------


def trace(env: MarketMakingEnv, *, seed: int | None, steps: int = 40) -> list[Any]:
    """Return all numbers of some steps with fixed actions, over the ends of episodes."""
    actions = np.random.default_rng(5).uniform(-1, 1, (steps, 2))
    observation, _ = env.reset(seed=seed)
    numbers: list[Any] = [observation.tolist()]
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        numbers.append((observation.tolist(), reward, terminated, truncated, info))
        if terminated or truncated:
            numbers.append(env.reset()[0].tolist())
    return numbers


def test_a_seed_fixes_this_start_and_all_later_ones() -> None:
    """Trap: a seed in the YAML that does not seed the learner or the environment."""
    env = MarketMakingEnv(market())
    first = trace(env, seed=3)
    assert trace(env, seed=3) == first
    assert trace(MarketMakingEnv(market()), seed=3) == first
    assert trace(env, seed=4) != first


def test_two_environments_have_generators_of_their_own() -> None:
    np.random.seed(0)
    env, other = MarketMakingEnv(market()), MarketMakingEnv(market())
    alone = trace(env, seed=3)
    env.reset(seed=3)
    other.reset(seed=4)
    numbers = [env.reset()[0].tolist() for _ in range(5)]
    env.reset(seed=3)
    for _ in range(20):
        other.reset()
        np.random.random(7)
    assert [env.reset()[0].tolist() for _ in range(5)] == numbers
    assert trace(env, seed=3) == alone


def test_unseeded_environments_differ() -> None:
    starts = {tuple(MarketMakingEnv(market()).reset()[0].tolist()) for _ in range(8)}
    assert len(starts) > 1


def test_without_random_starts_episodes_begin_at_the_first_bar() -> None:
    env = MarketMakingEnv(market(random_start=False))
    first = env.reset(seed=1)[0]
    np.testing.assert_array_equal(first, env.reset(seed=2)[0])
    np.testing.assert_array_equal(first, env.reset()[0])


def test_a_snapshot_continues_over_the_ends_of_episodes() -> None:
    env, again = MarketMakingEnv(market()), MarketMakingEnv(market())
    env.reset(seed=9)
    for _ in range(7):
        env.step(np.array([0.3, -0.2]))
    snapshot = env.snapshot()
    observation = env.step(np.zeros(2))[0]
    env.reset()
    then = env.step(np.zeros(2))
    again.reset(seed=1234)
    again.restore(snapshot)
    np.testing.assert_array_equal(again.step(np.zeros(2))[0], observation)
    again.reset()
    np.testing.assert_array_equal(again.step(np.zeros(2))[0], then[0])


# --- one kernel, any number of episodes --------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31 - 10), count=st.integers(1, 4), thirds=st.booleans())
def test_single_and_vector_environments_give_identical_numbers(
    seed: int, count: int, thirds: bool
) -> None:
    """For identical seeds and actions, over the ends of episodes, ruin included."""
    here = market(allow_no_quote=thirds, initial_cash=60.0, max_inventory=5.0, order_size=5.0)
    vector = MarketMakingVectorEnv(count, here)
    singles = [MarketMakingEnv(here) for _ in range(count)]
    actions = np.random.default_rng(seed).uniform(-1, 1, (35, count, 3 if thirds else 2))
    observations, _ = vector.reset(seed=seed)
    for number, env in enumerate(singles):
        np.testing.assert_array_equal(env.reset(seed=seed + number)[0], observations[number])
    for action in actions:
        observations, rewards, terminated, truncated, info = vector.step(action)
        for number, env in enumerate(singles):
            seen, reward, ruined, ended, accounts = env.step(action[number])
            assert (reward, ruined, ended) == (
                rewards[number],
                terminated[number],
                truncated[number],
            )
            for name, value in accounts.items():
                assert value == info[name][number]
            if ruined or ended:
                assert info["_final_obs"][number]
                np.testing.assert_array_equal(info["final_obs"][number], seen)
                seen, _ = env.reset()
            np.testing.assert_array_equal(seen, observations[number])


def test_the_environment_is_the_kernel() -> None:
    here = market(random_start=False)
    actions = np.random.default_rng(3).uniform(-1, 1, (LENGTH, 1, 2)).astype(np.float32)
    played = play(here, actions)
    env = MarketMakingEnv(here)
    env.reset()
    for step, action in enumerate(actions[:, 0]):
        observation, reward, _, truncated, info = env.step(action)
        np.testing.assert_array_equal(observation, played["observation"][step, 0])
        assert reward == played["reward"][step, 0]
        assert truncated == played["truncated"][step, 0]
        for name in info:
            assert info[name] == played[name][step, 0]


def test_each_environment_of_a_vector_has_its_own_seed() -> None:
    vector = MarketMakingVectorEnv(3, market())
    together, _ = vector.reset(seed=[5, None, 7])
    for number, seed in ((0, 5), (2, 7)):
        alone, _ = MarketMakingEnv(market()).reset(seed=seed)
        np.testing.assert_array_equal(together[number], alone)
    with pytest.raises(ValueError, match="found 2 seeds, expected 3"):
        vector.reset(seed=[1, 2])


def test_what_a_vector_returns_is_not_overwritten_by_its_next_step() -> None:
    vector = MarketMakingVectorEnv(2, market())
    vector.reset(seed=1)
    kept = vector.step(np.zeros((2, 2)))
    copies = [np.array(part) for part in kept[:4]] + [kept[4]["equity"].copy()]
    vector.step(np.ones((2, 2)))
    for part, copy in zip((*kept[:4], kept[4]["equity"]), copies, strict=True):
        np.testing.assert_array_equal(part, copy)


# --- rewards, ends and bad actions ---------------------------------------------------------------


def test_the_time_limit_truncates_and_ruin_terminates() -> None:
    """Trap: reward that misses part of the bar's move, so that doing nothing wins; time limit
    treated as termination."""
    crash = [(100.0, 100.0, 99.0, 100.0), *[(50.0, 50.0, 50.0, 50.0)] * 6]
    quiet = [(100.0, 100.0, 100.0, 100.0)] * 7
    for bars, terminated, truncated in ((crash, True, False), (quiet, False, True)):
        here = market_of(flat_then(*bars), initial_cash=40.0, episode_length=2, random_start=False)
        env = MarketMakingEnv(here)
        env.reset()
        assert env.step(np.zeros(2))[2:4] == (False, False)
        assert env.step(np.zeros(2))[2:4] == (terminated, truncated)


def test_the_info_of_a_step_adds_up() -> None:
    env = MarketMakingEnv(market())
    env.reset(seed=2)
    before = env.market.settings.initial_cash
    for action in np.random.default_rng(0).uniform(-1, 1, (LENGTH, 2)):
        info = env.step(action)[4]
        assert info["equity"] == pytest.approx(info["cash"] + info["inventory"] * info["mid"])
        earned = info["spread_captured"] + info["inventory_profit"] - info["fees"]
        assert info["equity"] - before == pytest.approx(earned, abs=1e-6)
        before = info["equity"]


BAD_ACTIONS: dict[str, npt.NDArray[np.float64]] = {
    "not finite": np.array([np.nan, 0.0]),
    "infinite": np.array([np.inf, 0.0]),
    "too short": np.zeros(1),
    "too long": np.zeros(3),
    "two at once": np.zeros((1, 2)),
}


@pytest.mark.parametrize("kind", BAD_ACTIONS)
def test_bad_actions_are_refused(kind: str) -> None:
    env = MarketMakingEnv(market())
    env.reset(seed=1)
    with pytest.raises(ValueError, match=r"action of shape|not finite"):
        env.step(BAD_ACTIONS[kind])


def test_transposed_actions_of_a_vector_are_refused() -> None:
    vector = MarketMakingVectorEnv(3, market())
    vector.reset(seed=1)
    with pytest.raises(ValueError, match="shape"):
        vector.step(np.zeros((2, 3)))


def test_actions_beyond_the_space_are_cut_to_it() -> None:
    inside, outside = MarketMakingEnv(market()), MarketMakingEnv(market())
    for env in (inside, outside):
        env.reset(seed=1)
    for _ in range(LENGTH):
        one = inside.step(np.array([1.0, -1.0]))
        two = outside.step(np.array([50.0, -3.0]))
        assert one[4] == two[4]


def test_an_environment_sees_only_its_own_segment() -> None:
    short = CandleMarket(
        WALK, Segment("valid", 100, 100 + WARM_UP_BARS + LENGTH + 5), market().settings
    )
    env = MarketMakingEnv(short)
    for seed in range(10):
        env.reset(seed=seed)
        mids = [env.step(np.zeros(2))[4]["mid"] for _ in range(LENGTH)]
        inside = WALK.close[100 : 100 + WARM_UP_BARS + LENGTH + 5]
        assert set(mids) <= set(inside.tolist())
