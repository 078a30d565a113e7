"""Where studies are kept, as a user types it; a password is never shown again."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from makerlab.errors import UserError
from makerlab.runs.directory import studies_database, studies_journal

Kind = Literal["sqlite", "server", "journal"]

VARIABLE = "MAKERLAB_STORAGE"
"""The environment variable that names a storage, its password included if it must be."""

_SQLITE = "sqlite:///"
_POSTGRESQL = "postgresql+psycopg"
# What people and other programs call the same server; the driver is the one of our extra.
_OTHER_NAMES = ("postgres", "postgresql", "postgresql+psycopg2")


@dataclass(frozen=True)
class StorageAddress:
    """A storage: a file of SQLite, a database server, or a journal on a shared file system.

    `url` is Optuna's, with the password where one was given; None for a journal. `path` is that
    of a file, None for a server. `public` is what may be shown and recorded.
    """

    kind: Kind
    url: str | None
    path: Path | None
    public: str

    @property
    def place(self) -> str:
        """What a message begins with."""
        return self.public if self.path is None else str(self.path)

    @property
    def is_postgresql(self) -> bool:
        """Whether it is a PostgreSQL server."""
        return self.url is not None and self.url.startswith(f"{_POSTGRESQL}:")


def read_address(text: str) -> StorageAddress:
    """Read `journal:PATH`, a path of a journal, or an Optuna URL; raises UserError for others."""
    if text.startswith("journal:") or "://" not in text:
        return _journal(text)
    if text.startswith("sqlite"):
        path = Path(text.removeprefix(_SQLITE)) if text.startswith(_SQLITE) else None
        return StorageAddress("sqlite", text, path, text)
    try:
        parts = urlsplit(text)
        # Reading the port is what finds a wrong one.
        named = parts.scheme and (parts.port or parts.netloc or parts.path)
    except ValueError as error:
        raise UserError(f"--storage: not the URL of a database ({error})") from None
    if not named:
        raise UserError("--storage: not the URL of a database, expected scheme://host/name")
    if parts.scheme in _OTHER_NAMES:
        parts = parts._replace(scheme=_POSTGRESQL)
    return StorageAddress("server", urlunsplit(parts), None, _without_password(urlunsplit(parts)))


def storage_in_environment() -> str | None:
    """Return the storage that the environment names, None if it names none."""
    return os.environ.get(VARIABLE) or None


def own_storage(runs_dir: Path, *, shared: bool = False) -> str:
    """Return the storage that a runs directory has of its own.

    SQLite needs locks that many shared file systems lack: where many hosts write, it is a journal.
    """
    if shared:
        return f"journal:{studies_journal(runs_dir)}"
    return f"sqlite:///{studies_database(runs_dir)}"


def storages_of(runs_dir: Path, given: str | None) -> dict[str, dict[str, str]]:
    """Return what names the storages of a runs directory to a process, by what may be shown.

    That is a variable, since command lines are seen by everyone on the machine. Storages are the
    one that is given, else the one of the environment, else those that lie with the runs. Raises
    UserError for a file that is not there.
    """
    named = given or storage_in_environment()
    if named is not None:
        address = read_address(named)
        if address.path is not None and not address.path.is_file():
            raise UserError(f"{address.path}: no such file of studies; see --storage")
        return {address.public: {VARIABLE: named}}
    own = [read_address(own_storage(runs_dir, shared=shared)) for shared in (False, True)]
    there = [each.public for each in own if each.path is not None and each.path.is_file()]
    return {public: {VARIABLE: public} for public in there}


def recorded_address(public: str) -> StorageAddress:
    """Return the storage that a record names; its password is found in the environment again."""
    known = storage_in_environment()
    if known is not None and read_address(known).public == public:
        return read_address(known)
    return read_address(public)


def _journal(text: str) -> StorageAddress:
    name = text.removeprefix("journal:")
    # journal:///data/studies and journal:/data/studies are the same file.
    name = name.removeprefix("//") if name.startswith("///") else name
    if not name or name.startswith("//"):
        raise UserError(f"--storage {text}: expected journal:PATH or journal:///PATH")
    path = Path(name)
    return StorageAddress("journal", None, path, f"journal:{path}")


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    account, separator, host = parts.netloc.rpartition("@")
    user = account.partition(":")[0]
    secret = {"password", "passfile", "sslpassword"}
    query = [(key, value) for key, value in parse_qsl(parts.query) if key not in secret]
    return urlunsplit(
        parts._replace(netloc=f"{user}{separator}{host}", query=urlencode(query, safe="/"))
    )
