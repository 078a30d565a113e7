"""Scales of charts: where a value lies, and which values are worth a tick."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from makerlab.report.html.numbers import MINUS

Floats = npt.NDArray[np.float64]
Tick = tuple[float, str]

_ROOM = 0.06
_FLAT = 1e-6
_SHORTENED = 1e5
_ENOUGH_FOR_LOG = 20.0
_SECOND, _HOUR, _DAY = 1_000, 3_600_000, 86_400_000
_TIME_STEPS = (
    *(_SECOND * seconds for seconds in (1, 5, 15, 30, 60, 300, 900, 1800)),
    *(_HOUR * hours for hours in (1, 3, 6, 12)),
    *(_DAY * days for days in (1, 2, 4, 7, 14, 30, 60, 120, 365, 730, 1825)),
)


@dataclass(frozen=True)
class Scale:
    """A stretch of numbers laid over pixels; `ticks` are (value, label)."""

    low: float
    high: float
    ticks: tuple[Tick, ...]
    log: bool = False

    def share(self, values: npt.ArrayLike) -> Floats:
        """Return where values lie between the ends, 0 to 1; any shape."""
        found = np.asarray(values, dtype=np.float64)
        if self.log:
            return np.asarray(
                (np.log(found) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
            )
        return np.asarray((found - self.low) / (self.high - self.low))


def linear(
    values: Iterable[float], *, zero: bool = False, ticks: int = 5, whole: bool = False
) -> Scale:
    """Return a scale around finite values with a little room; `zero` draws zero in.

    `whole` is for counts, which have nothing between them.
    """
    known = [value for value in values if math.isfinite(value)]
    known += [0.0] if zero or not known else []
    low, high = min(known), max(known)
    largest = max(abs(low), abs(high))
    if high - low <= 1e-9 * max(largest, _FLAT):
        reach = 0.1 * largest if largest > _FLAT else 1.0
        low, high = low - reach, high + reach
    room = _ROOM * (high - low)
    low = low if zero and low == 0.0 else low - room
    high = high if zero and high == 0.0 else high + room
    return Scale(low, high, _linear_ticks(low, high, ticks, least=1.0 if whole else 0.0))


def mirrored(above: Sequence[int], below: Sequence[int]) -> Scale:
    """Return a scale of counts drawn up from zero and down from it; no label has a sign."""
    scale = linear([*above, *(-count for count in below)], zero=True, whole=True)
    return replace(scale, ticks=tuple((value, name.lstrip(MINUS)) for value, name in scale.ticks))


def by_size(values: Sequence[float]) -> Scale:
    """Return a linear scale, a logarithmic one where positive values span over 20 times."""
    if min(values) > 0.0 and max(values) / min(values) > _ENOUGH_FOR_LOG:
        low, high = min(values) / 1.2, max(values) * 1.2
        return Scale(low, high, _log_ticks(low, high), log=True)
    return linear(values)


def categories(names: Sequence[str]) -> Scale:
    """Return a scale with a place per name: 0, 1, 2..."""
    return Scale(-0.6, len(names) - 0.4, tuple((float(i), name) for i, name in enumerate(names)))


def times(stamps_ms: Sequence[float] | Floats) -> Scale:
    """Return a scale of UTC times given in milliseconds."""
    low, high = float(np.min(stamps_ms)), float(np.max(stamps_ms))
    if high <= low:
        high = low + _SECOND
    step = next((each for each in _TIME_STEPS if (high - low) / each <= 5), _TIME_STEPS[-1])
    first = math.ceil(low / step) * step
    stamps = [first + i * step for i in range(int((high - first) // step) + 1)]
    pattern = "%-d %b" if step >= _DAY else "%-d %b %H:%M" if step >= _HOUR else "%H:%M:%S"
    if high - low > 700 * _DAY:
        pattern = "%b %Y"
    named = tuple(
        (float(s), datetime.fromtimestamp(s / 1e3, UTC).strftime(pattern)) for s in stamps
    )
    return Scale(low, high, named)


def _linear_ticks(low: float, high: float, count: int, *, least: float) -> tuple[Tick, ...]:
    raw = max((high - low) / count, least)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(
        each * power
        for each in ((1.0, 2.0, 5.0, 10.0) if least else (1.0, 2.0, 2.5, 5.0, 10.0))
        if each * power >= raw * 0.999
    )
    first = math.ceil(low / step - 1e-9)
    steps = range(first, math.floor(high / step + 1e-9) + 1)
    unit, sign = (1e6, "M") if step >= _SHORTENED else (1.0, "")
    decimals = next((d for d in range(12) if math.isclose(round(step / unit, d), step / unit)), 12)
    return tuple((i * step, _tick_text(i * step / unit, decimals) + sign) for i in steps)


def _tick_text(value: float, decimals: int) -> str:
    return f"{value + 0.0:,.{decimals}f}".replace("-", MINUS)


def _log_ticks(low: float, high: float) -> tuple[Tick, ...]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if len(powers) > 4 else (1, 3) if len(powers) > 2 else (1, 2, 5)
    values = [factor * 10.0**power for power in powers for factor in factors]
    return tuple((value, f"{value:g}") for value in values if low <= value <= high)
