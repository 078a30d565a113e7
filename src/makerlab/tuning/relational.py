"""Connections to databases: SQLite's file, or a server that many hosts share."""

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any

from optuna.storages import RDBStorage

from makerlab.errors import UserError
from makerlab.tuning.address import StorageAddress

SQLITE_PATIENCE_SECONDS = 120
ANSWER_SECONDS = 120.0

# What a server sets for our sessions: nobody waits for ever for a process that is gone.
_POSTGRESQL_SETTINGS = {
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
# What the driver does: a server that no longer answers is given up, and asked anew.
_POSTGRESQL_CONNECTION = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}


def open_relational(address: StorageAddress, *, answer: float = ANSWER_SECONDS) -> RDBStorage:
    """Open a database, making its tables where they are not there yet.

    A server that is silent for `answer` seconds is taken for unreachable.
    """
    if address.kind == "sqlite":
        _check_sqlite(address)
    return RDBStorage(str(address.url), engine_kwargs=_engine_settings(address, answer))


def engine_of(address: StorageAddress, *, answer: float = ANSWER_SECONDS) -> Any:
    """Return what makes connections of their own, each of their statements a transaction."""
    from sqlalchemy import create_engine

    engine = create_engine(str(address.url), **_engine_settings(address, answer))
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def _engine_settings(address: StorageAddress, answer: float) -> dict[str, Any]:
    from sqlalchemy.pool import NullPool

    if address.kind == "sqlite":
        return {"connect_args": {"timeout": SQLITE_PATIENCE_SECONDS}}
    # A connection for each request: thousands of workers hold none while they train.
    settings: dict[str, Any] = {"poolclass": NullPool}
    return settings | ({"creator": _postgresql(address, answer)} if address.is_postgresql else {})


def _postgresql(address: StorageAddress, answer: float) -> Callable[[], Any]:
    from makerlab.tuning.postgresql import connecting

    # Who waits for a lock hears so from the server before it is taken for silent.
    limits = _POSTGRESQL_SETTINGS | {"lock_timeout": f"{int(500 * answer)}ms"}
    options = " ".join(f"-c {name}={value}" for name, value in limits.items())
    return connecting(str(address.url), seconds=answer, options=options, **_POSTGRESQL_CONNECTION)


def _check_sqlite(address: StorageAddress) -> None:
    """Refuse another program's database before Optuna adds its tables to it."""
    path = address.path
    if path is None:
        return
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
