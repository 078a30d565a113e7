"""Matrices of real stages on tiny configs, to be run by any launcher and disturbed meanwhile."""

import json
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.commands import TINY_CONFIG, start, write_tiny_config

# Trainings that take about a minute, with a state to continue from every half second.
LONG_CONFIG = (
    TINY_CONFIG.replace("total_timesteps: 300", "total_timesteps: 240000")
    .replace("eval_freq: 50", "eval_freq: 2000")
    .replace("log_interval: 1", "log_interval: 100")
)
SHORTER_CONFIG = LONG_CONFIG.replace("total_timesteps: 240000", "total_timesteps: 60000")
_BEGINS = re.compile(r"from step ([\d,]+) to ")


@dataclass(frozen=True)
class RealMatrix:
    """Configs, and what a user types: the same in a folder of its own for each launcher."""

    folder: Path
    flags: tuple[str, ...] = ()
    configs: dict[str, str] = field(default_factory=dict)

    def config(self, name: str, *, text: str = TINY_CONFIG, spread: float = 8.0) -> None:
        """Add a config to the targets."""
        text = text.replace("short_name: tiny", f"short_name: {name}")
        self.configs[name] = text.replace("base_spread_bps: 8", f"base_spread_bps: {spread:g}")

    def start(self, kind: str, *flags: str, **settings: object) -> subprocess.Popen[str]:
        """Start the matrix with a launcher of these settings."""
        place = self.folder / kind
        place.mkdir(exist_ok=True)
        for name, text in self.configs.items():
            write_tiny_config(place, name=name, text=text)
        (place / "targets.txt").write_text("".join(f"{name}.yaml\n" for name in self.configs))
        lines = [f"{key}: {value}\n" for key, value in {"kind": kind, **settings}.items()]
        (place / "launcher.yaml").write_text("".join(lines))
        matrix = ("--targets", "targets.txt", "--profile", "", "--launcher", "launcher.yaml")
        return start(place, "scripts/run_matrix.py", *matrix, *self.flags, *flags)

    def run(self, kind: str, *flags: str, **settings: object) -> str:
        """Run the matrix to an end that must be good; returns what it said."""
        return finish(self.start(kind, *flags, **settings))

    def runs(self, kind: str) -> Path:
        """Return where the results of a launcher lie."""
        return self.folder / kind / "runs"

    def steps(self, kind: str) -> int:
        """Return how far the training is that is furthest, as the trainings themselves say."""
        files = self.runs(kind).glob("SAC/*_seed*/status.json")
        return max((json.loads(path.read_text())["done"] for path in files), default=0)

    def begins(self, kind: str) -> list[int]:
        """Return the steps from which trainings began or went on, as their logs say."""
        logs = sorted(self.folder.glob(f"{kind}/logs/*_train.log"))
        found = _BEGINS.findall("".join(path.read_text() for path in logs))
        return [int(step.replace(",", "")) for step in found]


def finish(process: subprocess.Popen[str], *, seconds: float = 900.0) -> str:
    """Wait for a matrix's end, which must be good; returns what it said."""
    output, errors = process.communicate(timeout=seconds)
    assert process.returncode == 0, f"exit {process.returncode}\n{output}\n{errors}"
    return output


def wait_until(happened: Callable[[], object], *, seconds: float = 300.0) -> None:
    """Wait until something has happened."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        time.sleep(0.05)
