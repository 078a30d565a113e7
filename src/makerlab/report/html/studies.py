"""What tuning did: the course of each study and which parameters mattered to its score."""

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from markupsafe import Markup
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from makerlab.errors import UserError
from makerlab.report.html.artefacts import Shelf
from makerlab.report.html.numbers import NOTHING, plain, with_interval
from makerlab.report.html.scales import Scale, linear
from makerlab.report.html.svg import OWN, Chart, Key, Style, legend
from makerlab.report.html.view import Figure, Panel, Section, Subject, Table
from makerlab.report.stored import StoredTuning
from makerlab.statistics.bootstrap import Estimate
from makerlab.tuning.address import StorageAddress, read_address, recorded_address
from makerlab.tuning.storage import open_storage, storage_errors

FEWEST_TRIALS = 8
"""With fewer finished trials importances would be drawn from nothing."""

_RESAMPLES = 20
_DONE, _CUT, _AGAIN = Style(0), Style(1), Style(2)


@dataclass(frozen=True, eq=False)
class Study:
    """A study's trials in order and the metric they were judged by."""

    name: str
    metric: str
    trials: tuple[FrozenTrial, ...]

    def ended(self, state: TrialState) -> list[FrozenTrial]:
        """Return the trials that ended so and have a finite value."""
        found = [trial for trial in self.trials if trial.state == state]
        return [trial for trial in found if trial.value is not None and np.isfinite(trial.value)]


class Studies:
    """Reads each study of the runs below a directory once, and weighs its parameters once."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._open = functools.cache(_open)
        self._load = functools.cache(self._loaded)
        self.weights = functools.cache(_weights)

    def of(self, subject: Subject) -> Study | None:
        """Return the study that the newest run's parameters come from, None without one.

        Raises UserError when it can't be read.
        """
        for run in reversed(subject.runs):
            manifest = self._shelf.manifest(run)
            tuned = manifest.get("tuned_params") or {}
            name, storage = tuned.get("study"), tuned.get("storage")
            if isinstance(name, str) and isinstance(storage, str):
                tuning = (manifest.get("config") or {}).get("tune") or {}
                place = _found(storage, self._shelf.runs_dir)
                return self._load(name, place, str(tuning.get("metric", "score")))
        return None

    def _loaded(self, name: str, address: StorageAddress, metric: str) -> Study:
        opened = self._open(address)
        with warnings.catch_warnings(), storage_errors(address):
            warnings.simplefilter("ignore")
            try:
                study = optuna.load_study(study_name=name, storage=opened)
            except KeyError:
                place = address.public if address.path is None else address.path.name
                raise UserError(f"{place}: holds no study '{name}'") from None
            return Study(name, metric, tuple(study.get_trials(deepcopy=False)))


def studies_section(subjects: Sequence[Subject], studies: Studies) -> Section:
    """Return the studies behind all subjects' parameters."""
    panels, problems = [], []
    for subject in subjects:
        try:
            study = studies.of(subject)
        except UserError as error:
            problems.append(str(error))
            continue
        if study is not None and study.trials:
            panels.append(_panel(subject, study, studies))
    keys = [Key("finished trial", _DONE, "mark"), Key("pruned: its last score", _CUT, "mark")]
    keys += [Key("best so far", OWN, "plain")]
    keys += [Key("its parameters trained again on fresh seeds", _AGAIN, "mark")]
    return Section(
        anchor="studies",
        title="Tuning",
        lead="How much searching stands behind the parameters, and what mattered? A study's best "
        "score is the largest of many noisy ones; the score on fresh seeds tells what is left.",
        panels=tuple(panels),
        legend=legend(keys),
        together=all(len(panel.figures) == 1 for panel in panels),
        absent=""
        if panels
        else ("; ".join(dict.fromkeys(problems)) or "No run used tuned parameters of a study."),
    )


def _found(storage: str, runs_dir: Path) -> StorageAddress:
    """Return where a study lies; beside its runs when they were moved together."""
    address = recorded_address(storage)
    if address.path is None or address.path.is_file():
        return address
    beside = runs_dir / address.path.name
    return read_address(f"sqlite:///{beside}" if address.kind == "sqlite" else f"journal:{beside}")


def _open(address: StorageAddress) -> optuna.storages.BaseStorage:
    if address.path is not None and not address.path.is_file():
        raise UserError(f"{address.path.name}: the studies' file is not there")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return open_storage(address)


def _panel(subject: Subject, study: Study, studies: Studies) -> Panel:
    figures = [Figure("Course of the study", _course(subject, study), _noted(subject, study))]
    finished = study.ended(TrialState.COMPLETE)
    weights = studies.weights(study)
    if weights:
        note = (
            f"PED-ANOVA over {len(finished)} finished trials; the line spans the middle 80 % of "
            f"{_RESAMPLES} resamples of them. Wide lines mean that trials were too few to tell."
        )
        chart = _importance(subject, weights)
        figures.append(Figure("Importance of parameters for the score", chart, note))
    else:
        missing = (
            f"Importance of parameters is not shown: {len(finished)} trials finished, "
            f"at least {FEWEST_TRIALS} and a parameter that varies are needed."
        )
        figures[0] = Figure(figures[0].caption, figures[0].chart, f"{figures[0].note} {missing}")
    return Panel(subject.label, tuple(figures), table=_table(subject, study))


def _tuning(subject: Subject) -> StoredTuning | None:
    return next((tuned for run in reversed(subject.runs) if (tuned := run.tuned_params)), None)


def _noted(subject: Subject, study: Study) -> str:
    """Return how the trials ended, and what is left of the best score on fresh seeds."""
    tuned, counted = _tuning(subject), _counted(study)
    if tuned is None or tuned.score is None:
        return counted
    best = f"{counted} The chosen trial scored {plain(tuned.score)};"
    again = tuned.rescored
    if again is None or again.value is None:
        return f"{best} its parameters were not trained again on fresh seeds."
    known = again.low is not None and again.high is not None
    left = Estimate(again.value, again.low, again.high)
    shown = with_interval(left) if known else plain(again.value)
    return f"{best} trained again on fresh seeds its parameters score {shown}."


def _counted(study: Study) -> str:
    states: dict[str, int] = {}
    for trial in study.trials:
        states[trial.state.name.lower()] = states.get(trial.state.name.lower(), 0) + 1
    listed = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return f"Study {study.name}: {listed}."


def _course(subject: Subject, study: Study) -> Markup:
    finished, pruned = study.ended(TrialState.COMPLETE), study.ended(TrialState.PRUNED)
    values = [trial.value or 0.0 for trial in (*finished, *pruned)]
    tuned = _tuning(subject)
    again = None if tuned is None or tuned.rescored is None else tuned.rescored.value
    values += [] if again is None else [again]
    chart = Chart(
        x=linear([0.0, *(float(trial.number) for trial in study.trials)], whole=True),
        y=linear(values),
        x_label="trial",
        y_label=f"validation {study.metric}",
    )
    for trials, style in ((pruned, _CUT), (finished, _DONE)):
        for trial in trials:
            title = f"trial {trial.number}: {plain(trial.value)}; {_parameters(trial)}"
            chart.point(trial.number, trial.value or 0.0, style, title=title)
    ordered = sorted(finished, key=lambda trial: trial.number)
    best = np.maximum.accumulate([trial.value or 0.0 for trial in ordered] or [np.nan])
    if ordered:
        # The best stands until the next one beats it: stairs.
        ends = [*(trial.number for trial in ordered[1:]), len(study.trials) - 1]
        chart.line(np.ravel([[t.number for t in ordered], ends], "F"), np.repeat(best, 2), OWN)
    if again is not None and tuned is not None:
        place = len(study.trials) - 1 if tuned.trial is None else tuned.trial
        title = f"chosen parameters on fresh seeds: {plain(again)}"
        chart.point(place, again, _AGAIN, title=title)
    text = f"{subject.label}: {len(finished)} finished trials, best score {plain(float(best[-1]))}"
    if again is not None:
        text += f", on fresh seeds {plain(again)}"
    return chart.markup(text)


def _parameters(trial: FrozenTrial) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in trial.params.items())


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


class Weight(NamedTuple):
    """A parameter's share of the score's variation, and the middle 80 % of its resamples."""

    parameter: str
    share: float
    low: float
    high: float


def _weights(study: Study) -> list[Weight]:
    """Return the parameters' weights, largest first; none where trials are too few to tell."""
    finished = study.ended(TrialState.COMPLETE)
    found = _importances(finished) if len(finished) >= FEWEST_TRIALS else {}
    if not any(found.values()):
        return []
    generator = np.random.default_rng(0)
    draws = generator.integers(0, len(finished), (_RESAMPLES, len(finished)))
    resampled = [_importances([finished[i] for i in draw]) for draw in draws.tolist()]
    weights = []
    for name in sorted(found, key=lambda name: -found[name]):
        low, high = np.quantile([each.get(name, 0.0) for each in resampled], [0.1, 0.9])
        weights.append(Weight(name, found[name], float(low), float(high)))
    return weights


def _importance(subject: Subject, weights: Sequence[Weight]) -> Markup:
    chart = Chart(
        x=Scale(0.0, 1.0, tuple((share, f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0))),
        y=Scale(
            0.5 - len(weights), 0.5, tuple((-float(i), w.parameter) for i, w in enumerate(weights))
        ),
        x_label="share of the score's variation",
        y_label="",
        left=110,
        rows=True,
    )
    for row, (name, share, low, high) in enumerate(weights):
        title = f"{name}: {share:.0%}, resampled {low:.0%} to {high:.0%}"
        chart.bar(0.0, share, -row - 0.3, 0.3 - row, colour=_DONE.colour, title=title)
        chart.span(-row, low, high, OWN)
    text = ", ".join(f"{weight.parameter} {weight.share:.0%}" for weight in weights)
    return chart.markup(f"{subject.label}: importance of parameters: {text}")


def _importances(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """Return each parameter's share by PED-ANOVA; nothing where the score does not vary."""
    if len({trial.value for trial in trials}) < 2:
        return {}
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
        except (ValueError, RuntimeError):
            # Resamples of few trials may leave a parameter without two values.
            return {}


def _table(subject: Subject, study: Study) -> Table:
    """Return the trials by score with their parameters."""
    ended = [*study.ended(TrialState.COMPLETE), *study.ended(TrialState.PRUNED)]
    names = list(dict.fromkeys(name for trial in ended for name in trial.params))
    ranked = sorted(ended, key=lambda t: (t.state != TrialState.COMPLETE, -(t.value or 0.0)))
    rows = tuple(
        (
            str(trial.number),
            trial.state.name.lower(),
            plain(trial.value),
            *(_short(trial.params.get(name, NOTHING)) for name in names),
        )
        for trial in ranked[:_MOST_ROWS]
    )
    more = len(ranked) - len(rows)
    caption = f"{subject.label}: trials of study {study.name}, best first"
    return Table(
        caption=caption + (f"; {more} more are left out" if more > 0 else ""),
        header=("trial", "ended", f"validation {study.metric}", *names),
        rows=rows,
    )


_MOST_ROWS = 30
