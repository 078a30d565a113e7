"""A PostgreSQL server of one's own: made in a folder, on a port of loopback, to be crashed."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from makerlab.errors import UserError

USER, PASSWORD, DATABASE = "makerlab", "not a secret", "studies"

_PATIENCE_SECONDS = 60.0


def binaries() -> Path:
    """Return the folder of the server's programs; raises UserError where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    on_path = shutil.which("pg_ctl")
    if not found and on_path is None:
        raise UserError("no PostgreSQL server here: apt-get install postgresql")
    return (found[-1] if found else Path(str(on_path))).parent


class ServerError(Exception):
    """One of the server's programs failed."""


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
        self._ask("createdb")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= "
        settings += "-c fsync=off -c shared_buffers=16MB"
        log = str(self.folder / "server.log")
        self._run("pg_ctl", "-D", self._data, "-l", log, "-o", settings, "-w", "start")

    def stop(self, *, how: str = "immediate") -> None:
        """Stop the server; `immediate` is a crash, it recovers when started again."""
        self._run("pg_ctl", "-D", self._data, "-m", how, "-w", "stop")

    def kill(self) -> None:
        """Kill the server's first process with -9; the others follow as soon as they notice."""
        os.kill(
            int((self.folder / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL
        )

    def revive(self) -> None:
        """Start the server after a kill, once what was left of it has gone.

        Raises ServerError when that takes a minute.
        """
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self.start()
            except ServerError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)
            else:
                return

    def renew(self) -> None:
        """Begin again with an empty database, whoever is still connected."""
        self._ask("dropdb", "--force", "--if-exists")
        self._ask("createdb")

    def _ask(self, program: str, *flags: str) -> None:
        there = ("-h", "127.0.0.1", "-p", str(self.port), "-U", USER)
        self._run(program, *flags, *there, DATABASE)

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
        if result.returncode:
            raise ServerError(f"{' '.join(command)}: exit status {result.returncode}")


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _give_to_postgres(folder: Path) -> None:
    user = pwd.getpwnam("postgres")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
