"""Opens the place where studies are kept, and tells a user why it can't be."""

import contextlib
import json
from collections.abc import Iterator

import optuna
from optuna.storages import BaseStorage, JournalStorage

from makerlab.errors import UserError
from makerlab.tuning.address import StorageAddress
from makerlab.tuning.journal import LeasedJournal
from makerlab.tuning.patient import (
    PATIENT,
    Patience,
    PatientStorage,
    is_unreachable,
    made_by_another,
    patiently,
)
from makerlab.tuning.relational import open_relational

_DATABASE_MODULES = ("sqlalchemy", "alembic", "sqlite3")


def open_storage(address: StorageAddress, *, patience: Patience = PATIENT) -> BaseStorage:
    """Open a storage; raises UserError when that can't be."""
    with storage_errors(address):
        if address.kind == "journal" and address.path is not None:
            check_journal(address)
            # A line is written in milliseconds: who is at it for long is gone.
            return JournalStorage(LeasedJournal(address.path, stale_seconds=patience.stale / 3))
        if address.kind == "sqlite":
            return optuna.storages.get_storage(open_relational(address))
        opened = patiently(
            lambda: open_relational(address, answer=patience.answer),
            seconds=patience.opening,
            passing=lambda error: is_unreachable(error) or made_by_another(error),
        )
        return PatientStorage(opened, seconds=patience.server)


@contextlib.contextmanager
def storage_errors(address: StorageAddress) -> Iterator[None]:
    """Turn what a database refuses (full, damaged, locked, not there) into a UserError."""
    try:
        yield
    except Exception as error:
        cause = _database_error(error)
        if cause is None:
            raise
        raise UserError(f"{address.place}: studies can't be kept there ({cause})") from None


def _database_error(error: BaseException | None) -> str | None:
    """Return what a database said in a chain of errors, None when it said nothing."""
    while error is not None:
        module = type(error).__module__
        if module.startswith(_DATABASE_MODULES):
            # SQLAlchemy wraps the driver's own words, which are the clearer ones.
            original = getattr(error, "orig", None) or error
            return (str(original).splitlines() or [type(original).__name__])[0].rstrip(".")
        if isinstance(error, ModuleNotFoundError):
            return f"its driver is not installed: {error.name}{_extra(str(error.name))}"
        if isinstance(error, json.JSONDecodeError):
            return "a damaged journal"
        error = error.__cause__ or error.__context__
    return None


def _extra(module: str) -> str:
    return "; pip install 'makerlab[postgresql]'" if module == "psycopg" else ""


def check_journal(address: StorageAddress) -> None:
    """Refuse a journal's place, or a file of something else, before anything is written there."""
    path = address.path
    if address.kind != "journal" or path is None:
        return
    if not path.parent.is_dir():
        raise UserError(f"{path}: studies can't be kept there ({path.parent} is not a directory)")
    if not path.exists():
        return
    with path.open("rb") as file:
        first = file.readline()
    try:
        known = "op_code" in json.loads(first)
    except (ValueError, TypeError):
        # Nothing yet, or the first words of a writer that was killed.
        known = not first or (first.startswith(b"{") and not first.endswith(b"\n"))
    if not known:
        raise UserError(f"{path}: not a journal of studies; give another --storage")
