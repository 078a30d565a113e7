"""Writing files: whole or not at all, durable before they are named."""

import contextlib
import csv
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file through a temporary name, fsync and rename.

    A reader sees the old content or the new, never a part; a kill leaves the old one. On failure
    (a full disk, say) the temporary file is removed and the error is passed on, naming `path`.
    """
    with naming(path):
        _write_atomically(path, write)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let what the system refuses name the file that was asked for, whatever was touched for it."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def _write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp gives 0600; results are meant to be read by whoever may read the directory.
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""
    write_atomically(path, lambda file: file.write(content))


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, content.encode())


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines, each with its end, as UTF-8 atomically; never all of them in memory."""
    write_atomically(path, lambda file: file.writelines(line.encode() for line in lines))


def write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write rows, the header first, as CSV atomically."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    write_text(path, buffer.getvalue())


def write_json(path: Path, content: Any, *, compact: bool = False) -> None:
    """Write JSON atomically, keys in the order given; NaN is refused (write null instead)."""
    layout: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 2}
    write_text(path, json.dumps(content, allow_nan=False, **layout) + "\n")


def append_line(path: Path, line: str) -> None:
    """Append a line durably; what is there already is never touched.

    A kill or a full disk leaves at most a part of this line, and the next one begins anew. Errors
    name `path`. Two processes at once need a lock between them.
    """
    with naming(path):
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            whole = size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
            content = f"{'' if whole else chr(10)}{line}\n".encode()
            while content:
                content = content[os.write(descriptor, content) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


Stamp = tuple[int, int, int]
"""What changes with a file: its time in ns, its size and its number."""


def stamp_of(path: Path | str) -> Stamp | None:
    """Return a file's stamp, None when it is not there."""
    try:
        return stamp_of_stat(os.stat(path))  # noqa: PTH116 - asked for thousands of times
    except (FileNotFoundError, NotADirectoryError):
        return None


def stamp_of_stat(stat: os.stat_result) -> Stamp:
    """Return the stamp of a file that is open, or has been asked for already."""
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def canonical_json(content: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_hash(content: Any) -> str:
    """Return the sha256 of a value's canonical JSON as hex."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """Return the sha256 of a file's bytes as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_directory(directory: Path) -> None:
    """Make a rename durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
