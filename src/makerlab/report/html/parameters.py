"""Settings against a metric: every setting that varies, every run with its interval."""

import re
from collections.abc import Callable, Sequence

from makerlab.report.by_config import Standing
from makerlab.report.html.numbers import unit_of, with_interval, words
from makerlab.report.html.scales import Scale, by_size, categories, linear
from makerlab.report.html.svg import Chart, Key, Style, legend
from makerlab.report.html.view import Figure, Panel, Section
from makerlab.report.parameters import Value
from makerlab.report.planning import Plot, plan_plots
from makerlab.report.ranking import metric_of
from makerlab.report.records import RunRecord
from makerlab.statistics.bootstrap import Estimate

Describe = Callable[[str], str]

MOST_PLOTS = 24
MANY_CONFIGS = 36
_CROWD = Style(5)


def parameters_section(standing: Standing, *, metric: str, describe: Describe) -> Section:
    """Return a chart per setting that varies in a group; `describe` says what a setting is."""
    _, configs = standing
    plots = plan_plots([standing], parameter=None, metric=metric)
    labels = [config.label for config in configs]
    styles = {label: Style(number) for number, label in enumerate(labels)}
    if len(labels) > MANY_CONFIGS:
        styles = dict.fromkeys(labels, _CROWD)
    figures = tuple(_figure(plot, styles, describe) for plot in plots[:MOST_PLOTS])
    left_out = len(plots) - len(figures)
    note = f"{left_out} more settings vary; make analyze PLOTS draws each." if left_out > 0 else ""
    keys = [Key(label, style, "mark") for label, style in styles.items()]
    if len(labels) > MANY_CONFIGS:
        keys = [Key(f"a run ({len(labels)} configs)", _CROWD, "mark")]
    return Section(
        anchor="parameters",
        title="Settings against the result",
        lead=f"What goes with a higher {words(metric)}? Settings differ together between configs, "
        "and tuning chose some of them: an association to follow up, not an effect. Choosing by "
        "a test metric would be choosing on the test segment.",
        panels=(Panel("", figures, note),) if figures else (),
        legend=legend(keys),
        absent="" if figures else "No two comparable evaluated runs differ in a setting.",
    )


def _figure(plot: Plot, styles: dict[str, Style], describe: Describe) -> Figure:
    # By name, not by rank: neighbours in order of profit would look like a trend.
    records = sorted(plot.records, key=lambda record: (plot.label(record), record.name))
    shown = [
        run for run in records if not plot.numeric or run.parameters.get(plot.parameter) is not None
    ]
    scale, places = _across(plot, shown)
    estimates = [record.estimate(plot.metric) for record in shown]
    bounds = [bound for estimate in estimates for bound in estimate if bound is not None]
    unit = unit_of(metric_of(plot.metric), describe(metric_of(plot.metric)))
    label = words(plot.metric) + (f", {unit}" if unit else "")
    chart = Chart(x=scale, y=linear(bounds), x_label=plot.parameter, y_label=label)
    for record, place, estimate in zip(shown, places, estimates, strict=True):
        _mark(chart, place, estimate, styles.get(plot.label(record), _CROWD), _title(plot, record))
    short = re.split(r"[;.]\s|[;.]$", describe(plot.parameter))[0]
    text = f"{plot.metric} of {len(shown)} runs against {plot.parameter}"
    return Figure(plot.parameter, chart.markup(text), short)


def _across(plot: Plot, records: Sequence[RunRecord]) -> tuple[Scale, list[float]]:
    """Return the scale of a setting and each run's place, runs of one value side by side."""
    found = [record.parameters.get(plot.parameter) for record in records]
    if plot.numeric:
        numbers = [float(value or 0.0) for value in found]
        scale = by_size(numbers)
        step = (scale.high - scale.low) * 0.006
        return scale, numbers if scale.log else _apart(numbers, step)
    index = {value: float(i) for i, value in enumerate(plot.values)}
    places = [index[value] for value in found]
    most = max(places.count(place) for place in set(places))
    return categories(_labels(plot.values)), _apart(places, min(0.08, 0.8 / most))


def _apart(places: Sequence[float], step: float) -> list[float]:
    seen: dict[float, int] = {}
    moved = []
    for place in places:
        seen[place] = seen.get(place, 0) + 1
        moved.append(place + step * (seen[place] - 1 - (places.count(place) - 1) / 2))
    return moved


def _mark(chart: Chart, place: float, estimate: Estimate, style: Style, title: str) -> None:
    if estimate.low is not None and estimate.high is not None:
        chart.interval(place, estimate.low, estimate.high, style)
    chart.point(place, estimate.value or 0.0, style, title=title)


def _title(plot: Plot, record: RunRecord) -> str:
    value = _text(record.parameters.get(plot.parameter))
    seed = "" if record.seed is None else f" seed {record.seed}"
    shown = with_interval(record.estimate(plot.metric))
    return f"{plot.label(record)}{seed}: {plot.parameter} {value}, {plot.metric} {shown}"


def _labels(values: Sequence[Value]) -> list[str]:
    """Return values as ticks: with three significant digits, more where two would look alike."""
    for digits in (3, 4, 5):
        found = [f"{v:.{digits}g}" if isinstance(v, float) else _text(v) for v in values]
        if len(set(found)) == len(found):
            return found
    return [_text(value) for value in values]


def _text(value: Value) -> str:
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
