"""Candles: loaded whole from one file, validated, never repaired.

Files carry the columns timestamp, open, high, low, close and volume, in any order and case, with
any others beside them. A column `synthetic` that is not zero marks made-up data wherever the file
lies. Missing bars stay missing; `DataSource.gaps` lists them.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from makerlab.data import rows, tables, timestamps
from makerlab.data.array_cache import Arrays, Facts, code_digest, kept_arrays
from makerlab.data.rows import (
    BadRow,
    Float64,
    Int64,
    any_set,
    bar_length,
    check_order,
    check_prices,
    iso,
    numbers,
)
from makerlab.data.tables import csv_lines, csv_table, parquet_table, read_bytes
from makerlab.data.timestamps import timestamps_to_ms
from makerlab.errors import UserError, nearest
from makerlab.files import write_atomically

TIMESTAMP_NAMES = ("timestamp", "ts", "open_time", "datetime", "time", "date")
PRICE_NAMES = ("open", "high", "low", "close")
SYNTHETIC_COLUMN = "synthetic"
SUFFIXES = (".csv", ".parquet")


@dataclasses.dataclass(frozen=True)
class Gap:
    """Bars missing between two open times that the file has."""

    after_ms: int
    before_ms: int
    missing_bars: int

    def to_dict(self) -> dict[str, Any]:
        """Return the gap for the manifest, times as ISO text."""
        return {
            "after": iso(self.after_ms),
            "before": iso(self.before_ms),
            "missing_bars": self.missing_bars,
        }


@dataclasses.dataclass(frozen=True)
class DataSource:
    """Where candles came from. `start_ms` is the first bar's open, `end_ms` the last bar's close.

    A slice keeps the source of the whole: rows, span and gaps are those of the file.
    """

    kind: Literal["synthetic", "file"]
    path: str
    sha256: str
    rows: int
    bar_ms: int
    start_ms: int
    end_ms: int
    gaps: tuple[Gap, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the source for the manifest; times as ISO text."""
        return {
            "data_source": self.kind,
            "data_path": self.path,
            "data_hash": self.sha256,
            "rows": self.rows,
            "bar_seconds": self.bar_ms / 1000,
            "start": iso(self.start_ms),
            "end": iso(self.end_ms),
            "missing_bars": sum(gap.missing_bars for gap in self.gaps),
            "gaps": [gap.to_dict() for gap in self.gaps],
        }


@dataclasses.dataclass(frozen=True)
class Candles:
    """Validated bars, oldest first. Arrays are (bars,), read-only; `ts_ms` is the open time UTC."""

    ts_ms: Int64
    open: Float64
    high: Float64
    low: Float64
    close: Float64
    volume: Float64
    source: DataSource

    def __post_init__(self) -> None:
        for array in self.arrays().values():
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.ts_ms)

    @property
    def bar_ms(self) -> int:
        """The length of a bar in ms."""
        return self.source.bar_ms

    def slice(self, start: int, stop: int) -> "Candles":
        """Return bars start..stop-1 as views; nothing outside them can be reached from it."""
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"slice {start}:{stop} of {len(self)} bars")
        parts = {name: array[start:stop] for name, array in self.arrays().items()}
        return dataclasses.replace(self, **parts)

    def to_frame(self) -> pd.DataFrame:
        """Return the columns of a candle file, with `synthetic` where the source is."""
        columns: dict[str, Any] = {"timestamp": self.ts_ms}
        columns |= {name: getattr(self, name) for name in (*PRICE_NAMES, "volume")}
        if self.source.kind == "synthetic":
            columns[SYNTHETIC_COLUMN] = np.ones(len(self), dtype=np.int64)
        return pd.DataFrame(columns)

    def arrays(self) -> dict[str, Any]:
        """Return the columns by name."""
        return {name: getattr(self, name) for name in ("ts_ms", *PRICE_NAMES, "volume")}


def load_candles(path: Path, *, cache_folder: Path | None = None) -> Candles:
    """Load and validate a CSV or Parquet file of candles.

    With a cache folder the validated bars are kept there under the hash of the file's content and
    the code that reads it, and mapped into memory the next time. Raises UserError naming the file
    and, where a row is at fault, the first such row and value.
    """
    suffix = path.suffix.lower()
    content = read_bytes(path)
    if suffix not in SUFFIXES:
        raise UserError(
            f"{path}: unknown kind of file '{path.suffix}'; {nearest(suffix, SUFFIXES)}"
        )
    if not content:
        raise UserError(f"{path}: the file is empty, expected candles")
    sha256 = hashlib.sha256(content).hexdigest()

    def parsed() -> tuple[Facts, Arrays]:
        frame = csv_table(path, content) if suffix == ".csv" else parquet_table(path, content)
        lines = csv_lines(content) if suffix == ".csv" else None
        candles = candles_from_frame(frame, path=str(path), sha256=sha256, line_of=lines)
        return _facts(candles.source), candles.arrays()

    facts, arrays = kept_arrays(cache_folder, f"candles{suffix}-{sha256}-{_code()}", parsed)
    gaps = tuple(Gap(*gap) for gap in facts["gaps"])
    source = DataSource(path=str(path), sha256=sha256, **facts | {"gaps": gaps})
    return Candles(source=source, **arrays)


def _facts(source: DataSource) -> Facts:
    """Return what a source says of its content, wherever the file lies."""
    facts = dataclasses.asdict(source)
    del facts["path"], facts["sha256"]
    return facts | {"gaps": [dataclasses.astuple(gap) for gap in source.gaps]}


def _code() -> str:
    return code_digest(
        [module.__file__ or "" for module in (rows, tables, timestamps)] + [__file__]
    )


def candles_from_frame(
    frame: pd.DataFrame,
    *,
    path: str,
    sha256: str,
    line_of: Callable[[int], int | None] | None = None,
) -> Candles:
    """Validate a table of candles that came from `path` with content hash `sha256`.

    `line_of` maps a data row (0-based) to its line in the file, for messages. Raises UserError.
    """
    columns = _find_columns(list(frame.columns), path=path)
    if len(frame) < 2:
        raise UserError(f"{path}: found {len(frame)} rows of candles, expected at least 2")
    try:
        return _validated(frame, columns, path=path, sha256=sha256)
    except BadRow as finding:
        line = line_of(finding.row) if line_of else None
        place = f"row {finding.row + 1}" + (f" (line {line})" if line else "")
        raise UserError(f"{path}: {place}: {finding.problem}") from None


def write_candles(path: Path, candles: Candles) -> None:
    """Write candles as CSV or Parquet by suffix, atomically; they load to the same bits."""
    frame = candles.to_frame()
    if path.suffix.lower() == ".csv":
        write_atomically(path, lambda file: frame.to_csv(file, index=False, lineterminator="\n"))
    elif path.suffix.lower() == ".parquet":
        table = pa.Table.from_pandas(frame, preserve_index=False)
        write_atomically(path, lambda file: pq.write_table(table, file, write_page_checksum=True))
    else:
        raise UserError(
            f"{path}: unknown kind of file '{path.suffix}'; {nearest(path.suffix, SUFFIXES)}"
        )


def refuse_gaps(candles: Candles) -> None:
    """Raise UserError when bars are missing (`data.gaps: error`), naming the first gap."""
    gaps = candles.source.gaps
    if gaps:
        raise UserError(
            f"{candles.source.path}: {gaps[0].missing_bars} bars are missing after "
            f"{iso(gaps[0].after_ms)} ({len(gaps)} gaps in all) and data.gaps is 'error'; mend the "
            "file or set data.gaps: skip"
        )


def _find_columns(names: Sequence[Any], *, path: str) -> dict[str, int]:
    """Map the needed columns to their positions; raises UserError for missing or double ones."""
    known = [str(name).strip().lower().replace(" ", "_") for name in names]
    shown = ", ".join(str(name) for name in names)
    time_name = next((name for name in TIMESTAMP_NAMES if name in known), None)
    if known and all(name.replace(".", "", 1).isdigit() for name in known):
        raise UserError(
            f"{path}: the first line is a row of numbers, expected the names of the columns: "
            f"timestamp, {', '.join(PRICE_NAMES)}, volume"
        )
    if time_name is None:
        raise UserError(
            f"{path}: column 'timestamp' is missing (or {', '.join(TIMESTAMP_NAMES[1:])}); "
            f"found: {shown}"
        )
    wanted = {"timestamp": time_name} | {name: name for name in (*PRICE_NAMES, "volume")}
    if SYNTHETIC_COLUMN in known:
        wanted[SYNTHETIC_COLUMN] = SYNTHETIC_COLUMN
    for name in wanted.values():
        if name not in known:
            raise UserError(f"{path}: column '{name}' is missing; {nearest(name, known)}")
        if known.count(name) > 1:
            raise UserError(f"{path}: column '{name}' is there twice, expected once; found {shown}")
    return {key: known.index(name) for key, name in wanted.items()}


def _validated(frame: pd.DataFrame, columns: dict[str, int], *, path: str, sha256: str) -> Candles:
    ts_ms = timestamps_to_ms(frame.iloc[:, columns["timestamp"]])
    check_order(ts_ms)
    bar_ms = bar_length(ts_ms)
    prices = {name: numbers(frame.iloc[:, columns[name]], name) for name in PRICE_NAMES}
    volume = numbers(frame.iloc[:, columns["volume"]], "volume")
    check_prices(prices, volume)
    flag = columns.get(SYNTHETIC_COLUMN)
    source = DataSource(
        kind="synthetic" if flag is not None and any_set(frame.iloc[:, flag]) else "file",
        path=path,
        sha256=sha256,
        rows=len(frame),
        bar_ms=bar_ms,
        start_ms=int(ts_ms[0]),
        end_ms=int(ts_ms[-1]) + bar_ms,
        gaps=_gaps(ts_ms, bar_ms),
    )
    return Candles(ts_ms=ts_ms, volume=volume, source=source, **prices)


def _gaps(ts_ms: Int64, bar_ms: int) -> tuple[Gap, ...]:
    steps = np.diff(ts_ms)
    return tuple(
        Gap(int(ts_ms[at]), int(ts_ms[at + 1]), int(steps[at]) // bar_ms - 1)
        for at in np.flatnonzero(steps != bar_ms)
    )
