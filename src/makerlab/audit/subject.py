"""The run under audit: its stored files as they are, and what they describe, made again."""

import csv
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.audit.findings import Skip
from makerlab.config import SYNTHETIC, Config
from makerlab.config.load import read_yaml, stored_config
from makerlab.data.candles import Candles
from makerlab.data.split import SEGMENT_NAMES, SegmentName
from makerlab.errors import UserError
from makerlab.learning.actor import LearnedPolicy, load_policy
from makerlab.market.episodes import CandleMarket
from makerlab.market.markets import Markets, config_candles, cut_markets, load_markets
from makerlab.runs.directory import RunDirectory
from makerlab.runs.manifest import COMPLETE, read_manifest
from makerlab.tasks import Workbench, open_workbench

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class EpisodeRows:
    """One stored episode: text of its timestamps, and every other column as numbers (rows,)."""

    path: Path
    segment: SegmentName
    number: int
    timestamps: list[str]
    columns: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.timestamps)

    def __getitem__(self, name: str) -> Floats:
        return self.columns[name]

    def place(self, row: int) -> str:
        """Name a row as a reader of the file finds it."""
        return f"{self.path.name} step {row + 1} ({self.timestamps[row]})"


class AuditedRun:
    """A run's files, read when a check asks for them and once for all checks; nothing is written.

    Properties raise Skip for what the run does not have, UserError for what is damaged.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory

    @property
    def runs_dir(self) -> Path:
        """The directory of runs around this one."""
        return self.directory.path.parents[1]

    @functools.cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest of a complete run."""
        manifest = read_manifest(self.directory.manifest)
        if manifest["state"] != COMPLETE:
            raise Skip(f"the run is {manifest['state']}, not complete")
        return manifest

    @functools.cached_property
    def written_config(self) -> dict[str, Any]:
        """The stored config as its file says, whatever today's settings are."""
        return read_yaml(self.directory.config)

    @functools.cached_property
    def config(self) -> Config:
        """The stored config."""
        return stored_config(self.directory.config)

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """The run's own evaluation, as stored."""
        path = self.directory.evaluation.metrics
        if not path.is_file():
            raise Skip("not evaluated yet (scripts/evaluate_policy.py --model_path RUN)")
        content = read_json(path)
        if content.get("cross_env") is not None:
            raise Skip("judged in another environment than its own (cross_env)")
        for segment in SEGMENT_NAMES:
            if not isinstance(content.get(segment), dict):
                raise UserError(f"{path}: damaged, it has no '{segment}'")
        return content

    @functools.cached_property
    def candles(self) -> Candles:
        """All candles of the stored config."""
        if self.config.env.simulates:
            raise Skip(f"market {self.config.env.market} is simulated: there are no candles")
        path = Path(self.config.env.csv_path)
        if self.config.env.csv_path != SYNTHETIC and not path.is_file():
            raise Skip(f"the candles are not at {path} (relative paths count from here)")
        return config_candles(self.config, synthetic_folder=None)

    @functools.cached_property
    def markets(self) -> Markets:
        """The segments of the stored config."""
        if self.config.env.simulates:
            return load_markets(self.config, synthetic_folder=None)
        return cut_markets(self.candles, self.config)

    @functools.cached_property
    def workbench(self) -> Workbench:
        """Where the stored config's policies are judged."""
        _ = self.markets
        return open_workbench(self.config, synthetic_folder=None)

    def policy(self, model: Path) -> LearnedPolicy:
        """Return the policy of one of the run's model files."""
        if not model.is_file():
            raise Skip(f"{model.name} is missing")
        return load_policy(
            model,
            observations=self.workbench.observation_size,
            deterministic=self.config.train.deterministic_eval,
            seed=self.config.evaluate.seed,
        )

    @functools.cached_property
    def episodes(self) -> list[EpisodeRows]:
        """Every stored episode; raises Skip when there is none."""
        found = [
            read_episode(path, segment, number)
            for segment in SEGMENT_NAMES
            for number, path in enumerate(
                sorted(self.directory.evaluation.path.glob(f"{segment}_episode_*.csv"))
            )
        ]
        if not found:
            raise Skip("no episodes were stored (evaluate.episode_csvs)")
        return found

    @functools.cached_property
    def bar_of(self) -> dict[str, int]:
        """The candles' index of a bar by its open time as episode files write it."""
        stamps = self.candles.ts_ms.astype("datetime64[ms]").astype(str)
        return {f"{stamp}Z": bar for bar, stamp in enumerate(stamps)}


def candle_market(markets: Markets, segment: SegmentName) -> CandleMarket:
    """Return a segment's market, which must be one of candles."""
    market = markets[segment]
    if not isinstance(market, CandleMarket):
        raise TypeError(f"expected a market of candles, found a {type(market).__name__}")
    return market


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises UserError when it is damaged."""
    try:
        content = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: damaged, not JSON ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: damaged, found no object in it")
    return content


def read_episode(path: Path, segment: SegmentName, number: int) -> EpisodeRows:
    """Read an episode's CSV; raises UserError when it is no table of numbers."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or "timestamp" not in rows[0]:
        raise UserError(f"{path}: damaged, found no rows with a timestamp")
    names = [name for name in rows[0] if name not in {"timestamp", "step"}]
    try:
        columns = {name: np.array([float(row[name]) for row in rows]) for name in names}
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: damaged, {error}") from None
    return EpisodeRows(path, segment, number, [row["timestamp"] for row in rows], columns)
