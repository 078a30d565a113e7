"""A database server for the tests of studies."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from makerlab.chaos.postgresql import PASSWORD, Server, binaries, free_port
from makerlab.errors import UserError


@pytest.fixture(scope="session")
def running_server() -> Iterator[Server]:
    """A server for all tests of a process; skips where PostgreSQL is not installed."""
    try:
        binaries()
    except UserError as problem:
        pytest.skip(str(problem))
    with tempfile.TemporaryDirectory(prefix="makerlab_postgresql_") as folder:
        # Other users must be able to enter: the server does not run as root.
        Path(folder).chmod(0o755)
        server = Server(Path(folder) / "server", free_port())
        server.create()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def server(running_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, its password in the environment."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return running_server
