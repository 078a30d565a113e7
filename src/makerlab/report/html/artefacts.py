"""What the report reads of a run beside its manifest and metrics: curves, episodes, provenance."""

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from makerlab.report.html.scales import Floats
from makerlab.report.records import RunRecord
from makerlab.runs.directory import RunDirectory

Columns = Mapping[str, Floats]
"""Numeric columns of a CSV file, each (rows,); what is empty is NaN, times are UTC milliseconds."""

_EPISODE = re.compile(r"^(?P<segment>[a-z]+)_episode_(?P<number>\d+)\.csv$")


class Shelf:
    """Reads each artefact of the runs below a directory once; what is damaged is in `problems`."""

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self.problems: list[str] = []
        self.columns = functools.cache(self._columns)
        self.json = functools.cache(self._json)

    def run(self, record: RunRecord) -> RunDirectory:
        """Return the names of a run's files."""
        return RunDirectory(self.runs_dir / record.algo / record.name)

    def progress(self, record: RunRecord) -> Columns:
        """Return a run's learning curve; empty where there is none."""
        found: Columns = self.columns(self.run(record).progress)
        return found

    def equity(self, record: RunRecord) -> Columns:
        """Return the equity of a run's policy and baselines over the test segment."""
        found: Columns = self.columns(self.run(record).evaluation.equity_curve)
        return found

    def inventory(self, record: RunRecord) -> Columns:
        """Return the position of a run's policy and baselines over the test segment."""
        found: Columns = self.columns(self.run(record).evaluation.inventory_curve)
        return found

    def episodes(self, record: RunRecord, segment: str) -> list[Columns]:
        """Return the episodes of a segment whose every step was written."""
        folder = self.run(record).evaluation.path
        names = sorted(path.name for path in folder.glob(f"{segment}_episode_*.csv"))
        matched = [name for name in names if _EPISODE.match(name)]
        return [found for name in matched if (found := self.columns(folder / name))]

    def manifest(self, record: RunRecord) -> dict[str, Any]:
        """Return all of a run's manifest."""
        found: dict[str, Any] = self.json(self.run(record).manifest)
        return found

    def metrics(self, record: RunRecord) -> dict[str, Any]:
        """Return all of a run's evaluation."""
        found: dict[str, Any] = self.json(self.run(record).evaluation.metrics)
        return found

    def fill_sensitivity(self, record: RunRecord) -> dict[str, Any]:
        """Return how a run did under other fill models; empty where it was not judged so."""
        found: dict[str, Any] = self.json(self.run(record).evaluation.fill_sensitivity)
        return found

    def _columns(self, path: Path) -> dict[str, Floats]:
        try:
            table = pyarrow.csv.read_csv(path)
        except FileNotFoundError:
            return {}
        except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
            self._problem(path, error)
            return {}
        columns = {name: _numbers(table.column(name)) for name in table.column_names}
        return {name: values for name, values in columns.items() if values is not None}

    def _json(self, path: Path) -> dict[str, Any]:
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (ValueError, OSError) as error:
            self._problem(path, error)
            return {}
        return content if isinstance(content, dict) else {}

    def _problem(self, path: Path, error: Exception) -> None:
        lines = str(error).splitlines() or [type(error).__name__]
        self.problems.append(f"{path.relative_to(self.runs_dir)}: not readable, {lines[0]}")


def _numbers(column: Any) -> Floats | None:
    """Return a column as floats, times as milliseconds; None for text."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64())
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return None
    numbers = column.cast(pa.float64(), safe=False).to_numpy()
    return np.asarray(numbers, dtype=np.float64)
