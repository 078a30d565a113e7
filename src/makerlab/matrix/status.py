"""How a matrix stands, read from disk alone: works while it runs, after it ended or crashed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from makerlab.errors import UserError
from makerlab.launchers.queue_view import queue_view
from makerlab.matrix import analysis
from makerlab.matrix.ledger import Ledger
from makerlab.matrix.leftover import Leftover, find_leftovers
from makerlab.matrix.lock import last_sign_of_life
from makerlab.matrix.options import MatrixOptions
from makerlab.matrix.plan import (
    ANALYZE,
    Experiment,
    Work,
    build_graph,
    folds_of,
    load_experiment,
    read_targets,
)
from makerlab.matrix.progress import Progress, read_progress
from makerlab.matrix.record import (
    RUNNING,
    describe,
    read_record,
    settings_variables,
    take_over_environment,
)
from makerlab.matrix.repeat import command_of
from makerlab.matrix.run_index import INTERRUPTED
from makerlab.runs.manifest import COMPLETE, FAILED, utc
from makerlab.runs.owner import is_alive, is_local
from makerlab.runs.progress import read_status

DONE, QUEUED, PENDING, INVALID = "done", "queued", "pending", "invalid"


@dataclass(frozen=True)
class Row:
    """One piece of work: done, running, queued, failed, interrupted, pending or invalid.

    What is queued waits for its turn on a cluster; what is invalid has a bad config.

    `before` are the lines that led to the message of a failure: its log, the end of a traceback.
    """

    work: Work
    state: str
    progress: Progress | None = None
    message: str | None = None
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class Elsewhere:
    """The host of a matrix, and when it was last heard of, by the file system's clock (UTC)."""

    host: str
    last_sign_of_life: str | None


@dataclass(frozen=True)
class MatrixStatus:
    """How a matrix stands; `driver` is the state of the process that runs it, None if none did.

    One that runs where it can't be looked up from here is told by its `elsewhere`.

    `command` continues it; `leftovers` are begun and no part of it.
    """

    options: MatrixOptions
    driver: str | None
    driver_pid: int | None
    elsewhere: Elsewhere | None
    fraction: float | None
    seconds_left: float | None
    rows: tuple[Row, ...]
    command: str
    leftovers: tuple[Leftover, ...]

    def count(self, state: str) -> int:
        """Return how many pieces of work are in a state."""
        return sum(row.state == state for row in self.rows)


def read_matrix_status(
    runs_dir: Path, changes: Mapping[str, Any], *, metrics: bool = True
) -> MatrixStatus:
    """Return the status of the last matrix in `runs_dir`, or of the one that `changes` describe.

    Settings given by environment variables of the matrix are taken from its record, since this
    process was most likely started without them. `metrics` reads what finished work last said of
    itself, a file each. Raises UserError for a bad target list.
    """
    record = read_record(runs_dir)
    if record is None:
        options = MatrixOptions(runs_dir=runs_dir)
    else:
        options = replace(MatrixOptions.from_dict(record["arguments"]), runs_dir=runs_dir)
        take_over_environment(record["environment"])
    options = replace(options, **changes)
    return _Reader(options, record, metrics=metrics).status()


def configs_at_work(runs_dir: Path) -> tuple[str, ...]:
    """Return the names of the configs of the matrix that runs in a directory, none without one."""
    record = read_record(runs_dir)
    if record is None or record["state"] != RUNNING or not is_alive(record["owner"]):
        return ()
    try:
        targets = read_targets(MatrixOptions.from_dict(record["arguments"]).targets)
    except UserError:
        return ()
    return tuple(path.stem for _, path in targets)


class _Reader:
    """Looks at every piece of work of a plan."""

    def __init__(
        self, options: MatrixOptions, record: dict[str, Any] | None, *, metrics: bool
    ) -> None:
        self._options, self._record, self._metrics = options, record or {}, metrics
        self._problems: dict[str, str] = {}
        self._lists = {
            where: {_named(entry): dict(entry) for entry in reversed(self._record.get(where, []))}
            for where in ("running", "failures")
        }
        self._ledger = Ledger(options, list(self._experiments()))
        state = self._record.get("state")
        if state == RUNNING and not is_alive(self._record["owner"]):
            state = INTERRUPTED
        self._driver = state
        self._queue = queue_view(options.launcher, options.runs_dir)

    def status(self) -> MatrixStatus:
        """Return the status of all work."""
        names = [path.stem for _, path in read_targets(self._options.targets)]
        folds = folds_of(self._ledger.experiments.values())
        graph = build_graph(names, self._options.seeds, self._options.stages, folds=folds)
        rows = [self._row(work) for work in graph]
        if "analyze" in self._options.stages:
            rows.append(self._analyze_row(rows))
        running = self._driver == RUNNING
        return MatrixStatus(
            options=self._options,
            driver=self._driver,
            driver_pid=self._record["owner"]["pid"] if running else None,
            elsewhere=self._elsewhere() if running else None,
            fraction=self._record["fraction"] if running else None,
            seconds_left=self._record["seconds_left"] if running else None,
            rows=tuple(rows),
            command=command_of(self._options, settings_variables()),
            leftovers=tuple(find_leftovers(self._ledger, graph, self._unended())),
        )

    def _elsewhere(self) -> Elsewhere | None:
        owner = self._record["owner"]
        if is_local(owner):
            return None
        heard = last_sign_of_life(self._options.runs_dir)
        return Elsewhere(owner["host"], None if heard is None else utc(heard))

    def _unended(self) -> list[dict[str, Any]]:
        """Return the matrices that did not end, the latest first: the last one may be another."""
        last = [self._record] if self._driver == INTERRUPTED else []
        return [*last, *self._record.get("unfinished", [])]

    def _experiments(self) -> Iterator[Experiment]:
        for _, path in read_targets(self._options.targets):
            try:
                yield load_experiment(path, self._options)
            except UserError as error:
                self._problems[path.stem] = " ".join(str(error).split())

    def _row(self, work: Work) -> Row:
        if work.config_name in self._problems:
            return Row(work, INVALID, message=self._problems[work.config_name])
        try:
            if self._ledger.is_done(work):
                return Row(work, DONE, self._metric_of(work))
            return self._unfinished(work)
        except UserError as error:
            return Row(work, FAILED, message=" ".join(str(error).split()))

    def _unfinished(self, work: Work) -> Row:
        state, message = self._state_on_disk(work)
        if self._listed(work, "running") is not None and self._driver == RUNNING:
            state = RUNNING
        queued = self._queue.get(str(work))
        if queued is not None:
            state, message = (QUEUED, queued.sentence()) if queued.waits else (RUNNING, None)
        failure = self._listed(work, "failures")
        before: list[str] = []
        if failure is not None and state not in {RUNNING, QUEUED}:
            state = FAILED
            *before, message = failure["lines"]
        shown = state in {RUNNING, FAILED, INTERRUPTED}
        progress = read_progress(self._ledger, work) if shown else None
        return Row(work, state, progress, message, tuple(before))

    def _state_on_disk(self, work: Work) -> tuple[str, str | None]:
        """Return state and error as the stage itself left them."""
        if work.stage == "tune":
            return self._tune_state(work)
        waits = "tune" in self._options.stages and not self._ledger.is_tuned(work)
        if waits or work.stage == "evaluate":
            return PENDING, None
        run = self._ledger.run_of(work)
        if run is None:
            return PENDING, None
        return run.state, run.error["message"] if run.error else None

    def _tune_state(self, work: Work) -> tuple[str, str | None]:
        record = read_status(self._ledger.tuning(work).status)
        state = PENDING if record is None else record.get("state", PENDING)
        if record is None or state == COMPLETE:
            return PENDING, None
        if state == RUNNING and not is_alive(record.get("owner")):
            state = INTERRUPTED
        return state, record.get("error")

    def _metric_of(self, work: Work) -> Progress | None:
        wanted = self._metrics and work.stage != "evaluate"
        return read_progress(self._ledger, work) if wanted else None

    def _analyze_row(self, rows: list[Row]) -> Row:
        if self._listed(ANALYZE, "running") is not None and self._driver == RUNNING:
            return Row(ANALYZE, RUNNING)
        failure = self._listed(ANALYZE, "failures")
        if failure is not None:
            *before, message = failure["lines"]
            return Row(ANALYZE, FAILED, message=message, before=tuple(before))
        others_done = all(row.state == DONE for row in rows)
        return Row(
            ANALYZE, DONE if others_done and analysis.is_analyzed(self._options) else PENDING
        )

    def _listed(self, work: Work, where: str) -> dict[str, Any] | None:
        """Return the entry of a piece of work in a list of the record."""
        return self._lists[where].get(_named(describe(work)))


def _named(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what tells the work of an entry from other work."""
    return tuple(entry.get(name) for name in describe(ANALYZE))
