"""Calibration from captures and candles: sides, windows, published figures, YAML for a config."""

from pathlib import Path

import numpy as np
import pytest
from tests.made_up_captures import START_MS, at, quote, small_capture, text_of, trade

from makerlab.calibration.calibrate import CalibrationRequest, calibrate
from makerlab.calibration.text import table, to_yaml
from makerlab.calibration.windows import windows_of_candles, windows_of_capture
from makerlab.config import SyntheticSettings, load_config
from makerlab.data.candles import write_candles
from makerlab.data.read_capture import read_capture
from makerlab.data.synthetic import generate_candles
from makerlab.errors import UserError

MID = 10_000.0


def write_flow(path: Path, *, seconds: int, sells: float, buys: float, decay: float) -> Path:
    """Write a capture with a mid that stands still and market orders that reach Exp(decay) bp."""
    rng = np.random.default_rng(0)
    orders = []
    for sold, rate in ((True, sells), (False, buys)):
        for time in np.sort(rng.uniform(0, 1000 * seconds, rng.poisson(rate * seconds))):
            beyond = 1e-4 * MID * rng.exponential(1.0 / decay)
            orders.append((int(time), f"{MID - beyond if sold else MID + beyond:.6f}", sold))
    lines = [(at(0), quote(0, 1, ("9999.995", "1"), ("10000.005", "1")))]
    for number, (ms, price, sold) in enumerate(sorted(orders)):
        lines.append((at(ms + 5), trade(ms, number, price, sold=sold)))
    end = 1000 * seconds
    lines.append((at(end), quote(end, 2, ("9999.995", "1"), ("10000.005", "1"))))
    path.write_text(text_of(lines))
    return path


def test_each_side_of_a_simulated_flow_comes_back_within_five_percent(tmp_path: Path) -> None:
    path = write_flow(tmp_path / "flow", seconds=20_000, sells=0.9, buys=0.4, decay=1.2)
    found = calibrate(CalibrationRequest(tape=path, window_seconds=(1.0,)))
    sides = found.fits[0].sides
    assert sides["bid"] is not None and sides["ask"] is not None
    assert sides["bid"].intensity.value == pytest.approx(0.9, rel=0.05)
    assert sides["ask"].intensity.value == pytest.approx(0.4, rel=0.05)
    assert sides["bid"].decay.value == pytest.approx(1.2, rel=0.05)
    assert sides["ask"].decay.value == pytest.approx(1.2, rel=0.05)
    assert found.warnings == []
    assert len(found.rolling) == 5


def test_windows_see_the_deepest_trade_of_each_side_from_the_mid_before_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "capture"
    path.write_text(text_of(small_capture()))
    windows = windows_of_capture(read_capture(path), 0.025)
    # From the first quote at 20 ms, mid 100.0; the quote at 60 ms comes after the second start.
    assert (windows.start_ns // 10**6 - START_MS).tolist() == [20]
    assert windows.mid.tolist() == [100.0]
    assert windows.bid_bps.tolist() == pytest.approx([10.0])
    assert windows.ask_bps.tolist() == [-np.inf]


def test_without_timed_quotes_the_last_trade_stands_for_the_mid(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_text(text_of(small_capture("spot")))
    windows = windows_of_capture(read_capture(path), 0.03)
    assert windows.mid.tolist() == [99.9]
    assert windows.bid_bps.tolist() == [0.0]


def test_bars_after_a_gap_are_no_windows() -> None:
    candles = generate_candles(SyntheticSettings(days=1))
    holed = candles.slice(0, 100)
    object.__setattr__(holed, "ts_ms", holed.ts_ms + 60_000 * (np.arange(100) >= 50))
    assert len(windows_of_candles(holed)) == 98


def test_the_tapes_published_figures(shared_data: Path) -> None:
    """A 0.568 and k 1.54 at 0.1 s, A 0.324 and k 0.98 at 1 s, by the literal rule."""
    tape = shared_data / "l2_binance_usdm_btcusdt_2024-08-08.gz"
    request = CalibrationRequest(tape=tape, window_seconds=(0.1, 1.0), rule="literal")
    found = calibrate(request)
    for fit, intensity, decay in zip(found.fits, (0.568, 0.324), (1.54, 0.98), strict=True):
        both = fit.sides["both"]
        assert both is not None
        assert both.intensity.value == pytest.approx(intensity, rel=0.03)
        assert both.decay.value == pytest.approx(decay, rel=0.03)
    assert found.warnings == []
    share = found.fits[1].volatility_share
    assert share is not None and share > 1.0


def test_on_minute_bars_k_measures_volatility_and_says_so(shared_data: Path) -> None:
    path = shared_data / "btcusdt_1m_2024-12.csv"
    found = calibrate(CalibrationRequest(candles=path, rule="literal"))
    fit = found.fits[0]
    assert fit.sides["both"] is not None
    assert fit.sides["both"].decay.value == pytest.approx(0.17, rel=0.03)
    assert fit.volatility_share == pytest.approx(1.3, rel=0.03)
    assert "measures volatility, not order flow" in found.warnings[0]
    assert "# warning: k sigma sqrt(W)" in to_yaml(found, name="c.yaml")


def test_a_config_takes_the_settings_by_including_them(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    write_candles(path, generate_candles(SyntheticSettings(days=3)))
    found = calibrate(CalibrationRequest(candles=path))
    (tmp_path / "calibrated.yaml").write_text(to_yaml(found, name="calibrated.yaml"))
    config = tmp_path / "config.yaml"
    config.write_text(
        "include: [calibrated.yaml]\nenv: {base_spread_bps: 8, fill: {ask_decay: 2}}\n"
    )
    fill = load_config(config, environment={}).env.fill
    bid = found.fits[0].sides["bid"]
    assert bid is not None and fill.rule == "calibrated_intensity"
    assert fill.bid_intensity == pytest.approx(bid.intensity.value, rel=1e-5)
    assert fill.bid_decay == pytest.approx(bid.decay.value, rel=1e-5)
    assert fill.ask_decay == 2.0


def test_made_up_candles_say_so_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    write_candles(path, generate_candles(SyntheticSettings(days=3)))
    found = calibrate(CalibrationRequest(candles=path))
    for text in (table(found), to_yaml(found, name="c.yaml")):
        assert "SYNTHETIC DATA" in text
        assert found.sha256[:8] in text


def test_a_side_that_nobody_trades_is_named(tmp_path: Path) -> None:
    path = write_flow(tmp_path / "flow", seconds=500, sells=1.0, buys=0.0, decay=1.0)
    with pytest.raises(UserError, match="ask side: 0 of 498 windows"):
        calibrate(CalibrationRequest(tape=path))


def test_a_tape_shorter_than_its_windows_is_refused(tmp_path: Path) -> None:
    path = write_flow(tmp_path / "flow", seconds=20, sells=1.0, buys=1.0, decay=1.0)
    with pytest.raises(UserError, match="expected at least 30 windows of 1 s"):
        calibrate(CalibrationRequest(tape=path))
