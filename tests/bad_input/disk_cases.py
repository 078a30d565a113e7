"""Disks that are full or may not be written to: small file systems in memory."""

import contextlib
import shutil
from pathlib import Path

from tests.bad_input.case import Case, Prepare, all_of
from tests.bad_input.lab import DISK, RUN
from tests.bad_input.run_cases import interrupt

CANDLES = "--config tiny.yaml --data candles.csv --params_path none"
ON_DISK = Path(DISK) / RUN.relative_to("runs")
# That a run was begun is remembered, however far it came.
_NEW_RUN = (rf"{DISK}/SAC", rf"{DISK}/SAC/<time>_tiny_seed0.*", rf"{DISK}/registry.*")


def _fill(folder: Path) -> None:
    """Leave no byte free."""
    with contextlib.suppress(OSError), (folder / DISK / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def _runs(folder: Path) -> None:
    shutil.copytree(folder / "runs", folder / DISK, dirs_exist_ok=True)


def _full_to(free_bytes: int) -> Prepare:
    """Leave room for the beginning of a run only."""

    def prepare(folder: Path) -> None:
        _fill(folder)
        filler = folder / DISK / "filler"
        with filler.open("r+b") as file:
            file.truncate(filler.stat().st_size - free_bytes)

    return prepare


def _full(did: str, command: str, arguments: str, says: str, prepare: Prepare, *adds: str) -> Case:
    return Case(did, command, arguments, says, prepare, disk="rw", adds=adds)


def _read_only(did: str, command: str, arguments: str, says: str, *prepare: Prepare) -> Case:
    return Case(did, command, arguments, says, all_of(*prepare), disk="ro")


NO_SPACE = "no space left on device"
READ_ONLY = "read-only file system"

DISKS = [
    _full(
        "has no room for made-up candles",
        "train",
        f"--config tiny.yaml --params_path none --runs_dir {DISK}",
        NO_SPACE,
        _full_to(8192),
        f"{DISK}/synthetic",
    ),
    _full(
        "has no room for a run's first files",
        "train",
        f"{CANDLES} --runs_dir {DISK}",
        NO_SPACE,
        _full_to(8192),
        f"{DISK}/SAC",
    ),
    _full(
        "has no room for a checkpoint",
        "train",
        f"{CANDLES} --runs_dir {DISK}",
        NO_SPACE,
        _full_to(65536),
        *_NEW_RUN,
    ),
    _full(
        "has no room for a study",
        "tune",
        f"--config tiny.yaml --data candles.csv --runs_dir {DISK}",
        "database or disk is full",
        _full_to(65536),
        rf"{DISK}/(SAC|SAC/tiny|optuna.db.*)",
    ),
    _full(
        "has no room for a log",
        "train",
        f"{CANDLES} --logs_dir {DISK}",
        NO_SPACE,
        _fill,
        rf"{DISK}/.*[.]log",
        "runs/SAC/<time>_tiny_seed0.*",
    ),
    _full(
        "has no room for an evaluation",
        "evaluate",
        f"--model_path {ON_DISK} --output_dir {DISK}/new",
        NO_SPACE,
        all_of(_runs, _full_to(8192)),
        rf"{DISK}/new(/.*)?",
    ),
    _full(
        "has no room for a summary",
        "analyze",
        f"--runs_dir {DISK}",
        NO_SPACE,
        all_of(_runs, _fill),
    ),
    _read_only("trains into read-only runs/", "train", f"{CANDLES} --runs_dir {DISK}", READ_ONLY),
    _read_only(
        "tunes into read-only runs/",
        "tune",
        f"--config tiny.yaml --runs_dir {DISK}",
        READ_ONLY,
    ),
    _read_only(
        "continues a read-only run", "train", f"--resume {ON_DISK}", READ_ONLY, interrupt, _runs
    ),
    _read_only("judges a read-only run", "evaluate", f"--model_path {ON_DISK}", READ_ONLY, _runs),
    _read_only("analyzes read-only runs/", "analyze", f"--runs_dir {DISK}", READ_ONLY, _runs),
    _read_only("logs to a read-only folder", "train", f"{CANDLES} --logs_dir {DISK}", READ_ONLY),
]
