"""How far a result moves with the assumption about fills."""

from collections.abc import Mapping, Sequence
from typing import Any

from makerlab.report.by_config import over_seeds
from makerlab.report.html.artefacts import Shelf
from makerlab.report.html.ladder import Rung, ladder
from makerlab.report.html.numbers import with_interval, words
from makerlab.report.html.svg import OWN, Key, Style, legend
from makerlab.report.html.view import POLICY, Figure, Panel, Section, Subject, Table
from makerlab.report.stored import NET_PROFIT
from makerlab.statistics.bootstrap import UNDEFINED, Estimate

_BASELINE = Style(0)
_LEARNED = "learned policy"
Models = Mapping[str, Mapping[str, Any]]


def sensitivity_section(subjects: Sequence[Subject], shelf: Shelf) -> Section:
    """Return each subject's net profit on the test segment under every fill model."""
    panels = [panel for subject in subjects if (panel := _panel(subject, shelf))]
    keys = [Key(_LEARNED, OWN, "mark"), Key("best baseline", _BASELINE, "mark")]
    return Section(
        anchor="sensitivity",
        title="Fill sensitivity",
        lead="Does the result survive another assumption about who gets filled? Candles do not say "
        "it; a policy that earns only under a model marked optimistic earns by that assumption.",
        panels=tuple(panels),
        legend=legend(keys),
        absent=""
        if panels
        else "No run was judged under other fill models "
        "(scripts/evaluate_policy.py --model_path RUN --fill_sensitivity).",
        together=True,
    )


def _panel(subject: Subject, shelf: Shelf) -> Panel | None:
    stored = [found for run in subject.runs if (found := shelf.fill_sensitivity(run))]
    judged = [found["fill_models"] for found in stored if _usable(found)]
    if not judged:
        return None
    best = str(stored[0].get("best_baseline", ""))
    names = [name for name in judged[0] if all(name in models for models in judged)]
    rungs = [Rung(_label(judged[0], name), _marks(judged, name, best)) for name in names]
    styles = {name: OWN if name == _LEARNED else _BASELINE for rung in rungs for name in rung.marks}
    chart = ladder(rungs, styles, label=f"test {words(NET_PROFIT)} per episode, quote currency")
    text = "; ".join(f"{rung.name} {with_interval(rung.marks[_LEARNED])}" for rung in rungs)
    note = (
        ""
        if len(judged) == len(subject.runs)
        else (f"{len(judged)} of {len(subject.runs)} runs were judged under other fill models.")
    )
    figure = Figure(subject.label, chart.markup(f"{subject.label}: net profit: {text}"), note)
    return Panel("", (figure,), table=_table(subject, rungs))


def _usable(stored: Mapping[str, Any]) -> bool:
    models = stored.get("fill_models")
    return isinstance(models, dict) and bool(models)


def _label(models: Models, name: str) -> str:
    card = models[name].get("fill_model") or {}
    return f"{words(name)}{'' if card.get('optimistic', 'no') == 'no' else ' (optimistic)'}"


def _marks(judged: Sequence[Models], name: str, best: str) -> dict[str, Estimate]:
    """Return the learned policy's and the best baseline's profit, means over seeds of several."""
    marks = {}
    for label, policy in ((_LEARNED, POLICY), (words(best), best)):
        found = [_estimate(models[name], policy) for models in judged]
        known = found[0] if len(set(found)) == 1 else over_seeds(found)
        if known.value is not None:
            marks[label] = known
    return marks


def _estimate(model: Mapping[str, Any], policy: str) -> Estimate:
    policies = (model.get("test") or {}).get("policies") or {}
    found = (policies.get(policy) or {}).get(NET_PROFIT) or {}
    return Estimate(found.get("value"), found.get("low"), found.get("high")) if found else UNDEFINED


def _table(subject: Subject, rungs: Sequence[Rung]) -> Table:
    marks = list(dict.fromkeys(name for rung in rungs for name in rung.marks))
    rows = tuple(
        (rung.name, *(with_interval(rung.marks.get(name, UNDEFINED)) for name in marks))
        for rung in rungs
    )
    caption = f"{subject.label}: test net profit per episode under each fill model, quote currency"
    return Table(caption=caption, header=("fill model", *marks), rows=rows)
