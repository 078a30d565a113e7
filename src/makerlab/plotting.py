"""The shared look of all pictures, and the pictures of one evaluation.

Colours are Okabe and Ito's, which colour-blind readers tell apart; dashes and marker shapes say the
same once more, so that a print in black and white can be read.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from makerlab.files import write_atomically

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Curve = tuple[Integers, Floats]

BLACK, GREY = "#000000", "#767676"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
_DASHES: tuple[Any, ...] = (
    (0, (6, 2)),
    (0, (1, 1.5)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (3, 1.5)),
    (0, (9, 2, 3, 2)),
    (0, (4, 1.5, 1, 1.5, 1, 1.5)),
    (0, (12, 3)),
)

_LOOK: Any = {
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "savefig.dpi": 130,
}
_INCHES = (9.0, 4.8)
_WIDE = 110
"""Characters of the subtitle's font that fit into the width."""


@contextmanager
def picture(path: Path, *, title: str, subtitle: str) -> Iterator[Axes]:
    """Yield axes to draw on, then write the PNG atomically; nothing is written on failure."""
    with matplotlib.rc_context(_LOOK):
        figure = Figure(figsize=_INCHES, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        yield axes
        lines = [line for part in subtitle.splitlines() for line in textwrap.wrap(part, _WIDE)]
        figure.suptitle(_wrapped(title, 85), x=0.01, ha="left", fontweight="bold", fontsize=11)
        axes.set_title("\n".join(lines), loc="left", fontsize=8.5, color="#444444")
        # Without the Software entry the bytes depend on the drawing alone.
        metadata = {"Software": None}
        write_atomically(path, lambda file: figure.savefig(file, format="png", metadata=metadata))


def legend_outside(axes: Axes, **options: Any) -> None:
    """Put the legend to the right of the axes, where it hides nothing."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, **options)


def equity_plot(
    path: Path,
    curves: Mapping[str, Curve],
    *,
    capital: Mapping[str, float],
    title: str,
    subtitle: str,
) -> None:
    """Draw equity over time, the learned policy (the first curve) bold above its baselines.

    `curves` maps names to (open times in ms UTC, equity in currency after each bar), both of shape
    (steps,). The legend gives each curve's last value minus `capital`, the equity before its first
    bar. Lines break where bars are missing.
    """
    with picture(path, title=title, subtitle=subtitle) as axes:
        for number, (name, (timestamps_ms, equity)) in enumerate(curves.items()):
            gain = f"{equity[-1] - capital[name]:+,.4g}" if len(equity) else "nothing"
            times, values = _with_breaks(timestamps_ms, equity)
            axes.plot(times, values, label=f"{name}  {gain}", **_line(number, len(times)))
        axes.set_ylabel("Equity (quote currency)")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        _time_axis(axes)
        legend_outside(axes, title="Policy, gain over the span", alignment="left", handlelength=4.0)


def inventory_plot(
    path: Path,
    timestamps_ms: Integers,
    inventory: Floats,
    *,
    title: str,
    subtitle: str,
    limit: float | None = None,
) -> None:
    """Draw the position over time in base units, (steps,), between its limits if given."""
    with picture(path, title=title, subtitle=subtitle) as axes:
        times, values = _with_breaks(timestamps_ms, inventory)
        axes.plot(
            times, values, color=COLOURS[0], linewidth=0.9, drawstyle="steps-post", label="position"
        )
        axes.axhline(0.0, color=GREY, linewidth=0.8)
        for side, bound in (("limit", limit), (None, None if limit is None else -limit)):
            if bound is not None:
                axes.axhline(bound, color=COLOURS[1], linewidth=1.2, linestyle="--", label=side)
        axes.set_ylabel("Position (base units)")
        _time_axis(axes)
        legend_outside(axes)


def learning_plot(
    path: Path, curves: Mapping[str, tuple[Integers, Floats]], *, title: str, subtitle: str
) -> None:
    """Draw validation scores over environment steps; `curves` maps names to (steps, scores)."""
    with picture(path, title=title, subtitle=subtitle) as axes:
        for number, (name, (steps, scores)) in enumerate(curves.items()):
            axes.plot(steps, scores, label=f"{name}  last {scores[-1]:,.4g}", **_line(number, 12))
        axes.set_xlabel("Environment steps")
        axes.set_ylabel("Validation score")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        legend_outside(axes, handlelength=4.0)


class IntervalRow(NamedTuple):
    """One line of an interval plot: estimates (value, low, high) by series, hollow if marked."""

    label: str
    marked: bool
    estimates: Mapping[str, tuple[float | None, float | None, float | None]]


def interval_plot(
    path: Path, rows: Sequence[IntervalRow], *, title: str, subtitle: str, value: str
) -> None:
    """Draw rows of estimates with their intervals, top to bottom.

    `value` names the horizontal axis with its unit. Series differ by marker, colour and height.
    """
    with picture(path, title=title, subtitle=subtitle) as axes:
        names = list(dict.fromkeys(name for row in rows for name in row.estimates))
        for number, name in enumerate(names):
            colour = BLACK if number == 0 else COLOURS[number - 1]
            shift = 0.3 * (number - (len(names) - 1) / 2.0)
            for place, row in enumerate(rows):
                middle, low, high = row.estimates.get(name, (None, None, None))
                if middle is None:
                    continue
                if low is not None and high is not None:
                    axes.plot([low, high], [place + shift] * 2, color=colour, linewidth=1.3)
                axes.plot(
                    [middle],
                    [place + shift],
                    MARKERS[number],
                    color=colour,
                    markersize=6,
                    markerfacecolor="white" if row.marked else colour,
                    label=name if place == 0 else None,
                )
        axes.axvline(0.0, color=GREY, linewidth=0.8)
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(value)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.10g}"))
        legend_outside(axes)


def depth_plot(
    path: Path,
    inventories: Integers,
    learned: Floats,
    optimal: Floats,
    *,
    times: Sequence[float],
    title: str,
    note: str,
) -> None:
    """Draw learned depths over optimal ones against inventory, a panel for each time.

    `learned` has the shape (runs, times, inventories, sides) and `optimal` that without runs, bid
    first, in currency; NaN is no quote. Runs are drawn as their mean and the band they span.
    """
    with matplotlib.rc_context(_LOOK):
        figure = Figure(figsize=_INCHES, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(times), sharey=True, squeeze=False)[0]
        for number, (axes, time) in enumerate(zip(panels, times, strict=True)):
            for side in range(2):
                runs = learned[:, number, :, side]
                _depth_lines(axes, inventories, runs, optimal[number, :, side], side=side)
            axes.set_title(f"time {time:g}", fontsize=9.0)
            axes.set_xlabel("Inventory (orders)")
        panels[0].set_ylabel("Depth from the mid (currency)")
        legend_outside(panels[-1], handlelength=4.0)
        figure.suptitle(_wrapped(title, 85), x=0.01, ha="left", fontweight="bold", fontsize=11)
        note = _wrapped(note, _WIDE)
        figure.supxlabel(note, x=0.01, ha="left", fontsize=8.5, color="#444444")
        metadata = {"Software": None}
        write_atomically(path, lambda file: figure.savefig(file, format="png", metadata=metadata))


def _depth_lines(
    axes: Axes, inventories: Integers, runs: Floats, optimal: Floats, *, side: int
) -> None:
    name, colour, marker = ("bid", "ask")[side], COLOURS[side], MARKERS[side]
    quoted = np.isfinite(optimal) & np.isfinite(runs).all(axis=0)
    held, runs = inventories[quoted], runs[:, quoted]
    axes.fill_between(held, runs.min(axis=0), runs.max(axis=0), color=colour, alpha=0.2, lw=0)
    axes.plot(held, optimal[quoted], color=colour, linewidth=1.8, label=f"optimal {name}")
    axes.plot(
        held,
        runs.mean(axis=0),
        color=colour,
        linestyle=_DASHES[side],
        linewidth=1.0,
        marker=marker,
        markersize=5.0,
        markerfacecolor="white",
        label=f"learned {name}",
    )


def _line(number: int, points: int) -> dict[str, Any]:
    """Return a curve's style: noise hides dashes, so sparse markers repeat what they say."""
    if number == 0:
        return {"color": BLACK, "linewidth": 2.2, "zorder": 5}
    every = max(points // 12, 1)
    return {
        "color": COLOURS[(number - 1) % (len(COLOURS) - 1)],
        "linewidth": 1.0,
        "linestyle": _DASHES[(number - 1) % len(_DASHES)],
        "marker": MARKERS[(number - 1) % len(MARKERS)],
        "markersize": 4.5,
        "markerfacecolor": "white",
        "markevery": (number * every // 7, every),
    }


def _with_breaks(timestamps_ms: Integers, values: Floats) -> tuple[npt.NDArray[Any], Floats]:
    """Return times and values with a NaN wherever bars are missing."""
    steps = np.diff(timestamps_ms)
    usual = np.median(steps) if len(steps) else 0
    breaks = np.flatnonzero(steps > 1.5 * usual) + 1
    times = np.insert(timestamps_ms, breaks, timestamps_ms[breaks - 1] + 1)
    return times.astype("datetime64[ms]"), np.insert(values.astype(np.float64), breaks, np.nan)


def _time_axis(axes: Axes) -> None:
    # Matplotlib's dates are UTC unless told otherwise, but a user's matplotlibrc may tell.
    locator: Any = AutoDateLocator(minticks=3, maxticks=9, tz=UTC)  # type: ignore[no-untyped-call]
    formatter: Any = ConciseDateFormatter(locator, tz=UTC)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
    axes.set_xlabel("Time (UTC)")
    axes.margins(x=0.01)


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))
