"""Studies in one file of a shared file system, written by many hosts without file locks."""

import json
import os
from pathlib import Path
from typing import IO, Any

from optuna.storages.journal import JournalFileBackend

from makerlab.files import naming
from makerlab.runs.lease import Lease

_BLOCK = 4096


class LeasedJournal(JournalFileBackend):
    """Optuna's journal, its lines appended under a lease of our own.

    The last words of a writer that was killed are cut off before the next line is written, since
    Optuna would take the file for damaged. The file stays one that Optuna's own tools read.
    """

    def __init__(self, path: Path, *, stale_seconds: float) -> None:
        """Open a journal; the file is made if it is not there."""
        super().__init__(str(path))
        self._path = path
        self._lease = Lease(journal_lease(path), stale_seconds=stale_seconds)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries, on disk when this returns."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._lease.acquire()
        try:
            with naming(self._path), self._path.open("a+b") as file:
                # Only where there is something to cut: a writer that was stopped here and lost the
                # lease must not cut off what others have written since.
                if (whole := whole_lines(file)) < file.seek(0, os.SEEK_END):
                    file.truncate(whole)
                file.write(lines.encode())
                file.flush()
                os.fsync(file.fileno())
        finally:
            self._lease.release()


def journal_lease(path: Path) -> Path:
    """Return the lease under which a journal is appended to."""
    return path.with_name(f".{path.name}.lease")


def whole_lines(file: IO[bytes]) -> int:
    """Return how many bytes of a file are whole lines, looking from its end."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        begin = max(end - _BLOCK, 0)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0
