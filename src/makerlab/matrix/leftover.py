"""What was begun in a runs directory and is no part of the matrix that status tells of."""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makerlab.errors import UserError
from makerlab.matrix.ledger import Ledger
from makerlab.matrix.options import MatrixOptions
from makerlab.matrix.plan import Work, build_graph, folds_of, load_experiment, read_targets
from makerlab.matrix.record import settings_variables, take_over_environment
from makerlab.matrix.repeat import command_of
from makerlab.matrix.run_index import INTERRUPTED
from makerlab.runs.directory import find_studies
from makerlab.runs.manifest import RUNNING
from makerlab.runs.owner import is_alive
from makerlab.runs.progress import read_status


@dataclass(frozen=True)
class Leftover:
    """A run, or a study, that was begun and not finished: running, or interrupted.

    `fraction` is how far it is, `command` what continues it, None where that is not known.
    """

    path: Path
    state: str
    fraction: float | None
    command: str | None


@dataclass(frozen=True)
class _Begun:
    """A leftover before it is known which matrix it was part of."""

    path: Path
    state: str
    key: str
    config_name: str
    progress: Mapping[str, Any] | None
    alone: str | None


def find_leftovers(
    ledger: Ledger, works: Collection[Work], earlier: Iterable[Mapping[str, Any]]
) -> list[Leftover]:
    """Return runs and studies under way or interrupted that are none of `works`.

    `earlier` are the arguments and environments of matrices that did not end, the latest first:
    what one of them would continue today is continued by its command, other runs by themselves.
    """
    begun = [*_runs(ledger, works), *_studies(ledger, works)]
    commands = _commands(begun, earlier)
    return [
        Leftover(each.path, each.state, _fraction(each), commands.get(each.key, each.alone))
        for each in begun
    ]


def _runs(ledger: Ledger, works: Collection[Work]) -> Iterator[_Begun]:
    unfinished = ledger.unfinished_runs()
    if not unfinished:
        return
    covered = {
        key for work in works if work.seed is not None and (key := _key(ledger, work)) is not None
    }
    for key, run in unfinished:
        if key in covered:
            continue
        path = run.directory.path
        status = read_status(run.directory.status)
        alone = f".venv/bin/python train_mm_sac.py --resume {path}"
        yield _Begun(path, run.state, key, run.config_name, status, alone)


def _studies(ledger: Ledger, works: Collection[Work]) -> Iterator[_Begun]:
    places = {(work.config_name, work.fold) for work in works}
    covered = {
        ledger.tuning(Work("tune", name, fold=fold)).path
        for name, fold in places
        if name in ledger.experiments
    }
    for study in find_studies(ledger.options.runs_dir):
        status = read_status(study.status)
        if study.path in covered or status is None or status.get("state") != RUNNING:
            continue
        state = RUNNING if is_alive(status.get("owner")) else INTERRUPTED
        within = study.path.relative_to(ledger.options.runs_dir)
        key = str(status.get("tune_key"))
        yield _Begun(study.path, state, key, within.parts[1], status, alone=None)


def _key(ledger: Ledger, work: Work) -> str | None:
    """Return the key of what work continues; None where its config or parameters are damaged."""
    if work.config_name not in ledger.experiments:
        return None
    try:
        return ledger.tune_key(work) if work.stage == "tune" else ledger.train_key(work)
    except UserError:
        return None


def _commands(begun: list[_Begun], earlier: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return by key the command of the latest matrix that would continue it."""
    open_keys = {each.key for each in begun}
    names = {each.config_name for each in begun}
    found: dict[str, str] = {}
    for matrix in earlier:
        if open_keys <= found.keys():
            break
        # A target list that has gone since continues nothing.
        with contextlib.suppress(UserError, KeyError, TypeError):
            options = MatrixOptions.from_dict(dict(matrix["arguments"]))
            with _settings(matrix["environment"]):
                continued = _continued_by(options, names) & open_keys
            command = command_of(options, matrix["environment"])
            found |= dict.fromkeys(continued - found.keys(), command)
    return found


def _continued_by(options: MatrixOptions, names: set[str]) -> set[str]:
    """Return the keys of what a matrix would do with configs of these names."""
    paths = [path for _, path in read_targets(options.targets) if path.stem in names]
    experiments = []
    for path in paths:
        with contextlib.suppress(UserError):
            experiments.append(load_experiment(path, options))
    ledger = Ledger(options, experiments)
    graph = build_graph(
        list(ledger.experiments), options.seeds, options.stages, folds=folds_of(experiments)
    )
    return {key for work in graph if (key := _key(ledger, work)) is not None}


@contextlib.contextmanager
def _settings(environment: Mapping[str, str]) -> Iterator[None]:
    """Let configs be read with another matrix's environment variables."""
    before = settings_variables()
    take_over_environment(environment)
    try:
        yield
    finally:
        take_over_environment(before)


def _fraction(begun: _Begun) -> float | None:
    if begun.progress is None:
        return None
    return min(1.0, float(begun.progress["done"] / begun.progress["total"]))
