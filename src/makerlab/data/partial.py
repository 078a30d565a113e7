"""The partial file of a download: a candle CSV that only ever grows by whole, synced pages.

A kill at any moment leaves complete lines and at most one torn line at the end, which the next
`open_partial` drops. Only closed bars are appended, each later than the one before, so that a
line once written stays true.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from makerlab.data.candles import PRICE_NAMES, Candles
from makerlab.data.exchange import Row
from makerlab.files import write_bytes

HEADER = ",".join(("timestamp", *PRICE_NAMES, "volume")).encode() + b"\n"


def partial_path(output: Path) -> Path:
    """Return the name of the partial file beside an output."""
    return output.with_name(output.name + ".partial.csv")


def count_rows(path: Path) -> int:
    """Count the whole bars of a partial file; none when there is no such file."""
    if not path.is_file():
        return 0
    content = path.read_bytes()
    return max(0, content.count(b"\n", 0, _valid_prefix(content)[0]) - 1)


def open_partial(path: Path, existing: Candles | None) -> int | None:
    """Make the partial file whole and return the open time of its last bar, None if it has none.

    It is cut to its valid lines. If it then ends before the finished file that is to be
    continued, it starts again as a copy of that file.
    """
    content = path.read_bytes() if path.is_file() else b""
    length, last_ms = _valid_prefix(content)
    if existing is not None and (last_ms is None or last_ms < int(existing.ts_ms[-1])):
        write_bytes(path, HEADER + _lines(_rows(existing)))
        return int(existing.ts_ms[-1])
    if last_ms is None:
        write_bytes(path, HEADER)
    elif length < len(content):
        _truncate(path, length)
    return last_ms


def append_rows(path: Path, rows: Sequence[Row]) -> None:
    """Append bars and wait until they are on disk."""
    with path.open("ab") as file:
        file.write(_lines(rows))
        file.flush()
        os.fsync(file.fileno())


def _lines(rows: Sequence[Row]) -> bytes:
    # repr is the shortest text that reads back to the same float.
    return "".join(f"{row[0]},{','.join(map(repr, row[1:]))}\n" for row in rows).encode()


def _rows(candles: Candles) -> list[Row]:
    columns = [candles.ts_ms, *(getattr(candles, name) for name in (*PRICE_NAMES, "volume"))]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _valid_prefix(content: bytes) -> tuple[int, int | None]:
    """Return the length in bytes of the valid beginning and the time of its last bar."""
    if not content.startswith(HEADER):
        return 0, None
    length, last_ms = len(HEADER), None
    for line in content[length:].splitlines(keepends=True):
        ts_ms = _time_of(line)
        if ts_ms is None or (last_ms is not None and ts_ms <= last_ms):
            break
        length, last_ms = length + len(line), ts_ms
    return length, last_ms


def _time_of(line: bytes) -> int | None:
    """Return the open time of a whole line of six numbers, None of any other line."""
    fields = line.split(b",")
    if not line.endswith(b"\n") or len(fields) != len(PRICE_NAMES) + 2:
        return None
    try:
        for field in fields[1:]:
            float(field)
        return int(fields[0])
    except ValueError:
        return None


def _truncate(path: Path, length: int) -> None:
    with path.open("r+b") as file:
        file.truncate(length)
        file.flush()
        os.fsync(file.fileno())
