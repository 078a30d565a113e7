"""A tiny run that went through all stages, and what the audit says of it after a fault."""

import contextlib
import csv
import datetime
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
from tests.bad_input.lab import run_command
from tests.commands import TINY_CONFIG

from makerlab import stage_commands
from makerlab.audit.checks import audit_run
from makerlab.audit.findings import FAILED, Finding
from makerlab.market import kernel
from makerlab.runs.directory import RunDirectory

SEED = 3
RUN = Path(f"runs/SAC/20260101_000000_tiny_seed{SEED}")
METRICS = RUN / "evaluation/metrics.json"
MANIFEST = RUN / "manifest.json"
SUMMARY = Path("runs/runs_summary.csv")
# Enough episodes for intervals, and all of them stored.
AUDITED_CONFIG = TINY_CONFIG.replace(
    "evaluate: {episodes: 4,", "evaluate: {episodes: 6, episode_csvs: 6,"
).replace("n_trials: 3", "n_trials: 2")
CSV_PATH = "csv_path: synthetic"


def make_run(
    folder: Path,
    *flags: str,
    config: str = AUDITED_CONFIG,
    tuned: bool = False,
    second: int = 0,
) -> Path:
    """Take a run through the stages as a user would; returns its directory, from the folder."""
    (folder / "tiny.yaml").write_text(config)
    arguments = ("--config", "tiny.yaml", "--seed", str(SEED), *flags)
    with mock.patch.object(
        stage_commands, "_now", lambda: datetime.datetime(2026, 1, 1, 0, 0, second)
    ):
        if tuned:
            _well(folder, "tune", "--config", "tiny.yaml")
        with mock.patch("sys.argv", ["train_mm_sac.py", *arguments]):
            _well(folder, "train", *arguments)
    (run,) = (folder / "runs/SAC").glob(f"20260101_00000{second}_*")
    _well(folder, "evaluate", "--model_path", str(run.relative_to(folder)))
    return run.relative_to(folder)


def _well(folder: Path, name: str, *arguments: str) -> None:
    done = run_command(folder, name, arguments)
    assert done.code == 0, done.err


def analyze(folder: Path) -> None:
    """Write the summary of a folder's runs."""
    _well(folder, "analyze", "--plots_dir", "plots")


def evaluate(folder: Path, run: Path = RUN) -> None:
    """Judge the run again."""
    _well(folder, "evaluate", "--model_path", str(run))


def audit(folder: Path, run: Path = RUN) -> dict[str, Finding]:
    """Return what the audit finds, by check."""
    with contextlib.chdir(folder):
        return {finding.check: finding for finding in audit_run(RunDirectory(run))}


def faults(folder: Path, run: Path = RUN) -> dict[str, str]:
    """Return the evidence of the failed checks."""
    found = audit(folder, run)
    return {n: "\n".join(f.evidence) for n, f in found.items() if f.outcome == FAILED}


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file in place."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@contextlib.contextmanager
def edited_csv(path: Path) -> Iterator[list[dict[str, str]]]:
    """Yield a CSV's rows and write back what was made of them."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    yield rows
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def copy_of(template: Path, folder: Path) -> Path:
    """Return a copy to do harm to."""
    shutil.copytree(template, folder)
    return folder


def doctored_kernel(replacements: Mapping[str, str]) -> ModuleType:
    """Return the market kernel with parts of its text replaced, compiled afresh."""
    text = Path(kernel.__file__).read_text(encoding="utf-8")
    for old, new in replacements.items():
        assert text.count(old) == 1, f"the kernel's text has changed: {old}"
        text = text.replace(old, new)
    module = ModuleType("doctored_kernel")
    exec(text, module.__dict__)
    return module


SAME_BAR = {"draws, p, bar, quoted_bid": "draws, p, bar - 1, quoted_bid"}
FEE_SIGN = {"fees = p.fee_rate *": "fees = -p.fee_rate *"}


def numbers(rows: list[dict[str, str]], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a column as numbers."""
    return np.array([float(row[name]) for row in rows])
