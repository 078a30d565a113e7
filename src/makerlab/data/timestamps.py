"""Open times of bars, whatever they are written as, to integer milliseconds UTC."""

from typing import Any

import numpy as np
import pandas as pd

from makerlab.data.rows import BadRow, Int64, first_true

# An integer's unit is told by its size: a bar of the years 1973 to 5138 falls in exactly one class.
_SMALLEST = 1e8
_UNITS = (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", np.inf))
_PER_MILLISECOND = {"ms": 1, "us": 1_000, "ns": 1_000_000}
_EXPECTED = "expected ISO 8601 text such as 2024-12-01T00:00:00Z, or s, ms, us or ns since 1970"


def timestamps_to_ms(column: "pd.Series[Any]") -> Int64:
    """Convert a column of numbers, ISO text or timestamps to (bars,) ms since 1970 UTC.

    Text without an offset is UTC; text with one is converted. Raises BadRow for the first value
    that is missing, unreadable, of another kind or unit than the first, or not a whole ms.
    """
    missing = first_true(column.isna().to_numpy(dtype=bool))
    if missing is not None:
        raise BadRow(missing, f"timestamp is missing; {_EXPECTED}")
    if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
        return _instants_to_ms(column, pd.to_datetime(column, utc=True))
    if column.dtype.kind in "iuf":
        return _numbers_to_ms(column)
    return _text_to_ms(column.astype(object))


def _text_to_ms(column: "pd.Series[Any]") -> Int64:
    numbers = pd.to_numeric(column.where(~_is_boolean(column)), errors="coerce")
    is_number = numbers.notna().to_numpy(dtype=bool)
    if is_number.all():
        return _numbers_to_ms(pd.Series(numbers))
    text = column.where(~is_number)
    instants = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    bad = first_true(~is_number & instants.isna().to_numpy(dtype=bool))
    if bad is not None:
        raise BadRow(bad, f"timestamp {column.iloc[bad]!r} is unreadable; {_EXPECTED}")
    other = first_true(is_number != is_number[0])
    if other is not None:
        raise BadRow(
            other,
            f"timestamp {column.iloc[other]!r} is of another kind than the first, "
            f"{column.iloc[0]!r}; expected one kind in the whole file",
        )
    return _instants_to_ms(column, instants)


def _numbers_to_ms(column: "pd.Series[Any]") -> Int64:
    values = column.to_numpy()
    size = np.abs(values.astype(np.float64))
    bad = first_true(~np.isfinite(size) | (size < _SMALLEST))
    if bad is not None:
        raise BadRow(bad, f"timestamp {_show(values[bad])} is no time since 1973; {_EXPECTED}")
    limits = np.array([limit for _, limit in _UNITS])
    unit_index = np.searchsorted(limits, size, side="right")
    other = first_true(unit_index != unit_index[0])
    if other is not None:
        found, first = _UNITS[unit_index[other]][0], _UNITS[unit_index[0]][0]
        raise BadRow(
            other,
            f"timestamp {_show(values[other])} looks like {found} where the first looks like "
            f"{first}; expected one unit in the whole file",
        )
    return _scaled_to_ms(values, _UNITS[unit_index[0]][0])


def _scaled_to_ms(values: Any, unit: str) -> Int64:
    if unit == "s":
        ms = np.rint(values.astype(np.float64) * 1000.0).astype(np.int64)
        # Seconds as floats carry an error of some 1e-7; more than that is a fraction of a ms.
        bad = first_true(np.abs(ms / 1000.0 - values.astype(np.float64)) > 1e-6)
    else:
        whole = values.astype(np.int64)
        ms = whole // _PER_MILLISECOND[unit]
        bad = first_true((whole != values) | (whole % _PER_MILLISECOND[unit] != 0))
    if bad is not None:
        raise BadRow(bad, f"timestamp {_show(values[bad])} ({unit}) is not a whole millisecond")
    return np.asarray(ms, dtype=np.int64)


def _instants_to_ms(column: "pd.Series[Any]", instants: Any) -> Int64:
    exact = instants.dt.tz_localize(None).to_numpy()
    ms = exact.astype("datetime64[ms]")
    bad = first_true(ms != exact)
    if bad is not None:
        raise BadRow(bad, f"timestamp {column.iloc[bad]} is not a whole millisecond")
    return np.asarray(ms.astype(np.int64))


def _is_boolean(column: "pd.Series[Any]") -> Any:
    return column.map(lambda value: isinstance(value, bool | np.bool_)).to_numpy(dtype=bool)


def _show(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)
