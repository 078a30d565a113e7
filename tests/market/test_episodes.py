"""Episodes see and feel nothing of bars to come, of other segments or of each other."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made_up_candles import (
    HOLD,
    MINUTE_MS,
    START_MS,
    candles_of,
    flat_then,
    market_of,
    one,
    play,
    random_walk,
)

from makerlab.data.candles import Candles
from makerlab.errors import UserError
from makerlab.market.base import OBSERVATION_LIMIT
from makerlab.market.episodes import (
    OBSERVATION_NAMES,
    OWN_NAMES,
    CandleEpisodes,
    CandleMarket,
)
from makerlab.market.features import WARM_UP_BARS
from makerlab.policies import baseline_policies

STEPS = 30
WALK = random_walk(WARM_UP_BARS + 3 * STEPS + 1, seed=21, volatility_bps=15.0)


def with_other_bars(candles: Candles, part: slice, seed: int) -> Candles:
    """Return the candles with a stretch of them replaced by another walk at another level."""
    other = random_walk(len(candles), seed=seed, volatility_bps=40.0, price=333.0)
    columns: dict[str, Any] = {}
    for name in ("open", "high", "low", "close", "volume"):
        columns[name] = getattr(candles, name).copy()
        columns[name][part] = getattr(other, name)[part]
    return candles_of(columns)


def play_policy(
    market: CandleMarket, policy: Any, *, start: int, steps: int
) -> dict[str, npt.NDArray[np.float64]]:
    episodes = CandleEpisodes(market, 1, episode_length=steps)
    episodes.restart(np.array([start]))
    rows: list[dict[str, npt.NDArray[Any]]] = []
    for _ in range(steps):
        seen = episodes.observe()
        outcome = episodes.step(policy.act(seen))
        state = {name: values.copy() for name, values in episodes.snapshot().items()}
        rows.append(
            {"seen": seen} | {k: v.copy() for k, v in outcome._asdict().items()} | {"state": state}
        )
    flat = [{**row, **row.pop("state")} for row in rows]
    return {name: np.stack([row[name] for row in flat]) for name in flat[0]}


@settings(max_examples=30, deadline=None)
@given(
    now=st.integers(0, STEPS - 1),
    seed=st.integers(0, 2**31),
    name=st.sampled_from(["random", "inventory_skew", "avellaneda_stoikov", "fixed_symmetric"]),
)
def test_what_comes_later_changes_nothing_before_it(now: int, seed: int, name: str) -> None:
    """Trap: quotes around the close of a bar that are filled by the same bar's high and low.

    Every bar after the one of step `now` is replaced: what was seen, quoted, filled and earned up
    to and including that step stays the same to the last bit.
    """
    start = WARM_UP_BARS + STEPS
    fitted = market_of(WALK, fee_rate=0.0002)
    last_bar = start + now + 1
    other = market_of(
        with_other_bars(WALK, slice(last_bar + 1, None), seed % 1000 + 1), fee_rate=0.0002
    )
    played = [
        play_policy(market, baseline_policies(fitted, seed=seed)[name], start=start, steps=STEPS)
        for market in (fitted, other)
    ]
    for key in played[0]:
        here, there = played[0][key][: now + 1], played[1][key][: now + 1]
        np.testing.assert_array_equal(here, there, err_msg=key)
    if now < STEPS - 1:
        assert not np.array_equal(played[0]["mid"], played[1]["mid"])
        # What is seen before the next step is settled as well.
        np.testing.assert_array_equal(played[0]["seen"][now + 1], played[1]["seen"][now + 1])


def test_quotes_are_set_before_the_bar_they_live_in_is_known() -> None:
    """Exhaustive on a small market: bar t+1 changes the fills of step t, never its quotes."""
    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, 1, 2))
    start = WARM_UP_BARS
    here = play(market_of(WALK), actions, starts=[start])
    for now in range(STEPS):
        changed = with_other_bars(WALK, slice(start + now + 1, None), seed=now + 1)
        there = play(market_of(changed), actions, starts=[start])
        for name in ("bid", "ask"):
            np.testing.assert_array_equal(here[name][: now + 1], there[name][: now + 1])
        for name in ("mid", "cash", "inventory", "equity", "reward", "observation"):
            np.testing.assert_array_equal(here[name][:now], there[name][:now])


def test_bars_of_other_segments_are_out_of_reach() -> None:
    """Trap: normalisation fitted on the test span; a feature relative to the first bar of the whole
    file."""
    bounds = {"start": 10, "stop": 10 + WARM_UP_BARS + STEPS + 1}
    changed = with_other_bars(WALK, slice(bounds["stop"], None), seed=3)
    changed = with_other_bars(changed, slice(0, bounds["start"]), seed=4)
    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, 1, 2))
    here, there = (play(market_of(c, **bounds), actions) for c in (WALK, changed))
    for name in here:
        np.testing.assert_array_equal(here[name], there[name])
    with pytest.raises(IndexError, match="no bar is left"):
        play(market_of(WALK, **bounds), np.zeros((STEPS + 1, 1, 2)))


def test_an_episode_is_the_same_alone_and_among_others() -> None:
    starts = [WARM_UP_BARS, WARM_UP_BARS + 7, WARM_UP_BARS + STEPS]
    actions = np.random.default_rng(1).uniform(-1, 1, (STEPS, 3, 2))
    market = market_of(WALK, fee_rate=0.0003)
    together = play(market, actions, starts=starts)
    for number, start in enumerate(starts):
        alone = play(market, actions[:, [number]], starts=[start])
        for name in alone:
            np.testing.assert_array_equal(alone[name][:, 0], together[name][:, number])


# --- observations ----------------------------------------------------------------------------


def seen(values: npt.NDArray[Any], name: str) -> float:
    return float(values[0, OBSERVATION_NAMES.index(name)])


def test_the_own_part_of_an_observation_says_what_the_agent_did() -> None:
    market = market_of(flat_then((100.0, 100.05, 99.0, 100.0)), max_inventory=4.0, alpha=0.5)
    episodes = CandleEpisodes(market, 1, episode_length=5)
    episodes.restart(np.array([WARM_UP_BARS]))
    first = episodes.observe()
    own = [seen(first, name) for name in OWN_NAMES]
    assert own == [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    episodes.step(np.array(one(1.0, 0.5)))
    second = episodes.observe()
    # Half-spread 1.5 base, skew 0.25: the bid stands 1.125 and the ask 1.875 bases away.
    expected = [0.25, 0.8, 1.5 * 0.75, 1.5 * 1.25, 1.0, 0.0]
    assert [seen(second, name) for name in OWN_NAMES] == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    base=st.floats(0.1, 200.0),
    volatility=st.sampled_from([0.0, 1.0, 300.0]),
)
def test_observations_stay_within_their_limits(seed: int, base: float, volatility: float) -> None:
    candles = random_walk(WARM_UP_BARS + STEPS + 1, seed=seed % 97, volatility_bps=volatility)
    market = market_of(candles, base_spread_bps=base, beta=2.0, allow_no_quote=True)
    actions = np.random.default_rng(seed).uniform(-1, 1, (STEPS, 1, 3))
    actions[::3, :, 0] = np.inf
    observation = play(market, actions)["observation"]
    assert observation.dtype == np.float32
    assert np.isfinite(observation).all() and np.abs(observation).max() <= OBSERVATION_LIMIT


# --- where episodes may start ----------------------------------------------------------------


def test_episodes_start_warmed_up_and_end_inside_the_segment() -> None:
    market = market_of(WALK, episode_length=STEPS)
    starts = market.starts()
    assert starts[0] == WARM_UP_BARS
    assert starts[-1] + STEPS == len(WALK) - 1
    for start in (starts[0], starts[-1]):
        play(market, [HOLD] * STEPS, starts=[int(start)])


def test_no_episode_and_no_warm_up_spans_a_gap() -> None:
    bars, gap_at = 2 * WARM_UP_BARS + 3 * STEPS, WARM_UP_BARS + STEPS + 5
    stamps = START_MS + MINUTE_MS * np.arange(bars)
    stamps[gap_at:] += 7 * MINUTE_MS
    price = np.full(bars, 100.0)
    names = ("open", "high", "low", "close", "volume")
    market = market_of(candles_of(dict.fromkeys(names, price), ts_ms=stamps), episode_length=STEPS)
    starts = market.starts()
    before, after = starts[starts < gap_at], starts[starts >= gap_at]
    assert before.tolist() == list(range(WARM_UP_BARS, gap_at - STEPS))
    assert after[0] == gap_at + WARM_UP_BARS and after[-1] == bars - 1 - STEPS


def test_a_segment_too_short_for_an_episode_is_an_error_that_says_how_long() -> None:
    market = market_of(WALK, episode_length=1000)
    with pytest.raises(UserError, match=r"train segment has 151 bars .* 1061 .*shorter episode"):
        market.starts()


@pytest.mark.parametrize("bar", [WARM_UP_BARS - 1, -1, len(WALK) - 1, len(WALK)])
def test_an_episode_can_not_be_put_where_nothing_is_known_or_left(bar: int) -> None:
    with pytest.raises(ValueError, match="episodes start at bars 60 to"):
        CandleEpisodes(market_of(WALK), 1).restart(np.array([bar]))


# --- the compiled kernel checks no bounds, so episodes do --------------------------------------


@pytest.mark.parametrize("shape", [(1, 2), (3, 2), (2, 1), (2, 4), (4,)])
def test_actions_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    episodes = CandleEpisodes(market_of(WALK), 2)
    episodes.restart(np.array([WARM_UP_BARS, WARM_UP_BARS]))
    with pytest.raises(ValueError, match="shape"):
        episodes.step(np.zeros(shape))


@pytest.mark.parametrize("place", [0, 1])
def test_nan_is_no_decision_to_stay_out(place: int) -> None:
    episodes = CandleEpisodes(market_of(WALK), 1)
    episodes.restart(np.array([WARM_UP_BARS]))
    action = np.zeros((1, 2))
    action[0, place] = np.nan
    with pytest.raises(ValueError, match="diverged"):
        episodes.step(action)


def test_a_snapshot_continues_as_if_nothing_had_happened() -> None:
    market = market_of(WALK, fee_rate=0.0002)
    actions = np.random.default_rng(2).uniform(-1, 1, (STEPS, 1, 2))
    episodes, again = CandleEpisodes(market, 1), CandleEpisodes(market, 1)
    episodes.restart(np.array([WARM_UP_BARS]))
    for action in actions[:7]:
        episodes.step(action)
    kept = episodes.snapshot()
    for action in actions[7:15]:
        episodes.step(action)
    again.restore(kept)
    for action in actions[7:15]:
        again.step(action)
    for name, values in episodes.snapshot().items():
        np.testing.assert_array_equal(values, again.snapshot()[name])


def test_doing_nothing_earns_nothing() -> None:
    played = play(market_of(WALK, lambda_inv=0.1, lambda_turnover=0.1), [HOLD] * STEPS)
    for name in ("reward", "fees", "turnover", "inventory"):
        assert not played[name].any()
    assert (played["equity"] == 1e6).all()
