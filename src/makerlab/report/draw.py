"""Marks on axes: runs with their intervals, boxes of categories, means of many runs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from makerlab.plotting import BLACK, COLOURS, GREY, MARKERS, legend_outside
from makerlab.report.parameters import Value
from makerlab.statistics.bootstrap import Estimate, mean_interval

MANY_RUNS = 300
"""Above this, intervals of single runs would be a grey mass; means with intervals replace them."""

MOST_CONFIGS = 10
ENOUGH_FOR_BOX = 5
ENOUGH_FOR_LOG = 20.0
_BINS = 12
_MEAN = "mean of configs,\n95 % t interval over configs"

Floats = npt.NDArray[np.float64]


class Point(NamedTuple):
    """One run: the setting's value, the metric, the config it belongs to."""

    value: Value
    estimate: Estimate
    config: str


def draw_scatter(axes: Axes, points: Sequence[Point]) -> None:
    """Draw runs over a number; the axis is logarithmic where values span over 20 times."""
    shown = [point for point in points if point.value is not None]
    places = np.array([float(point.value or 0.0) for point in shown])
    if places.min() > 0.0 and places.max() / places.min() > ENOUGH_FOR_LOG:
        axes.set_xscale("log")
        _log_ticks(axes)
        _marks(axes, shown, np.exp(_side_by_side(np.log(places))))
    else:
        _marks(axes, shown, _side_by_side(places))
    if len(shown) > MANY_RUNS:
        _means(axes, shown)
    _finish(axes, len(points) - len(shown))


def _side_by_side(places: Floats) -> Floats:
    """Move runs of one value a little apart, such as seeds, so that no interval hides another."""
    reach = float(np.ptp(places))
    moved = places.copy()
    for value in np.unique(places):
        here = np.flatnonzero(places == value)
        step = min(0.006, 0.03 / len(here)) * reach
        moved[here] += step * (np.arange(len(here)) - (len(here) - 1) / 2)
    return moved


def _log_ticks(axes: Axes) -> None:
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def draw_categories(axes: Axes, points: Sequence[Point], values: Sequence[Value]) -> None:
    """Draw runs side by side within each value, boxes behind them where there are enough."""
    in_order = sorted(points, key=lambda point: point.config)
    groups = [[point for point in in_order if point.value == value] for value in values]
    for position, members in enumerate(groups):
        numbers = np.array([point.estimate.value for point in members], dtype=np.float64)
        if len(numbers) >= ENOUGH_FOR_BOX:
            _box(axes, numbers, position)
        if len(points) > MANY_RUNS:
            means = np.array([value for _, value in _config_means(members)])
            _mean(axes, position, means, label=_MEAN if position == 0 else None)
    places = [_spread(len(members), position) for position, members in enumerate(groups)]
    ordered = [point for members in groups for point in members]
    _marks(axes, ordered, np.concatenate(places))
    names = [f"{_text(value)}\nn = {len(m)}" for value, m in zip(values, groups, strict=True)]
    axes.set_xticks(range(len(values)), names)
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.grid(visible=False, axis="x")
    _finish(axes, 0)


def _text(value: Value) -> str:
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _spread(count: int, position: int) -> Floats:
    """Return places side by side around a position."""
    width = min(0.5, 0.07 * (count - 1))
    places = np.linspace(position - width / 2, position + width / 2, count)
    return places.astype(np.float64)


def _marks(axes: Axes, points: Sequence[Point], places: Floats) -> None:
    """Draw every run with its interval, a marker shape and colour per config."""
    configs = list(dict.fromkeys(sorted(point.config for point in points)))
    if len(configs) > MOST_CONFIGS or len(points) > MANY_RUNS:
        label = f"a run ({len(configs):,} configs)"
        _points(axes, points, places, label=label, color=GREY, marker=".", crowded=True)
        return
    for number, config in enumerate(configs):
        mine = [index for index, point in enumerate(points) if point.config == config]
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number]
        chosen = [points[index] for index in mine]
        _points(axes, chosen, places[mine], label=config, color=colour, marker=marker)


def _points(
    axes: Axes,
    points: Sequence[Point],
    places: Floats,
    *,
    label: str,
    color: str,
    marker: str,
    crowded: bool = False,
) -> None:
    values = np.array([point.estimate.value for point in points], dtype=np.float64)
    style: dict[str, Any] = {"color": color, "marker": marker, "linestyle": "none", "label": label}
    if len(points) > MANY_RUNS:
        axes.plot(places, values, markersize=3, alpha=0.35, rasterized=True, **style)
        return
    low, high = (
        np.array([getattr(point.estimate, end) for point in points], dtype=np.float64)
        for end in ("low", "high")
    )
    axes.vlines(places, low, high, color=color, linewidth=1.0, zorder=2)
    size = 5 if crowded else 6.5
    axes.plot(places, values, markersize=size, markeredgecolor=BLACK, markeredgewidth=0.5, **style)


def _box(axes: Axes, values: Floats, position: float) -> None:
    """Draw quartiles and whiskers of 1.5 interquartile ranges; every run is drawn as well."""
    axes.boxplot(
        values,
        positions=[position],
        widths=0.7,
        capwidths=0.2,
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": "#f0f0f0", "edgecolor": GREY},
        medianprops={"color": BLACK, "linewidth": 1.4},
        whiskerprops={"color": GREY},
        capprops={"color": GREY},
        zorder=1,
    )


def _config_means(points: Sequence[Point]) -> list[tuple[float, float]]:
    """Return (place, mean metric) of each config: its seeds are not independent runs."""
    members: dict[tuple[str, Value], list[float]] = {}
    for point in points:
        if point.estimate.value is not None:
            members.setdefault((point.config, point.value), []).append(point.estimate.value)
    return [
        (float(value) if isinstance(value, int | float) else 0.0, sum(found) / len(found))
        for (_, value), found in members.items()
    ]


def _mean(axes: Axes, place: float, values: Floats, *, label: str | None = None) -> None:
    """Draw a mean with its t interval."""
    mean = mean_interval(values)
    if mean.low is not None and mean.high is not None:
        axes.vlines(place, mean.low, mean.high, color=BLACK, linewidth=2.0, zorder=4)
    style: Any = {"color": COLOURS[1], "markeredgecolor": BLACK, "markersize": 4.5, "zorder": 5}
    axes.plot([place], [values.mean()], "D", label=label, **style)


def _means(axes: Axes, points: Sequence[Point]) -> None:
    """Draw means in bins of equal counts, where single intervals would hide each other."""
    by_place = np.array(sorted(_config_means(points)))
    for number, members in enumerate(np.array_split(by_place, min(_BINS, len(by_place)))):
        place, values = float(np.median(members[:, 0])), members[:, 1]
        _mean(axes, place, values, label=_MEAN if number == 0 else None)


def _finish(axes: Axes, left_out: int) -> None:
    low, high = axes.get_ylim()
    if low < 0.0 < high:
        axes.axhline(0.0, color=BLACK, linewidth=0.8, linestyle=":", zorder=1.5)
    if left_out:
        axes.text(
            0.99,
            0.01,
            f"{left_out} runs without a value are left out",
            transform=axes.transAxes,
            ha="right",
            fontsize=8,
        )
    legend_outside(axes)
