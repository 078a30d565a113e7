"""Learning curves: the validation score and the episodes' reward over training steps."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from makerlab.report.html.artefacts import Columns, Shelf
from makerlab.report.html.scales import Floats, linear
from makerlab.report.html.svg import OWN, Chart, Key, Style, legend
from makerlab.report.html.view import Figure, Panel, Section, Subject
from makerlab.statistics.bootstrap import mean_interval

_ENOUGH_SEEDS = 3
_CURVES = (
    ("valid_score", "validation score", "net profit per episode, quote currency"),
    ("episode_reward", "reward while training", "reward of training episodes"),
)
_SEED = Style(0)


def learning_section(subjects: Sequence[Subject], shelf: Shelf, *, scored_by: str) -> Section:
    """Return the learning curves of all subjects; `scored_by` names the validation metric."""
    panels = [panel for subject in subjects if (panel := _panel(subject, shelf, scored_by))]
    keys = [
        Key("mean over seeds (of one run: the run)", OWN, "plain"),
        Key("95 % t interval of that mean, from three seeds on", OWN, "band"),
        Key("one seed", _SEED, "thin"),
    ]
    return Section(
        anchor="learning",
        title="Learning curves",
        lead="Had learning settled when it stopped, and do the seeds agree? The checkpoint that "
        "was kept is the best of the validation score, so its peak flatters.",
        panels=tuple(panels),
        legend=legend(keys),
        absent="" if panels else "No run has written a learning curve (progress.csv).",
    )


def _panel(subject: Subject, shelf: Shelf, scored_by: str) -> Panel | None:
    curves = [shelf.progress(run) for run in subject.runs]
    figures = []
    for column, caption, label in _CURVES:
        known = [curve for curve in curves if _has(curve, column)]
        if known:
            name = f"{caption}: {scored_by}" if column == "valid_score" else caption
            shown = label if scored_by == "net_profit" or column != "valid_score" else scored_by
            figures.append(Figure(name, _chart(known, column, shown, subject.label)))
    return Panel(subject.label, tuple(figures)) if figures else None


def _has(curve: Columns, column: str) -> bool:
    return column in curve and "step" in curve and bool(np.isfinite(curve[column]).sum() > 1)


def _chart(curves: Sequence[Columns], column: str, label: str, subject: str) -> Markup:
    pairs = [_finite(curve["step"], curve[column]) for curve in curves]
    steps = np.unique(np.concatenate([step for step, _ in pairs]))
    table = np.array([_at(steps, step, values) for step, values in pairs])
    mean, low, high = _over_seeds(table)
    chart = Chart(
        x=linear(steps.tolist(), zero=True),
        y=linear(_in_sight(table, low, high)),
        x_label="training steps",
        y_label=label,
    )
    chart.band(steps, low, high, colour="k0")
    if len(pairs) > 1:
        for step, values in pairs:
            chart.thin(step, values, _SEED)
    chart.line(steps, mean, OWN)
    return chart.markup(
        f"{subject}: {column} over {steps[-1]:,.0f} training steps, {len(pairs)} seeds, "
        f"from {mean[0]:.4g} to {mean[-1]:.4g}"
    )


def _over_seeds(table: Floats) -> Floats:
    """Return mean, low and high, (3, steps), of (seeds, steps); bounds from three seeds on."""
    known = np.isfinite(table).sum(axis=0)
    result = np.full((3, table.shape[1]), np.nan)
    for step in np.flatnonzero(known):
        values = table[np.isfinite(table[:, step]), step]
        result[0, step] = values.mean()
        if known[step] >= _ENOUGH_SEEDS:
            result[:, step] = mean_interval(values)
    return result


def _in_sight(table: Floats, low: Floats, high: Floats) -> list[float]:
    """Return the values that the scale must hold: the seeds, and their interval where it is near.

    The interval of three seeds may reach far beyond what any of them did, and flatten everything.
    """
    values = table[np.isfinite(table)]
    reach = max(float(np.ptp(values)), 1e-12)
    near = np.clip([*low, *high], values.min() - 0.6 * reach, values.max() + 0.6 * reach)
    return [*values.tolist(), *near[np.isfinite(near)].tolist()]


def _finite(steps: Floats, values: Floats) -> tuple[Floats, Floats]:
    known = np.isfinite(values)
    return steps[known], values[known]


def _at(steps: Floats, own: Floats, values: Floats) -> Floats:
    """Return a curve at all seeds' steps: between its own ones on the line, NaN outside them."""
    return np.interp(steps, own, values, left=np.nan, right=np.nan)
