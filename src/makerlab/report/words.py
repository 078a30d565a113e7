"""Numbers, intervals and tables as text."""

from collections.abc import Sequence

from tabulate import tabulate

from makerlab.statistics.bootstrap import Estimate

NOTHING = "-"


def number(value: float | None, *, digits: int = 4) -> str:
    """Return a number with four significant digits, or so many; a dash for nothing."""
    if value is None:
        return NOTHING
    if abs(value) >= 1e4:
        return f"{value:,.0f}"
    return f"{value + 0.0:.{digits}g}"


def interval(estimate: Estimate) -> str:
    """Return `value [low, high]`, with dashes where there is no interval, one where no value."""
    if estimate.value is None:
        return NOTHING
    return f"{number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"


def signed(estimate: Estimate) -> str:
    """Return `value [low, high]` with a plus before what is above zero."""
    sign = "+" if (estimate.value or 0.0) > 0.0 else ""
    return sign + interval(estimate)


def p_value(value: float) -> str:
    """Return a p-value with three decimals."""
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def counted(count: int | None, noun: str) -> str:
    """Return how many there are of something, in words."""
    if count is None:
        return f"an unknown number of {noun}s"
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> list[str]:
    """Return the lines of a table; None is a dash."""
    text = tabulate(
        rows, headers=headers, tablefmt="simple", missingval=NOTHING, disable_numparse=True
    )
    return text.splitlines()
