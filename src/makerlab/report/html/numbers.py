"""Numbers as a reader should see them: with their interval, their unit, and no digit too many."""

import math

from makerlab.statistics.bootstrap import Estimate

NOTHING = "–"
MINUS = "\N{MINUS SIGN}"
_SIGNIFICANT = 3


def plain(value: float | None, *, digits: int = _SIGNIFICANT) -> str:
    """Return a number that has no interval, with three significant digits; a dash for nothing."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return _fixed(value, max(0, _decimals(abs(value), digits)))


def whole(value: float | None) -> str:
    """Return a count with its thousands apart; a dash for nothing."""
    return NOTHING if value is None or not math.isfinite(value) else _fixed(value, 0)


def with_interval(estimate: Estimate, *, signed: bool = False) -> str:
    """Return `value [low, high]` with two significant digits of the interval's half-width.

    Where there is no interval the value stands alone and says so.
    """
    value, low, high = estimate
    if value is None:
        return NOTHING
    plus = "+" if signed and value > 0.0 else ""
    if low is None or high is None:
        return f"{plus}{plain(value)} (no interval)"
    decimals = decimals_of(estimate)
    return f"{plus}{_fixed(value, decimals)} [{_fixed(low, decimals)}, {_fixed(high, decimals)}]"


def centre(estimate: Estimate) -> str:
    """Return the value alone, with as many digits as its interval supports."""
    if estimate.value is None:
        return NOTHING
    return _fixed(estimate.value, decimals_of(estimate))


def decimals_of(estimate: Estimate) -> int:
    """Return how many decimals an estimate's interval supports; -1 means tens, -2 hundreds."""
    value, low, high = estimate
    largest = max((abs(bound) for bound in estimate if bound is not None), default=0.0)
    if value is None or low is None or high is None or high - low <= 1e-9 * largest:
        return max(0, _decimals(abs(value or 0.0), _SIGNIFICANT))
    decimals = _decimals((high - low) / 2.0, 2)
    # An interval that leaves out zero must not be rounded onto it.
    hidden = (bound for bound in (low, high) if bound != 0.0 and round(bound, decimals) == 0.0)
    return decimals + 1 if low * high > 0.0 and any(hidden) else decimals


def unit_of(metric: str, description: str) -> str:
    """Return a metric's unit, read from its name or from what describes it; empty for none."""
    if metric.endswith("_bps"):
        return "bps"
    if metric.endswith("_pct"):
        return "%"
    for sign, unit in _UNITS.items():
        if sign in description.lower():
            return unit
    return ""


_UNITS = {"currency": "quote currency", "base units": "base units", "number of bars": "bars"}


def words(name: str) -> str:
    """Return a metric's or policy's name in words."""
    for suffix, unit in (("_bps", " (bps)"), ("_pct", " (%)")):
        name = name.replace(suffix, unit)
    return " ".join(_PROPER_NAMES.get(part, part) for part in name.split("_"))


_PROPER_NAMES = {
    name.lower().replace("é", "e"): name
    for name in (
        "Sharpe",
        "Sortino",
        "Avellaneda",
        "Stoikov",
        "Guéant",
        "Lehalle",
        "Fernandez",
        "Tapia",
    )
}


def _decimals(size: float, significant: int) -> int:
    if size == 0.0 or not math.isfinite(size):
        return 0
    return min(12, significant - 1 - math.floor(math.log10(size)))


def _fixed(value: float, decimals: int) -> str:
    text = f"{round(value, decimals):,.{max(decimals, 0)}f}"
    # What rounds to zero has no sign.
    if not text.strip("-0.,"):
        text = text.lstrip("-")
    return text.replace("-", MINUS)
