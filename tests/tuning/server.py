"""A PostgreSQL server of a test's own: made in a folder, on a port of loopback, ended with it."""

import os
import pwd
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

USER, PASSWORD, DATABASE = "makerlab", "not a secret", "studies"


def binaries() -> Path:
    """Return the folder of the server's programs; skips the test where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    on_path = shutil.which("pg_ctl")
    if not found and on_path is None:
        pytest.skip("no PostgreSQL server: apt-get install postgresql")
    return (found[-1] if found else Path(str(on_path))).parent


@dataclass
class Server:
    """A server that can be stopped and started; it asks for a password."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Its address, without the password."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs beside the address."""
        return {"PGPASSWORD": PASSWORD}

    def create(self) -> None:
        """Make the server's files, start it, and make a database."""
        self.folder.mkdir(parents=True)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if os.getuid() == 0:
            _give_to_postgres(self.folder)
        self._run("initdb", "-D", self._data, "-U", USER, "-A", "scram-sha-256", "-N")
        self.start()
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, DATABASE)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= "
        settings += "-c fsync=off -c shared_buffers=16MB"
        log = str(self.folder / "server.log")
        self._run("pg_ctl", "-D", self._data, "-l", log, "-o", settings, "-w", "start")

    def stop(self, *, how: str = "immediate") -> None:
        """Stop the server; `immediate` is a crash, it recovers when started again."""
        self._run("pg_ctl", "-D", self._data, "-m", how, "-w", "stop")

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(binaries() / program), *arguments]
        if program == "initdb":
            command += ["--pwfile", str(self.folder / "password")]
        if os.getuid() == 0:
            # A server refuses to run as root.
            command = [
                "setpriv",
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                *command,
            ]
        result = subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )
        assert result.returncode == 0, f"{' '.join(command)}: exit status {result.returncode}"


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _give_to_postgres(folder: Path) -> None:
    user = pwd.getpwnam("postgres")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
