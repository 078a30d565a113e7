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

    def passing(self) -> contextlib.AbstractContextManager[None]:
        """Wait for the way to be free."""
        ...


def gate_of(
    address: StorageAddress, name: str, *, lock_dir: Path, patience: Patience, brief: bool
) -> Gate:
    """Return a gate that all processes on one storage share; `name` tells gates apart.

    Through a `brief` one everybody goes quickly: who stands in it for long was stopped there, and
    the others go on without.
    """
    if address.is_postgresql:
        return _AdvisoryGate(address, name, patience, brief)
    if address.kind == "journal" and address.path is not None:
        beside = journal_lease(address.path)
        return _LeaseGate(beside.with_name(f"{beside.stem}.{_short(name)}.lease"), patience, brief)
    return _LeaseGate(lock_dir / f".{_short(address.public + name)}.study.lease", patience, brief)


class _LeaseGate:
    """A lease in a folder that all processes see."""

    def __init__(self, folder: Path, patience: Patience, brief: bool) -> None:
        self._folder, self._patience = folder, patience
        # The dead are known before.
        self._longest = 2 * patience.stale if brief else None

    @contextlib.contextmanager
    def passing(self) -> Iterator[None]:
        lease = Lease(self._folder, stale_seconds=self._patience.stale)
        if not self._acquire(lease):
            yield
            return
        with lease.kept(every=self._patience.beat):
            yield

    def _acquire(self, lease: Lease) -> bool:
        """Wait for the lease; False when one holder was in the way all the time."""
        while True:
            holder = lease.holder()
            if lease.acquire(seconds=self._longest):
                return True
            if holder is not None and lease.holder() == holder:
                return False


class _AdvisoryGate:
    """An advisory lock of PostgreSQL, which ends with its connection whatever becomes of us.

    The server itself ends a connection that stands in a brief gate for long.
    """

    def __init__(self, address: StorageAddress, name: str, patience: Patience, brief: bool) -> None:
        self._engine, self._patience = engine_of(address, answer=patience.answer), patience
        self._longest = f"{2 * patience.answer:.0f}s" if brief else "0"
        digest = hashlib.sha256(f"makerlab:{name}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)

    @contextlib.contextmanager
    def passing(self) -> Iterator[None]:
        connection = None
        while connection is None:
            connection = patiently(self._locked, seconds=self._patience.server)
        try:
            yield
        finally:
            _close(connection)

    def _locked(self) -> Any | None:
        """Return a connection that holds the lock; None when others had it all the time."""
        connection = self._engine.connect()
        try:
            statement = "select set_config('idle_session_timeout', :text, false)"
            _run(connection, statement, self._longest)
            if self._lock(connection):
                return connection
        except BaseException:
            _close(connection)
            raise
        _close(connection)
        return None

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
