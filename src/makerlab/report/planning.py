"""Which pictures an analysis draws: a setting against a metric, per ranking group."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from makerlab.errors import UserError, nearest
from makerlab.report.by_config import Standing
from makerlab.report.parameters import PATHS, Value, values_of, varying
from makerlab.report.ranking import RankingGroup, default_column
from makerlab.report.records import RunRecord

FEW_VALUES = 6
"""Up to so many distinct numbers are drawn as categories."""


@dataclass(frozen=True)
class Plot:
    """One picture to draw: a setting against a metric over the runs of one group."""

    group: RankingGroup
    parameter: str
    metric: str
    records: tuple[RunRecord, ...]
    labels: Mapping[str, str]
    differing: tuple[str, ...]

    def label(self, record: RunRecord) -> str:
        """Return the name of a run's config; its own name for a repeated run."""
        return self.labels.get(record.path, record.config_name)

    @property
    def values(self) -> list[Value]:
        """The distinct values of the setting."""
        return values_of(self.parameter, [record.parameters for record in self.records])

    @property
    def numeric(self) -> bool:
        """Whether the setting is drawn on an axis of numbers rather than as categories."""
        numbers = [value for value in self.values if value is not None]
        plain = all(type(value) in (int, float) for value in numbers)
        return plain and len(numbers) > FEW_VALUES


def plan_plots(
    standings: Sequence[Standing], *, parameter: str | None, metric: str | None
) -> list[Plot]:
    """Return the pictures to draw: every setting that varies in a group, or the one asked for.

    `metric` None draws the headline metric on validation.

    Raises UserError, naming what varies, when the one asked for varies in no group.
    """
    plots = []
    for group, configs in standings:
        column = metric or default_column(group.records)
        records = tuple(run for run in group.records if run.estimate(column).value is not None)
        if len(records) < 2:
            continue
        differing = tuple(varying(record.parameters for record in records))
        labels = {run.path: each.label for each in configs for run in each.runs}
        plots += [
            Plot(group, name, column, records, labels, differing)
            for name in differing
            if name not in PATHS and parameter in (None, name)
        ]
    if parameter is not None and not plots:
        raise UserError(f"--plot_param: found '{parameter}', {_what_varies(standings, parameter)}")
    return plots


def _what_varies(standings: Sequence[Standing], parameter: str) -> str:
    groups = [group for group, _ in standings]
    known = {name for group in groups for run in group.records for name in run.parameters}
    found = dict.fromkeys(
        name
        for group in groups
        for name in varying(record.parameters for record in group.records)
        if name not in PATHS
    )
    problem = "which does not vary" if parameter in known else "no such setting"
    if not found:
        return f"{problem}; nothing varies among comparable evaluated runs"
    listed = ", ".join(found)
    hint = nearest(parameter, found)
    return (
        f"{problem}; {hint}" if hint.endswith(listed) else f"{problem}; {hint} (varies: {listed})"
    )


def file_name(plot: Plot, taken: set[str]) -> str:
    """Return analysis_<param>_vs_<metric>.png; later groups add their name to it."""
    plain = f"analysis_{_safe(plot.parameter)}_vs_{_safe(plot.metric)}"
    name = f"{plain}_{_safe(plot.group.id)}" if plain in taken else plain
    taken.add(plain)
    return f"{name}.png"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)
