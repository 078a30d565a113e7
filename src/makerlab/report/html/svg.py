"""Charts as SVG text: drawn here, styled by the page's own sheet, readable without any script.

A series is told apart twice, by colour (class `k0`, `k1`...) and by dashes or marker shape, so that
colour-blind readers and prints in black and white lose nothing. Every text is escaped.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from makerlab.report.html.scales import Floats, Scale

WIDTH = 460
USUAL = (WIDTH, 250)
# Where three stand beside each other: the smaller the picture, the larger its letters.
NARROW = (370, 230)
COLOURS = 7
SHAPES = 7
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 26, 40


class Style(NamedTuple):
    """How a series looks; `number` picks colour, dashes and marker shape together."""

    number: int
    bold: bool = False

    @property
    def line(self) -> str:
        """Classes of a line."""
        if self.bold:
            return "line bold"
        return f"line k{1 + self.number % (COLOURS - 1)} d{self.number % SHAPES}"

    @property
    def colour(self) -> str:
        """The class of the colour alone."""
        return "k0" if self.bold else f"k{1 + self.number % (COLOURS - 1)}"

    @property
    def shape(self) -> int:
        """Number of the marker's shape."""
        return 0 if self.bold else (1 + self.number) % SHAPES


OWN = Style(0, bold=True)
"""The learned policy: ink, thick, solid."""


class Chart:
    """A chart under construction; `markup` ends it."""

    def __init__(
        self,
        *,
        x: Scale,
        y: Scale,
        x_label: str,
        y_label: str,
        size: tuple[int, int] = USUAL,
        left: int = _LEFT,
        rows: bool = False,
    ) -> None:
        """Begin with scales and the names of both axes, units included.

        `rows` says that y counts rows and x is what is measured, from zero.
        """
        self._zero_rows = not rows
        self._x, self._y = x, y
        (self._width, self._height), self._left = size, left
        self._labels = (x_label, y_label)
        self._parts: list[str] = []

    def _across(self, values: npt.ArrayLike) -> Floats:
        return self._left + self._x.share(values) * (self._width - self._left - _RIGHT)

    def _down(self, values: npt.ArrayLike) -> Floats:
        reach = self._height - _TOP - _BOTTOM
        return self._height - _BOTTOM - self._y.share(values) * reach

    def line(
        self, xs: npt.ArrayLike, ys: npt.ArrayLike, style: Style, *, markers: bool = False
    ) -> None:
        """Draw a line through points, (n,) each, broken where y is not finite."""
        across, down = self._across(xs), self._down(ys)
        data = _path(across, down)
        if not data:
            return
        self._parts.append(f'<path class="{style.line}" d="{data}"/>')
        known = np.flatnonzero(np.isfinite(down))
        if markers and len(known):
            every = max(len(known) // 6, 1)
            for index in known[(style.number * every // SHAPES) :: every]:
                self._mark(float(across[index]), float(down[index]), style)

    def thin(self, xs: npt.ArrayLike, ys: npt.ArrayLike, style: Style) -> None:
        """Draw one of many lines that only together say something."""
        data = _path(self._across(xs), self._down(ys))
        self._parts.append(f'<path class="thin {style.colour}" d="{data}"/>')

    def band(
        self, xs: npt.ArrayLike, lows: npt.ArrayLike, highs: npt.ArrayLike, *, colour: str
    ) -> None:
        """Fill between two lines, (n,) each, as far as the scale reaches; gaps stay empty."""
        ends = (self._y.low, self._y.high)
        low, high = (self._down(np.clip(edge, *ends)) for edge in (lows, highs))
        across = self._across(xs)
        known = np.isfinite(low) & np.isfinite(high)
        if known.sum() < 2:
            return
        around = np.concatenate([across[known], across[known][::-1]])
        edge = np.concatenate([high[known], low[known][::-1]])
        self._parts.append(f'<path class="band {colour}" d="{_path(around, edge)}Z"/>')

    def interval(self, x: float, low: float, high: float, style: Style) -> None:
        """Draw a vertical interval."""
        place, ends = float(self._across(x)), self._down([low, high])
        self._parts.append(
            f'<path class="interval {style.colour}" d="M{place:.1f} {ends[0]:.1f}V{ends[1]:.1f}"/>'
        )

    def span(self, y: float, low: float, high: float, style: Style) -> None:
        """Draw a horizontal interval, as far as the scale reaches."""
        place = float(self._down(y))
        ends = self._across(np.clip([low, high], self._x.low, self._x.high))
        self._parts.append(
            f'<path class="interval {style.colour}" d="M{ends[0]:.1f} {place:.1f}H{ends[1]:.1f}"/>'
        )

    def point(self, x: float, y: float, style: Style, *, title: str) -> None:
        """Draw a marker that says what it is."""
        self._mark(float(self._across(x)), float(self._down(y)), style, title)

    def bar(
        self, left: float, right: float, low: float, high: float, *, colour: str, title: str
    ) -> None:
        """Fill a rectangle given in values."""
        across, down = self._across([left, right]), self._down([low, high])
        x, y = float(min(across)), float(min(down))
        width, height = float(abs(across[1] - across[0])), float(abs(down[1] - down[0]))
        self._parts.append(
            f'<rect class="bar {colour}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}"><title>{escape(title)}</title></rect>'
        )

    def upright(self, x: float, *, label: str = "") -> None:
        """Draw a dotted line at a value of x."""
        place = float(self._across(x))
        self._parts.append(
            f'<path class="rule" d="M{place:.1f} {_TOP}V{self._height - _BOTTOM}"/>'
            + (f'<text x="{place + 4:.1f}" y="{_TOP + 9}">{escape(label)}</text>' if label else "")
        )

    def level(self, y: float, *, label: str = "") -> None:
        """Draw a dotted line at a value of y, where it is in sight."""
        if not self._y.low <= y <= self._y.high:
            return
        place = float(self._down(y))
        self._parts.append(
            f'<path class="rule" d="M{self._left} {place:.1f}H{self._width - _RIGHT}"/>'
            + (
                f'<text x="{self._left + 4}" y="{place - 3:.1f}">{escape(label)}</text>'
                if label
                else ""
            )
        )

    def _mark(self, x: float, y: float, style: Style, title: str = "") -> None:
        named = f"<title>{escape(title)}</title>" if title else ""
        self._parts.append(
            f'<use class="mark {style.colour}" href="#m{style.shape}" x="{x:.1f}" y="{y:.1f}">'
            f"{named}</use>"
        )

    def markup(self, description: str) -> Markup:
        """Return the SVG; `description` is what a screen reader says instead of it."""
        body = "".join([*self._grid(), *self._parts])
        return Markup(
            f'<svg class="chart" viewBox="0 0 {self._width} {self._height}" role="img" '
            f'aria-label="{escape(description)}">{body}</svg>'
        )

    def _grid(self) -> list[str]:
        x_label, y_label = self._labels
        floor, right = self._height - _BOTTOM, self._width - _RIGHT
        parts = [f'<text class="axis" x="2" y="12">{escape(y_label)}</text>']
        parts.append(
            f'<text class="axis end" x="{right}" y="{self._height - 5}">{escape(x_label)}</text>'
        )
        for value, name in self._y.ticks:
            place = float(self._down(value))
            parts.append(f'<path class="grid" d="M{self._left} {place:.1f}H{right}"/>')
            parts.append(
                f'<text class="end" x="{self._left - 6}" y="{place + 4:.1f}">{escape(name)}</text>'
            )
        for value, name in self._x.ticks:
            place = float(self._across(value))
            if self._left - 1 <= place <= right + 1:
                parts.append(f'<path class="grid" d="M{place:.1f} {floor}v4"/>')
                parts.append(
                    f'<text class="middle" x="{place:.1f}" y="{floor + 16}">{escape(name)}</text>'
                )
        parts.append(f'<path class="floor" d="M{self._left} {floor}H{right}"/>')
        if self._zero_rows and self._y.low < 0.0 < self._y.high:
            parts.append(
                f'<path class="zero" d="M{self._left} {float(self._down(0.0)):.1f}H{right}"/>'
            )
        if not self._zero_rows and self._x.low < 0.0 < self._x.high:
            parts.append(f'<path class="zero" d="M{float(self._across(0.0)):.1f} {_TOP}V{floor}"/>')
        return parts


def _path(across: Floats, down: Floats) -> str:
    """Return path data with a new start after every break."""
    parts, pen = [], "M"
    for x, y in zip(across.tolist(), down.tolist(), strict=True):
        if y != y or x != x:
            pen = "M"
            continue
        parts.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
    return "".join(parts)


_OUTLINES = (
    "M0-4A4 4 0 1 1 0 4A4 4 0 1 1 0-4Z",
    "M-3.5-3.5H3.5V3.5H-3.5Z",
    "M0-4.6L4.4 3.4H-4.4Z",
    "M0-5L5 0L0 5L-5 0Z",
    "M0 4.6L4.4-3.4H-4.4Z",
    "M-1.4-4.5H1.4V-1.4H4.5V1.4H1.4V4.5H-1.4V1.4H-4.5V-1.4H-1.4Z",
    "M-4-2.4L-2.4-4L0-1.6L2.4-4L4-2.4L1.6 0L4 2.4L2.4 4L0 1.6L-2.4 4L-4 2.4L-1.6 0Z",
)


def marker_sheet() -> Markup:
    """Return the shapes of all markers, once per page."""
    shapes = "".join(f'<path id="m{i}" d="{outline}"/>' for i, outline in enumerate(_OUTLINES))
    return Markup(
        f'<svg id="markers" width="0" height="0" aria-hidden="true"><defs>{shapes}</defs></svg>'
    )


class Key(NamedTuple):
    """An entry of a legend."""

    label: str
    style: Style
    kind: str = "line"


def legend(keys: Sequence[Key]) -> Markup:
    """Return a legend as a list beside the charts it belongs to."""
    items = "".join(f"<li>{_swatch(key)}{escape(key.label)}</li>" for key in keys)
    return Markup(f'<ul class="legend">{items}</ul>')


def _swatch(key: Key) -> str:
    mark = f'<use class="mark {key.style.colour}" href="#m{key.style.shape}" x="18" y="7"/>'
    inside = {
        "line": f'<path class="{key.style.line}" d="M1 7H35"/>{"" if key.style.bold else mark}',
        "plain": f'<path class="{key.style.line}" d="M1 7H35"/>',
        "thin": f'<path class="thin {key.style.colour}" d="M1 7H35"/>',
        "mark": mark,
        "band": f'<path class="band {key.style.colour}" d="M1 1H35V13H1Z"/>',
        "bar": f'<path class="bar {key.style.colour}" d="M4 1H32V13H4Z"/>',
    }[key.kind]
    return f'<svg viewBox="0 0 36 14" width="36" height="14" aria-hidden="true">{inside}</svg>'
