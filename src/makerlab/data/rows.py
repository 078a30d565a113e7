"""Checks of candle rows: each names the first row that breaks it."""

import decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


class BadRow(Exception):
    """The first row (0-based) that breaks a rule, and what is wrong with it."""

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(problem)
        self.row = row
        self.problem = problem


def first_true(mask: npt.NDArray[np.bool_]) -> int | None:
    """Return the index of the first true element of (rows,), or None."""
    if mask.size == 0:
        return None
    index = int(mask.argmax())
    return index if mask[index] else None


def numbers(column: "pd.Series[Any]", name: str) -> Float64:
    """Return a column as (rows,) float64; raises BadRow for text, NaN and infinities."""
    values = _to_float(column)
    bad = first_true(~np.isfinite(values))
    if bad is None:
        return values
    found = column.iloc[bad]
    if pd.isna(found):
        raise BadRow(bad, f"{name} is missing (NaN or empty), expected a number")
    if np.isinf(values[bad]):
        raise BadRow(bad, f"{name} is infinite, expected a finite number")
    raise BadRow(bad, f"{name} is {found!r}, expected a number")


def any_set(column: "pd.Series[Any]") -> bool:
    """Tell whether a flag column is set anywhere.

    Unset are zero, false, blank and missing; all else counts as set.
    """
    given = column[column.notna()].astype(str).str.strip().str.lower()
    return not bool(given.isin(["", "0", "0.0", "false"]).all())


def check_prices(prices: dict[str, Float64], volume: Float64) -> None:
    """Check open, high, low and close against zero and each other, and volume against zero.

    Raises BadRow.
    """
    for name, values in prices.items():
        bad = first_true(values <= 0.0)
        if bad is not None:
            raise BadRow(bad, f"{name} is {values[bad]:.12g}, expected a positive price")
    bad = first_true(volume < 0.0)
    if bad is not None:
        raise BadRow(bad, f"volume is {volume[bad]:.12g}, expected zero or more")
    high, low = prices["high"], prices["low"]
    bad = first_true(high < low)
    if bad is not None:
        raise BadRow(bad, f"high {high[bad]:.12g} is below low {low[bad]:.12g}")
    for name in ("open", "close"):
        values = prices[name]
        bad = first_true((values < low) | (values > high))
        if bad is not None:
            raise BadRow(
                bad,
                f"{name} {values[bad]:.12g} lies outside the bar's range, low {low[bad]:.12g} "
                f"to high {high[bad]:.12g}",
            )


def check_order(ts_ms: Int64) -> None:
    """Check that timestamps rise strictly; raises BadRow for a duplicate or a step back."""
    steps = np.diff(ts_ms)
    bad = first_true(steps <= 0)
    if bad is None:
        return
    here, before = iso(ts_ms[bad + 1]), iso(ts_ms[bad])
    if steps[bad] == 0:
        raise BadRow(bad + 1, f"duplicate timestamp {here}, the same as the row before")
    if first_true(ts_ms[: bad + 1] == ts_ms[bad + 1]) is not None:
        raise BadRow(bad + 1, f"duplicate timestamp {here}, found earlier in the file")
    raise BadRow(bad + 1, f"unsorted: timestamp {here} comes after {before}")


def bar_length(ts_ms: Int64) -> int:
    """Return the most common spacing in ms (the shortest of several); raises BadRow.

    Every other spacing has to be a whole multiple of it: then bars are missing, which is a gap.
    Anything else is off the grid, which is an error.
    """
    steps = np.diff(ts_ms)
    lengths, counts = np.unique(steps, return_counts=True)
    bar_ms = int(lengths[counts.argmax()])
    bad = first_true(steps % bar_ms != 0)
    if bad is not None:
        raise BadRow(
            bad + 1,
            f"timestamp {iso(ts_ms[bad + 1])} is off the bar grid: {steps[bad] / 1000:g} s after "
            f"the row before, expected a multiple of the bar length, {bar_ms / 1000:g} s",
        )
    return bar_ms


def iso(ts_ms: int | np.int64) -> str:
    """Return a time in ms as ISO 8601 text in UTC, with milliseconds only where there are any."""
    time = np.datetime64(int(ts_ms), "ms")
    return f"{time.astype('datetime64[s]') if int(ts_ms) % 1000 == 0 else time}Z"


def _to_float(column: "pd.Series[Any]") -> Float64:
    """Return float64 with NaN where a value is no number."""
    if column.dtype.kind in "iuf":
        return column.to_numpy(dtype=np.float64, copy=True, na_value=np.nan)
    return np.array([_float_or_nan(value) for value in column.tolist()], dtype=np.float64)


def _float_or_nan(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float | decimal.Decimal):
        return float("nan")
    try:
        return float(value)
    except ValueError:
        return float("nan")
