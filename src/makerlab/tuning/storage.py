"""Where studies are kept: an Optuna URL, or a journal file by its path."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from makerlab.errors import UserError

HEARTBEAT_SECONDS = 30
GRACE_SECONDS = 180
SQLITE_PATIENCE_SECONDS = 120

_SQLITE = "sqlite:///"
_DATABASE_MODULES = ("sqlalchemy", "alembic", "sqlite3")


def open_storage(storage: str) -> optuna.storages.BaseStorage:
    """Open an Optuna URL, or a journal file by its path; raises UserError when that can't be."""
    with storage_errors(storage):
        if "://" not in storage:
            _check_journal(Path(storage))
            return JournalStorage(JournalFileBackend(storage))
        patience: dict[str, Any] = {}
        if storage.startswith("sqlite"):
            _check_sqlite(storage)
            patience = {"connect_args": {"timeout": SQLITE_PATIENCE_SECONDS}}
        return optuna.storages.RDBStorage(
            storage,
            engine_kwargs=patience,
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=GRACE_SECONDS,
        )


@contextlib.contextmanager
def storage_errors(storage: str) -> Iterator[None]:
    """Turn what a database refuses (full, damaged, locked, not there) into a UserError."""
    try:
        yield
    except Exception as error:
        cause = _database_error(error)
        if cause is None:
            raise
        raise UserError(f"{_place(storage)}: studies can't be kept there ({cause})") from None


def _database_error(error: BaseException | None) -> str | None:
    """Return what a database said in a chain of errors, None when it said nothing."""
    while error is not None:
        module = type(error).__module__
        if module.startswith(_DATABASE_MODULES):
            # SQLAlchemy wraps the driver's own words, which are the clearer ones.
            original = getattr(error, "orig", None) or error
            return (str(original).splitlines() or [type(original).__name__])[0].rstrip(".")
        if isinstance(error, ModuleNotFoundError):
            return f"its driver is not installed: {error.name}"
        if isinstance(error, json.JSONDecodeError):
            return "a damaged journal"
        error = error.__cause__ or error.__context__
    return None


def _place(storage: str) -> str:
    """Return a file's path rather than its URL, and no password."""
    if storage.startswith(_SQLITE):
        return storage.removeprefix(_SQLITE)
    head, separator, host = storage.rpartition("@")
    return f"{head.partition('://')[0]}://...@{host}" if separator else storage


def _check_journal(path: Path) -> None:
    """Refuse a file of something else before Optuna appends to it."""
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


def _check_sqlite(storage: str) -> None:
    """Refuse another program's database before Optuna adds its tables to it."""
    path = Path(storage.removeprefix(_SQLITE))
    if path.is_dir():
        raise UserError(f"{path}: found a directory, expected a database of studies")
    if not path.is_file():
        return
    uri = f"{path.resolve().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=SQLITE_PATIENCE_SECONDS)
    with contextlib.closing(connection):
        rows = connection.execute("select name from sqlite_master where type = 'table'")
        tables = {name for (name,) in rows}
    # A kill may have left some of Optuna's tables only.
    if tables and tables.isdisjoint({"studies", "trials", "version_info", "alembic_version"}):
        raise UserError(
            f"{path}: not a database of studies, it holds the table '{min(tables)}'; "
            "give another --storage"
        )
