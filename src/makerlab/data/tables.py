"""Reading the bytes of CSV and Parquet files into tables, before anything is known of candles."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from makerlab.errors import UserError


def read_bytes(path: Path) -> bytes:
    """Read a file whole, so that its hash and its rows are of the same bytes."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file of candles; fetch it with scripts/fetch_candles.py or set "
            "env.csv_path: synthetic"
        ) from None
    except IsADirectoryError:
        raise UserError(f"{path}: found a directory, expected a CSV or Parquet file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def csv_table(path: Path, content: bytes) -> pd.DataFrame:
    """Read CSV text with a header; raises UserError naming `path` and, where known, the line."""
    nul = content.find(b"\0")
    if nul >= 0:
        line = content.count(b"\n", 0, nul) + 1
        raise UserError(f"{path}: line {line} holds zero bytes, expected text (a damaged file?)")
    try:
        names = _header(content.decode("utf-8-sig"))
        # Exact decimal conversion: the same text gives the same float on every machine.
        frame = pd.read_csv(
            io.BytesIO(content),
            float_precision="round_trip",
            low_memory=False,
            encoding="utf-8-sig",
        )
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}: line {line} is not UTF-8 text, expected a CSV file") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        problem = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise UserError(f"{path}: not a valid CSV file: {problem}") from None
    if not isinstance(frame.index, pd.RangeIndex):
        raise UserError(f"{path}: the rows hold more fields than the header's {len(names)}")
    # pandas renames the second of two equal columns; the file's own names are wanted.
    return frame.set_axis(names, axis=1)


def _header(text: str) -> list[str]:
    lines = (line for line in io.StringIO(text) if line.strip())
    names = next(csv.reader(lines), None)
    if names is None:
        raise pd.errors.EmptyDataError("only blank lines")
    return names


def parquet_table(path: Path, content: bytes) -> pd.DataFrame:
    """Read a Parquet file; raises UserError naming `path` when it is damaged."""
    try:
        table = pq.read_table(io.BytesIO(content), page_checksum_verification=True)
        # Without pandas' own notes a timestamp that was the index is an ordinary column.
        frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        # Arrow names the buffer it was given; the path stands before.
        problem = str(error).strip().partition("\n")[0].rpartition("'<Buffer>': ")[2]
        raise UserError(f"{path}: not a valid Parquet file: {problem}") from None
    return frame


def csv_lines(content: bytes) -> Callable[[int], int | None]:
    """Return the map from a data row (0-based) to its line, None where fields may span lines."""

    def line_of(row: int) -> int | None:
        if b'"' in content:
            return None
        filled = [at for at, line in enumerate(content.splitlines(), start=1) if line.strip()]
        return filled[row + 1] if row + 1 < len(filled) else None

    return line_of
