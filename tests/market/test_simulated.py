"""Simulated markets: their random numbers, money, orders, and independence of episodes."""

import itertools
import math
from typing import Any

import gymnasium
import numba
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.utils.env_checker import check_env
from pydantic import ValidationError

from makerlab.config import EnvSettings
from makerlab.config.load import validate_config
from makerlab.data.split import Segment
from makerlab.envs import MarketMakingEnv, MarketMakingVectorEnv
from makerlab.errors import UserError
from makerlab.evaluation.rollout import rollout
from makerlab.market.exponential import exponential
from makerlab.market.markets import load_markets
from makerlab.market.philox import philox
from makerlab.market.simulated import SIMULATED_NAMES, SimulatedMarket
from makerlab.policies import baseline_policies
from makerlab.policies.simple import RandomQuotes

Floats = npt.NDArray[np.float64]
STEPS = 50


def market_of(
    name: str = "cartea_jaimungal", *, cap: float = 5.0, env: Any = None, **simulated: Any
) -> SimulatedMarket:
    """Return a busy little market of 1,000 episodes."""
    defaults = {"buy_intensity": 30.0, "sell_intensity": 20.0, "decay": 1.0, "max_depth": 3.0}
    settings = EnvSettings(
        market=name,  # type: ignore[arg-type]
        order_size=1.0,
        max_inventory=cap,
        episode_length=STEPS,
        simulated=defaults | simulated,  # type: ignore[arg-type]
        **(env or {}),
    )
    return SimulatedMarket(Segment("train", 0, 1000), settings)


def philox_in_whole_numbers(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32 with seven rounds, written from the paper's definition."""
    for number in range(7):
        high_0, low_0 = divmod(0xD2511F53 * counter[0], 1 << 32)
        high_1, low_1 = divmod(0xCD9E8D57 * counter[2], 1 << 32)
        key_0 = (key[0] + number * 0x9E3779B9) % (1 << 32)
        key_1 = (key[1] + number * 0xBB67AE85) % (1 << 32)
        counter = [high_1 ^ counter[1] ^ key_0, low_1, high_0 ^ counter[3] ^ key_1, low_0]
    return counter


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0] * 6, [0x5F6FB709, 0x0D893F64, 0x4F121F81, 0x4F730A48]),
        ([0xFFFFFFFF] * 6, [0x5207DDC2, 0x45165E59, 0x4D8EE751, 0x8C52F662]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0],
            [0x4DFCCABA, 0x190A87F0, 0xC47362BA, 0xB6B5242A],
        ),
    ],
)
def test_random_numbers_are_the_published_ones_of_philox(
    values: list[int], words: list[int]
) -> None:
    """Known answers of Random123 for philox4x32 with seven rounds."""
    assert [int(word) for word in philox(*map(np.uint64, values))] == words
    assert philox_in_whole_numbers(values[:4], values[4:]) == words


def test_an_episode_uses_the_numbers_of_its_seed_its_own_number_and_the_step() -> None:
    """Fills and moves of a few episodes, drawn and decided in plain Python."""
    market = market_of(seed=11, volatility=2.0)
    batch = market.episodes(600)
    batch.restart(market.starts()[:600])
    for step in range(3):
        before = batch.state.mid.copy()
        outcome = batch.step(np.full((600, 2), -0.8))
        for number in (0, 3, 511, 512, 599):
            words = philox_in_whole_numbers([step, number, 0, 0], [11, 0])
            bid, ask, move = (word / 2**32 for word in words[:3])
            assert outcome.bid_filled[number] == (bid < 20.0 / STEPS * math.exp(-0.3))
            assert outcome.ask_filled[number] == (ask < 30.0 / STEPS * math.exp(-0.3))
            moved = 2.0 / math.sqrt(STEPS) * (1.0 if move < 0.5 else -1.0)
            assert outcome.mid[number] - before[number] == pytest.approx(moved, abs=1e-12)


def test_the_exponential_is_within_its_stated_error() -> None:
    x = np.concatenate([np.linspace(-690.0, 690.0, 20_001), np.linspace(-3.0, 3.0, 20_001), [0.0]])
    found = np.array([exponential(value) for value in x])
    np.testing.assert_allclose(found, np.exp(x), rtol=1e-11, atol=0.0)
    assert exponential(0.0) == 1.0
    assert exponential(-1e6) == pytest.approx(math.exp(-690.0), rel=1e-11)
    assert exponential(np.inf) == pytest.approx(math.exp(690.0), rel=1e-11)


def test_the_exponential_of_many_numbers_at_once_is_that_of_each() -> None:
    @numba.njit
    def of_all(x: Floats, result: Floats) -> None:
        for i in range(x.shape[0]):
            result[i] = exponential(x[i])

    x = np.linspace(-20.0, 5.0, 1003)
    found = np.empty_like(x)
    of_all(x, found)
    np.testing.assert_array_equal(found, [exponential(value) for value in x])


def test_a_path_depends_neither_on_the_batch_nor_on_the_other_episodes() -> None:
    market = market_of(signal_strength=1.0)
    together = rollout(market, baseline_policies(market, seed=0)["optimal"], market.starts()[:40])
    for number in (0, 7, 39):
        policy = baseline_policies(market, seed=0)["optimal"]
        alone = rollout(market, policy, np.array([number]))
        for name in ("mid", "bid", "inventory", "equity", "reward"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[number])


def test_episodes_differ_and_the_seed_of_the_market_changes_them() -> None:
    def mids(seed: int) -> Floats:
        market = market_of(seed=seed)
        return rollout(market, baseline_policies(market, seed=0)["no_quote"], market.starts()).mid

    first = mids(0)
    assert len(np.unique(first[:, -1])) > 10
    assert not np.array_equal(first, mids(1))
    np.testing.assert_array_equal(first, mids(0))


@pytest.mark.parametrize("name", ["avellaneda_stoikov", "cartea_jaimungal"])
def test_money_is_conserved(name: str) -> None:
    """Equity is cash plus inventory at the mid, and moves by spread, position and fees alone."""
    market = market_of(name, env={"fee_rate": 0.001}, signal_strength=3.0)
    played = rollout(market, RandomQuotes(seed=1, actions=2), market.starts()[:200])
    np.testing.assert_allclose(
        played.equity, played.cash + played.inventory * played.mid, rtol=0, atol=1e-8
    )
    change = np.diff(played.equity, axis=1, prepend=market.settings.initial_cash)
    parts = played.spread_captured + played.inventory_profit - played.fees
    np.testing.assert_allclose(change, parts, rtol=0, atol=1e-8)
    held = np.cumsum(played.bid_filled - played.ask_filled, axis=1)
    np.testing.assert_array_equal(played.inventory, held)
    assert played.fees.sum() > 0.0


def test_the_reward_is_the_change_of_equity_less_the_penalties() -> None:
    market = market_of(running_penalty=0.7, terminal_penalty=0.2, reward_scale=3.0)
    played = rollout(market, RandomQuotes(seed=1, actions=2), market.starts()[:200])
    change = np.diff(played.equity, axis=1, prepend=market.settings.initial_cash)
    penalty = 0.7 / STEPS * np.square(played.inventory)
    penalty[:, -1] += 0.2 * np.square(played.inventory[:, -1])
    np.testing.assert_allclose(played.reward, 3.0 * (change - penalty), rtol=0, atol=1e-8)


def test_a_quote_at_the_position_limit_is_left_out() -> None:
    market = market_of(cap=2.0, sell_intensity=200.0)
    played = rollout(market, RandomQuotes(seed=1, actions=2), market.starts()[:200])
    before = np.concatenate([np.zeros((200, 1)), played.inventory[:, :-1]], axis=1)
    assert np.abs(played.inventory).max() == 2.0
    np.testing.assert_array_equal(np.isinf(played.bid), before == 2.0)
    np.testing.assert_array_equal(np.isinf(played.ask), before == -2.0)


@pytest.mark.parametrize(("rule", "sides"), [("literal", (0.4, 0.6)), ("exact", (0.33, 0.451))])
def test_fills_come_as_often_as_their_rule_says(rule: str, sides: tuple[float, float]) -> None:
    market = market_of(cap=1000.0, fill_rule=rule, decay=1e-9)
    batch = market.episodes(1000)
    batch.restart(market.starts())
    counts = np.zeros(2)
    for _ in range(STEPS):
        outcome = batch.step(np.full((1000, 2), -1.0))
        counts += [outcome.bid_filled.sum(), outcome.ask_filled.sum()]
    chances = counts / (1000 * STEPS)
    expected = [20.0 / STEPS, 30.0 / STEPS]
    if rule == "exact":
        expected = list(-np.expm1(-np.array(expected)))
    np.testing.assert_allclose(expected, sides, atol=5e-3)
    np.testing.assert_allclose(chances, expected, atol=4 * 0.5 / np.sqrt(1000 * STEPS))


def test_a_planted_signal_drives_the_mid_and_is_seen_before() -> None:
    market = market_of(signal_strength=40.0, signal_switching=5.0, volatility=0.0)
    batch = market.episodes(1000)
    batch.restart(market.starts())
    changes = 0.0
    for _ in range(STEPS):
        seen = batch.observe()[:, SIMULATED_NAMES.index("signal")]
        before = batch.state.mid.copy()
        batch.step(np.zeros((1000, 2)))
        np.testing.assert_allclose(batch.state.mid - before, 40.0 / STEPS * seen, atol=1e-9)
        changes += np.mean(batch.state.signal != seen)
    # Sign changes within a step cancel in pairs.
    expected = STEPS * (1.0 - np.exp(-2.0 * 5.0 / STEPS)) / 2.0
    assert changes == pytest.approx(expected, abs=0.3)


def test_without_strength_the_signal_means_nothing() -> None:
    market = market_of(signal_strength=0.0)
    batch = market.episodes(1000)
    batch.restart(market.starts())
    signals, moves = [], []
    for _ in range(STEPS):
        before = batch.state.mid.copy()
        signals.append(batch.state.signal.copy())
        batch.step(np.zeros((1000, 2)))
        moves.append(batch.state.mid - before)
    correlation = np.corrcoef(np.ravel(signals), np.ravel(moves))[0, 1]
    assert abs(correlation) < 4.0 / np.sqrt(1000 * STEPS)


def test_an_action_above_nine_tenths_leaves_a_side_out_where_that_is_allowed() -> None:
    for allowed in (True, False):
        market = market_of(env={"allow_no_quote": allowed})
        batch = market.episodes(1)
        batch.restart(np.array([0]))
        outcome = batch.step(np.array([[0.95, 0.0]]))
        assert bool(np.isinf(outcome.bid[0])) == allowed and np.isfinite(outcome.ask[0])


def test_a_restored_batch_goes_on_as_if_nothing_had_happened() -> None:
    market = market_of(signal_strength=1.0)
    one, other = market.episodes(3), market.episodes(3)
    one.restart(np.array([3, 4, 5]))
    one.step(np.zeros((3, 2)))
    other.restore(one.snapshot())
    for _ in range(5):
        np.testing.assert_array_equal(
            one.step(np.zeros((3, 2))).reward, other.step(np.zeros((3, 2))).reward
        )
    np.testing.assert_array_equal(one.observe(), other.observe())


def test_bad_calls_are_refused() -> None:
    batch = market_of().episodes(2)
    with pytest.raises(ValueError, match="numbers 0 to 999"):
        batch.restart(np.array([0, 1000]))
    batch.restart(np.array([0, 1]))
    with pytest.raises(ValueError, match="NaN"):
        batch.step(np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="shape"):
        batch.step(np.zeros((2, 3)))


@pytest.mark.filterwarnings("ignore:.*render.*")
def test_gymnasium_accepts_it_single_and_in_batches() -> None:
    market = market_of()
    check_env(MarketMakingEnv(market), skip_render_check=True)
    single, batch = MarketMakingEnv(market), MarketMakingVectorEnv(2, market)
    first, _ = single.reset(seed=5)
    both, _ = batch.reset(seed=5)
    np.testing.assert_array_equal(first, both[0])
    for _ in range(2 * STEPS):
        seen, reward, terminated, truncated, _ = single.step(np.array([0.1, -0.2]))
        many, rewards, ended, _, info = batch.step(np.array([[0.1, -0.2]] * 2))
        assert (reward, terminated, truncated) == (rewards[0], ended[0], False)
        if terminated:
            np.testing.assert_array_equal(seen, info["final_obs"][0])
            seen, _ = single.reset()
        np.testing.assert_array_equal(seen, many[0])
    assert isinstance(single, gymnasium.Env)


# --- configs -------------------------------------------------------------------------------------


def config_of(**content: Any) -> Any:
    env = {"market": "cartea_jaimungal", "order_size": 1, "max_inventory": 5}
    return validate_config({"env": env | content.pop("env", {}), **content}, source="test.yaml")


def test_segments_are_disjoint_ranges_of_episodes_and_say_synthetic() -> None:
    markets = load_markets(config_of(), synthetic_folder=None)
    assert markets.source.kind == "synthetic"
    assert markets.source.path == "simulated:cartea_jaimungal"
    parts = [markets.train, markets.valid, markets.test]
    for before, after in itertools.pairwise(parts):
        assert before.starts()[-1] < after.starts()[0]
    assert markets.split_record["valid"]["start"] == f"episode {parts[1].starts()[0]}"
    assert markets.split_record["valid"]["episodes"] == len(parts[1].starts())


def test_another_parameter_is_another_market() -> None:
    one = load_markets(config_of(), synthetic_folder=None)
    changed = config_of(env={"simulated": {"decay": 2.0}})
    assert one.source.sha256 != load_markets(changed, synthetic_folder=None).source.sha256


def test_simulated_episodes_have_no_dates() -> None:
    days = ("2024-01-01", "2024-02-01", "2024-02-02", "2024-03-01", "2024-03-02", "2024-04-01")
    names = ("train_start", "train_end", "valid_start", "valid_end", "test_start", "test_end")
    config = config_of(data_split=dict(zip(names, days, strict=True)))
    with pytest.raises(UserError, match="found dates, expected fractions"):
        load_markets(config, synthetic_folder=None)


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ({"alpha": 0.1}, "alpha has no meaning on market cartea_jaimungal"),
        ({"base_spread_bps": 8.0}, "base_spread_bps has no meaning"),
        ({"csv_path": "a.csv"}, "csv_path has no meaning"),
        ({"order_size": 0.5}, "expected 1"),
        ({"max_inventory": 2.5}, "expected a whole number"),
        ({"simulated": {"risk_aversion": 0.2}}, "risk_aversion has no meaning"),
        ({"simulated": {"min_depth": 5.0}}, "not below max_depth"),
        ({"market": "candles", "base_spread_bps": 8.0, "simulated": {"decay": 2.0}}, "simulated"),
    ],
)
def test_settings_that_mean_nothing_are_refused(env: dict[str, Any], problem: str) -> None:
    given = {"market": "cartea_jaimungal", "order_size": 1.0, "max_inventory": 5.0} | env
    with pytest.raises(ValidationError, match=problem):
        EnvSettings.model_validate(given)
