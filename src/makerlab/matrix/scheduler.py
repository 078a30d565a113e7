"""Runs a graph of work on a limited number of places, and finishes all that can be finished."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from makerlab.errors import UserError
from makerlab.launchers.base import Job, Outcome, describe_status
from makerlab.matrix.grouping import GroupLauncher
from makerlab.matrix.lock import TakenOver
from makerlab.matrix.packing import Packing
from makerlab.matrix.plan import Node, Work
from makerlab.matrix.ready import ReadyWork

DONE = "done"
PRESENT = "present"
FAILED = "failed"
BLOCKED = "blocked"
INTERRUPTED = "interrupted"

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
    """A job under way; jobs of one `place` share a process.

    One that is `queued` has yet to begin; it `started` when it was handed in, later when it began.
    """

    work: Work
    job: Job
    handle: str
    started: float
    place: str = ""
    queued: bool = False


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

    def submitted(self, running: Running) -> None:
        """A job began, or is queued somewhere."""
        ...

    def began(self, running: Running) -> None:
        """A job that was queued began."""
        ...

    def finished(self, work: Work, result: Result) -> None:
        """A piece of work ended, with or without a job."""
        ...

    def lost(self, running: Running) -> None:
        """A process of several jobs left no result of this one; it is done again by itself."""
        ...

    def tick(self, running: Sequence[Running], results: Mapping[Work, Result]) -> None:
        """Time passed."""
        ...


class Stop(Protocol):
    """Whether the user wants to leave."""

    @property
    def requested(self) -> bool:
        """Start nothing more, let jobs save their state; raises TakenOver to leave them alone."""
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
    _ready: ReadyWork = field(init=False)

    def __post_init__(self) -> None:
        self._ready = ReadyWork(self.graph)

    def run(self) -> dict[Work, Result]:
        """Return how each piece of work ended, in the order of the graph.

        A stop lets jobs save their state; KeyboardInterrupt, the second Ctrl-C, kills them. What
        another matrix has taken over is left to it: TakenOver is passed on.
        """
        try:
            self._follow()
        except TakenOver:
            raise
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
            self._look_at_queue()
            self.observer.tick(self._running, self._results)
            if not changed and self._running:
                self.sleep(POLL_SECONDS)

    def _start_ready(self) -> None:
        """Fill free places, with what is nearest its end first."""
        aside: list[Work] = []
        while self._ready and self._free():
            aside += self._start(self._with_others(self._ready.pop()))
        for work in aside:
            self._ready.add(work)

    def _start(self, works: list[Work]) -> list[Work]:
        """Start work in one process; returns what must wait for a job that writes its files."""
        jobs: dict[Work, Job] = {}
        waiting: list[Work] = []
        taken = {running.job.key for running in self._running}
        for work in works:
            job = self._job(work)
            if job is not None and job.key in taken:
                waiting.append(work)
            elif job is not None:
                jobs[work] = job
                taken.add(job.key)
        if jobs:
            self._submit(jobs)
        return waiting

    def _submit(self, jobs: dict[Work, Job]) -> None:
        try:
            handles = self.launcher.submit_group(list(jobs.values()))
        except OSError as error:
            for work in jobs:
                self._end(work, Result(FAILED, lines=(str(error),)))
            return
        for (work, job), handle in zip(jobs.items(), handles, strict=True):
            place, queued = self.launcher.place(handle), self.launcher.waits(handle)
            running = Running(work, job, handle, self.clock(), place, queued)
            self._running.append(running)
            self.observer.submitted(running)

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
        like = self._ready.like(
            lambda other: (
                other.stage == work.stage
                and other not in self._alone
                and self.workshop.group_key(other) == key
            )
        )
        others = like[: packing.size(1 + len(like), self._free()) - 1]
        self._ready.remove(set(others))
        return [work, *others]

    def _free(self) -> int:
        """Return how many more processes may run."""
        return self.jobs - len({running.place for running in self._running})

    def _reap(self) -> bool:
        """Take in jobs that have ended; returns whether any has."""
        ended = [(r, o) for r in self._running if (o := self.launcher.poll(r.handle)) is not None]
        for running, outcome in ended:
            self._running.remove(running)
            seconds = self.clock() - running.started
            if self.stop.requested or not self._is_in_doubt(running, outcome):
                self._end(running.work, self._judge(running, outcome, seconds))
            elif self.workshop.check(running.work) is None:
                self._end(running.work, Result(DONE, seconds))
            else:
                self._alone.add(running.work)
                self.observer.lost(running)
                self._ready.add(running.work)
        return bool(ended)

    def _is_in_doubt(self, running: Running, outcome: Outcome) -> bool:
        """Whether the files alone tell what became of work, which may have to be done by itself.

        A member of a group waits for nobody, so a study that others work on may have no result yet.
        """
        return outcome.lost or (outcome.status == 0 and running.place != running.handle)

    def _look_at_queue(self) -> None:
        """Note which jobs have begun; from then on their time is measured."""
        for number, running in enumerate(self._running):
            if running.queued and not self.launcher.waits(running.handle):
                began = replace(running, started=self.clock(), queued=False)
                self._running[number] = began
                self.observer.began(began)

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

    def _failed(self, work: Work) -> bool:
        return work in self._results and not self._results[work].good

    def _blockers(self, node: Node) -> tuple[str, ...]:
        failed = ", ".join(str(need) for need in node.needs if self._failed(need))
        return (f"needs {failed}",)

    def _end(self, work: Work, result: Result) -> None:
        """Note how work ended; what needed it is ready now, or never will be."""
        ended = [(work, result)]
        while ended:
            work, result = ended.pop()
            self._results[work] = result
            self.observer.finished(work, result)
            if result.state == INTERRUPTED:
                # What needed it is given up with the rest.
                continue
            if result.good:
                self._ready.meet(work)
                continue
            ended += [
                (node.work, Result(BLOCKED, lines=self._blockers(node)))
                for node in self._ready.needing(work)
                if node.work not in self._results
            ]

    def _cancel(self, *, kill: bool) -> None:
        for running in self._running:
            self.launcher.cancel(running.handle, kill=kill)

    def _give_up(self) -> None:
        for work in [work for work in self.graph if work not in self._results]:
            self._end(work, Result(INTERRUPTED))
