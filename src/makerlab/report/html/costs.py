"""Where the money came from and went: spread captured, inventory profit, fees."""

from collections.abc import Sequence

import numpy as np

from makerlab.report.html.numbers import centre, with_interval, words
from makerlab.report.html.scales import Scale, linear
from makerlab.report.html.svg import OWN, WIDTH, Chart, Key, Style, legend
from makerlab.report.html.view import POLICY, Figure, Panel, Section, Subject, Table
from makerlab.statistics.bootstrap import Estimate

PARTS = (("spread_captured", 1.0), ("inventory_profit", 1.0), ("fees", -1.0))
"""What net profit is the sum of, with its sign."""

TABLE_METRICS = (
    "net_profit",
    *(name for name, _ in PARTS),
    "turnover",
    "bid_fills",
    "ask_fills",
    "mean_abs_inventory",
)
_ROW, _BELOW = 32, 0.27
"""Pixels of a row, and how far below the parts their sum lies."""


def costs_section(subjects: Sequence[Subject]) -> Section:
    """Return the cost breakdown of all subjects on the test segment."""
    panels = [panel for subject in subjects if (panel := _panel(subject))]
    keys = [Key(words(name), Style(i), "bar") for i, (name, _) in enumerate(PARTS)]
    keys.append(Key("net profit with its interval: the sum of the three", OWN, "mark"))
    return Section(
        anchor="costs",
        title="Cost breakdown",
        lead="Is it the spread that earns, or a bet on the price? Spread captured is what fills "
        "gained against the mid, inventory profit what the position gained or lost as the mid "
        "moved; fees are paid from both. Per test episode, in quote currency.",
        panels=tuple(panels),
        legend=legend(keys),
        together=True,
        absent="" if panels else "No evaluated run splits its profit into parts.",
    )


def _panel(subject: Subject) -> Panel | None:
    parts = {name: subject.policies(name) for name, _ in PARTS}
    names = [name for name in parts["fees"] if all(name in found for found in parts.values())]
    if not names:
        return None
    profits = subject.policies("net_profit")
    chart = Chart(
        x=_scale(names, parts, profits),
        y=_rows(names),
        x_label="per test episode, quote currency",
        y_label="",
        size=(WIDTH, 66 + _ROW * len(names)),
        left=188,
        rows=True,
    )
    for number, name in enumerate(names):
        _stack(chart, -number, {part: parts[part][name].value or 0.0 for part, _ in PARTS}, name)
        profit = profits[name]
        if profit.low is not None and profit.high is not None:
            chart.span(-number - _BELOW, profit.low, profit.high, OWN)
        chart.point(
            profit.value or 0.0,
            -number - _BELOW,
            OWN,
            title=f"{words(name)}: net profit {centre(profit)}",
        )
    text = "; ".join(f"{words(name)} net profit {with_interval(profits[name])}" for name in names)
    figure = Figure(subject.label, chart.markup(f"{subject.label}: {text}"))
    return Panel("", (figure,), table=_table(subject, names))


def _name(policy: str) -> str:
    return "learned policy" if policy == POLICY else words(policy)


def _rows(names: Sequence[str]) -> Scale:
    """Return a scale with a row per name, the first on top."""
    ticks = tuple((-float(i), _name(name)) for i, name in enumerate(names))
    return Scale(0.5 - len(names), 0.5, ticks)


def _scale(
    names: Sequence[str], parts: dict[str, dict[str, Estimate]], profits: dict[str, Estimate]
) -> Scale:
    values = [bound for name in names for bound in profits[name] if bound is not None]
    for name in names:
        signed = np.array([sign * (parts[part][name].value or 0.0) for part, sign in PARTS])
        values += [float(signed[signed > 0].sum()), float(signed[signed < 0].sum())]
    return linear(values, zero=True)


def _stack(chart: Chart, row: float, values: dict[str, float], policy: str) -> None:
    """Lay gains end to end to the right of zero, losses to the left."""
    ends = {1: 0.0, -1: 0.0}
    for number, (part, sign) in enumerate(PARTS):
        value = sign * values[part]
        side = 1 if value > 0.0 else -1
        title = f"{words(policy)}: {words(part)} {values[part]:,.4g}"
        place = (ends[side], ends[side] + value, row - 0.1, row + 0.36)
        chart.bar(*place, colour=Style(number).colour, title=title)
        ends[side] += value


def _table(subject: Subject, names: Sequence[str]) -> Table:
    found = {metric: subject.policies(metric) for metric in TABLE_METRICS}
    shown = [metric for metric in TABLE_METRICS if found[metric]]
    rows = tuple(
        (
            _name(name),
            *(with_interval(found[m][name]) if name in found[m] else "–" for m in shown),
        )
        for name in names
    )
    return Table(
        caption=f"{subject.label}: means per test episode; turnover and parts of profit in quote "
        "currency, inventory in base units; [interval over seeds for a learned policy of several "
        "seeds, else over episodes]",
        header=("policy", *(words(metric) for metric in shown)),
        rows=rows,
    )
