"""Runs as a table to work with: one row per run, segment, policy and metric."""

from pathlib import Path
from typing import TYPE_CHECKING

from makerlab.report.parameters import varying
from makerlab.report.records import read_runs
from makerlab.report.spreadsheet import PIVOT_HEADER, tidy_rows
from makerlab.report.stored import HEADLINES

if TYPE_CHECKING:
    import pandas


def load_runs(runs_dir: str | Path = "runs") -> "pandas.DataFrame":
    """Return the runs below a directory as a tidy DataFrame.

    Columns: those of the spreadsheet's pivot sheet (config_name, seed, segment, policy, metric,
    value, low, high, run ...), then every setting that varies between the runs, under its dotted
    name. Runs that were not evaluated have no row. Money is in currency; intervals are over
    episodes. Raises UserError when there are no runs.
    """
    # Slow to import.
    import pandas

    records = read_runs(Path(runs_dir), baseline_metrics=frozenset(HEADLINES))
    parameters = varying(record.parameters for record in records)
    rows = []
    for record in records:
        settings = [record.parameters.get(name) for name in parameters]
        rows += [[*row, *settings] for row in tidy_rows([record])]
    frame = pandas.DataFrame(rows, columns=[*PIVOT_HEADER, *parameters])
    numbers = ["value", "low", "high"]
    frame[numbers] = frame[numbers].astype("float64")
    frame["seed"] = frame["seed"].astype("Int64")
    return frame
