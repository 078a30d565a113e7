"""Tells what happens to a matrix: to its log, its record and the screen."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from makerlab.matrix.display import Display
from makerlab.matrix.ledger import Ledger
from makerlab.matrix.plan import Node, Work, weight_of
from makerlab.matrix.progress import Progress, UnderWay, read_progress, take_snapshot
from makerlab.matrix.record import MatrixRecord
from makerlab.matrix.scheduler import DONE, FAILED, INTERRUPTED, Result, Running
from makerlab.runs.progress import Report, duration

SNAPSHOT_SECONDS = 1.0
RECORD_SECONDS = 10.0
LARGEST_SHARE = 20.0
"""Between two looks at the whole matrix passes so many times what one takes."""


@dataclass
class Watcher:
    """Listens to a scheduler.

    `counted` is how much of the whole matrix was done before, and how much there is.
    """

    graph: dict[Work, Node]
    ledger: Ledger
    record: MatrixRecord
    display: Display
    say: Report
    jobs: int
    counted: tuple[int, int] = (0, 0)
    _since: dict[Work, float] = field(default_factory=dict, init=False)
    _finished: int = field(default=0, init=False)
    _shown: float = field(default=0.0, init=False)
    _recorded: float = field(default=0.0, init=False)
    _pause: float = field(default=SNAPSHOT_SECONDS, init=False)

    def submitted(self, running: Running) -> None:
        """Note a job that began or is queued; on a live screen it has a row of its own."""
        self._since[running.work] = time.time()
        self.record.submitted(running)
        if not self.display.live:
            self.say(f"{running.work}: {'queued' if running.queued else 'started'}")

    def began(self, running: Running) -> None:
        """Note that a job is queued no more."""
        self._since[running.work] = time.time()
        if not self.display.live:
            self.say(f"{running.work}: started")

    def finished(self, work: Work, result: Result) -> None:
        """Tell the end of a piece of work; what was there already is counted only."""
        self._finished += 1
        self.record.ended(work, result)
        before, total = self.counted
        count = f"({before + self._finished} of {total})"
        if result.state == DONE:
            self.say(f"{work}: done in {duration(result.seconds)} {count}")
        elif result.state == FAILED:
            self.say(f"{work}: FAILED, {result.reason} {count}")
            for line in result.lines[:-1]:
                self.say(f"    {line}")
        elif result.state == INTERRUPTED and result.seconds:
            self.say(f"{work}: stopped after {duration(result.seconds)}")

    def lost(self, running: Running) -> None:
        """Note a job of which a process that did others as well left nothing."""
        self.record.lost(running)
        self.say(f"{running.work}: no result from a process of several; to be done again by itself")

    def tick(self, running: Sequence[Running], results: Mapping[Work, Result]) -> None:
        """Show progress now and then."""
        self.record.flush()
        began = time.monotonic()
        if began - self._shown < self._pause or not running:
            return
        jobs = [
            UnderWay(job.work, began - job.started, self._progress(job.work), job.queued)
            for job in running
        ]
        snapshot = take_snapshot(self.graph, results, jobs, weight=self._weight, jobs=self.jobs)
        before, total = self.counted
        snapshot = replace(snapshot, finished=before + snapshot.finished, total=total)
        self.display.show(snapshot)
        self._shown = time.monotonic()
        # Of a matrix of thousands a look takes longer, and is taken less often.
        self._pause = max(SNAPSHOT_SECONDS, LARGEST_SHARE * (self._shown - began))
        if self._shown - self._recorded >= RECORD_SECONDS:
            self._recorded = self._shown
            self.record.progress(snapshot)

    def _progress(self, work: Work) -> Progress | None:
        if work.stage == "train" and self.ledger.run_of(work) is None:
            self.ledger.refresh()
        progress = read_progress(self.ledger, work)
        # What an earlier process wrote says nothing about the speed of this one.
        return progress if progress and progress.updated >= self._since[work] else None

    def _weight(self, work: Work) -> float:
        if work.stage == "analyze":
            return 1.0
        return weight_of(work, self.ledger.experiments[work.config_name].config)
