"""From a capture or candles to the fill intensity of each side, and whether to trust it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from makerlab.calibration.intensity import FillRule, Intensity, TooFewTrades, fit_intensity
from makerlab.calibration.windows import (
    BASIS_POINTS,
    NANOSECONDS,
    Windows,
    windows_of_candles,
    windows_of_capture,
)
from makerlab.data.candles import load_candles
from makerlab.data.capture import Capture, MarketKind
from makerlab.data.read_capture import read_capture
from makerlab.errors import UserError

Floats = npt.NDArray[np.float64]
Report = Callable[[str], None]

SIDES = ("bid", "ask", "both")
FEWEST_WINDOWS = 30
SMALLEST_NEAREST_BPS = 0.2
FARTHEST_OVER_NEAREST = 12.5
CANDLES_NEAREST, CANDLES_FARTHEST = 4.0 / 3.0, 4.0
"""In volatilities of a bar: nearer, most bars reach a quote whatever the flow."""


@dataclasses.dataclass(frozen=True)
class CalibrationRequest:
    """What to calibrate on, one of the two paths, and how; distances of None are chosen by data."""

    tape: Path | None = None
    candles: Path | None = None
    market: MarketKind | None = None
    symbol: str | None = None
    window_seconds: tuple[float, ...] = (1.0,)
    rolling_seconds: float | None = None
    nearest_bps: float | None = None
    farthest_bps: float | None = None
    rule: FillRule = "exact"
    confidence: float = 0.95


@dataclasses.dataclass(frozen=True)
class Fit:
    """The intensities of one window length; of a side, or None when too few trades tell it."""

    windows: Windows
    nearest_bps: float
    farthest_bps: float
    sides: dict[str, Intensity | None]

    @property
    def volatility_share(self) -> float | None:
        """k times the mid's standard deviation over a window: above 1, k is volatility's."""
        both = self.sides["both"]
        return None if both is None else both.decay.value * self.windows.volatility_bps


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What was found. `fits` has one entry per window length, `rolling` those of the first."""

    source: str
    sha256: str
    synthetic: bool
    rule: FillRule
    confidence: float
    fits: tuple[Fit, ...]
    rolling: tuple[Fit, ...]

    @property
    def warnings(self) -> list[str]:
        """What to know before using the first fit."""
        fit = self.fits[0]
        found = []
        share = fit.volatility_share
        if share is not None and share > 1.0:
            found.append(
                f"k sigma sqrt(W) is {share:.2f}, above 1: over {fit.windows.seconds:g} s the mid "
                "itself moves farther than 1/k, so this k measures volatility, not order flow; "
                "take shorter windows of trades"
            )
        if self.synthetic:
            found.append("SYNTHETIC DATA: this says nothing about a real market")
        return found


def calibrate(request: CalibrationRequest) -> Calibration:
    """Fit A and k per side, for every window length and rolling along the span.

    Raises UserError for bad data and for data with too few trades beyond the nearest distance.
    """
    if request.tape is not None:
        capture = read_capture(request.tape, market=request.market, symbol=request.symbol)
        cut = [_windows(request.tape, capture, seconds) for seconds in request.window_seconds]
        source = f"{request.tape.name}, trades of {capture.symbol} on {capture.market}"
        nearest = _touch_bps(capture)
        far, sha256, synthetic = FARTHEST_OVER_NEAREST * nearest, capture.sha256, False
    else:
        assert request.candles is not None
        candles = load_candles(request.candles)
        cut = [windows_of_candles(candles)]
        source = f"{request.candles.name}, bars of {cut[0].seconds:g} s"
        nearest, far = (
            share * cut[0].volatility_bps for share in (CANDLES_NEAREST, CANDLES_FARTHEST)
        )
        sha256, synthetic = candles.source.sha256, candles.source.kind == "synthetic"
    nearest, far = request.nearest_bps or nearest, request.farthest_bps or far
    if far <= nearest:
        raise UserError(
            f"the farthest distance is {far:g} bp, expected one beyond the nearest, {nearest:g} bp"
        )
    path = request.tape or request.candles
    fits = []
    for windows in cut:
        if len(windows) < FEWEST_WINDOWS:
            raise UserError(
                f"{path}: holds {len(windows)} windows of {windows.seconds:g} s, expected at least "
                f"{FEWEST_WINDOWS}"
            )
        fits.append(_fit(windows, nearest, far, request))
    if any(fits[0].sides[side] is None for side in SIDES):
        raise UserError(f"{path}: {_too_few(fits[0], request)}; take other distances or more data")
    return Calibration(
        source=source,
        sha256=sha256,
        synthetic=synthetic,
        rule=request.rule,
        confidence=request.confidence,
        fits=tuple(fits),
        rolling=tuple(_rolling(cut[0], nearest, far, request)),
    )


def _windows(path: Path, capture: Capture, seconds: float) -> Windows:
    span = (capture.trades.exchange_ns.max() - capture.trades.exchange_ns.min()) / NANOSECONDS
    if seconds * FEWEST_WINDOWS > span:
        raise UserError(
            f"{path}: spans {span:.0f} s, expected at least {FEWEST_WINDOWS} windows of "
            f"{seconds:g} s; take a shorter --window_seconds"
        )
    return windows_of_capture(capture, seconds)


def _touch_bps(capture: Capture) -> float:
    """Return the distance below which the market's own spread decides: its median spread."""
    quotes = capture.quotes
    if not len(quotes.bid):
        return SMALLEST_NEAREST_BPS
    spread = BASIS_POINTS * float(np.median((quotes.ask - quotes.bid) / quotes.bid))
    return max(SMALLEST_NEAREST_BPS, spread)


def _fit(windows: Windows, nearest: float, farthest: float, request: CalibrationRequest) -> Fit:
    sides: dict[str, Intensity | None] = {}
    for side in SIDES:
        try:
            sides[side] = _fit_side(_deepest(windows, side), windows, nearest, farthest, request)
        except TooFewTrades:
            sides[side] = None
    return Fit(windows=windows, nearest_bps=nearest, farthest_bps=farthest, sides=sides)


def _fit_side(
    deepest: Floats,
    windows: Windows,
    nearest: float,
    farthest: float,
    request: CalibrationRequest,
) -> Intensity:
    return fit_intensity(
        deepest,
        window_seconds=windows.seconds,
        nearest_bps=nearest,
        farthest_bps=farthest,
        rule=request.rule,
        confidence=request.confidence,
    )


def _deepest(windows: Windows, side: str) -> Floats:
    if side == "both":
        return np.concatenate([windows.bid_bps, windows.ask_bps])
    deepest: Floats = getattr(windows, f"{side}_bps")
    return deepest


def _too_few(fit: Fit, request: CalibrationRequest) -> str:
    """Say which side has too few trades, and how many."""
    side = next(side for side in SIDES if fit.sides[side] is None)
    try:
        _fit_side(
            _deepest(fit.windows, side), fit.windows, fit.nearest_bps, fit.farthest_bps, request
        )
    except TooFewTrades as problem:
        return f"{side} side: {problem}"
    raise AssertionError(f"the {side} side fits now and did not before")


def _rolling(
    windows: Windows, nearest: float, farthest: float, request: CalibrationRequest
) -> list[Fit]:
    """Fit stretches side by side; a fifth of the span each unless told otherwise."""
    first, last = int(windows.start_ns[0]), int(windows.start_ns[-1])
    span = last - first + round(windows.seconds * NANOSECONDS)
    length = round((request.rolling_seconds or span / NANOSECONDS / 5.0) * NANOSECONDS)
    starts = range(first, last + 1, length)
    parts = [windows.between(start, start + length) for start in starts]
    return [_fit(part, nearest, farthest, request) for part in parts if len(part) > 1]
