"""A matrix of fake stages in a folder of its own."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.commands import REPOSITORY, environment
from tests.matrix import fake_stages
from tests.ray_cluster import start_ray
from tests.slurm import Slurm, start_slurm


@dataclass
class Lab:
    """A working directory with configs, and the matrix command over fake stages."""

    path: Path
    script: Path
    variables: dict[str, str] = field(default_factory=dict)

    def config(self, name: str, **settings: Any) -> Path:
        """Write configs/<name>.yaml."""
        return fake_stages.write_config(self.path / "configs", name, **settings)

    def targets(self, *names: str) -> None:
        """List configs."""
        lines = [f"configs/{name}.yaml" for name in names]
        (self.path / "targets.txt").write_text("\n".join(lines) + "\n")

    def command(self, *flags: str) -> list[str]:
        """Return the command line of a matrix."""
        command = [sys.executable, str(self.script), "--targets", "targets.txt"]
        return [*command, "--profile", "", "--seeds", "0 1", *flags]

    def start(self, *flags: str, **variables: str) -> subprocess.Popen[str]:
        """Start a matrix."""
        return subprocess.Popen(
            self.command(*flags),
            cwd=self.path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment() | self.variables | variables,
        )

    def run(
        self, *flags: str, typed: str | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a matrix to its end; `typed` is what somebody types meanwhile."""
        process = self.start(*flags, **variables)
        out, err = process.communicate(typed, timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def dry_run(self, *flags: str) -> str:
        """Return what a matrix would start, without the paths of this machine."""
        shown = self.run("--dry_run", *flags)
        assert (shown.returncode, shown.stderr) == (0, "")
        places = {str(self.script.parents[1]): "ROOT", str(self.path): "LAB"}
        text = shown.stdout.replace(sys.executable, "PYTHON")
        for place, name in places.items():
            text = text.replace(place, name)
        return text

    def status(self, *flags: str) -> str:
        """Return how the matrix stands."""
        return subprocess.run(
            [sys.executable, str(REPOSITORY / "scripts" / "show_status.py"), *flags],
            cwd=self.path,
            env=environment() | self.variables,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    def runs(self) -> list[Path]:
        """Return the run directories."""
        return sorted(path.parent for path in self.path.glob("runs/*/*/manifest.json"))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A folder, with a space in its name, for one matrix."""
    path = tmp_path / "my lab"
    path.mkdir()
    return Lab(path, fake_stages.install(tmp_path / "root"))


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A Slurm of one node; skips, saying so, where there is none."""
    yield from start_slurm(tmp_path_factory.mktemp("slurm"))


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[Any]:
    """A Ray cluster of three raylets; skips, saying so, where there is no Ray."""
    yield from start_ray(nodes=3)
