"""The one object that owns every file name of a run."""

import datetime
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from makerlab.errors import UserError, nearest

MANIFEST = "manifest.json"
MODEL = "model.zip"
BEST_MODEL = "best_model.zip"
REPORT = "report.html"
SUMMARY = "runs_summary.csv"
TABLES = "runs_summary.txt"
"""What a person reads of an analysis, for whoever wants to read it again."""


_RUN_NAME = re.compile(r"\d{8}_\d{6}_.+_seed\d+")


@dataclass(frozen=True)
class RunDirectory:
    """Names of the files of one run; nothing is read or written here."""

    path: Path

    @property
    def name(self) -> str:
        """The directory's own name."""
        return self.path.name

    @property
    def config(self) -> Path:
        """The effective config."""
        return self.path / "config.yaml"

    @property
    def manifest(self) -> Path:
        """What the run is made of and how it stands."""
        return self.path / MANIFEST

    @property
    def status(self) -> Path:
        """Progress while running."""
        return self.path / "status.json"

    @property
    def lease(self) -> Path:
        """Held by the process that writes the run."""
        return self.path / ".lease"

    @property
    def model(self) -> Path:
        """The weights after the last step."""
        return self.path / MODEL

    @property
    def best_model(self) -> Path:
        """The weights that were best on the validation segment."""
        return self.path / BEST_MODEL

    @property
    def checkpoint(self) -> Path:
        """The newest state from which the run continues."""
        return self.path / "checkpoints" / "latest.zip"

    @property
    def previous_checkpoint(self) -> Path:
        """The state before it, for when the newest is damaged."""
        return self.path / "checkpoints" / "previous.zip"

    @property
    def progress(self) -> Path:
        """The learning curve."""
        return self.path / "progress.csv"

    @property
    def page(self) -> Path:
        """The run's own page of the report."""
        return self.path / REPORT

    @property
    def evaluation(self) -> "EvaluationDirectory":
        """The run's own evaluation."""
        return EvaluationDirectory(self.path / "evaluation")


@dataclass(frozen=True)
class EvaluationDirectory:
    """Names of the files of one evaluation."""

    path: Path

    @property
    def metrics(self) -> Path:
        """Metrics of all segments; written last."""
        return self.path / "metrics.json"

    @property
    def profits(self) -> Path:
        """Profit of every policy in every period, for inference; written before the metrics."""
        return self.path / "profits.json"

    @property
    def equity_curve(self) -> Path:
        """Equity of policy and baselines on the test segment."""
        return self.path / "test_equity_curve.csv"

    @property
    def inventory_curve(self) -> Path:
        """Position of policy and baselines on the test segment."""
        return self.path / "test_inventory_curve.csv"

    @property
    def equity_plot(self) -> Path:
        """The picture of the equity curve."""
        return self.path / "test_equity_curve.png"

    @property
    def inventory_plot(self) -> Path:
        """The picture of the position on the test segment."""
        return self.path / "test_inventory.png"

    @property
    def fill_sensitivity(self) -> Path:
        """Every policy under every fill model; written last of its three files."""
        return self.path / "fill_sensitivity.json"

    @property
    def fill_sensitivity_table(self) -> Path:
        """The same as a table."""
        return self.path / "fill_sensitivity.csv"

    @property
    def fill_sensitivity_plot(self) -> Path:
        """The same as a picture of the test segment."""
        return self.path / "fill_sensitivity.png"

    def episode(self, segment: str, number: int) -> Path:
        """Every step of one episode."""
        return self.path / f"{segment}_episode_{number:02d}.csv"


@dataclass(frozen=True)
class ReplayDirectory:
    """Names of the files of one replay on a recorded order book."""

    path: Path

    @property
    def record(self) -> Path:
        """Everything that was found; written last."""
        return self.path / "replay.json"

    @property
    def plot(self) -> Path:
        """Equity on the recorded book and on its candles."""
        return self.path / "replay_equity.png"

    def episode(self, policy: str) -> Path:
        """Every step of a policy on the recorded book."""
        return self.path / f"{policy}_l2_episode_00.csv"

    def candle_episode(self, policy: str) -> Path:
        """Every step of the same quotes on candles of the same tape."""
        return self.path / f"{policy}_candles_episode_00.csv"

    def fills(self, policy: str) -> Path:
        """Every fill of a policy on the recorded book."""
        return self.path / f"{policy}_fills.csv"


@dataclass(frozen=True)
class OptimumDirectory:
    """Names of the files of one comparison with a known optimum."""

    path: Path

    @property
    def record(self) -> Path:
        """Objectives of runs and baselines, and the mean over runs; written last."""
        return self.path / "optimum.json"

    @property
    def depths(self) -> Path:
        """Depths at some times and inventories, the optimal ones first."""
        return self.path / "depths.csv"

    @property
    def picture(self) -> Path:
        """The learned depths over the optimal ones."""
        return self.path / "depths.png"


@dataclass(frozen=True)
class BatchDirectory:
    """Names of the files of one batch of jobs in a queue; submitit keeps its own beside them."""

    path: Path

    @property
    def name(self) -> str:
        """The batch's name."""
        return self.path.name

    @property
    def tasks(self) -> Path:
        """What the batch is made of; written before it is submitted."""
        return self.path / "tasks.json"

    def outcome(self, index: int) -> Path:
        """How a task ended; written last."""
        return self.path / f"{index}_outcome.json"

    def errors(self, index: int) -> Path:
        """What a task wrote to standard error."""
        return self.path / f"{index}_stderr.log"


def batches_directory(runs_dir: Path) -> Path:
    """Return where batches of jobs in a queue keep their files."""
    return runs_dir / ".batches"


def groups_directory(runs_dir: Path) -> Path:
    """Return where processes of several jobs note how each of them ends."""
    return runs_dir / ".groups"


def studies_database(runs_dir: Path) -> Path:
    """Return the SQLite file of the studies that processes of one machine work on."""
    return runs_dir / "optuna.db"


def studies_journal(runs_dir: Path) -> Path:
    """Return the journal of the studies that many hosts work on."""
    return runs_dir / "optuna.journal"


@dataclass(frozen=True)
class TuningDirectory:
    """Names of the files of one config's tuning."""

    path: Path

    @property
    def best_params(self) -> Path:
        """The chosen parameters; written last."""
        return self.path / "best_params.json"

    @property
    def status(self) -> Path:
        """Progress while running."""
        return self.path / "tune_status.json"

    def checkpoint(self, study: str, slot: int) -> Path:
        """Where a trial continues after a kill."""
        return self.checkpoints(study) / f"{slot:04d}.zip"

    def checkpoints(self, study: str) -> Path:
        """Where the checkpoints of a study's trials lie until it is finished."""
        return self.path / "trials" / study


@dataclass(frozen=True)
class RegistryDirectory:
    """Names of the files that remember everything ever tried, a file per data set."""

    runs_dir: Path

    @property
    def lease(self) -> Path:
        """Held while a line is appended."""
        return self.runs_dir / "registry" / ".lease"

    def file(self, data_sha256: str) -> Path:
        """What was tried on one data set."""
        return self.runs_dir / "registry" / f"{data_sha256}.jsonl"


def tuning_directory(
    runs_dir: Path, algo: str, config_name: str, *, fold: int | None = None
) -> TuningDirectory:
    """Return where a config's tuning lives; each fold of a walk-forward has its own."""
    place = runs_dir / algo / config_name
    return TuningDirectory(place if fold is None else place / f"fold_{fold}")


def converted_tape(runs_dir: Path, key: str) -> Path:
    """Return where a converted capture is kept, by the key of what it was made from."""
    return runs_dir / "replay_cache" / f"{key}.npz"


def synthetic_folder(runs_dir: Path) -> Path:
    """Return where synthetic candles are kept, apart from any real data."""
    return runs_dir / "synthetic"


def cache_folder(runs_dir: Path) -> Path:
    """Return where arrays that can be made again are kept; it can be deleted at any time."""
    return runs_dir / "cache"


def records_cache(runs_dir: Path) -> Path:
    """Return where an analysis keeps what it read of many runs."""
    return cache_folder(runs_dir) / "records.jsonl"


def data_folders(runs_dir: Path) -> dict[str, Path]:
    """Return where opening a workbench keeps what it makes, by its arguments' names."""
    return {
        "synthetic_folder": synthetic_folder(runs_dir),
        "cache_folder": cache_folder(runs_dir),
    }


def create_run_directory(
    runs_dir: Path,
    *,
    algo: str,
    short_name: str,
    seed: int,
    now: Callable[[], datetime.datetime],
    fold: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> RunDirectory:
    """Create a directory of a run's own; a name taken in this second waits for the next one."""
    parent = runs_dir / algo
    parent.mkdir(parents=True, exist_ok=True)
    ending = run_ending(short_name, seed=seed, fold=fold)
    while True:
        path = parent / f"{now():%Y%m%d_%H%M%S}{ending}"
        try:
            path.mkdir()
        except FileExistsError:
            sleep(0.1)
        else:
            return RunDirectory(path)


def find_runs(runs_dir: Path) -> Iterator[RunDirectory]:
    """Yield every run directory, by algorithm and name."""
    for run in list_runs(runs_dir):
        if run.manifest.is_file():
            yield run


def list_runs(runs_dir: Path, *, ending: str = "") -> Iterator[RunDirectory]:
    """Yield what may be a run, by algorithm and name; only the folders of algorithms are read.

    Other folders lie there too, and a run that is being created has no manifest yet.
    """
    for folder, names in run_names(runs_dir).items():
        for name in sorted(names):
            if name.endswith(ending):
                yield RunDirectory(folder / name)


def run_names(runs_dir: Path) -> dict[Path, set[str]]:
    """Return the names in the folder of each algorithm, in the folders' order."""
    return {runs_dir / algo: set(_names(runs_dir / algo)) for algo in sorted(_folders(runs_dir))}


def run_ending(short_name: str, *, seed: int, fold: int | None) -> str:
    """Return what the name of a run ends with, whenever it was begun."""
    return f"_{short_name}_" + (f"seed{seed}" if fold is None else f"fold{fold}_seed{seed}")


def _folders(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return []


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208 - one call, no object per name
    except (FileNotFoundError, NotADirectoryError):
        return []


def find_studies(runs_dir: Path) -> Iterator[TuningDirectory]:
    """Yield where each study keeps its progress, those of folds included."""
    # Folders of runs are not looked into: they may be thousands.
    folders = [
        folder / name
        for folder, names in run_names(runs_dir).items()
        for name in sorted(names)
        if not _RUN_NAME.fullmatch(name)
    ]
    for pattern in ("tune_status.json", "fold_*/tune_status.json"):
        for folder in folders:
            for status in sorted(folder.glob(pattern)):
                yield TuningDirectory(status.parent)


def run_of(path: Path) -> RunDirectory:
    """Return the run that a directory or one of its model files belongs to.

    Raises UserError, naming near ones, when there is none.
    """
    directory = path.parent if path.suffix == ".zip" else path
    run = RunDirectory(directory)
    if run.config.is_file():
        return run
    if not path.exists():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = f"; {nearest(path.name, siblings)}" if 0 < len(siblings) < 1000 else ""
        raise UserError(f"{path}: no such run directory or model file{hint}")
    raise UserError(f"{path}: not a run directory, it holds no {run.config.name}")
