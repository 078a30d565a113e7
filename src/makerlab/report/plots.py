"""Pictures of how a metric varies with a setting, one per setting and ranking group."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from makerlab.plotting import picture
from makerlab.report.draw import MANY_RUNS, Point, draw_categories, draw_scatter
from makerlab.report.planning import Plot, file_name
from makerlab.report.ranking import metric_of

Describe = Callable[[str], str]


def draw_plots(plots: Sequence[Plot], *, plots_dir: Path, describe: Describe) -> Iterator[Path]:
    """Draw pictures, yielding each file; `describe` says what a setting or metric is."""
    taken: set[str] = set()
    for plot in plots:
        path = plots_dir / file_name(plot, taken)
        _draw(plot, path, describe)
        yield path


def _draw(plot: Plot, path: Path, describe: Describe) -> None:
    points = [
        Point(
            value=record.parameters.get(plot.parameter),
            estimate=record.estimate(plot.metric),
            config=plot.label(record),
        )
        # By name, not by rank: neighbours in order of profit would look like a trend.
        for record in sorted(plot.records, key=lambda record: record.path)
    ]
    title = f"{plot.metric} against {plot.parameter}"
    if plot.group.synthetic:
        title = f"SYNTHETIC DATA: {title}"
    with picture(path, title=title, subtitle=_subtitle(plot, points)) as axes:
        if plot.numeric:
            draw_scatter(axes, points)
        else:
            draw_categories(axes, points, plot.values)
        axes.set_xlabel(axis_label(plot.parameter, describe(plot.parameter)))
        axes.set_ylabel(axis_label(plot.metric, describe(metric_of(plot.metric))))


def axis_label(name: str, description: str) -> str:
    """Return an axis label: the name, and below it the first part of what it is, with its unit."""
    short = re.split(r"[;.]\s|[;.]$", description)[0]
    return f"{name}\n{short}" if short else name


def _subtitle(plot: Plot, points: Sequence[Point]) -> str:
    group = plot.group
    configs = len({point.config for point in points})
    quick = " (quick: too few steps to believe)" if group.quick else ""
    first = f"{group.data_path}, sha256 {group.data_sha256[:8]}, profile {group.profile or 'none'}"
    lines = [first + quick, f"{len(points):,} runs of {configs:,} configs; {_intervals(plot)}"]
    if group.sort_by.startswith("test_") or plot.metric.startswith("test_"):
        lines.append("Choosing by a test metric is choosing on the test segment.")
    others = len(plot.differing) - 1
    if others:
        more = f"{others} other setting" + ("s differ" if others > 1 else " differs")
        lines.append(f"{more} between these runs as well: an association, not an effect.")
    return "\n".join(lines)


def _intervals(plot: Plot) -> str:
    if len(plot.records) > MANY_RUNS:
        return "too many to draw the interval of each"
    levels = {record.metrics.confidence for record in plot.records if record.metrics is not None}
    shown = "/".join(f"{100 * level:g} %" for level in sorted(level or 0.0 for level in levels))
    return f"intervals: {shown} bootstrap over episodes"
