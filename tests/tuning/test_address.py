"""What a user may type for a storage, and that a password is never shown."""

import re
from pathlib import Path

import pytest

from makerlab.errors import UserError
from makerlab.tuning.address import VARIABLE, read_address, recorded_address
from makerlab.tuning.patient import Patience
from makerlab.tuning.storage import open_storage

SECRET = "hunter2"
SERVER = "postgresql+psycopg://me@host:5433/studies"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("journal:runs/studies.journal", "runs/studies.journal"),
        ("journal:/data/studies", "/data/studies"),
        ("journal:///data/studies", "/data/studies"),
        ("runs/studies.journal", "runs/studies.journal"),
    ],
)
def test_a_journal_is_named_by_its_path(text: str, path: str) -> None:
    address = read_address(text)
    assert (address.kind, address.path, address.public) == (
        "journal",
        Path(path),
        f"journal:{path}",
    )
    assert read_address(address.public) == address


def test_sqlite_is_named_by_its_url() -> None:
    address = read_address("sqlite:///runs/optuna.db")
    assert (address.kind, address.path) == ("sqlite", Path("runs/optuna.db"))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_has_one_driver_whatever_it_is_called(scheme: str) -> None:
    address = read_address(f"{scheme}://me:{SECRET}@host:5433/studies?sslmode=require")
    assert address.is_postgresql
    assert address.url == f"postgresql+psycopg://me:{SECRET}@host:5433/studies?sslmode=require"
    assert address.public == f"{SERVER}?sslmode=require"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://me:{SECRET}@127.0.0.1:1/studies",
        f"postgresql://me@127.0.0.1:1/studies?password={SECRET}",
        f"postgresql://me:{SECRET}@127.0.0.1:port/studies",
        f"mysqll://me:{SECRET}@127.0.0.1:1/studies",
    ],
)
def test_no_error_shows_a_password(text: str) -> None:
    with pytest.raises(UserError) as caught:
        open_storage(read_address(text), patience=Patience(opening=0.0))
    assert SECRET not in str(caught.value)


def test_a_recorded_server_finds_its_password_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = f"postgresql://me:{SECRET}@host:5433/studies"
    monkeypatch.setenv(VARIABLE, full)
    assert recorded_address(SERVER) == read_address(full)
    assert recorded_address(SERVER.replace("5433", "5434")).url == SERVER.replace("5433", "5434")


@pytest.mark.parametrize("text", ["journal:", "journal://host/studies"])
def test_a_journal_without_a_path_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=re.escape("expected journal:PATH")):
        read_address(text)
