"""The synthetic market: reproducible, never mistaken for real data, and able to tell skill."""

import dataclasses
import itertools
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.stats import kurtosis

from makerlab.config import SyntheticSettings
from makerlab.data.candles import Candles, load_candles, write_candles
from makerlab.data.synthetic import generate_candles, synthetic_candles, synthetic_path
from makerlab.errors import UserError
from makerlab.evaluation.synthetic_table import DeviationSkew, earnings, synthetic_market
from makerlab.market.base import Observations
from makerlab.market.episodes import OBSERVATION_NAMES
from makerlab.policies.base import Actions
from makerlab.policies.baselines import FixedSymmetric, InventorySkew

Floats = npt.NDArray[np.float64]

SHORT = SyntheticSettings(days=2)
# A market with one constant volatility and nothing else, to see one part at a time.
PLAIN = SyntheticSettings(
    volatility_variation=0.0, jump_rate=0.0, flow_strength=0.0, reversion_strength=0.0
)
YEAR_2001_MS = 978_307_200_000


def changed(settings: SyntheticSettings, **values: object) -> SyntheticSettings:
    return SyntheticSettings.model_validate({**settings.model_dump(), **values})


def returns_bps(candles: Candles) -> Floats:
    return 1e4 * np.diff(np.log(candles.close))


def ranges_bps(candles: Candles) -> Floats:
    return 1e4 * np.log(candles.high / candles.low)


def correlation(values: Floats, lag: int) -> float:
    return float(np.corrcoef(values[lag:], values[:-lag])[0, 1])


def content(candles: Candles) -> dict[str, bytes]:
    names = ("ts_ms", "open", "high", "low", "close", "volume")
    return {name: getattr(candles, name).tobytes() for name in names}


# Reproducible


def test_the_same_settings_give_the_same_bytes() -> None:
    first, second = generate_candles(SHORT), generate_candles(SHORT)
    assert content(first) == content(second)
    assert first.source == second.source


def test_the_same_settings_give_the_same_bytes_on_every_processor() -> None:
    """Trap: with AVX-512 numpy's own exponentials end in other digits."""
    found = generate_candles(SyntheticSettings(days=3)).source.sha256
    assert found == "d713a47ac8d23c804e7c739ed21c983e59fea44f63126a785077b6c7216165b1"


@pytest.mark.parametrize("name", sorted(set(SyntheticSettings.model_fields) - {"days"}))
def test_every_parameter_changes_the_market_and_its_file(name: str, tmp_path: Path) -> None:
    other = {"bar_seconds": 300, "substeps": 21, "seed": 8}.get(name)
    value = getattr(SHORT, name) * 0.9 if other is None else other
    different = changed(SHORT, **{name: value})
    assert generate_candles(different).source.sha256 != generate_candles(SHORT).source.sha256
    assert synthetic_path(different, tmp_path) != synthetic_path(SHORT, tmp_path)


def test_a_longer_market_begins_with_the_shorter_one() -> None:
    longer = generate_candles(changed(SHORT, days=3)).slice(0, 2 * 1440)
    assert content(longer) == content(generate_candles(SHORT))


def test_sixty_days_of_minutes_take_under_two_seconds() -> None:
    generate_candles(SHORT)  # compiles
    started = time.perf_counter()
    candles = generate_candles(SyntheticSettings(days=60))
    assert time.perf_counter() - started < 2.0
    assert len(candles) == 60 * 1440


# Labelled


def test_candles_lie_in_a_year_before_any_market_they_could_be_mistaken_for() -> None:
    candles = generate_candles(SyntheticSettings())
    assert pd.Timestamp(candles.ts_ms[0], unit="ms") == pd.Timestamp("2000-01-01")
    assert candles.source.end_ms < YEAR_2001_MS


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_copy_under_a_real_markets_name_is_still_known_as_synthetic(
    suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"btcusdt_1m{suffix}"
    write_candles(path, generate_candles(SHORT))
    assert load_candles(path).source.kind == "synthetic"


def test_the_kept_file_carries_a_synthetic_column_equal_to_one(tmp_path: Path) -> None:
    candles = synthetic_candles(SHORT, tmp_path)
    frame = pd.read_parquet(candles.source.path)
    assert (frame["synthetic"] == 1).all()
    renamed = tmp_path / "btcusdt.parquet"
    shutil.copy(candles.source.path, renamed)
    assert load_candles(renamed).source.kind == "synthetic"


def test_the_source_names_kind_path_and_a_hash_of_the_arrays(tmp_path: Path) -> None:
    source = synthetic_candles(SHORT, tmp_path).source
    assert source.kind == "synthetic"
    assert source.path == str(synthetic_path(SHORT, tmp_path))
    assert source.sha256 == generate_candles(SHORT).source.sha256
    assert (source.rows, source.bar_ms, source.gaps) == (2880, 60_000, ())


# Kept in a file


def test_a_kept_market_is_read_back_to_the_same_bits_and_not_written_again(tmp_path: Path) -> None:
    written = synthetic_candles(SHORT, tmp_path)
    stamp = Path(written.source.path).stat()
    read = synthetic_candles(SHORT, tmp_path)
    assert content(read) == content(written) == content(generate_candles(SHORT))
    assert read.source == written.source
    assert Path(read.source.path).stat().st_mtime_ns == stamp.st_mtime_ns
    assert Path(read.source.path).stat().st_ino == stamp.st_ino


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def overwritten_with_text(path: Path) -> None:
    path.write_text("not a table")


def replaced_by_another_market(path: Path) -> None:
    other = synthetic_candles(changed(SHORT, seed=8), path.parent)
    shutil.copy(other.source.path, path)


def replaced_by_candles_of_a_file(path: Path) -> None:
    candles = generate_candles(SHORT)
    source = dataclasses.replace(candles.source, kind="file")
    write_candles(path, dataclasses.replace(candles, source=source))


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        emptied,
        overwritten_with_text,
        replaced_by_another_market,
        replaced_by_candles_of_a_file,
        Path.unlink,
    ],
)
def test_a_damaged_or_foreign_file_is_replaced(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    path = Path(synthetic_candles(SHORT, tmp_path).source.path)
    whole = path.read_bytes()
    damage(path)
    assert content(synthetic_candles(SHORT, tmp_path)) == content(generate_candles(SHORT))
    assert path.read_bytes() == whole


def test_a_flipped_bit_anywhere_never_reaches_the_candles(tmp_path: Path) -> None:
    settings = changed(SHORT, days=1, bar_seconds=900)
    expected = synthetic_candles(settings, tmp_path)
    path = Path(expected.source.path)
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(damaged))
        assert content(synthetic_candles(settings, tmp_path)) == content(expected)


def test_workers_that_share_a_folder_get_the_same_market(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: synthetic_candles(SHORT, tmp_path), range(16)))
    assert all(content(candles) == content(results[0]) for candles in results)
    assert [path.name for path in tmp_path.iterdir()] == [synthetic_path(SHORT, tmp_path).name]


# Like a market


def test_bars_are_consistent_and_open_where_the_last_one_closed() -> None:
    candles = generate_candles(SyntheticSettings(days=10))
    assert (candles.high >= np.maximum(candles.open, candles.close)).all()
    assert (candles.low <= np.minimum(candles.open, candles.close)).all()
    assert (candles.low > 0.0).all()
    assert (candles.volume > 0.0).all()
    np.testing.assert_array_equal(candles.open[1:], candles.close[:-1])
    np.testing.assert_array_equal(np.diff(candles.ts_ms), 60_000)


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_minutes_look_like_those_of_a_large_crypto_market(seed: int) -> None:
    """Real BTCUSDT minutes of December 2024: standard deviation 7.6 bp, median range 6.2 bp."""
    candles = generate_candles(SyntheticSettings(seed=seed))
    moves = returns_bps(candles)
    assert 7.0 < moves.std() < 8.6
    assert 5.3 < np.median(ranges_bps(candles)) < 7.0
    assert kurtosis(moves) > 5.0
    assert correlation(np.abs(moves), 1) > 0.08
    assert correlation(np.abs(moves), 60) > 0.04
    assert 5.0 < np.median(candles.volume) < 20.0


def test_volume_goes_with_the_range_of_its_bar_and_with_volatility() -> None:
    candles = generate_candles(SyntheticSettings())
    volume = np.log(candles.volume)
    assert np.corrcoef(volume, np.log(ranges_bps(candles)))[0, 1] > 0.4
    assert correlation(volume, 60) > 0.05


def test_half_an_hour_of_real_looking_prices_drifts_nowhere() -> None:
    candles = generate_candles(SyntheticSettings(days=200))
    moves = np.log(candles.close[30::30] / candles.close[:-30:30])
    assert abs(moves.mean()) < 4.0 * moves.std() / np.sqrt(len(moves))


# Every parameter does what its description says


@pytest.mark.parametrize("reversion_strength", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("bar_seconds", [60, 300])
def test_volatility_is_that_of_a_minute_whatever_passes_of_it(
    reversion_strength: float, bar_seconds: int
) -> None:
    settings = changed(PLAIN, reversion_strength=reversion_strength, bar_seconds=bar_seconds)
    expected = settings.volatility_bps * np.sqrt(bar_seconds / 60)
    assert returns_bps(generate_candles(settings)).std() == pytest.approx(expected, rel=0.03)


def test_without_variation_jumps_flow_and_reversion_returns_are_plain_noise() -> None:
    moves = returns_bps(generate_candles(PLAIN))
    tolerance = 4.0 / np.sqrt(len(moves))
    assert abs(kurtosis(moves)) < 0.1
    assert all(abs(correlation(moves, lag)) < tolerance for lag in (1, 2, 5, 20))
    assert all(abs(correlation(np.abs(moves), lag)) < tolerance for lag in (1, 5))


def test_half_of_a_passing_deviation_is_gone_after_its_half_life() -> None:
    settings = changed(
        PLAIN, days=200, reversion_strength=1.0, reversion_half_life=5.0, pressure_half_life=0.01
    )
    log_close = np.log(generate_candles(settings).close)
    assert correlation(log_close, 5) == pytest.approx(0.5, abs=0.02)
    assert correlation(log_close, 10) == pytest.approx(0.25, abs=0.02)


def test_pressure_runs_on_into_the_next_bar() -> None:
    quick = changed(PLAIN, reversion_strength=1.0, pressure_half_life=0.01)
    slow = changed(quick, pressure_half_life=0.6)
    assert correlation(returns_bps(generate_candles(quick)), 1) < -0.05
    assert correlation(returns_bps(generate_candles(slow)), 1) > 0.05


def test_order_flow_lasts_for_its_half_life_and_has_its_strength() -> None:
    settings = changed(PLAIN, days=400, flow_strength=0.5, flow_half_life=10.0)
    moves = returns_bps(generate_candles(settings))
    flow_variance = (0.5 * settings.volatility_bps) ** 2
    for lag in (1, 10, 20):
        covariance = correlation(moves, lag) * moves.var()
        expected = flow_variance * 0.5 ** (lag / 10.0)
        assert covariance == pytest.approx(expected, abs=0.05 * flow_variance)


def test_jumps_come_at_their_rate_and_size() -> None:
    settings = changed(PLAIN, jump_rate=0.02, jump_size=40.0, days=200)
    moves = returns_bps(generate_candles(settings)) / settings.volatility_bps
    jumps = moves[np.abs(moves) > 5.0]
    seen = 0.02 * (1.0 - 0.0997)  # P(|N(0, 40)| > 5) = 0.9003
    assert len(jumps) / len(moves) == pytest.approx(seen, rel=0.05)
    assert moves.var() == pytest.approx(1.0 + 0.02 * 40.0**2, rel=0.1)


def test_the_log_of_volatility_has_its_spread_and_half_life() -> None:
    settings = changed(PLAIN, days=200, volatility_variation=0.8, volatility_half_life=100.0)
    log_ranges = np.log(ranges_bps(generate_candles(settings)))
    # The noise of single ranges hides none of the covariance at a distance.
    covariances = [correlation(log_ranges, lag) * log_ranges.var() for lag in (20, 100, 200)]
    expected = [0.64 * 0.5 ** (lag / 100.0) for lag in (20, 100, 200)]
    np.testing.assert_allclose(covariances, expected, atol=0.05)


def test_volume_has_its_level_in_base_units_per_minute() -> None:
    for bar_seconds in (60, 900):
        settings = changed(PLAIN, volume_level=7.0, bar_seconds=bar_seconds, substeps=60)
        median = np.median(generate_candles(settings).volume)
        assert median == pytest.approx(7.0 * bar_seconds / 60, rel=0.1)


def test_a_market_of_longer_bars_is_the_same_market_at_another_scale() -> None:
    minutes = generate_candles(SyntheticSettings(days=10))
    hours = generate_candles(SyntheticSettings(days=600, bar_seconds=3600))
    ratio = returns_bps(hours).std() / returns_bps(minutes).std()
    assert ratio == pytest.approx(np.sqrt(60.0), rel=0.15)
    assert hours.bar_ms == 3_600_000


# Bad settings


def test_a_deviation_that_dies_out_before_it_builds_up_is_refused() -> None:
    with pytest.raises(ValidationError, match="pressure_half_life 2 is above half"):
        SyntheticSettings(pressure_half_life=2.0, reversion_half_life=3.0)


def test_prices_beyond_the_range_of_numbers_are_an_error_that_names_the_cause() -> None:
    settings = SyntheticSettings(
        days=1500, bar_seconds=3600, volatility_bps=100.0, flow_strength=1.0, flow_half_life=1e9
    )
    with pytest.raises(UserError, match=r"data\.synthetic: .*lower volatility_bps \(found 100\)"):
        generate_candles(settings)


@pytest.mark.parametrize(
    "values",
    [
        {"reversion_half_life": 10_000.0},
        {"reversion_half_life": 0.1, "pressure_half_life": 1e-300},
        {"pressure_half_life": 1.0},
        {"flow_half_life": 1e300, "volatility_half_life": 1e300},
        {"jump_rate": 1.0, "substeps": 2},
        {"reversion_strength": 1.0, "volatility_variation": 1.0, "jump_size": 50.0},
        {"start_price": 1e-6},
        {"start_price": 1e9},
    ],
)
def test_settings_at_their_bounds_give_valid_candles(
    values: dict[str, float], tmp_path: Path
) -> None:
    path = tmp_path / "candles.parquet"
    write_candles(path, generate_candles(changed(SHORT, **values)))
    assert len(load_candles(path)) == 2880


# Tells makers apart, under the project's own fill rule and a maker fee of 1 bp


@pytest.mark.parametrize("base_spread_bps", [5.0, 8.0, 10.0, 15.0])
def test_a_naive_maker_loses_at_every_spread(base_spread_bps: float) -> None:
    market = synthetic_market(SyntheticSettings(), base_spread_bps=base_spread_bps)
    earned = earnings(market, FixedSymmetric())
    assert -4.0 < earned.net_bps < -1.0
    assert earned.gross_bps < 0.0


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_inventory_skew_beats_naive_quotes_and_still_loses_a_little(seed: int) -> None:
    market = synthetic_market(SyntheticSettings(seed=seed), base_spread_bps=8.0)
    skew, naive = earnings(market, InventorySkew()), earnings(market, FixedSymmetric())
    assert -1.5 < skew.net_bps < 0.0
    assert skew.net_bps > naive.net_bps + 0.3
    assert skew.profits.mean() > naive.profits.mean()


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_a_linear_maker_of_past_closes_earns_clearly(seed: int) -> None:
    market = synthetic_market(SyntheticSettings(seed=seed), base_spread_bps=8.0)
    earned = earnings(market, DeviationSkew())
    assert earned.net_bps > 2.0
    assert earned.t_statistic(25) > 3.0


class Leaning:
    """Skews by a multiple of one feature, against the inventory, at a fixed width."""

    def __init__(self, feature: str, gain: float) -> None:
        self._column = OBSERVATION_NAMES.index(feature)
        self._gain = gain

    def act(self, observation: Observations) -> Actions:
        inventory = observation[:, OBSERVATION_NAMES.index("inventory_share")]
        skew = self._gain * observation[:, self._column] - inventory
        return np.stack([np.ones_like(skew), np.clip(skew, -1.0, 1.0)], axis=1)


def test_without_reversion_the_skilled_maker_loses() -> None:
    null = SyntheticSettings(reversion_strength=0.0)
    earned = earnings(synthetic_market(null, base_spread_bps=8.0), DeviationSkew())
    assert earned.net_bps < -2.0


def test_without_reversion_no_leaning_on_any_feature_earns() -> None:
    """Leaning the other way finds nothing either: order flow alone does not pay the fee."""
    market = synthetic_market(SyntheticSettings(reversion_strength=0.0), base_spread_bps=8.0)
    features = ("return_1", "return_5", "return_60", "ema_deviation_5", "ema_deviation_20")
    for feature, gain in itertools.product(features, (-1.0, -0.3, 0.3, 1.0)):
        earned = earnings(market, Leaning(feature, gain))
        assert earned.t_statistic(len(earned.profits)) < 2.0, (feature, gain)


def overshoot_of_a_hit_bid(candles: Candles, *, distance: float) -> float:
    """Mean distance of the close below a bid that its own bar traded through, in volatilities."""
    moves = np.log(candles.close[1:] / candles.close[:-1])
    lows = np.log(candles.low[1:] / candles.close[:-1])
    bid = -distance * moves.std()
    return float((bid - moves)[lows < bid].mean() / moves.std())


def test_a_bid_that_is_hit_sees_the_price_run_on_further_than_noise_would() -> None:
    """Adverse selection. Plain noise closes below a hit bid too, by the step that crossed it."""
    noise = overshoot_of_a_hit_bid(generate_candles(PLAIN), distance=1.0)
    market = overshoot_of_a_hit_bid(generate_candles(SyntheticSettings()), distance=1.0)
    assert noise == pytest.approx(0.5826 / np.sqrt(PLAIN.substeps), rel=0.15)
    assert market > 1.5 * noise
