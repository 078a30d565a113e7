"""Intervals one below the other: a row per thing, a mark per policy."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from makerlab.report.html.numbers import with_interval
from makerlab.report.html.scales import Scale, linear
from makerlab.report.html.svg import WIDTH, Chart, Style
from makerlab.statistics.bootstrap import Estimate

_ROW = 30
_LEFT = 188


class Rung(NamedTuple):
    """A row: its name, and an estimate for each of some marks."""

    name: str
    marks: Mapping[str, Estimate]


def ladder(rungs: Sequence[Rung], styles: Mapping[str, Style], *, label: str) -> Chart:
    """Return a chart of the rungs, the first on top; `styles` says how each mark looks."""
    bounds = [b for rung in rungs for mark in rung.marks.values() for b in mark if b is not None]
    ticks = tuple((-float(row), rung.name) for row, rung in enumerate(rungs))
    chart = Chart(
        x=linear(bounds, zero=True),
        y=Scale(0.5 - len(rungs), 0.5, ticks),
        x_label=label,
        y_label="",
        size=(WIDTH, 66 + _ROW * len(rungs)),
        left=_LEFT,
        rows=True,
    )
    for row, rung in enumerate(rungs):
        for number, (name, estimate) in enumerate(rung.marks.items()):
            place = 0.22 * ((len(rung.marks) - 1) / 2 - number) - row
            if estimate.low is not None and estimate.high is not None:
                chart.span(place, estimate.low, estimate.high, styles[name])
            if estimate.value is not None:
                title = f"{rung.name}, {name}: {with_interval(estimate)}"
                chart.point(estimate.value, place, styles[name], title=title)
    return chart
