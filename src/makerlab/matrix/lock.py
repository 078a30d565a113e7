"""One matrix at a time in a runs directory, whatever hosts matrices are started on."""

import contextlib
import datetime
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from makerlab.errors import Failed, UserError
from makerlab.runs.lease import Lease
from makerlab.runs.owner import is_local

RENEW_SECONDS = 10.0
STALE_SECONDS = 90.0
PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.25


class TakenOver(Failed):
    """Another matrix works here now: this one was not heard of for so long that it seemed dead."""


@dataclass(frozen=True)
class MatrixLock:
    """The right to work in a runs directory.

    `jobs_file` is an open file that jobs of this machine inherit: whoever holds it open is at
    work, even when its matrix was killed.
    """

    runs_dir: Path
    lease: Lease
    jobs_file: int

    @property
    def held(self) -> bool:
        """Whether no other matrix has taken over."""
        return self.lease.held

    def check(self) -> None:
        """Raise TakenOver when another matrix has taken over."""
        if not self.held:
            raise TakenOver(
                f"{self.runs_dir}: another matrix works there now, since this one seemed dead for "
                f"more than {STALE_SECONDS:.0f} s; see make status"
            )


@contextlib.contextmanager
def matrix_lock(
    runs_dir: Path,
    say: Callable[[str], None],
    *,
    renew_seconds: float = RENEW_SECONDS,
    stale_seconds: float = STALE_SECONDS,
) -> Iterator[MatrixLock]:
    """Let one matrix at a time work in a runs directory.

    The lock of a process that died on this host is taken at once, that of one elsewhere when it
    has not moved for `stale_seconds` of this host's clock. Jobs that a killed matrix left on this
    host are waited for: they save their state and leave. Raises UserError when another matrix is
    at work, or such jobs do not end.
    """
    lease = Lease(_lease_of(runs_dir), stale_seconds=stale_seconds)
    _acquire(lease, runs_dir, say, stale_seconds=stale_seconds)
    path = runs_dir / ".matrix.jobs"
    with lease.kept(every=renew_seconds), path.open("a") as file:
        _wait_for_jobs(path, runs_dir, say)
        yield MatrixLock(runs_dir, lease, file.fileno())


def last_sign_of_life(runs_dir: Path) -> datetime.datetime | None:
    """Return when the matrix of a directory last renewed its lock, by the file system's clock.

    None where no matrix has ever worked. A matrix that lives renews it every RENEW_SECONDS.
    """
    try:
        renewed = _lease_of(runs_dir).stat().st_mtime
    except OSError:
        return None
    return datetime.datetime.fromtimestamp(renewed, datetime.UTC)


def _lease_of(runs_dir: Path) -> Path:
    return runs_dir / ".matrix.lease"


def _acquire(
    lease: Lease, runs_dir: Path, say: Callable[[str], None], *, stale_seconds: float
) -> None:
    told = False
    while not lease.try_acquire():
        holder = lease.holder()
        if holder is None:
            continue
        if lease.is_seen_alive():
            raise UserError(
                f"{runs_dir}: another matrix is at work there ({_name(holder)}); "
                "see make status, wait for it, or choose another --runs_dir (make: RUNS_DIR=...)"
            )
        if not told and not is_local(holder):
            say(
                f"{runs_dir} belongs to a matrix elsewhere ({_name(holder)}); waiting for a sign "
                f"of life, or {stale_seconds:.0f} s without one"
            )
            told = True
        time.sleep(_PAUSE_SECONDS)


def _name(holder: dict[str, Any]) -> str:
    where = "" if is_local(holder) else f" on {holder['host']}"
    return f"process {holder['pid']}{where}"


def _wait_for_jobs(path: Path, runs_dir: Path, say: Callable[[str], None]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    told = False
    while jobs := _holders(path):
        if time.monotonic() > until:
            raise UserError(
                f"{runs_dir}: processes of an earlier matrix still work there "
                f"({', '.join(map(str, jobs))}); end them"
            )
        if not told:
            say(f"waiting for processes of an earlier matrix in {runs_dir} to save their state")
        told = True
        time.sleep(_PAUSE_SECONDS)


def _holders(path: Path) -> list[int]:
    """Return the other processes of this host that hold a file open, as far as it tells."""
    found, name = [], str(path.resolve())
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if name in {file.path for file in process.open_files()}:
                found.append(process.pid)
    return [pid for pid in found if pid != os.getpid()]
