"""Runs a matrix from its targets to its tables."""

import contextlib
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from makerlab.launchers.base import Launcher
from makerlab.launchers.choose import Place, make_launcher, places
from makerlab.launchers.settings import LauncherSettings, load_launcher
from makerlab.matrix import analysis
from makerlab.matrix.devices import computes_on_cpu
from makerlab.matrix.display import Display, choose_display
from makerlab.matrix.grouping import GroupLauncher
from makerlab.matrix.jobs import StageWorkshop
from makerlab.matrix.ledger import Ledger
from makerlab.matrix.lock import MatrixLock, matrix_lock
from makerlab.matrix.options import MatrixOptions
from makerlab.matrix.packing import computes_here
from makerlab.matrix.plan import (
    ANALYZE,
    Node,
    Work,
    build_graph,
    folds_of,
    load_experiments,
    notes,
    warnings,
)
from makerlab.matrix.record import COMPLETE, MatrixRecord
from makerlab.matrix.scheduler import (
    BLOCKED,
    FAILED,
    INTERRUPTED,
    PRESENT,
    Result,
    Scheduler,
)
from makerlab.matrix.watch import Watcher
from makerlab.runs.directory import REPORT, groups_directory
from makerlab.runs.owner import check_writable
from makerlab.runs.progress import Report
from makerlab.runs.stopping import StopRequest

Results = dict[Work, Result]


def run_matrix(options: MatrixOptions, *, root: Path, output: TextIO) -> int:
    """Bring a matrix to its end; returns 0, or 1 when something failed and the rest is done.

    `root` is the folder of the scripts. Raises UserError before anything is started, and
    Interrupted, with all jobs stopped and resumable, when asked to stop.
    """
    settings = load_launcher(options.launcher, debugger=options.debugger)
    experiments = load_experiments(options)
    for directory in (options.runs_dir, options.logs_dir, options.plots_dir):
        check_writable(directory)
    display = choose_display(output)
    with _tell_both(options.logs_dir / "matrix.log", display) as say:
        for warning in warnings(experiments):
            say(f"warning: {warning}")
        for note in notes(experiments, options):
            say(f"note: {note}")
        with matrix_lock(options.runs_dir, say) as lock:
            ledger = Ledger(options, experiments)
            place = _place(options, root, lock, say)
            with contextlib.closing(make_launcher(settings, place)) as launcher:
                drive = _Drive(options, ledger, root, settings, launcher, display, say, lock)
                return drive.drive()


def _place(options: MatrixOptions, root: Path, lock: MatrixLock, say: Report) -> Place:
    """Say where this matrix is to launchers; a GPU does not survive a fork."""
    warm_up = root / "scripts" / "warm_up.py"
    return Place(
        runs_dir=options.runs_dir,
        error_log=options.logs_dir / "matrix_stderr.log",
        warm_up=warm_up if computes_on_cpu(options.device) else None,
        keep_open=(lock.jobs_file,),
        debugger=options.debugger,
        report=say,
    )


@contextlib.contextmanager
def _tell_both(path: Path, display: Display) -> Iterator[Report]:
    """Yield the function that tells a line to the log, with its time, and to the user."""
    with path.open("a", buffering=1, encoding="utf-8") as file:

        def say(line: str) -> None:
            now = datetime.datetime.now(datetime.UTC)
            file.write(f"{now:%Y-%m-%d %H:%M:%S}Z {line}\n")
            display.line(line)

        try:
            yield say
        finally:
            display.close()


@dataclass(frozen=True)
class _Stop:
    """A request to stop; TakenOver is raised where another matrix has taken over."""

    request: StopRequest
    lock: MatrixLock

    @property
    def requested(self) -> bool:
        """Whether the user wants to leave."""
        self.lock.check()
        return self.request.requested


@dataclass
class _Drive:
    """One matrix under way."""

    options: MatrixOptions
    ledger: Ledger
    root: Path
    settings: LauncherSettings
    launcher: Launcher
    display: Display
    say: Report
    lock: MatrixLock

    def drive(self) -> int:
        """Do all work, then analyze; the record says how it ended, whatever happens."""
        graph = build_graph(
            list(self.ledger.experiments),
            self.options.seeds,
            self.options.stages,
            folds=folds_of(self.ledger.experiments.values()),
        )
        self._check_device(graph)
        record = MatrixRecord(self.options, held=lambda: self.lock.held)
        state = INTERRUPTED
        try:
            results = self._work(graph, record)
            failures = {work: result for work, result in results.items() if not result.good}
            state = FAILED if failures else COMPLETE
        finally:
            record.close(state)
        self._tell_end(results, failures)
        return 1 if failures else 0

    def _work(self, graph: dict[Work, Node], record: MatrixRecord) -> Results:
        self._tell_untuned(graph)
        with StopRequest() as stop:
            results = self._schedule(graph, record, stop)
            self.display.close()
            if "analyze" in self.options.stages:
                results |= self._analyze(graph, results, record, stop)
            if stop.requested:
                good = sum(result.good for result in results.values())
                raise stop.interruption(
                    f"stopped with {good} of {len(results)} done; the same command continues"
                )
        return results

    def _analyze(
        self, graph: dict[Work, Node], results: Results, record: MatrixRecord, stop: StopRequest
    ) -> Results:
        """Make tables where they are not there; asked for alone, they always are made."""
        if stop.requested:
            return {ANALYZE: Result(INTERRUPTED)}
        if graph and analysis.is_analyzed(self.options):
            return {ANALYZE: Result(PRESENT)}
        failed = not all(result.good for result in results.values())
        if failed and not analysis.has_results(self.options):
            self.say("analyze: nothing was evaluated, nothing to analyze")
            return {ANALYZE: Result(BLOCKED)}
        done = len(results)
        return self._schedule({ANALYZE: Node(ANALYZE)}, record, stop, before=done)

    def _schedule(
        self, graph: dict[Work, Node], record: MatrixRecord, stop: StopRequest, *, before: int = 0
    ) -> Results:
        jobs = places(self.settings, self.options.jobs)
        after = int("analyze" in self.options.stages and ANALYZE not in graph)
        counted = (before, before + len(graph) + after)
        watcher = Watcher(graph, self.ledger, record, self.display, self.say, jobs, counted)
        workshop = StageWorkshop(self.ledger, self.root, self.settings)
        outcomes = groups_directory(self.options.runs_dir)
        launcher = GroupLauncher(self.launcher, workshop.group, outcomes)
        alone = _Stop(stop, self.lock)
        return Scheduler(graph, workshop, launcher, watcher, alone, jobs).run()

    def _check_device(self, graph: dict[Work, Node]) -> None:
        """Refuse a device that is not there once, not in every job; torch is slow to import."""
        if self.options.device in {"auto", "cpu"} or not computes_here(self.settings):
            return
        if all(map(self.ledger.is_done, graph)):
            return
        from makerlab.learning.device import check_device

        check_device(self.options.device)

    def _tell_untuned(self, graph: dict[Work, Node]) -> None:
        if "train" not in self.options.stages or "tune" in self.options.stages:
            return
        studies = dict.fromkeys(Work("tune", work.config_name, fold=work.fold) for work in graph)
        for study in studies:
            if not self.ledger.is_tuned(study):
                path = self.ledger.experiments[study.config_name].path
                fold = "" if study.fold is None else f" fold {study.fold}"
                self.say(
                    f"note: {path}{fold} is not tuned with these settings; training uses "
                    "older parameters, or the config's own where there are none"
                )

    def _tell_end(self, results: Results, failures: Results) -> None:
        present = sum(result.state == PRESENT for result in results.values())
        if present:
            self.say(f"{present} of {len(results)} were done before")
        for work, result in results.items():
            if work.stage == "tune" and result.good:
                self.say(f"best parameters: {self.ledger.tuning(work).best_params}")
        analyzed = results.get(ANALYZE)
        if analyzed is not None and analyzed.state == PRESENT:
            self.display.text(analysis.tables_path(self.options).read_text(encoding="utf-8"))
            self.say("these are the tables of the last analysis; make analyze makes them anew")
        summary = analysis.summary_path(self.options)
        if "analyze" in self.options.stages and summary.is_file():
            self.say(f"summary: {summary}")
            self.say(f"plots: {self.options.plots_dir}")
            page = self.options.runs_dir / REPORT
            written = page if page.is_file() else "make report"
            self.say(f"a report to open in a browser: {written}")
        if failures:
            self._tell_failures(failures, len(results))

    def _tell_failures(self, failures: Results, total: int) -> None:
        blocked = sum(result.state == BLOCKED for result in failures.values())
        rest = f", {blocked} of them for want of another" if blocked else ""
        self.say(f"{len(failures)} of {total} could not be done{rest}:")
        for work, result in failures.items():
            if result.state != BLOCKED:
                self.say(f"  {work}: {result.reason}")
