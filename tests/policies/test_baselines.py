"""The baselines: right signs, the learner's own bounds, scales from the training past only."""

import inspect
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made_up_candles import PLENTY, candles_of, market_of, play, random_walk

from makerlab.evaluation.rollout import rollout
from makerlab.market.base import Observations
from makerlab.market.episodes import OBSERVATION_NAMES, CandleMarket
from makerlab.market.features import TYPICAL_VOLATILITY, WARM_UP_BARS
from makerlab.policies import Policy, baseline_policies
from makerlab.policies.baselines import (
    AvellanedaStoikov,
    FillIntensity,
    GueantLehalleFernandezTapia,
    base_half_fraction,
    fill_intensity,
)
from makerlab.theory import avellaneda_stoikov_quotes, glft_distances

NAMES = (
    "no_quote",
    "random",
    "fixed_symmetric",
    "inventory_skew",
    "avellaneda_stoikov",
    "gueant_lehalle_fernandez_tapia",
)
LEANING = ("inventory_skew", "avellaneda_stoikov", "gueant_lehalle_fernandez_tapia")
WALK = random_walk(1500, seed=41, volatility_bps=8.0)
TRAIN = market_of(WALK, episode_length=100, max_inventory=10.0, fee_rate=0.0001)


def baselines(market: CandleMarket = TRAIN, *, seed: int = 0) -> dict[str, Policy]:
    return baseline_policies(market, seed=seed)


def observation(**named: float) -> Observations:
    """Return one quiet observation, flat at the start of an episode unless said otherwise."""
    values = {"time_left": 1.0} | named
    row = np.zeros((1, len(OBSERVATION_NAMES)), np.float32)
    for name, value in values.items():
        row[0, OBSERVATION_NAMES.index(name)] = value
    return row


OBSERVATIONS = st.integers(0, 2**31).map(
    lambda seed: (
        np.random.default_rng(seed).uniform(-10, 10, (4, len(OBSERVATION_NAMES))).astype(np.float32)
    )
)


def test_all_six_are_there() -> None:
    assert tuple(baselines()) == NAMES


@settings(max_examples=30, deadline=None)
@given(seen=OBSERVATIONS, name=st.sampled_from(NAMES))
def test_each_gives_one_allowed_action_per_episode(seen: Observations, name: str) -> None:
    """No baseline has freedoms the learner lacks, but not to quote."""
    actions = np.asarray(baselines()[name].act(seen))
    assert actions.shape == (4, 2)
    if name == "no_quote":
        assert np.isinf(actions[:, 0]).all()
    else:
        assert np.isfinite(actions).all() and np.abs(actions).max() <= 1.0


def test_each_only_acts() -> None:
    """One protocol: act(observation) -> actions."""
    for policy in baselines().values():
        assert list(inspect.signature(policy.act).parameters) == ["observation"]


def test_no_quote_never_trades() -> None:
    played = rollout(TRAIN, baselines()["no_quote"], np.array([60, 400]))
    assert not played.bid_filled.any() and not played.ask_filled.any()
    assert (played.equity == 1e6).all() and (played.reward == 0.0).all()


def test_random_quotes_follow_their_seed_and_fill_the_space() -> None:
    seen = np.zeros((2000, len(OBSERVATION_NAMES)), np.float32)
    first, again, other = (baselines(seed=s)["random"].act(seen) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.abs(first.mean(axis=0)).max() < 0.05
    assert first.min() < -0.99 and first.max() > 0.99


def test_random_uses_the_third_action_where_there_is_one() -> None:
    market = market_of(WALK, allow_no_quote=True)
    assert np.asarray(baselines(market)["random"].act(observation())).shape == (1, 3)


# --- signs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEANING)
def test_a_long_maker_quotes_lower_on_both_sides_and_a_short_one_higher(name: str) -> None:
    """Trap: a wrong sign: positive skew that makes a long inventory buy more; a higher fee that
    makes the agent richer."""
    policy = baselines()[name]
    quotes = {}
    for share in (-0.6, 0.0, 0.6):
        action = policy.act(observation(inventory_share=share))
        played = play(TRAIN, [action])
        quotes[share] = (played["bid"].item(), played["ask"].item())
    for side in (0, 1):
        assert quotes[0.6][side] < quotes[0.0][side] < quotes[-0.6][side]


@pytest.mark.parametrize("name", LEANING)
def test_leaning_makers_hold_less_than_one_that_does_not_lean(name: str) -> None:
    market = market_of(
        random_walk(6000, seed=42, volume=PLENTY), episode_length=200, max_inventory=10.0
    )
    starts = np.arange(WARM_UP_BARS, 5700, 200)
    policies = baselines(market)
    held = {n: np.abs(rollout(market, policies[n], starts).inventory).mean() for n in NAMES}
    assert held[name] < 0.9 * held["fixed_symmetric"]


def test_inventory_skew_is_minus_the_share_held() -> None:
    policy = baselines()["inventory_skew"]
    for share in (-1.0, -0.25, 0.0, 0.5, 1.0):
        action = policy.act(observation(inventory_share=share))
        assert action.tolist() == [[0.0, pytest.approx(-share)]]


# --- closed forms ----------------------------------------------------------------------------

WIDE = market_of(WALK, episode_length=100, max_inventory=10.0, alpha=0.99, beta=2.0)


def distances(market: CandleMarket, action: npt.NDArray[Any]) -> tuple[float, float]:
    """Return (bid, ask) distances from the mid that the kernel makes of an action."""
    played = play(market, [action])
    mid = market.prices.close[WARM_UP_BARS]
    return (mid - played["bid"].item()) / mid, (played["ask"].item() - mid) / mid


@pytest.mark.parametrize("share", [-0.3, 0.0, 0.2])
@pytest.mark.parametrize("time_left", [1.0, 0.3])
def test_avellaneda_stoikov_quotes_what_the_theory_says(share: float, time_left: float) -> None:
    """Within the allowed actions, through the kernel: inventory in orders, time in bars."""
    volatility = 6e-4
    policy = AvellanedaStoikov(WIDE, FillIntensity(intensity=0.5, decay=1200.0))
    seen = observation(
        inventory_share=share,
        time_left=time_left,
        log_volatility=float(np.log(volatility / TYPICAL_VOLATILITY)),
    )
    bid, ask = avellaneda_stoikov_quotes(
        mid=0.0,
        inventory=10.0 * share,
        time_left=100.0 * time_left,
        volatility=volatility,
        risk_aversion=policy.risk_aversion,
        decay=1200.0,
    )
    assert distances(WIDE, policy.act(seen)) == pytest.approx((-bid, ask), rel=1e-3)


@pytest.mark.parametrize("share", [-0.3, 0.0, 0.2])
def test_glft_quotes_what_the_theory_says(share: float) -> None:
    volatility = 6e-4
    intensity = FillIntensity(intensity=0.5, decay=1200.0)
    policy = GueantLehalleFernandezTapia(WIDE, intensity)
    seen = observation(
        inventory_share=share, log_volatility=float(np.log(volatility / TYPICAL_VOLATILITY))
    )
    expected = glft_distances(
        inventory=10.0 * share,
        volatility=volatility,
        risk_aversion=policy.risk_aversion,
        decay=1200.0,
        intensity=0.5,
        horizon=100.0,
        inventory_cap=10,
    )
    assert distances(WIDE, policy.act(seen)) == pytest.approx(expected, rel=1e-3)


def test_at_the_cap_with_half_an_episode_left_the_reservation_price_is_one_half_spread_away() -> (
    None
):
    policy = AvellanedaStoikov(WIDE, FillIntensity(0.5, 1200.0))
    variance = float(np.mean(np.diff(np.log(WALK.close)) ** 2))
    shift = policy.orders_at_cap * policy.risk_aversion * variance * 0.5 * 100.0
    assert shift == pytest.approx(base_half_fraction(WIDE)) and shift == pytest.approx(
        1e-3, rel=1e-6
    )


@pytest.mark.parametrize("name", ["avellaneda_stoikov", "gueant_lehalle_fernandez_tapia"])
def test_closed_forms_widen_with_the_volatility_they_observe(name: str) -> None:
    """Volatility is that of the last 60 bars, read from the observation, never from the future."""
    market = market_of(WALK, episode_length=100, max_inventory=10.0, alpha=0.99)
    policy = baseline_policies(market, seed=0)[name]
    calm, wild = (policy.act(observation(log_volatility=v))[0, 0] for v in (-1.5, 0.5))
    assert calm < wild


def test_where_alpha_and_beta_allow_no_movement_there_is_none() -> None:
    market = market_of(WALK, alpha=0.0, beta=0.0)
    for name in LEANING[1:]:
        action = baselines(market)[name].act(observation(inventory_share=0.9))
        assert action.tolist() == [[0.0, 0.0]]


# --- scales ----------------------------------------------------------------------------------


def test_scales_come_from_the_training_segment_alone() -> None:
    """Trap: normalisation fitted on the test span; a feature relative to the first bar of the whole
    file."""
    other = random_walk(1500, seed=77, volatility_bps=60.0, price=5.0)
    columns = {}
    for name in ("open", "high", "low", "close", "volume"):
        columns[name] = getattr(WALK, name).copy()
        columns[name][700:] = getattr(other, name)[700:]
    here, there = (
        AvellanedaStoikov(market, fill_intensity(market))
        for market in (market_of(c, stop=700) for c in (WALK, candles_of(columns)))
    )
    assert here.__dict__ == there.__dict__


def test_the_fill_intensity_of_known_bars_is_found() -> None:
    """Depths with P(depth > d) = 1 - exp(-A exp(-k d)) are Gumbel distributed."""
    intensity, decay, bars = 0.8, 900.0, 60_000
    generator = np.random.default_rng(8)
    reach = generator.gumbel(np.log(intensity) / decay, 1.0 / decay, (2, bars)).clip(min=0.0)
    still = np.full(bars, 100.0)
    candles = candles_of(
        {
            "open": still,
            "high": still * (1.0 + reach[0]),
            "low": still * (1.0 - reach[1]),
            "close": still,
            "volume": still,
        }
    )
    found = fill_intensity(market_of(candles, base_spread_bps=10.0))
    assert found.intensity == pytest.approx(intensity, rel=0.05)
    assert found.decay == pytest.approx(decay, rel=0.03)


def test_a_market_that_never_trades_through_still_has_baselines() -> None:
    still = np.full(200, 100.0)
    names = ("open", "high", "low", "close", "volume")
    market = market_of(candles_of(dict.fromkeys(names, still)))
    for policy in baselines(market).values():
        assert not np.isnan(policy.act(observation(inventory_share=0.5))).any()
