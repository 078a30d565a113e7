"""What happens to a quote, and that money is neither made nor lost by the counting of it."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from tests.made_up_candles import (
    HOLD,
    PLENTY,
    candles_of,
    flat_then,
    market_of,
    one,
    play,
    random_walk,
)

from makerlab.data.candles import Candles, load_candles
from makerlab.market.episodes import CandleEpisodes
from makerlab.market.features import WARM_UP_BARS

Floats = npt.NDArray[np.float64]
Played = dict[str, Floats]

# --- published numbers -----------------------------------------------------------------------

NULL_BARS = 600_060
NULL_EPISODE = 100
NULL_PER_FILL_BPS = -0.752
NULL_SIDE_FILLS = {2: 0.784, 5: 0.567, 10: 0.285}
NULL_BOTH_FILL = {2: 0.567, 5: 0.162, 10: 0.003}


@pytest.fixture(scope="module")
def null_walk() -> Candles:
    """A Gaussian mid, 10 basis points per root of a minute, 60 steps per bar."""
    return random_walk(NULL_BARS + 1, seed=1, path_steps=60, volume=PLENTY, price=1e4)


def fixed_quotes(candles: Candles, distance_bps: float, *, both_touched: str = "both") -> Played:
    """Quote both sides at one distance in every bar but the first, caps out of reach."""
    market = market_of(
        candles,
        base_spread_bps=distance_bps,
        max_inventory=1e6,
        initial_cash=1e15,
        fill={"both_touched": both_touched},
    )
    starts = range(WARM_UP_BARS, NULL_BARS, NULL_EPISODE)
    return play(market, np.zeros((NULL_EPISODE, 1, 2)), starts=starts)


def gain_of_fills_bps(played: Played) -> Floats:
    """Return the gain of each fill at the close of its own bar, basis points of its price."""
    bought, sold = played["bid_filled"] > 0, played["ask_filled"] > 0
    buys = (played["mid"][bought] - played["bid"][bought]) / played["bid"][bought]
    sales = (played["ask"][sold] - played["mid"][sold]) / played["ask"][sold]
    return 1e4 * np.concatenate([buys, sales])


@pytest.mark.parametrize("distance", [2, 5, 10])
def test_on_a_null_walk_every_honest_fill_loses_the_overshoot(
    null_walk: Candles, distance: int
) -> None:
    """Trap: quotes around the close of a bar that are filled by the same bar's high and low.

    -0.5826 sigma sqrt(dt_path) = -0.752 basis points per fill, whatever the distance.
    """
    played = fixed_quotes(null_walk, distance)
    gains = gain_of_fills_bps(played)
    assert len(gains) > 300_000
    assert gains.mean() == pytest.approx(NULL_PER_FILL_BPS, abs=0.03)
    bought, sold = played["bid_filled"] > 0, played["ask_filled"] > 0
    shares = [bought.mean(), sold.mean()]
    assert shares == pytest.approx([NULL_SIDE_FILLS[distance]] * 2, abs=0.005)
    assert (bought & sold).mean() == pytest.approx(NULL_BOTH_FILL[distance], abs=0.003)
    # The reflection principle with the barrier moved by the overshoot agrees more closely.
    reached = 2.0 * norm.sf((distance + 0.5826 * 10.0 / np.sqrt(60.0)) / 10.0)
    assert shares == pytest.approx([reached] * 2, abs=0.002)


@pytest.mark.parametrize("distance", [2, 5, 10])
def test_quotes_stand_around_the_close_before_the_bar_that_fills_them(
    null_walk: Candles, distance: int
) -> None:
    """Trap: quotes around the close of a bar that are filled by the same bar's high and low.

    Centred on the filling bar's own close the same walk would pay +distance per fill; the kernel
    centres on the close before, and no action can say otherwise.
    """
    close = null_walk.close
    bid, ask = close * (1 - distance / 1e4), close * (1 + distance / 1e4)
    filled = np.concatenate([null_walk.low < bid, null_walk.high > ask])
    cheat = np.concatenate([(close - bid) / bid, (ask - close) / ask])[filled].mean() * 1e4
    assert cheat == pytest.approx(distance, abs=0.02)

    played = fixed_quotes(null_walk, distance)
    own_close = close[played["bar"].astype(int)]
    close_before = close[played["bar"].astype(int) - 1]
    centre = (played["bid"] + played["ask"]) / 2.0
    np.testing.assert_allclose(centre, close_before, rtol=1e-12)
    np.testing.assert_array_equal(played["mid"], own_close)
    assert gain_of_fills_bps(played).mean() < 0.0


PUBLISHED_ON_REAL_CANDLES = [
    ("both", 2, -1.44),
    ("both", 5, -1.18),
    ("both", 10, -1.62),
    ("worse_side", 2, -3.48),
    ("worse_side", 5, -2.27),
    ("worse_side", 10, -2.15),
]


@pytest.fixture(scope="module")
def december(shared_data: Path) -> Candles:
    """2024-12-01 to 12-30 of one-minute candles."""
    candles = load_candles(shared_data / "btcusdt_1m_2024-12.csv")
    bounds = np.searchsorted(candles.ts_ms, [1_733_011_200_000, 1_735_516_800_000])
    return candles.slice(int(bounds[0]), int(bounds[1]))


@pytest.mark.parametrize(("both_touched", "distance", "published"), PUBLISHED_ON_REAL_CANDLES)
def test_a_static_quoter_loses_the_published_amount_on_real_candles(
    december: Candles, both_touched: str, distance: int, published: float
) -> None:
    market = market_of(
        december,
        base_spread_bps=distance,
        initial_cash=1e7,
        fill={"both_touched": both_touched},
    )
    steps = len(december) - WARM_UP_BARS - 1
    episodes = CandleEpisodes(market, 1, episode_length=steps)
    episodes.restart(np.array([WARM_UP_BARS]))
    fills = 0
    for _ in range(steps):
        outcome = episodes.step(np.zeros((1, 2)))
        fills += int(outcome.bid_filled[0] > 0) + int(outcome.ask_filled[0] > 0)
    profit = episodes.state.equity[0] - 1e7
    assert profit / fills / december.close.mean() * 1e4 == pytest.approx(published, abs=0.05)


# --- one quote, one bar ----------------------------------------------------------------------
# The mid of the decision is 100 and the base half-spread 10 basis points: bid 99.9, ask 100.1.

SCENES: dict[str, tuple[tuple[float, float, float, float], float, float]] = {
    "nothing trades": ((100.0, 100.05, 99.95, 100.0), 0.0, 0.0),
    "touched, not through": ((100.0, 100.1, 99.9, 100.0), 0.0, 0.0),
    "down through the bid": ((100.0, 100.05, 99.89, 99.95), 1.0, 0.0),
    "up through the ask": ((100.0, 100.11, 99.95, 100.05), 0.0, 1.0),
    "far through the bid": ((100.0, 100.0, 90.0, 95.0), 1.0, 0.0),
    "opens below the bid: it would have crossed": ((99.8, 100.05, 99.5, 100.0), 0.0, 0.0),
    "opens at the bid: it would have crossed": ((99.9, 100.05, 99.5, 100.0), 0.0, 0.0),
    "opens above the ask: it would have crossed": ((100.2, 100.5, 100.0, 100.3), 0.0, 0.0),
    "opens below the bid, then trades up to the ask": ((99.8, 100.2, 99.7, 100.0), 0.0, 1.0),
    "both, closing lower: the purchase is worth less": ((100.0, 100.2, 99.8, 99.95), 1.0, 0.0),
    "both, closing higher: the sale is worth less": ((100.0, 100.2, 99.8, 100.05), 0.0, 1.0),
}


@pytest.mark.parametrize("scene", SCENES)
def test_a_quote_fills_only_when_the_next_bar_trades_strictly_through_it(scene: str) -> None:
    """Trap: a quote outside the traded range that fills anyway, at its own better price: wider
    spreads then "earn" more."""
    bar, bought, sold = SCENES[scene]
    played = play(market_of(flat_then(bar)), [one()])
    assert (played["bid_filled"].item(), played["ask_filled"].item()) == (bought, sold)
    paid = 1e6 - bought * played["bid"] + sold * played["ask"]
    assert played["cash"].item() == pytest.approx(paid.item(), abs=1e-9)
    assert played["bid"].item() == pytest.approx(99.9)
    assert played["ask"].item() == pytest.approx(100.1)


def test_penetration_asks_for_trades_beyond_the_quote() -> None:
    just_through = flat_then((100.0, 100.0, 99.89, 99.95))
    deep = flat_then((100.0, 100.0, 99.79, 99.95))
    rules = {"penetration_bps": 10.0}
    assert play(market_of(just_through, fill=rules), [one()])["bid_filled"].item() == 0.0
    assert play(market_of(deep, fill=rules), [one()])["bid_filled"].item() == 1.0


def test_a_fill_takes_no_more_than_its_share_of_the_bars_volume() -> None:
    """Trap: both sides filled in one bar as if the path were known; the whole order filled whatever
    the volume."""
    thin = flat_then((100.0, 100.0, 99.8, 99.9, 4.0))
    played = play(market_of(thin, fill={"volume_participation": 0.1}), [one()])
    assert played["bid_filled"].item() == pytest.approx(0.4)
    nothing_traded = flat_then((100.0, 100.0, 99.8, 99.9, 0.0))
    assert play(market_of(nothing_traded), [one()])["bid_filled"].item() == 0.0


def test_two_fills_of_one_bar_share_its_volume() -> None:
    candles = flat_then((100.0, 100.2, 99.8, 100.0, 1.0))
    rules = {"both_touched": "both", "volume_participation": 0.5}
    played = play(market_of(candles, fill=rules), [one()])
    assert [played["bid_filled"].item(), played["ask_filled"].item()] == pytest.approx([0.25, 0.25])


def test_no_fill_passes_the_position_limit() -> None:
    down = [(100.0, 100.0, 99.0, 100.0)] * 4
    market = market_of(flat_then(*down), order_size=1.0, max_inventory=2.5)
    played = play(market, [one()] * 4)
    assert played["inventory"][:, 0].tolist() == [1.0, 2.0, 2.5, 2.5]


# --- quotes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "bid", "ask"),
    [
        ((0.0, 0.0), 99.9, 100.1),
        ((1.0, 0.0), 99.85, 100.15),
        ((-1.0, 0.0), 99.95, 100.05),
        ((0.0, 1.0), 99.96, 100.16),
        ((0.0, -1.0), 99.84, 100.04),
        ((5.0, -7.0), 99.76, 100.06),
    ],
)
def test_quotes_follow_the_formula(action: tuple[float, float], bid: float, ask: float) -> None:
    """half = base (1 + alpha a0), bid = mid - half (1 - skew), ask = mid + half (1 + skew)."""
    played = play(
        market_of(flat_then((100.0, 100.0, 100.0, 100.0)), alpha=0.5, beta=0.6), [one(*action)]
    )
    assert [played["bid"].item(), played["ask"].item()] == pytest.approx([bid, ask])


def test_a_base_spread_in_price_units_is_the_half_spread() -> None:
    market = market_of(flat_then((100.0, 100.0, 100.0, 100.0)), base_spread=0.25)
    played = play(market, [one()])
    assert [played["bid"].item(), played["ask"].item()] == pytest.approx([99.75, 100.25])


@pytest.mark.parametrize(
    ("third", "bought", "sold"), [(-1.0, 0.0, 1.0), (1.0, 1.0, 0.0), (0.0, 1.0, 1.0)]
)
def test_the_third_action_leaves_a_side_out(third: float, bought: float, sold: float) -> None:
    candles = flat_then((100.0, 100.2, 99.8, 100.0))
    market = market_of(candles, allow_no_quote=True, fill={"both_touched": "both"})
    played = play(market, [[[0.0, 0.0, third]]])
    assert (played["bid_filled"].item(), played["ask_filled"].item()) == (bought, sold)


def test_skew_moves_both_quotes_the_same_way_and_sells_what_is_held() -> None:
    """Trap: a wrong sign: positive skew that makes a long inventory buy more; a higher fee that
    makes the agent richer."""
    market = market_of(random_walk(4000, seed=3, volume=PLENTY), max_inventory=1e6)
    starts = range(WARM_UP_BARS, 3900, 1)
    plain, down, up = (play(market, [one(0.0, skew)], starts=starts) for skew in (0.0, -1.0, 1.0))
    assert np.all(down["bid"] < plain["bid"]) and np.all(down["ask"] < plain["ask"])
    assert np.all(up["bid"] > plain["bid"]) and np.all(up["ask"] > plain["ask"])
    assert down["ask_filled"].sum() > plain["ask_filled"].sum() > up["ask_filled"].sum()
    assert down["bid_filled"].sum() < plain["bid_filled"].sum() < up["bid_filled"].sum()


def test_wider_quotes_never_fill_where_narrower_ones_did_not() -> None:
    """Trap: fill probability scaled by the config's own spread, so that widening costs nothing."""
    candles = random_walk(3000, seed=4, volume=PLENTY)
    starts = range(WARM_UP_BARS, 2900)
    for_base = {}
    for base in (2.0, 4.0, 8.0, 16.0):
        market = market_of(
            candles, base_spread_bps=base, max_inventory=1e6, fill={"both_touched": "both"}
        )
        for spread in (-1.0, 0.0, 1.0):
            played = play(market, [one(spread)], starts=starts)
            distance = base * (1.0 + 0.5 * spread)
            for_base[distance] = (played["bid_filled"] > 0, played["ask_filled"] > 0)
    ordered = [for_base[distance] for distance in sorted(for_base)]
    assert len(ordered) == 9
    for narrow, wide in itertools.pairwise(ordered):
        assert not np.any(wide[0] & ~narrow[0]) and not np.any(wide[1] & ~narrow[1])
    counts = [bids.sum() + asks.sum() for bids, asks in ordered]
    assert counts == sorted(counts, reverse=True) and counts[0] > 2 * counts[-1]


# --- money -----------------------------------------------------------------------------------

ENVIRONMENTS = st.fixed_dictionaries(
    {
        "fee_rate": st.floats(-0.0005, 0.002),
        "taker_fee_rate": st.floats(0.0, 0.002),
        "lambda_inv": st.floats(0.0, 1e-3),
        "lambda_turnover": st.floats(0.0, 1e-3),
        "base_spread_bps": st.floats(0.5, 20.0),
        "alpha": st.floats(0.0, 0.9),
        "beta": st.floats(0.0, 2.0),
        "order_size": st.floats(0.05, 1.0),
        "max_inventory": st.floats(1.0, 4.0),
        "initial_cash": st.sampled_from([500.0, 5_000.0, 1e6]),
        "allow_no_quote": st.booleans(),
        "fill": st.fixed_dictionaries(
            {
                "both_touched": st.sampled_from(["worse_side", "both"]),
                "penetration_bps": st.sampled_from([0.0, 1.0]),
                "volume_participation": st.floats(0.01, 1.0),
                "liquidate_at_end": st.booleans(),
                "liquidation_half_spread_bps": st.floats(0.0, 5.0),
            }
        ),
    }
)
STEPS = 40
WALK = random_walk(WARM_UP_BARS + 6 * STEPS, seed=5, volatility_bps=15.0)
STARTS = [WARM_UP_BARS + STEPS * n for n in range(5)]


def random_play(env: dict[str, Any], seed: int) -> Played:
    size = (STEPS, len(STARTS), 3 if env["allow_no_quote"] else 2)
    actions = np.random.default_rng(seed).uniform(-1.2, 1.2, size)
    return play(market_of(WALK, **env), actions, starts=STARTS)


def before(values: Floats, first: float) -> Floats:
    """Return each step's value before the step."""
    return np.concatenate([np.full((1, values.shape[1]), first), values[:-1]])


@settings(max_examples=60, deadline=None)
@given(env=ENVIRONMENTS, seed=st.integers(0, 2**31))
def test_the_accounts_add_up_at_every_step(env: dict[str, Any], seed: int) -> None:
    played = random_play(env, seed)
    capital, tolerance = env["initial_cash"], 1e-9 * env["initial_cash"]

    worth = played["cash"] + played["inventory"] * played["mid"]
    np.testing.assert_allclose(played["equity"], worth, rtol=0, atol=tolerance)

    earned = played["spread_captured"] + played["inventory_profit"] - played["fees"]
    np.testing.assert_allclose(
        np.cumsum(earned, axis=0), played["equity"] - capital, rtol=0, atol=tolerance
    )
    bought, sold = played["bid_filled"], played["ask_filled"]
    position = np.cumsum(bought - sold + played["liquidated"], axis=0)
    np.testing.assert_allclose(played["inventory"], position, rtol=0, atol=1e-9)

    with np.errstate(invalid="ignore"):
        quoted = np.where(bought > 0, bought * played["bid"], 0.0)
        quoted += np.where(sold > 0, sold * played["ask"], 0.0)
    flattened = np.abs(played["liquidated"]) * played["mid"]
    np.testing.assert_allclose(played["turnover"], quoted + flattened, rtol=1e-12, atol=1e-12)
    fees = env["fee_rate"] * quoted + env["taker_fee_rate"] * flattened
    np.testing.assert_allclose(played["fees"], fees, rtol=1e-9, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(env=ENVIRONMENTS, seed=st.integers(0, 2**31))
def test_no_fill_is_better_than_its_bar_allows(env: dict[str, Any], seed: int) -> None:
    """Trap: both sides filled in one bar as if the path were known; the whole order filled whatever
    the volume."""
    played = random_play(env, seed)
    bars = played["bar"].astype(int)
    bought, sold = played["bid_filled"], played["ask_filled"]
    buys, sells = bought > 0, sold > 0
    assert np.all(bought >= 0) and np.all(sold >= 0)
    assert np.all(WALK.low[bars][buys] < played["bid"][buys])
    assert np.all(WALK.high[bars][sells] > played["ask"][sells])
    assert np.all(played["bid"][buys] < WALK.open[bars][buys])
    assert np.all(played["ask"][sells] > WALK.open[bars][sells])
    share = env["fill"]["volume_participation"] * WALK.volume[bars]
    assert np.all(bought + sold <= share * (1 + 1e-12))
    assert np.all(np.maximum(bought, sold) <= env["order_size"])
    assert np.all(np.abs(played["inventory"]) <= env["max_inventory"] * (1 + 1e-12))
    if env["fill"]["both_touched"] == "worse_side":
        assert not np.any(buys & sells)


@settings(max_examples=60, deadline=None)
@given(env=ENVIRONMENTS, seed=st.integers(0, 2**31))
def test_the_reward_is_the_change_of_equity_less_the_penalties(
    env: dict[str, Any], seed: int
) -> None:
    played = random_play(env, seed)
    change = played["equity"] - before(played["equity"], env["initial_cash"])
    held = np.abs(played["inventory"] - played["liquidated"]) * played["mid"]
    penalty = env["lambda_inv"] * held + env["lambda_turnover"] * played["turnover"]
    scale = 1e4 / (env["max_inventory"] * WALK.close[STARTS])
    expected = (change - penalty) * scale
    tolerance = 1e-9 * env["initial_cash"] * scale.max()
    np.testing.assert_allclose(played["reward"], expected, rtol=0, atol=tolerance)


@settings(max_examples=40, deadline=None)
@given(env=ENVIRONMENTS, seed=st.integers(0, 2**31), inv=st.floats(0, 1), turn=st.floats(0, 1))
def test_penalties_change_the_reward_and_never_the_money(
    env: dict[str, Any], seed: int, inv: float, turn: float
) -> None:
    """Trap: penalties counted as money in net profit."""
    played = random_play(env | {"lambda_inv": 0.0, "lambda_turnover": 0.0}, seed)
    penalised = random_play(env | {"lambda_inv": inv, "lambda_turnover": turn}, seed)
    for name in set(played) - {"reward"}:
        np.testing.assert_array_equal(played[name], penalised[name])
    assert np.all(penalised["reward"] <= played["reward"])
    if inv > 0.01 and np.any(played["inventory"] != 0.0):
        assert penalised["reward"].sum() < played["reward"].sum()


@settings(max_examples=40, deadline=None)
@given(
    env=ENVIRONMENTS,
    seed=st.integers(0, 2**31),
    fees=st.lists(st.floats(-0.001, 0.01), min_size=2, max_size=4, unique=True),
)
def test_profit_falls_as_the_fee_rises(env: dict[str, Any], seed: int, fees: list[float]) -> None:
    """Trap: a wrong sign: positive skew that makes a long inventory buy more; a higher fee that
    makes the agent richer."""
    profits = []
    for fee in sorted(fees):
        played = random_play(env | {"fee_rate": fee, "initial_cash": 1e6}, seed)
        profits.append(played["equity"][-1])
    traded = played["bid_filled"].sum(axis=0) + played["ask_filled"].sum(axis=0) > 0.01
    widths = np.diff(sorted(fees))
    for (cheap, dear), width in zip(itertools.pairwise(profits), widths, strict=True):
        assert np.all(dear <= cheap)
        # A difference of fees below rounding can't be seen on a capital of a million.
        assert width < 1e-6 or np.all(dear[traded] < cheap[traded])


@settings(max_examples=40, deadline=None)
@given(env=ENVIRONMENTS, seed=st.integers(0, 2**31))
def test_keeping_the_worse_side_never_helps(env: dict[str, Any], seed: int) -> None:
    """Whatever is left out is worth at least as much at the close as what is kept, step by step."""
    alone = env | {"fee_rate": 0.0, "initial_cash": 1e6, "allow_no_quote": True}
    market = market_of(WALK, **alone | {"fill": env["fill"] | {"both_touched": "worse_side"}})
    actions = np.random.default_rng(seed).uniform(-1.0, 1.0, (1, len(STARTS), 3))
    actions[..., 2] = 0.0
    both = play(market, actions, starts=STARTS, episode_length=5)
    for third in (-1.0, 1.0):
        actions[..., 2] = third
        single = play(market, actions, starts=STARTS, episode_length=5)
        filled_both = (both["bid_filled"] + both["ask_filled"] > 0) & (
            single["bid_filled"] + single["ask_filled"] > 0
        )
        assert np.all(both["equity"][filled_both] <= single["equity"][filled_both] + 1e-6)


def test_a_sliver_at_the_limit_does_not_decide_which_side_is_worse() -> None:
    """At 4.999 of 5 units the purchase is 0.001: worth less than the sale, though more per unit."""
    down = (100.0, 100.0, 99.0, 100.0, 4.999)
    both = (100.0, 100.3, 99.7, 100.01)
    market = market_of(flat_then(down, both), order_size=4.999, max_inventory=5.0)
    played = play(market, [one(), one()])
    assert played["inventory"][0].item() == pytest.approx(4.999)
    assert played["bid_filled"][1].item() == pytest.approx(0.001)
    assert played["ask_filled"][1].item() == 0.0


def test_the_end_is_flat_and_pays_spread_and_taker_fee() -> None:
    candles = flat_then((100.0, 100.0, 99.0, 99.5), (99.5, 99.5, 99.5, 99.5))
    market = market_of(
        candles,
        taker_fee_rate=0.001,
        fill={"liquidate_at_end": True, "liquidation_half_spread_bps": 2.0},
    )
    played = play(market, [one(), HOLD])
    assert played["inventory"][:, 0].tolist() == [1.0, 0.0]
    assert played["liquidated"][:, 0].tolist() == [0.0, -1.0]
    # Bought at 99.90, sold at 99.50 less 2 basis points and the taker fee.
    profit = 99.5 * (1 - 0.0002 - 0.001) - 99.9
    assert played["equity"][-1].item() - 1e6 == pytest.approx(profit)


# --- reward and ends -------------------------------------------------------------------------


def test_the_reward_covers_the_whole_move_of_the_bar_the_opening_gap_included() -> None:
    """Trap: reward that misses part of the bar's move, so that doing nothing wins; time limit
    treated as termination."""
    bought, gap_down = (100.0, 100.0, 99.0, 100.0), (95.0, 96.0, 94.0, 95.0)
    market = market_of(flat_then(bought, gap_down), max_inventory=2.0)
    played = play(market, [one(), HOLD])
    scale = 1e4 / (2.0 * 100.0)
    assert played["reward"][:, 0].tolist() == pytest.approx([0.1 * scale, -5.0 * scale])


def test_rewards_add_up_to_the_profit_when_nothing_is_penalised() -> None:
    """Trap: reward that misses part of the bar's move, so that doing nothing wins; time limit
    treated as termination."""
    market = market_of(WALK, fee_rate=0.0002, fill={"liquidate_at_end": True})
    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, len(STARTS), 2))
    played = play(market, actions, starts=STARTS)
    scale = 1e4 / (5.0 * WALK.close[STARTS])
    profit = played["equity"][-1] - 1e6
    np.testing.assert_allclose(played["reward"].sum(axis=0), profit * scale, rtol=1e-6, atol=1e-6)


def test_a_time_limit_truncates_and_does_not_terminate() -> None:
    """Trap: reward that misses part of the bar's move, so that doing nothing wins; time limit
    treated as termination."""
    played = play(market_of(WALK), [one()] * STEPS, starts=STARTS)
    assert not played["terminated"].any()
    assert played["truncated"][-1].all() and not played["truncated"][:-1].any()


def test_ruin_terminates_and_does_not_truncate() -> None:
    crash = [(100.0, 100.0, 99.0, 100.0), (50.0, 50.0, 50.0, 50.0), (50.0, 50.0, 50.0, 50.0)]
    market = market_of(flat_then(*crash), initial_cash=40.0, fill={"liquidate_at_end": True})
    played = play(market, [one(), HOLD, HOLD])
    assert played["terminated"][:, 0].tolist()[:2] == [False, True]
    assert not played["truncated"][1].item()
    assert played["inventory"][1].item() == 0.0


def test_ruin_by_the_cost_of_flattening_on_the_last_bar_is_ruin() -> None:
    bars = [(100.0, 100.0, 99.0, 99.9), (99.9, 99.9, 99.9, 99.9)]
    market = market_of(
        flat_then(*bars),
        initial_cash=0.05,
        fill={"liquidate_at_end": True, "liquidation_half_spread_bps": 10.0},
    )
    played = play(market, [one(), HOLD])
    assert played["equity"][-1].item() < 0.0
    assert played["terminated"][-1].item() and not played["truncated"][-1].item()


@settings(max_examples=30, deadline=None)
@given(env=ENVIRONMENTS, seed=st.integers(0, 2**31), scale=st.sampled_from([1e-4, 0.1, 10.0, 1e5]))
def test_rewards_do_not_depend_on_the_price_level(
    env: dict[str, Any], seed: int, scale: float
) -> None:
    columns = {n: getattr(WALK, n) * scale for n in ("open", "high", "low", "close")}
    scaled = candles_of(columns | {"volume": WALK.volume})
    size = (STEPS, len(STARTS), 3 if env["allow_no_quote"] else 2)
    actions = np.random.default_rng(seed).uniform(-1.0, 1.0, size)
    here = play(market_of(WALK, **env | {"initial_cash": 1e6}), actions, starts=STARTS)
    cash = {"initial_cash": 1e6 * scale}
    there = play(market_of(scaled, **env | cash), actions, starts=STARTS)
    np.testing.assert_allclose(there["reward"], here["reward"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(there["observation"], here["observation"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(there["equity"], here["equity"] * scale, rtol=1e-9)
