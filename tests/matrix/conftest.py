"""A matrix of fake stages in a folder of its own."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.commands import environment
from tests.matrix import fake_stages


@dataclass
class Lab:
    """A working directory with configs, and the matrix command over fake stages."""

    path: Path
    script: Path

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
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment() | variables,
        )

    def run(self, *flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a matrix to its end."""
        process = self.start(*flags, **variables)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def runs(self) -> list[Path]:
        """Return the run directories."""
        return sorted(path.parent for path in self.path.glob("runs/*/*/manifest.json"))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A folder, with a space in its name, for one matrix."""
    path = tmp_path / "my lab"
    path.mkdir()
    return Lab(path, fake_stages.install(tmp_path / "root"))
