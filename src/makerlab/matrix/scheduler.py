"""Runs a graph of work on a limited number of places, and finishes all that can be finished."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from makerlab.errors import UserError
from makerlab.launchers.base import Job, Outcome, describe_status
from makerlab.matrix.grouping import GroupLauncher
from makerlab.matrix.packing import Packing
from makerlab.matrix.plan import Node, Work

DONE = "done"
PRESENT = "present"
FAILED = "failed"
BLOCKED = "blocked"
INTERRUPTED = "interrupted"

# Finish what is begun before beginning anew, so that results come early.
PRIORITY = {"evaluate": 0, "train": 1, "tune": 2, "analyze": 3}
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Result:
    """How a piece of work ended.

    `done`: by a job just now; `present`: its result was there; `failed`: see `lines`; `blocked`:
    what it needs failed; `interrupted`: stopped, or never started because of a stop.
    """

    state: str
    seconds: float = 0.0
    lines: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether what needs this work can go on."""
        return self.state in {DONE, PRESENT}

    @property
    def reason(self) -> str:
        """Why it did not go well, in one line."""
        return self.lines[-1] if self.lines else self.state


@dataclass(frozen=True)
class Running:
    """A job under way; jobs of one `place` share a process."""

    work: Work
    job: Job
    handle: str
    started: float
    place: str = ""


class Workshop(Protocol):
    """What the scheduler asks about work; it knows nothing of stages itself."""

    def job(self, work: Work) -> Job | None:
        """Return the job of a piece of work, None when its result is there already."""
        ...

    def group_key(self, work: Work) -> object:
        """Return what work must have in common to share a process, None for work that can't."""
        ...

    @property
    def packing(self) -> Packing:
        """How many may share a process."""
        ...

    def check(self, work: Work) -> str | None:
        """Return what is wrong with the result of a job that said it went well, None if nothing."""
        ...

    def failure(self, work: Work, job: Job, outcome: Outcome) -> tuple[str, ...]:
        """Return lines that tell a person why a job failed."""
        ...


class Observer(Protocol):
    """Is told what happens."""

    def started(self, running: Running) -> None:
        """A job began."""
        ...

    def finished(self, work: Work, result: Result) -> None:
        """A piece of work ended, with or without a job."""
        ...

    def lost(self, running: Running) -> None:
        """The process of several jobs died; this one will be done again by itself."""
        ...

    def tick(self, running: list[Running], results: dict[Work, Result]) -> None:
        """Time passed."""
        ...


class Stop(Protocol):
    """Whether the user wants to leave."""

    @property
    def requested(self) -> bool:
        """Start nothing more, let jobs save their state."""
        ...


@dataclass
class Scheduler:
    """Starts work as soon as its needs are met and a place is free.

    One failure stops nothing but what needs it.
    """

    graph: dict[Work, Node]
    workshop: Workshop
    launcher: GroupLauncher
    observer: Observer
    stop: Stop
    jobs: int
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _results: dict[Work, Result] = field(default_factory=dict, init=False)
    _running: list[Running] = field(default_factory=list, init=False)
    _alone: set[Work] = field(default_factory=set, init=False)

    def run(self) -> dict[Work, Result]:
        """Return how each piece of work ended, in the order of the graph.

        A stop lets jobs save their state; KeyboardInterrupt, the second Ctrl-C, kills them.
        """
        try:
            self._follow()
        except KeyboardInterrupt:
            self._cancel(kill=True)
            raise
        except BaseException:
            self._cancel(kill=False)
            raise
        return {work: self._results[work] for work in self.graph}

    def _follow(self) -> None:
        cancelled = False
        while len(self._results) < len(self.graph):
            if not self.stop.requested:
                self._start_ready()
            elif not cancelled:
                cancelled = True
                self._cancel(kill=False)
            elif not self._running:
                self._give_up()
            changed = self._reap()
            self.observer.tick(list(self._running), dict(self._results))
            if not changed and self._running:
                self.sleep(POLL_SECONDS)

    def _start_ready(self) -> None:
        """Fill free places; work whose result is present, or whose needs failed, ends here."""
        for node in sorted(self._open(), key=lambda node: PRIORITY[node.work.stage]):
            if any(self._failed(need) for need in node.needs):
                self._end(node.work, Result(BLOCKED, lines=self._blockers(node)))
            elif self._is_open(node.work) and self._free() and self._is_ready(node):
                self._start(self._with_others(node.work))

    def _start(self, works: list[Work]) -> None:
        """Start work in one process."""
        jobs: dict[Work, Job] = {}
        for work in works:
            job = self._job(work)
            keys = {other.key for other in jobs.values()}
            if job is not None and job.key not in keys | {r.job.key for r in self._running}:
                jobs[work] = job
        if not jobs:
            return
        try:
            handles = self.launcher.submit_group(list(jobs.values()))
        except OSError as error:
            for work in jobs:
                self._end(work, Result(FAILED, lines=(str(error),)))
            return
        for (work, job), handle in zip(jobs.items(), handles, strict=True):
            running = Running(work, job, handle, self.clock(), self.launcher.place(handle))
            self._running.append(running)
            self.observer.started(running)

    def _job(self, work: Work) -> Job | None:
        """Return the job of work, None when it has ended here already."""
        try:
            job = self.workshop.job(work)
        except (UserError, OSError) as error:
            self._end(work, Result(FAILED, lines=(str(error),)))
            return None
        if job is None:
            self._end(work, Result(PRESENT))
        return job

    def _with_others(self, work: Work) -> list[Work]:
        """Return work with what is ready, of its kind, and shares a process with it.

        What a dead process has lost is done alone.
        """
        packing = self.workshop.packing
        key = None if packing.limit == 1 or work in self._alone else self.workshop.group_key(work)
        if key is None:
            return [work]
        like = [
            node.work
            for node in self._open()
            if node.work.stage == work.stage
            and node.work not in self._alone
            and self._is_ready(node)
            and self.workshop.group_key(node.work) == key
        ]
        size = packing.size(len(like), self._free())
        return [work, *(other for other in like if other != work)][:size]

    def _free(self) -> int:
        """Return how many more processes may run."""
        return self.jobs - len({running.place for running in self._running})

    def _reap(self) -> bool:
        """Take in jobs that have ended; returns whether any has."""
        ended = [(r, o) for r in self._running if (o := self.launcher.poll(r.handle)) is not None]
        for running, outcome in ended:
            self._running.remove(running)
            seconds = self.clock() - running.started
            if not outcome.lost or self.stop.requested:
                self._end(running.work, self._judge(running, outcome, seconds))
            elif self.workshop.check(running.work) is None:
                self._end(running.work, Result(DONE, seconds))
            else:
                self._alone.add(running.work)
                self.observer.lost(running)
        return bool(ended)

    def _judge(self, running: Running, outcome: Outcome, seconds: float) -> Result:
        if outcome.status == 0:
            wrong = self.workshop.check(running.work)
            if wrong is None:
                return Result(DONE, seconds)
            return Result(FAILED, seconds, (wrong,))
        if self.stop.requested:
            return Result(INTERRUPTED, seconds, (describe_status(outcome.status),))
        lines = self.workshop.failure(running.work, running.job, outcome)
        return Result(FAILED, seconds, lines)

    def _open(self) -> list[Node]:
        return [node for work, node in self.graph.items() if self._is_open(work)]

    def _is_open(self, work: Work) -> bool:
        return work not in self._results and all(work != each.work for each in self._running)

    def _is_ready(self, node: Node) -> bool:
        return all(need in self._results and self._results[need].good for need in node.needs)

    def _failed(self, work: Work) -> bool:
        return work in self._results and not self._results[work].good

    def _blockers(self, node: Node) -> tuple[str, ...]:
        failed = ", ".join(str(need) for need in node.needs if self._failed(need))
        return (f"needs {failed}",)

    def _end(self, work: Work, result: Result) -> None:
        self._results[work] = result
        self.observer.finished(work, result)

    def _cancel(self, *, kill: bool) -> None:
        for running in self._running:
            self.launcher.cancel(running.handle, kill=kill)

    def _give_up(self) -> None:
        for node in self._open():
            self._end(node.work, Result(INTERRUPTED))
