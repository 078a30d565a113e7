"""What is seen of the market: the last bars, nothing later, nothing earlier, no price level."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made_up_candles import candles_of, flat_then, random_walk

from makerlab.data.candles import Candles
from makerlab.market.features import (
    CLIP,
    FEATURE_NAMES,
    WARM_UP_BARS,
    market_features,
    volatility_of,
)
from makerlab.market.layout import Prices

Floats = npt.NDArray[np.float64]
SEEN = WARM_UP_BARS + 1
WALK = random_walk(200, seed=11, volatility_bps=12.0)


def prices_of(candles: Candles) -> Prices:
    return Prices(candles.open, candles.high, candles.low, candles.close, candles.volume)


def features_of(candles: Candles) -> npt.NDArray[np.float32]:
    return market_features(prices_of(candles))


def column(candles: Candles, name: str) -> npt.NDArray[np.float32]:
    return features_of(candles)[:, FEATURE_NAMES.index(name)]


def perturbed(prices: Prices, part: slice, seed: int) -> Prices:
    """Return prices with one stretch replaced by an unrelated one."""
    factor = np.random.default_rng(seed).uniform(0.3, 3.0)
    columns = []
    for values in prices:
        changed = values.copy()
        changed[part] *= factor
        columns.append(changed)
    return Prices(*columns)


@settings(max_examples=60, deadline=None)
@given(bar=st.integers(WARM_UP_BARS, len(WALK) - 1), seed=st.integers(0, 2**31))
def test_a_row_depends_on_its_bar_and_the_sixty_before_it_alone(bar: int, seed: int) -> None:
    """Trap: normalisation fitted on the test span; a feature relative to the first bar of the whole
    file."""
    prices = prices_of(WALK)
    row = market_features(prices)[bar]
    later = perturbed(prices, slice(bar + 1, None), seed)
    earlier = perturbed(prices, slice(0, bar - WARM_UP_BARS), seed)
    np.testing.assert_array_equal(market_features(later)[bar], row)
    np.testing.assert_array_equal(market_features(earlier)[bar], row)


def test_each_of_the_sixty_one_bars_matters() -> None:
    """The window is as long as it says: a change at either end of it shows."""
    prices = prices_of(WALK)
    bar = 150
    row = market_features(prices)[bar]
    for place in (bar - WARM_UP_BARS, bar):
        touched = perturbed(prices, slice(place, place + 1), seed=0)
        assert not np.array_equal(market_features(touched)[bar], row)


@pytest.mark.parametrize("start", [0, 1, 37, 139])
def test_rows_are_the_same_wherever_the_file_begins(start: int) -> None:
    """Trap: normalisation fitted on the test span; a feature relative to the first bar of the whole
    file."""
    whole = features_of(WALK)
    part = market_features(Prices(*(values[start:].copy() for values in prices_of(WALK))))
    np.testing.assert_array_equal(part[WARM_UP_BARS:], whole[start + WARM_UP_BARS :])


def test_rows_without_enough_bars_before_them_are_not_numbers() -> None:
    features = features_of(WALK)
    assert np.isnan(features[:WARM_UP_BARS]).all()
    assert np.isfinite(features[WARM_UP_BARS:]).all()


@pytest.mark.parametrize("scale", [1e-5, 0.1, 10.0, 1e6])
def test_no_feature_knows_the_price_level(scale: float) -> None:
    prices = prices_of(WALK)
    scaled = Prices(*(values * scale for values in prices[:4]), prices.volume)
    np.testing.assert_allclose(
        market_features(scaled), market_features(prices), rtol=1e-5, atol=1e-5
    )


def test_no_feature_drifts_with_the_price() -> None:
    """The same bars at ten times the price, met later in the same file, look the same."""
    columns = {name: getattr(WALK, name) for name in ("open", "high", "low", "close")}
    doubled = {name: np.concatenate([values, 10.0 * values]) for name, values in columns.items()}
    candles = candles_of(doubled | {"volume": np.tile(WALK.volume, 2)})
    features, bars = features_of(candles), len(WALK)
    first, second = features[SEEN:bars], features[bars + SEEN :]
    np.testing.assert_allclose(second, first, rtol=1e-5, atol=1e-5)


def test_volume_counts_only_relative_to_its_recent_mean() -> None:
    prices = prices_of(WALK)
    more = prices._replace(volume=prices.volume * 1000.0)
    np.testing.assert_allclose(market_features(more), market_features(prices), atol=1e-6)


def test_returns_deviations_and_volatility_follow_their_formulas() -> None:
    logs = np.log(WALK.close)
    bar = 123
    moves = np.diff(logs)[bar - WARM_UP_BARS : bar]
    volatility = np.sqrt(np.mean(moves**2))
    row = dict(zip(FEATURE_NAMES, features_of(WALK)[bar], strict=True))
    for window in (1, 5, 15, 60):
        move = logs[bar] - logs[bar - window]
        assert row[f"return_{window}"] == pytest.approx(
            move / volatility / np.sqrt(window), rel=1e-5
        )
    for half_life in (5, 20):
        weights = 0.5 ** (np.arange(WARM_UP_BARS) / half_life)
        recent = logs[bar - WARM_UP_BARS + 1 : bar + 1][::-1]
        deviation = logs[bar] - np.average(recent, weights=weights)
        assert row[f"ema_deviation_{half_life}"] == pytest.approx(deviation / volatility, rel=1e-5)
    assert volatility_of(np.array([row["log_volatility"]]))[0] == pytest.approx(volatility)
    short = np.sqrt(np.mean(moves[-5:] ** 2))
    assert row["volatility_ratio"] == pytest.approx(np.log(short / volatility), rel=1e-4)
    height = WALK.high[bar] - WALK.low[bar]
    assert row["range"] == pytest.approx(height / WALK.close[bar] / volatility, rel=1e-5)
    place = (WALK.close[bar] - WALK.low[bar]) / height
    assert row["close_position"] == pytest.approx(2 * place - 1, abs=1e-5)
    mean_volume = WALK.volume[bar - WARM_UP_BARS + 1 : bar + 1].mean()
    relative = np.log(WALK.volume[bar] / mean_volume)
    assert row["log_relative_volume"] == pytest.approx(relative, abs=1e-5)


def test_markets_that_stand_still_or_do_not_trade_give_finite_features() -> None:
    still = flat_then((100.0, 100.0, 100.0, 100.0))
    idle = dataclasses.replace(WALK, volume=np.zeros(len(WALK)))
    jump = flat_then((100.0, 200.0, 100.0, 200.0))
    for candles in (still, idle, jump):
        rows = features_of(candles)[WARM_UP_BARS:]
        assert np.isfinite(rows).all() and np.abs(rows).max() <= CLIP
    assert column(still, "return_1")[-1] == 0.0 and column(still, "close_position")[-1] == 0.0
    assert column(idle, "log_relative_volume")[-1] == 0.0
    assert column(jump, "close_position")[-1] == 1.0
