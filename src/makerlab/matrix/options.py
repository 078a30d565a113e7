"""What a user asks of a matrix."""

import dataclasses
from pathlib import Path
from typing import Any

from makerlab.errors import UserError, nearest

STAGES = ("tune", "train", "evaluate", "analyze")
LARGEST_SEED = 2**31 - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class MatrixOptions:
    """Which configs, seeds and stages, under which settings, and where results go.

    `group_size` is how many runs or studies may share a process; None leaves it to the device.
    """

    targets: Path = Path("configs/tuning_targets.txt")
    jobs: int = 2
    seeds: tuple[int, ...] = (0, 1, 2)
    profile: str = "quick"
    device: str = "auto"
    data: str | None = None
    runs_dir: Path = Path("runs")
    logs_dir: Path = Path("logs")
    plots_dir: Path = Path("plots")
    stages: tuple[str, ...] = STAGES
    launcher: str = "local"
    debugger: bool = False
    group_size: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON."""
        content = dataclasses.asdict(self)
        return {key: _plain(value) for key, value in content.items()}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "MatrixOptions":
        """Return the options that `to_dict` described."""
        values = {field.name: content[field.name] for field in dataclasses.fields(cls)}
        for name in ("targets", "runs_dir", "logs_dir", "plots_dir"):
            values[name] = Path(values[name])
        for name in ("seeds", "stages"):
            values[name] = tuple(values[name])
        return cls(**values)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read seeds such as `0 1 2`; raises UserError for anything but distinct whole numbers."""
    words = text.replace(",", " ").split()
    if not words:
        raise UserError("--seeds: found none, expected whole numbers such as '0 1 2'")
    seeds = []
    for word in words:
        if not (word.isascii() and word.isdigit() and int(word) <= LARGEST_SEED):
            raise UserError(
                f"--seeds: found '{word}', expected whole numbers from 0 to {LARGEST_SEED}"
            )
        if int(word) in seeds:
            raise UserError(f"--seeds: {word} is given twice")
        seeds.append(int(word))
    return tuple(seeds)


def parse_stages(text: str) -> tuple[str, ...]:
    """Read stages such as `tune,train`, in their natural order; raises UserError for others."""
    words = text.replace(",", " ").split()
    if not words:
        raise UserError(f"--stages: found none, expected some of: {', '.join(STAGES)}")
    for word in words:
        if word not in STAGES:
            raise UserError(f"--stages: unknown stage '{word}'; {nearest(word, STAGES)}")
    return tuple(stage for stage in STAGES if stage in words)


def parse_jobs(text: str) -> int:
    """Read a number of processes; raises UserError below 1."""
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise UserError(f"--jobs: found '{text}', expected a whole number of at least 1")
    return int(text)


def parse_group_size(text: str) -> int | None:
    """Read how many members a group has at most, None for `auto`; raises UserError."""
    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise UserError(
            f"--group_size: found '{text}', expected 'auto' or a whole number of at least 1"
        )
    return int(text)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
