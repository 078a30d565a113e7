"""Fills: how far from the mid they came, and what the price did afterwards."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from makerlab.report.html.artefacts import Columns, Shelf
from makerlab.report.html.numbers import plain, whole, words
from makerlab.report.html.scales import Floats, categories, linear, mirrored
from makerlab.report.html.svg import NARROW, OWN, Chart, Key, Style, legend
from makerlab.report.html.view import POLICY, Figure, Panel, Section, Subject

MARKOUT_BARS = (1, 5, 15)
_SHOWN_BARS = 5
_BID, _ASK = Style(0), Style(1)
_BINS = 24
_NEEDED = ("mid", "bid", "ask", "bid_filled", "ask_filled")


class Fills(NamedTuple):
    """Fills of one side: distance from the deciding mid and markouts, basis points, (fills,)."""

    distance: Floats
    markout: Floats


def fills_section(subjects: Sequence[Subject], shelf: Shelf) -> Section:
    """Return the distributions of all subjects' fills."""
    panels = [panel for subject in subjects if (panel := _panel(subject, shelf))]
    names = dict.fromkeys(name for subject in subjects for name in subject.baselines)
    keys = [Key("learned policy", OWN, "plain")]
    keys += [Key(words(name), Style(i)) for i, name in enumerate(names) if name != "no_quote"]
    keys += [Key("bid filled (bought)", _BID, "bar"), Key("ask filled (sold)", _ASK, "bar")]
    return Section(
        anchor="fills",
        title="Fills and markouts",
        lead="Who trades with these quotes? A markout is the gain of a fill at a later close, "
        "before fees: below zero the price had moved against the fill, and more than the "
        "distance from the mid was lost to it.",
        panels=tuple(panels),
        legend=legend(keys),
        absent="" if panels else "No evaluated run tells of its fills.",
    )


def _panel(subject: Subject, shelf: Shelf) -> Panel | None:
    figures = list(_markouts(subject))
    episodes = [each for run in subject.runs for each in shelf.episodes(run, "test")]
    episodes = [each for each in episodes if all(name in each for name in _NEEDED)]
    bought, sold = (_fills(episodes, side) for side in ("bid", "ask"))
    if len(bought.distance) + len(sold.distance) > 1:
        note = (
            f"{whole(len(bought.distance))} bid and {whole(len(sold.distance))} ask fills of the "
            f"{len(episodes)} test episodes that were written bar by bar."
        )
        figures += [
            _histogram(
                f"Gain {_SHOWN_BARS} bars after the fill", bought.markout, sold.markout, note
            ),
            _histogram(
                "Distance of filled quotes from the mid", bought.distance, sold.distance, note
            ),
        ]
    return Panel(subject.label, tuple(figures)) if figures else None


def _markouts(subject: Subject) -> Sequence[Figure]:
    """Return mean markouts of all policies by bars after the fill."""
    table = {bars: subject.policies(f"markout_{bars}_bps") for bars in MARKOUT_BARS}
    names = list(dict.fromkeys(name for found in table.values() for name in found))
    known = [bound for found in table.values() for each in found.values() for bound in each]
    if not names:
        return []
    chart = Chart(
        size=NARROW,
        x=categories([f"{bars} bar{'s' if bars > 1 else ''}" for bars in MARKOUT_BARS]),
        y=linear([bound for bound in known if bound is not None], zero=True),
        x_label="after the fill's bar",
        y_label="mean markout, bps before fees",
    )
    others = [name for name in subject.baselines if name != POLICY]
    for number, name in enumerate(sorted(names, key=lambda name: name == POLICY)):
        style = OWN if name == POLICY else Style(others.index(name))
        shift = 0.09 * (number - (len(names) - 1) / 2)
        found = [
            (i + shift, table[b][name]) for i, b in enumerate(MARKOUT_BARS) if name in table[b]
        ]
        chart.line([x for x, _ in found], [e.value or 0.0 for _, e in found], style)
        for x, estimate in found:
            if estimate.low is not None and estimate.high is not None:
                chart.interval(x, estimate.low, estimate.high, style)
            chart.point(
                x, estimate.value or 0.0, style, title=f"{words(name)}: {plain(estimate.value)}"
            )
    own = [
        f"{plain(table[bars][POLICY].value)} after {bars}"
        for bars in MARKOUT_BARS
        if POLICY in table[bars]
    ]
    text = f"{subject.label}: mean markout of the learned policy, bps, {', '.join(own)} bars"
    return [Figure("Mean markout of all test fills", chart.markup(text))]


def _fills(episodes: Sequence[Columns], side: str) -> Fills:
    """Return all fills of one side whose later bar lies within the episode."""
    sign = 1.0 if side == "bid" else -1.0
    distances: list[Floats] = [np.empty(0)]
    markouts: list[Floats] = [np.empty(0)]
    for episode in episodes:
        mid, price = episode["mid"], episode[side]
        # The first step's deciding mid lies before the episode's first row.
        at = np.flatnonzero(episode[f"{side}_filled"] > 0.0)
        at = at[(at > 0) & (at + _SHOWN_BARS < len(mid))]
        distances.append(1e4 * sign * (mid[at - 1] - price[at]) / mid[at - 1])
        markouts.append(1e4 * sign * (mid[at + _SHOWN_BARS] - price[at]) / price[at])
    return Fills(np.concatenate(distances), np.concatenate(markouts))


def _histogram(caption: str, bought: Floats, sold: Floats, note: str) -> Figure:
    """Draw the shares of both sides, bids up and asks down; the outermost bins hold the rest."""
    both = np.concatenate([bought, sold])
    low, high = np.quantile(both, [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1)
    counts = [np.histogram(np.clip(side, edges[0], edges[-1]), edges)[0] for side in (bought, sold)]
    chart = Chart(
        size=NARROW,
        x=linear(edges.tolist()),
        y=mirrored(counts[0].tolist(), counts[1].tolist()),
        x_label="basis points",
        y_label="fills: bid above zero, ask below",
    )
    for found, style, sign, name in ((counts[0], _BID, 1, "bid"), (counts[1], _ASK, -1, "ask")):
        for i, count in enumerate(found.tolist()):
            if count:
                title = f"{count} {name} fills, {plain(edges[i])} to {plain(edges[i + 1])} bps"
                place = (float(edges[i]), float(edges[i + 1]), 0.0, float(sign * count))
                chart.bar(*place, colour=style.colour, title=title)
    middle = ", ".join(
        f"median of {name} fills {plain(float(np.median(side)))} bps"
        for name, side in (("bid", bought), ("ask", sold))
        if len(side)
    )
    return Figure(
        caption, chart.markup(f"{caption}: {middle}"), f"{note} {middle[:1].upper()}{middle[1:]}."
    )
