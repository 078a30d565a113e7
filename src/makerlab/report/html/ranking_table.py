"""The table of all runs: sortable and filterable in the page, complete without any script."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from makerlab.report.by_config import ConfigSummary, Standing
from makerlab.report.html.numbers import NOTHING, whole, with_interval, words
from makerlab.report.ranking import metric_of, smaller_is_better
from makerlab.report.records import DIFFERENCE, RunRecord
from makerlab.runs.directory import RunDirectory

_ALWAYS = ("sharpe", "max_drawdown_pct", "fees")


@dataclass(frozen=True)
class Cell:
    """What a cell shows and the number it is sorted by; without one, by its text."""

    text: str
    value: float | None = None
    number: bool = False


@dataclass(frozen=True)
class RunRow:
    """A run of a group; `link` leads to its own page, `why_not` says why it is not ranked."""

    config: str
    name: str
    link: str
    cells: tuple[Cell, ...]
    why_not: str = ""


@dataclass(frozen=True)
class RunsTable:
    """All runs of a group, ranked ones first."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[RunRow, ...]
    configs: tuple[str, ...]


def runs_table(standing: Standing) -> RunsTable:
    """Return the table of a group."""
    group, configs = standing
    metric = metric_of(group.sort_by)
    extra = [name for name in _ALWAYS if name != metric and _known(standing, name)]
    columns = [f"valid_{metric}", f"test_{metric}", f"test_{DIFFERENCE}{group.headline}"]
    columns += [f"test_{name}" for name in extra]
    labels = {run.path: _label(config, run) for config in configs for run in config.runs}
    order = "smallest" if smaller_is_better(group.sort_by) else "largest"
    headline = words(group.headline)
    names = [
        words(column).replace(f"difference {headline}", f"{headline} minus best baseline's")
        for column in columns
    ]
    rows = [_row(r.record, labels, columns, rank=r.rank) for r in group.ranked]
    rows += [_row(record, labels, columns, why_not=reason) for record, reason in group.unranked]
    return RunsTable(
        caption=f"Runs by {words(group.sort_by)}, {order} first; net profit and fees per episode "
        f"in quote currency; [{_confidence(standing)} bootstrap interval over episodes].",
        header=("rank", "config", "seed", *names, "trials"),
        rows=tuple(rows),
        configs=tuple(dict.fromkeys(row.config for row in rows)),
    )


def _label(config: ConfigSummary, run: RunRecord) -> str:
    return config.label if run.fold is None else f"{config.label} fold {run.fold}"


def _known(standing: Standing, metric: str) -> bool:
    return any(run.estimate(f"test_{metric}").value is not None for run in standing[0].records)


def _confidence(standing: Standing) -> str:
    levels = {run.metrics.confidence for run in standing[0].records if run.metrics is not None}
    return "/".join(f"{100 * level:g} %" for level in sorted(level or 0.0 for level in levels))


def _row(
    record: RunRecord,
    labels: dict[str, str],
    columns: list[str],
    *,
    rank: int | None = None,
    why_not: str = "",
) -> RunRow:
    config = labels.get(record.path, record.config_name)
    trials = None if record.manifest is None else record.manifest.trials
    cells = [
        Cell(whole(rank), rank, number=True),
        Cell(config),
        Cell(NOTHING if record.seed is None else str(record.seed), record.seed, number=True),
        *_estimates(record, columns),
        Cell(whole(trials), trials, number=True),
    ]
    return RunRow(config, record.name, page_link(record), tuple(cells), why_not)


def _estimates(record: RunRecord, columns: list[str]) -> Iterator[Cell]:
    for column in columns:
        estimate = record.estimate(column)
        signed = DIFFERENCE in column
        yield Cell(with_interval(estimate, signed=signed), estimate.value, number=True)


def page_link(record: RunRecord) -> str:
    """Return where a run's page lies, relative to the directory of runs."""
    return quote(RunDirectory(Path(record.algo) / record.name).page.as_posix())
