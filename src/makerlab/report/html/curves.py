"""Equity, drawdown and inventory over the test segment, the policy above its baselines."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from makerlab.report.html.artefacts import Columns, Shelf
from makerlab.report.html.numbers import words
from makerlab.report.html.scales import Floats, linear, times
from makerlab.report.html.svg import NARROW, OWN, Chart, Key, Style, legend
from makerlab.report.html.view import POLICY, Figure, Panel, Section, Subject

_TIME = "timestamp"
_PLACES, _FEW_PLACES = 220, 40
"""Points per line: about one for two pixels, and for what swings too fast to be drawn so."""

Cuts = npt.NDArray[np.intp]
Lines = Mapping[str, list[Floats]]
"""Curves by policy, one per seed, each (rows,)."""

Thinning = Callable[[Floats, Cuts], Floats]
"""What stands for each of many pieces of a curve; `cuts` (pieces + 1,) are where they meet."""


def curves_section(subjects: Sequence[Subject], shelf: Shelf) -> Section:
    """Return the curves of all subjects."""
    panels = [panel for subject in subjects if (panel := _panel(subject, shelf))]
    names = [name for subject in subjects for run in subject.runs for name in shelf.equity(run)]
    others = [name for name in dict.fromkeys(names) if name not in (_TIME, POLICY)]
    keys = [Key("learned policy, mean over seeds", OWN, "plain")]
    keys += [Key("from the lowest to the highest seed", OWN, "band")]
    keys += [Key(words(name), Style(i)) for i, name in enumerate(others)]
    return Section(
        anchor="curves",
        title="Test segment: equity, drawdown, inventory",
        lead="Did profit come steadily or by one move, how deep did it fall, and what was held "
        "meanwhile? Test episodes are laid end to end; each begins flat.",
        panels=tuple(panels),
        legend=legend(keys),
        absent="" if panels else "No run has a curve of the test segment (test_equity_curve.csv).",
    )


def _panel(subject: Subject, shelf: Shelf) -> Panel | None:
    equities = [found for run in subject.runs if _usable(found := shelf.equity(run))]
    if not equities:
        return None
    stamps = equities[0][_TIME]
    same = [each for each in equities if np.array_equal(each[_TIME], stamps)]
    note = "" if len(same) == len(equities) else "Seeds judged on other bars are left out."
    equity = _by_policy(same)
    drawdown = {name: [np.maximum.accumulate(c) - c for c in all_] for name, all_ in equity.items()}
    figures = [
        _figure("Equity", "quote currency", stamps, equity, subject.label, _last),
        _figure("Drawdown from the peak", "quote currency", stamps, drawdown, subject.label, _most),
    ]
    held = [found for run in subject.runs if _usable(found := shelf.inventory(run))]
    held = [each for each in held if np.array_equal(each[_TIME], stamps)]
    if held:
        figures.append(
            _figure(
                "Inventory",
                "base units, mean of a stretch",
                stamps,
                _by_policy(held),
                subject.label,
                _mean,
                places=_FEW_PLACES,
            )
        )
    return Panel(subject.label, tuple(figures), note)


def _usable(columns: Columns) -> bool:
    return _TIME in columns and POLICY in columns and len(columns[_TIME]) > 1


def _by_policy(tables: Sequence[Columns]) -> dict[str, list[Floats]]:
    names = [name for name in tables[0] if name != _TIME]
    return {name: [table[name] for table in tables if name in table] for name in names}


def _last(curve: Floats, cuts: Cuts) -> Floats:
    return curve[cuts[1:] - 1]


def _most(curve: Floats, cuts: Cuts) -> Floats:
    return np.maximum.reduceat(curve, cuts[:-1])


def _mean(curve: Floats, cuts: Cuts) -> Floats:
    sums: Floats = np.add.reduceat(curve, cuts[:-1])
    means: Floats = sums / np.diff(cuts)
    return means


def _figure(
    caption: str,
    unit: str,
    stamps: Floats,
    lines: Lines,
    subject: str,
    of_pieces: Thinning,
    *,
    places: int = _PLACES,
) -> Figure:
    cuts = np.linspace(0, len(stamps), min(places, len(stamps)) + 1).astype(np.intp)
    ends_ms = _last(stamps, cuts)
    thinned = {
        name: np.array([of_pieces(curve, cuts) for curve in curves])
        for name, curves in lines.items()
    }
    chart = Chart(
        size=NARROW,
        x=times(ends_ms),
        y=linear(np.concatenate([values.ravel() for values in thinned.values()]).tolist()),
        x_label="time (UTC)",
        y_label=f"{caption.lower()}, {unit}",
    )
    own = thinned[POLICY]
    if len(own) > 1:
        chart.band(ends_ms, own.min(axis=0), own.max(axis=0), colour="k0")
    for number, name in enumerate(name for name in thinned if name != POLICY):
        # Baselines play the same bars beside every seed; one of them stands for all.
        chart.line(ends_ms, thinned[name][0], Style(number), markers=True)
    chart.line(ends_ms, own.mean(axis=0), OWN)
    ends = ", ".join(
        f"{words(name)} {values[:, -1].mean():.4g}" for name, values in thinned.items()
    )
    return Figure(caption, _markup(chart, subject, caption, ends))


def _markup(chart: Chart, subject: str, caption: str, ends: str) -> Markup:
    return chart.markup(f"{subject}: {caption.lower()} over the test segment, at the end {ends}")
