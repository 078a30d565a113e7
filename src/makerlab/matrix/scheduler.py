"""Runs a graph of work on a limited number of places, and finishes all that can be finished."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from makerlab.errors import UserError
from makerlab.launchers.base import Job, Launcher, Outcome, describe_status
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
    """A job under way."""

    work: Work
    job: Job
    handle: str
    started: float


class Workshop(Protocol):
    """What the scheduler asks about work; it knows nothing of stages itself."""

    def job(self, work: Work) -> Job | None:
        """Return the job of a piece of work, None when its result is there already."""
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
    launcher: Launcher
    observer: Observer
    stop: Stop
    jobs: int
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _results: dict[Work, Result] = field(default_factory=dict, init=False)
    _running: list[Running] = field(default_factory=list, init=False)

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
            elif len(self._running) < self.jobs and self._is_ready(node):
                self._start(node.work)

    def _start(self, work: Work) -> None:
        try:
            job = self.workshop.job(work)
            if job is None:
                self._end(work, Result(PRESENT))
            elif all(job.key != other.job.key for other in self._running):
                running = Running(work, job, self.launcher.submit(job), self.clock())
                self._running.append(running)
                self.observer.started(running)
        except (UserError, OSError) as error:
            self._end(work, Result(FAILED, lines=(str(error),)))

    def _reap(self) -> bool:
        """Take in jobs that have ended; returns whether any has."""
        ended = [(r, o) for r in self._running if (o := self.launcher.poll(r.handle)) is not None]
        for running, outcome in ended:
            self._running.remove(running)
            seconds = self.clock() - running.started
            self._end(running.work, self._judge(running, outcome, seconds))
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
        busy = {running.work for running in self._running}
        return [n for w, n in self.graph.items() if w not in self._results and w not in busy]

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
