"""Gates: processes go one by one where they would otherwise only get in each other's way.

Nothing depends on a gate once the storage is there. Which trial stands for a slot is told by the
storage itself, and the end of a study comes out the same however many processes reach it; a gate
saves them work done twice.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from makerlab.runs.lease import Lease
from makerlab.tuning.address import StorageAddress
from makerlab.tuning.journal import journal_lease
from makerlab.tuning.patient import Patience, patiently
from makerlab.tuning.relational import engine_of

_LOCK_TIMED_OUT = "55P03"


class Gate(Protocol):
    """Lets one process through at a time."""

    def passing(self, *, seconds: float | None) -> contextlib.AbstractContextManager[None]:
        """Wait for the way to be free, at most so long (None: as long as it takes)."""
        ...


def gate_of(address: StorageAddress, name: str, *, lock_dir: Path, patience: Patience) -> Gate:
    """Return a gate that all processes on one storage share; `name` tells gates apart."""
    if address.is_postgresql:
        return _AdvisoryGate(address, name, patience)
    if address.kind == "journal" and address.path is not None:
        beside = journal_lease(address.path)
        return _LeaseGate(beside.with_name(f"{beside.stem}.{_short(name)}.lease"), patience)
    return _LeaseGate(lock_dir / f".{_short(address.public + name)}.study.lease", patience)


class _LeaseGate:
    """A lease in a folder that all processes see."""

    def __init__(self, folder: Path, patience: Patience) -> None:
        self._folder, self._patience = folder, patience

    @contextlib.contextmanager
    def passing(self, *, seconds: float | None) -> Iterator[None]:
        lease = Lease(self._folder, stale_seconds=self._patience.stale)
        if not lease.acquire(seconds=seconds):
            yield
            return
        with lease.kept(every=self._patience.beat):
            yield


class _AdvisoryGate:
    """An advisory lock of PostgreSQL, which ends with its connection whatever becomes of us."""

    def __init__(self, address: StorageAddress, name: str, patience: Patience) -> None:
        self._engine, self._patience = engine_of(address), patience
        digest = hashlib.sha256(f"makerlab:{name}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)

    @contextlib.contextmanager
    def passing(self, *, seconds: float | None) -> Iterator[None]:
        connection = patiently(lambda: self._locked(seconds), seconds=self._patience.server)
        try:
            yield
        finally:
            _close(connection)

    def _locked(self, seconds: float | None) -> Any:
        """Return a connection that holds the lock, or at least has waited for it."""
        connection = self._engine.connect()
        try:
            _run(connection, "select set_config('lock_timeout', :text, false)", f"{seconds or 60}s")
            while not self._lock(connection) and seconds is None:
                pass
        except BaseException:
            _close(connection)
            raise
        return connection

    def _lock(self, connection: Any) -> bool:
        from sqlalchemy.exc import OperationalError

        try:
            _run(connection, "select pg_advisory_lock(:number)", self._key)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_TIMED_OUT:
                raise
            return False
        return True


def _run(connection: Any, statement: str, value: str | int) -> None:
    from sqlalchemy import text

    name = "number" if isinstance(value, int) else "text"
    connection.execute(text(statement), {name: value})


def _close(connection: Any) -> None:
    """Close a connection; one that was cut has given its locks up already."""
    from sqlalchemy.exc import SQLAlchemyError

    with contextlib.suppress(SQLAlchemyError, OSError):
        connection.close()


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
