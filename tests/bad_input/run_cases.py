"""Runs, their checkpoints, tuned parameters and studies."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tests.bad_input.case import Case, Prepare, all_of, replaces
from tests.bad_input.lab import RUN

from makerlab.files import write_json
from makerlab.learning.archive import read_archive, write_archive
from makerlab.runs.directory import RunDirectory
from makerlab.runs.lease import Lease

RESUME = f"--resume {RUN}"
TRAIN = "--config tiny.yaml"
MORE = f"{TRAIN} --n_trials 2"
LATEST, PREVIOUS = RUN / "checkpoints/latest.zip", RUN / "checkpoints/previous.zip"
_FAILED = (f"{RUN}/manifest.json",)
_CONTINUED = (f"{RUN}/.*", f"{RUN}")


def interrupt(folder: Path) -> None:
    """Make the finished run one that was killed before its end."""
    (folder / RUN / "model.zip").unlink()
    manifest(state="running", owner=None)(folder)


def manifest(**changes: Any) -> Prepare:
    """Change entries of the run's manifest; None for a value removes nothing."""

    def prepare(folder: Path) -> None:
        path = folder / RUN / "manifest.json"
        write_json(path, json.loads(path.read_text()) | changes)

    return prepare


def without(name: Path, key: str) -> Prepare:
    """Remove a key from a JSON file."""

    def prepare(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        del content[key]
        write_json(folder / name, content)

    return prepare


def with_key(name: Path, key: str, value: Any) -> Prepare:
    """Set a key of a JSON file."""

    def prepare(folder: Path) -> None:
        write_json(folder / name, json.loads((folder / name).read_text()) | {key: value})

    return prepare


def cut(name: Path, bytes_kept: int = 60) -> Prepare:
    """Keep only the beginning of a file."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:bytes_kept])


def remove(name: Path) -> Prepare:
    """Remove a file or folder."""

    def prepare(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return prepare


def _lock(folder: Path) -> None:
    # As long as this process lives and does not give it back.
    assert Lease(RunDirectory(folder / RUN).lease).acquire()


def _other_network(folder: Path) -> None:
    for name in (LATEST, PREVIOUS):
        content = read_archive(folder / name)
        content["training"]["settings"]["net_arch"] = [4, 4]
        write_archive(folder / name, content)


def _change_tensors(folder: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Change every tensor of real numbers that the learner keeps in its checkpoints."""

    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: changed(item) for key, item in value.items()}
        real = isinstance(value, torch.Tensor) and value.is_floating_point()
        return change(value) if real else value

    for name in (LATEST, PREVIOUS):
        content = read_archive(folder / name)
        content["training"]["step"] = 100
        content["training"]["learner"] = changed(content["training"]["learner"])
        write_archive(folder / name, content)


def _other_archive(folder: Path) -> None:
    for name in (LATEST, PREVIOUS):
        write_archive(folder / name, {"weights": [1, 2, 3]})


def _diverged(folder: Path) -> None:
    _change_tensors(folder, lambda tensor: torch.full_like(tensor, float("nan")))


RUNS = [
    Case("continues a run that is not there", "train", f"{RESUME}7", f"did you mean '{RUN.name}'?"),
    Case("continues a folder that is no run", "train", "--resume runs/SAC", "holds no config.yaml"),
    Case("continues a finished run", "train", RESUME, "already complete", code=0),
    Case(
        "continues a run that another process works on",
        "train",
        RESUME,
        "another process",
        all_of(interrupt, _lock),
    ),
    Case(
        "continues a run whose manifest is gone",
        "train",
        RESUME,
        "missing",
        remove(RUN / "manifest.json"),
    ),
    Case(
        "continues a run whose manifest is damaged",
        "train",
        RESUME,
        "damaged, not JSON",
        cut(RUN / "manifest.json"),
    ),
    Case(
        "continues a run whose manifest lacks an entry",
        "train",
        RESUME,
        "'device'",
        all_of(interrupt, without(RUN / "manifest.json", "device")),
    ),
    Case(
        "continues a run whose manifest says something else",
        "train",
        RESUME,
        "'data'",
        all_of(interrupt, manifest(data="candles.csv")),
    ),
    Case("continues a run whose state is none", "train", RESUME, "'state'", manifest(state="done")),
    Case(
        "continues a run whose config is damaged",
        "train",
        RESUME,
        "config.yaml",
        all_of(interrupt, cut(RUN / "config.yaml", 90)),
    ),
    Case(
        "continues a run whose config lacks a key of today",
        "train",
        RESUME,
        "config.yaml",
        all_of(interrupt, replaces(RUN / "config.yaml", "fee_rate", "fees")),
    ),
    Case(
        "continues a run on another device",
        "train",
        f"{RESUME} --device cpu",
        "was started on cuda",
        all_of(interrupt, manifest(device="cuda")),
    ),
    Case(
        "changed the candles since the run began",
        "train",
        RESUME,
        "changed since the run began",
        all_of(
            interrupt, replaces(RUN / "config.yaml", "csv_path: synthetic", "csv_path: candles.csv")
        ),
    ),
    Case(
        "removed the candles since the run began",
        "train",
        RESUME,
        "no such file of candles",
        all_of(
            interrupt, replaces(RUN / "config.yaml", "csv_path: synthetic", "csv_path: gone.csv")
        ),
    ),
    Case(
        "continues with the newest checkpoint cut off",
        "train",
        RESUME,
        "trying an older checkpoint",
        all_of(interrupt, cut(LATEST)),
        code=0,
        adds=_CONTINUED,
        changes=_CONTINUED,
    ),
    Case(
        "continues with checkpoints of another program",
        "train",
        RESUME,
        "training starts over",
        all_of(interrupt, _other_archive),
        code=0,
        adds=_CONTINUED,
        changes=_CONTINUED,
    ),
    Case(
        "continues with checkpoints of another network",
        "train",
        RESUME,
        "training starts over",
        all_of(interrupt, _other_network),
        code=0,
        adds=_CONTINUED,
        changes=_CONTINUED,
    ),
    Case(
        "trains until the weights are NaN",
        "train",
        RESUME,
        "diverged",
        all_of(interrupt, _diverged),
        code=1,
        adds=_CONTINUED,
        changes=_CONTINUED,
    ),
]
