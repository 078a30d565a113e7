"""The fill models beside the default: what each assumes, how it is said, and what none may do."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.made_up_candles import (
    PLENTY,
    START_MS,
    candles_of,
    flat_then,
    market_of,
    one,
    play,
    random_walk,
)

from makerlab.config import EnvSettings, FillSettings
from makerlab.data.candles import Candles
from makerlab.market.draws import uniform
from makerlab.market.episodes import OBSERVATION_NAMES, CandleEpisodes
from makerlab.market.features import WARM_UP_BARS
from makerlab.market.fill_card import fill_model_card, fill_model_line

Floats = npt.NDArray[np.float64]
INTENSITY: dict[str, Any] = {
    "rule": "calibrated_intensity",
    "bid_intensity": 0.05,
    "bid_decay": 0.2,
    "ask_intensity": 0.02,
    "ask_decay": 0.1,
}
MODELS: dict[str, dict[str, Any]] = {
    "trade_through": {},
    "touch": {"rule": "touch"},
    "calibrated_intensity": INTENSITY,
    "penetration": {"penetration_bps": 2.0},
    "both": {"both_touched": "both"},
    "path": {"both_touched": "path"},
    "seeded_random": {"both_touched": "seeded_random"},
    "latency": {"latency_bars": 2},
    "may_take": {"post_only": False},
    "intensity_at_random": INTENSITY | {"both_touched": "seeded_random", "latency_bars": 1},
}
STEPS = 25
WALK = random_walk(WARM_UP_BARS + 4 * STEPS, seed=71, volatility_bps=15.0)


def filled(played: dict[str, Floats], step: int = 0) -> tuple[float, float]:
    return played["bid_filled"][step].item(), played["ask_filled"][step].item()


# --- no quote is filled by what was known when it was decided ----------------------------------


def with_other_extremes(candles: Candles, bar: int, factor: float) -> Candles:
    """Return the candles with one bar's high and low moved outwards, its open and close kept."""
    columns = {n: getattr(candles, n).copy() for n in ("open", "high", "low", "close", "volume")}
    columns["high"][bar] *= 1.0 + factor
    columns["low"][bar] *= 1.0 - factor
    columns["volume"][bar] *= 1.0 + 100.0 * factor
    return candles_of(columns)


@settings(max_examples=60, deadline=None)
@given(
    model=st.sampled_from(sorted(MODELS)),
    now=st.integers(0, STEPS - 1),
    factor=st.floats(1e-4, 0.5),
    seed=st.integers(0, 2**31),
)
def test_the_bar_that_was_seen_never_fills_the_quotes_decided_at_its_close(
    model: str, now: int, factor: float, seed: int
) -> None:
    """Trap: quotes around the close of a bar that are filled by the same bar's high and low.

    The bar seen at the decision of step `now` gets another high, low and volume; with the same
    actions the quotes of that step and all their fills are the same to the last bit, in every
    later bar.
    """
    latency = MODELS[model].get("latency_bars", 0)
    actions = np.random.default_rng(seed).uniform(-1, 1, (STEPS, 1, 2))
    # Before the decision nothing is quoted, so nothing of that time can fill.
    actions[:now, :, 0] = np.inf
    here, there = (
        play(market_of(candles, fill=MODELS[model]), actions)
        for candles in (WALK, with_other_extremes(WALK, WARM_UP_BARS + now, factor))
    )
    for name in ("bid", "ask", "bid_filled", "ask_filled", "cash", "equity", "reward"):
        np.testing.assert_array_equal(here[name], there[name], err_msg=name)
    assert not here["bid_filled"][: now + latency].any()


@settings(max_examples=60, deadline=None)
@given(
    model=st.sampled_from(sorted(MODELS)), now=st.integers(0, STEPS - 1), seed=st.integers(1, 99)
)
def test_the_future_changes_nothing_before_it(model: str, now: int, seed: int) -> None:
    """Every bar after the one of step `now` is replaced; nothing up to and including it moves."""
    actions = np.random.default_rng(seed).uniform(-1, 1, (STEPS, 1, 2))
    other = random_walk(len(WALK), seed=seed, volatility_bps=40.0, price=333.0)
    columns = {n: getattr(WALK, n).copy() for n in ("open", "high", "low", "close", "volume")}
    for name, values in columns.items():
        values[WARM_UP_BARS + now + 2 :] = getattr(other, name)[WARM_UP_BARS + now + 2 :]
    here = play(market_of(WALK, fill=MODELS[model]), actions)
    there = play(market_of(candles_of(columns), fill=MODELS[model]), actions)
    for name in here:
        np.testing.assert_array_equal(here[name][: now + 1], there[name][: now + 1], err_msg=name)
    if now < STEPS - 1:
        assert not np.array_equal(here["mid"], there["mid"])


@pytest.mark.parametrize("model", MODELS)
def test_under_every_model_the_accounts_add_up(model: str) -> None:
    rules = MODELS[model] | {"liquidate_at_end": True, "volume_participation": 0.3}
    market = market_of(WALK, fee_rate=0.0002, taker_fee_rate=0.0007, fill=rules)
    starts = [WARM_UP_BARS, WARM_UP_BARS + STEPS, WARM_UP_BARS + 2 * STEPS]
    actions = np.random.default_rng(5).uniform(-1, 1, (STEPS, 3, 2))
    played = play(market, actions, starts=starts)
    worth = played["cash"] + played["inventory"] * played["mid"]
    np.testing.assert_allclose(played["equity"], worth, atol=1e-6)
    earned = played["spread_captured"] + played["inventory_profit"] - played["fees"]
    np.testing.assert_allclose(played["equity"] - 1e6, np.cumsum(earned, axis=0), atol=1e-6)
    share = 0.3 * WALK.volume[played["bar"].astype(int)]
    assert np.all(played["bid_filled"] + played["ask_filled"] <= share * (1 + 1e-12))
    assert np.all(np.abs(played["inventory"]) <= 5.0)
    assert played["bid_filled"].any() and played["ask_filled"].any()


# --- rules ---------------------------------------------------------------------------------------
# The mid of the decision is 100 and the half-spread 10 basis points: bid 99.9, ask 100.1.


@pytest.mark.parametrize(("rule", "bought"), [("touch", 1.0), ("trade_through", 0.0)])
def test_a_touch_fills_under_the_optimistic_rule_alone(rule: str, bought: float) -> None:
    touched = flat_then((100.0, 100.05, 100.0 * (1 - 0.001), 100.0))
    assert filled(play(market_of(touched, fill={"rule": rule}), [one()])) == (bought, 0.0)


def test_a_touch_does_not_reach_beyond_the_bar() -> None:
    above = flat_then((100.0, 100.05, 99.9001, 100.0))
    assert filled(play(market_of(above, fill={"rule": "touch"}), [one()])) == (0.0, 0.0)


FLAT = candles_of(
    dict.fromkeys(("open", "high", "low", "close"), np.full(60_061, 100.0))
    | {"volume": np.full(60_061, PLENTY)}
)


def calibrated_shares(distance_bps: float, **changed: Any) -> tuple[float, float, Floats]:
    """Return how often bid and ask fill at a distance on bars that never move, and the fills."""
    market = market_of(
        FLAT,
        base_spread_bps=distance_bps,
        max_inventory=1e6,
        initial_cash=1e12,
        fill=INTENSITY | {"both_touched": "both"} | changed,
    )
    starts = range(WARM_UP_BARS, 60_000, 100)
    played = play(market, np.zeros((100, 1, 2)), starts=starts)
    bought, sold = played["bid_filled"] > 0, played["ask_filled"] > 0
    return float(bought.mean()), float(sold.mean()), bought


@pytest.mark.parametrize("distance", [1.0, 5.0, 20.0])
def test_an_intensity_fills_with_its_own_probability_on_each_side(distance: float) -> None:
    """1 - exp(-A exp(-k d) * 60 s), A and k of the side; bars that never move don't matter."""
    bid, ask, _ = calibrated_shares(distance)
    expected = [
        1.0 - np.exp(-60.0 * intensity * np.exp(-decay * distance))
        for intensity, decay in ((0.05, 0.2), (0.02, 0.1))
    ]
    four_errors = 4.0 * np.sqrt(0.25 / 60_000)
    assert [bid, ask] == pytest.approx(expected, abs=four_errors)


def test_an_intensity_is_measured_in_distance_and_not_in_base_spreads() -> None:
    """Trap: fill probability scaled by the config's own spread, so that widening costs nothing.

    The same distance by another base spread fills in the same bars; a wider one in a part of them.
    """
    *_, narrow = calibrated_shares(4.0)
    *_, wide = calibrated_shares(12.0)
    assert not np.any(wide & ~narrow) and wide.sum() < 0.5 * narrow.sum()
    market = market_of(
        FLAT,
        base_spread_bps=8.0,
        max_inventory=1e6,
        initial_cash=1e12,
        alpha=0.5,
        fill=INTENSITY | {"both_touched": "both"},
    )
    played = play(
        market, np.tile([[-1.0, 0.0]], (100, 1, 1)), starts=range(WARM_UP_BARS, 60_000, 100)
    )
    np.testing.assert_array_equal(played["bid_filled"] > 0, narrow)


def test_chance_belongs_to_the_bar_and_the_seed_and_to_nothing_else() -> None:
    """The same alone or among others, in any cut of the data, and other with another seed."""
    rules = INTENSITY | {"both_touched": "seeded_random", "seed": 3}
    actions = np.zeros((STEPS, 1, 2))
    starts = [WARM_UP_BARS, WARM_UP_BARS + 5, WARM_UP_BARS + 60]
    together = play(market_of(WALK, fill=rules), actions, starts=starts)
    for number, start in enumerate(starts):
        cut = market_of(WALK, fill=rules, start=start - WARM_UP_BARS)
        alone = play(cut, actions)
        for name in ("bid_filled", "ask_filled", "equity", "reward"):
            np.testing.assert_array_equal(alone[name][:, 0], together[name][:, number])
    again = play(market_of(WALK, fill=rules | {"seed": 4}), actions, starts=starts)
    assert not np.array_equal(again["bid_filled"], together["bid_filled"])


@pytest.mark.parametrize("stream", [0, 1, 2])
def test_draws_are_uniform_and_know_nothing_of_each_other(stream: int) -> None:
    times = START_MS + 60_000 * np.arange(200_000)
    draws = uniform(times, seed=11, stream=stream)
    assert draws.min() >= 0.0 and draws.max() < 1.0
    counts, _ = np.histogram(draws, bins=50, range=(0.0, 1.0))
    # 49 degrees of freedom: 100 is passed by chance once in 40,000 times.
    assert ((counts - 4000.0) ** 2 / 4000.0).sum() < 100.0
    others = [
        draws[1:],
        uniform(times, seed=11, stream=(stream + 1) % 3),
        uniform(times, seed=12, stream=stream),
    ]
    for other in others:
        assert abs(np.corrcoef(draws[: len(other)], other)[0, 1]) < 0.01


# --- both sides touched --------------------------------------------------------------------------

LOW_FIRST, HIGH_FIRST = (100.0, 100.3, 99.8, 100.0), (100.0, 100.2, 99.7, 100.0)


@pytest.mark.parametrize(("bar", "bought", "sold"), [(LOW_FIRST, 1.0, 0.5), (HIGH_FIRST, 0.5, 1.0)])
def test_on_the_assumed_path_the_nearer_extreme_comes_first(
    bar: tuple[float, float, float, float], bought: float, sold: float
) -> None:
    """The first side takes its order, the second what is left of the volume."""
    market = market_of(flat_then((*bar, 1.5)), fill={"both_touched": "path"})
    assert filled(play(market, [one()])) == pytest.approx((bought, sold))


@pytest.mark.parametrize(("bar", "sold"), [(LOW_FIRST, 1.0), (HIGH_FIRST, 0.5)])
def test_on_the_assumed_path_the_first_fill_makes_room_for_the_second(
    bar: tuple[float, float, float, float], sold: float
) -> None:
    """Short 4.5 of 5: a sale has half a unit of room, a whole one after a purchase."""
    up = (100.0, 100.2, 99.95, 100.0)
    bars = [(*up, PLENTY)] * 4 + [(*up, 0.5), (*bar, PLENTY)]
    market = market_of(flat_then(*bars), fill={"both_touched": "path"})
    played = play(market, [one()] * 6)
    assert played["inventory"][4].item() == -4.5
    assert filled(played, 5) == (1.0, sold)


def test_one_by_chance_keeps_either_side_half_of_the_time() -> None:
    candles = candles_of(
        {
            name: np.full(4061, value)
            for name, value in {"open": 100.0, "high": 100.5, "low": 99.5, "close": 100.0}.items()
        }
        | {"volume": np.full(4061, PLENTY)}
    )
    market = market_of(candles, max_inventory=1e6, fill={"both_touched": "seeded_random"})
    played = play(market, [one()], starts=range(WARM_UP_BARS, 4060))
    bought, sold = played["bid_filled"] > 0, played["ask_filled"] > 0
    assert np.all(bought ^ sold)
    assert bought.mean() == pytest.approx(0.5, abs=4.0 * np.sqrt(0.25 / 4000))


def test_the_worse_side_is_worth_least_of_all_answers() -> None:
    """For one bar and flat start: worse side <= by chance <= both, and path is both with room."""
    starts = range(WARM_UP_BARS, WARM_UP_BARS + 90)
    gains = {
        rule: play(
            market_of(WALK, base_spread_bps=4.0, fill={"both_touched": rule}),
            [one()],
            starts=starts,
        )["equity"]
        for rule in ("worse_side", "seeded_random", "both", "path")
    }
    assert np.all(gains["worse_side"] <= gains["seeded_random"])
    assert gains["worse_side"].sum() < gains["seeded_random"].sum() < gains["both"].sum()
    np.testing.assert_array_equal(gains["path"], gains["both"])


# --- latency -------------------------------------------------------------------------------------


@pytest.mark.parametrize("latency", [0, 1, 3])
def test_quotes_live_latency_bars_later_at_the_price_they_were_decided_at(latency: int) -> None:
    actions = np.random.default_rng(8).uniform(-1, 1, (STEPS, 1, 2))
    plain = play(market_of(WALK), actions)
    late = play(market_of(WALK, fill={"latency_bars": latency}), actions)
    np.testing.assert_array_equal(late["bid"][latency:], plain["bid"][: STEPS - latency])
    np.testing.assert_array_equal(late["ask"][latency:], plain["ask"][: STEPS - latency])
    assert np.all(late["bid"][:latency] == -np.inf) and not late["bid_filled"][:latency].any()


def test_a_late_quote_meets_the_market_of_its_own_bar() -> None:
    """Decided at 100: at 99.9 when the market has fallen to 99, it would cross and is rejected."""
    fallen = [(99.0, 99.0, 99.0, 99.0), (99.0, 99.05, 98.5, 99.0)]
    market = market_of(flat_then(*fallen), fill={"latency_bars": 1})
    played = play(market, [one(), one()])
    assert played["bid"][1].item() == pytest.approx(99.9)
    assert filled(played, 1) == (0.0, 0.0)


def test_the_agent_sees_the_quotes_that_lived_and_were_filled() -> None:
    """With a latency of one bar the first observation after a step shows no quote at all."""
    bars = [(100.0, 100.0, 100.0, 100.0), (100.0, 100.0, 99.0, 100.0)]
    market = market_of(flat_then(*bars), fill={"latency_bars": 1})
    seen = play(market, [one(1.0, 0.5), one()])["observation"][:, 0]
    own = [dict(zip(OBSERVATION_NAMES, row.tolist(), strict=True)) for row in seen]
    assert (own[0]["last_bid_distance"], own[0]["last_bid_filled"]) == (10.0, 0.0)
    # Half-spread 1.5 bases and skew 0.25: the bid decided first, filled in the second bar.
    assert own[1]["last_bid_distance"] == pytest.approx(1.5 * 0.75)
    assert own[1]["last_bid_filled"] == 1.0


def test_an_episode_begins_with_nothing_under_way() -> None:
    """A restarted episode does not inherit the quotes of the one before."""
    market = market_of(WALK, fill={"latency_bars": 2})
    episodes = CandleEpisodes(market, 1)
    for _ in range(2):
        episodes.restart(np.array([WARM_UP_BARS]))
        for _ in range(2):
            assert episodes.step(np.zeros((1, 2))).bid.item() == -np.inf
        assert episodes.step(np.zeros((1, 2))).bid.item() > 0.0


# --- post-only -----------------------------------------------------------------------------------


def test_without_post_only_a_crossing_quote_is_executed_as_a_taker() -> None:
    """The market opens at 99 below our bid of 99.9: bought at 99 plus its half-spread, as taker."""
    candles = flat_then((99.0, 99.2, 98.9, 99.1))
    rules = {"post_only": False, "liquidation_half_spread_bps": 2.0}
    market = market_of(candles, fee_rate=0.0001, taker_fee_rate=0.001, fill=rules)
    played = play(market, [one()])
    price = 99.0 * 1.0002
    assert filled(played) == (1.0, 0.0)
    assert played["bid"].item() == pytest.approx(price)
    assert played["fees"].item() == pytest.approx(0.001 * price)
    assert played["equity"].item() - 1e6 == pytest.approx(99.1 - price * 1.001)
    rejected = play(market_of(candles, fill={"post_only": True}), [one()])
    assert filled(rejected) == (0.0, 0.0)


def test_without_post_only_a_quote_inside_the_markets_spread_rests() -> None:
    """Our bid of 99.9 is above the open but below what the market asks: filled at its own price."""
    candles = flat_then((99.895, 99.9, 99.8, 99.85))
    rules = {"post_only": False, "liquidation_half_spread_bps": 2.0}
    played = play(market_of(candles, taker_fee_rate=0.001, fill=rules), [one()])
    assert filled(played) == (1.0, 0.0)
    assert played["bid"].item() == pytest.approx(99.9)
    assert played["fees"].item() == 0.0


def test_a_quote_taken_on_arrival_leaves_the_other_side_what_is_left() -> None:
    """Bought at the open, then the ask is traded through: no worse side, the order is known."""
    candles = flat_then((99.0, 100.2, 98.9, 100.0, 1.4))
    played = play(market_of(candles, fill={"post_only": False}), [one()])
    assert filled(played) == pytest.approx((1.0, 0.4))


# --- the card ------------------------------------------------------------------------------------

OPTIMISTIC = {"touch", "calibrated_intensity", "both", "path", "intensity_at_random"}


@pytest.mark.parametrize("model", MODELS)
def test_the_card_says_what_is_assumed_and_whether_it_flatters(model: str) -> None:
    env = EnvSettings(base_spread_bps=8.0, fill=FillSettings(**MODELS[model]))
    card = fill_model_card(env)
    assert (card["optimistic"] == "no") == (model not in OPTIMISTIC)
    for key, value in MODELS[model].items():
        assert card[key] == value
    assert card["model"] in fill_model_line(env)
    assert card["optimistic"] in fill_model_line(env)


def test_models_that_differ_are_said_differently() -> None:
    said = {
        fill_model_card(EnvSettings(base_spread_bps=8.0, fill=FillSettings(**rules)))["model"]
        for rules in MODELS.values()
    }
    assert len(said) == len(MODELS)


def test_an_intensity_without_its_numbers_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs ask_decay as well"):
        FillSettings(**{k: v for k, v in INTENSITY.items() if k != "ask_decay"})
