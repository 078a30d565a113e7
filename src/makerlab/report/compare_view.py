"""A comparison of two runs as text, as JSON, and as pictures."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from makerlab.config.load import stored_config
from makerlab.report.compare import Comparison, Difference
from makerlab.report.records import RunRecord
from makerlab.report.words import interval
from makerlab.runs.directory import RunDirectory

_LONGEST = 44
LEARNED_COLUMN = 1
"""In test_equity_curve.csv the learned policy comes right after the time."""


def comparison_lines(found: Comparison) -> Iterator[str]:
    """Yield what differs, the metrics side by side, and what can be said of the difference."""
    yield f"A: {_title(found.first)}"
    yield f"B: {_title(found.second)}"
    yield ""
    if found.differences:
        yield from difference_table(found.differences)
    else:
        yield "Config, data, code and versions are the same."
    if found.metrics:
        yield ""
        measured = [
            (
                each.segment,
                each.metric,
                interval(each.first),
                interval(each.second),
                interval(each.second_minus_first),
            )
            for each in found.metrics
        ]
        headers = ("segment", "metric", "A", "B", "B minus A, paired")
        yield from tabulate(measured, headers=headers).splitlines()
        yield ""
        yield from _words(found)
    for note in found.notes:
        yield f"Note: {note}."


def difference_table(differences: Sequence[Difference]) -> list[str]:
    """Return the lines of a table of what is not the same."""
    rows = [(each.what, each.name, _shown(each.first), _shown(each.second)) for each in differences]
    return tabulate(rows, headers=("what", "differs in", "A", "B")).splitlines()


def comparison_record(found: Comparison) -> dict[str, Any]:
    """Return the comparison as plain values."""
    return {
        "first": found.first.path,
        "second": found.second.path,
        "differences": [difference_record(each) for each in found.differences],
        "metrics": [
            {
                "segment": each.segment,
                "metric": each.metric,
                "first": each.first.to_dict(),
                "second": each.second.to_dict(),
                "second_minus_first": each.second_minus_first.to_dict(),
            }
            for each in found.metrics
        ],
        "notes": list(found.notes),
    }


def draw_comparison(
    found: Comparison, first: RunDirectory, second: RunDirectory, *, plots_dir: Path
) -> list[Path]:
    """Draw equity on the test segment and the learning curves, both runs in one picture each.

    A picture is drawn when both runs have what it shows. Returns what was written.
    """
    # Slow to import.
    from makerlab.plotting import equity_plot, learning_plot

    names = (f"A {first.name}", f"B {second.name}")
    subtitle = f"A: {_title(found.first)}\nB: {_title(found.second)}"
    stem = f"compare_{first.name}_and_{second.name}"
    drawn = []
    curves = [_equity(run) for run in (first, second)]
    if all(curve is not None for curve in curves):
        path = plots_dir / f"{stem}_equity.png"
        equity_plot(
            path,
            {name: curve for name, curve in zip(names, curves, strict=True) if curve},
            capital=dict(zip(names, map(_capital, (first, second)), strict=True)),
            title="Equity of both on their test segments",
            subtitle=subtitle,
        )
        drawn.append(path)
    learning = [_learning(run) for run in (first, second)]
    if all(len(steps) for steps, _ in learning):
        path = plots_dir / f"{stem}_learning.png"
        learning_plot(
            path,
            dict(zip(names, learning, strict=True)),
            title="Validation score while learning",
            subtitle=subtitle,
        )
        drawn.append(path)
    return drawn


def _words(found: Comparison) -> Iterator[str]:
    for each in found.metrics:
        difference = each.second_minus_first
        if difference.value is None:
            continue
        if difference.low is None or difference.high is None:
            said = "too few episodes to tell"
        elif difference.low > 0.0:
            said = "B earned more"
        elif difference.high < 0.0:
            said = "A earned more"
        else:
            said = "not distinguishable"
        yield (
            f"{each.segment}, {each.metric} per episode, B minus A: {interval(difference)}: {said} "
            "(95 % over the same episodes; one seed each, so it says nothing of other seeds)."
        )


def _title(record: RunRecord) -> str:
    manifest = record.manifest
    source = "" if manifest is None else f", {manifest.data_source} data, seed {manifest.seed}"
    profile = f", profile {manifest.profile}" if manifest and manifest.profile else ""
    return f"{record.path} ({record.state}{source}{profile})"


def _shown(value: Any) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 2]}.."


def difference_record(each: Difference) -> dict[str, Any]:
    """Return one thing that differs as plain values."""
    return {"what": each.what, "name": each.name, "first": each.first, "second": each.second}


def _equity(run: RunDirectory) -> tuple[Any, Any] | None:
    """Return (open times in ms UTC, equity), both (steps,), None when there is no such file."""
    rows = _rows(run.evaluation.equity_curve)
    if len(rows) < 2:
        return None
    stamps = np.array([row[0].rstrip("Z") for row in rows[1:]], dtype="datetime64[ms]")
    return stamps.astype(np.int64), np.array([float(row[LEARNED_COLUMN]) for row in rows[1:]])


def _capital(run: RunDirectory) -> float:
    return stored_config(run.config).env.initial_cash


def _learning(run: RunDirectory) -> tuple[Any, Any]:
    """Return (steps, validation scores), both (validations,)."""
    header, *rows = _rows(run.progress) or [[]]
    if not {"step", "valid_score"} <= set(header):
        return np.array([]), np.array([])
    step, score = header.index("step"), header.index("valid_score")
    kept = [(int(row[step]), float(row[score])) for row in rows if row[score]]
    return np.array([pair[0] for pair in kept]), np.array([pair[1] for pair in kept])


def _rows(path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))
