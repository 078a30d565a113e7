"""How far policies are from the best that a simulated market with a known answer allows."""

from collections.abc import Sequence

from makerlab.report.html.ladder import Rung, ladder
from makerlab.report.html.numbers import with_interval, words
from makerlab.report.html.svg import OWN, Key, Style, legend
from makerlab.report.html.view import POLICY, Figure, Panel, Section, Subject

DISTANCE = "distance_to_optimum_pct"
_OTHER = Style(0)


def optimum_section(subjects: Sequence[Subject]) -> Section:
    """Return the distances of all subjects' policies and baselines on the test segment."""
    panels = [panel for subject in subjects if (panel := _panel(subject))]
    return Section(
        anchor="optimum",
        title="Distance to the optimum",
        lead="On a market whose best quotes are known, how much of what could be earned was left? "
        "0 is the optimum, 100 no better than staying out; all policies met the same chance.",
        panels=tuple(panels),
        legend=legend([Key("learned policy", OWN, "mark"), Key("baseline", _OTHER, "mark")]),
        absent=""
        if panels
        else "These markets have no known optimum; simulated ones do (configs/theory_*.yaml).",
        together=True,
    )


def _panel(subject: Subject) -> Panel | None:
    found = subject.policies(DISTANCE)
    if not found:
        return None
    rungs = [
        Rung("learned policy" if name == POLICY else words(name), {name: estimate})
        for name, estimate in found.items()
    ]
    styles = {name: OWN if name == POLICY else _OTHER for name in found}
    chart = ladder(rungs, styles, label="distance to the optimum, %")
    text = "; ".join(f"{words(name)} {with_interval(each)} %" for name, each in found.items())
    drawn = chart.markup(f"{subject.label}: distance to the optimum: {text}")
    return Panel("", (Figure(subject.label, drawn),))
