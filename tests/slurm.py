"""A Slurm of one node on the loopback, for tests."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from makerlab.launchers.settings import SlurmSettings
from makerlab.launchers.slurm import SlurmLauncher

SCRIPT = Path(__file__).parents[1] / "scripts" / "dev" / "start_slurm.sh"


@dataclass(frozen=True)
class Slurm:
    """A running Slurm."""

    conf: Path
    port: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """What its programs need to find it."""
        return {"SLURM_CONF": str(self.conf)}

    def settings(self, **changes: Any) -> SlurmSettings:
        """Settings of small jobs that are looked after often."""
        small = {"memory_gb": 0.5, "poll_seconds": 0.2, "minutes": 10}
        return SlurmSettings.model_validate(small | changes)

    def launcher(
        self, folder: Path, errors: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any
    ) -> SlurmLauncher:
        """Return a launcher of jobs in this Slurm, from a folder of its own."""
        monkeypatch.setenv("SLURM_CONF", str(self.conf))
        return SlurmLauncher(self.settings(**changes), runs_dir=folder / "runs", error_log=errors)

    def run(self, *command: str) -> str:
        """Run one of its programs."""
        return subprocess.run(
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    def start(self) -> None:
        """Start those of its daemons that do not run."""
        self._script("start")

    def stop(self) -> None:
        """Stop them all."""
        self._script("stop")

    def _script(self, verb: str) -> None:
        subprocess.run(
            [SCRIPT, verb],
            env=_environment(self.conf.parent, self.port),
            capture_output=True,
            check=True,
            timeout=120,
        )


def start_slurm(home: Path) -> Iterator[Slurm]:
    """Start a Slurm in a folder and stop it at the end; skips where it is not installed."""
    pytest.importorskip("submitit", reason="submitit is not installed (extra `slurm`)")
    missing = [name for name in ("slurmctld", "slurmd", "munged") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        why = f"no {missing[0]} (apt-get install slurm-wlm munge)" if missing else "not root"
        pytest.skip(f"no Slurm can be started here: {why}")
    port = _free_port()
    started = subprocess.run(
        [SCRIPT],
        env=_environment(home, port),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if started.returncode:
        pytest.skip(f"Slurm does not start here: {started.stderr.strip()}")
    slurm = Slurm(Path(started.stdout.strip()), port)
    yield slurm
    slurm.stop()


def _environment(home: Path, port: int) -> dict[str, str]:
    return {
        **os.environ,
        "MAKERLAB_SLURM_HOME": str(home),
        "MAKERLAB_SLURM_CPUS": "8",
        "MAKERLAB_SLURM_PORT": str(port),
    }


def _free_port() -> int:
    """Return a port that is free with the one after it."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
