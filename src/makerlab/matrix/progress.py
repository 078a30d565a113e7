"""How far a matrix is: progress of running stages, and an estimate of the time left."""

import heapq
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from makerlab.matrix.ledger import Ledger
from makerlab.matrix.plan import Node, Work
from makerlab.matrix.ready import ReadyWork
from makerlab.matrix.scheduler import DONE, Result
from makerlab.runs.progress import duration, read_status

Weight = Callable[[Work], float]

RESCORING = "scoring the best again with fresh seeds"


@dataclass(frozen=True)
class Progress:
    """How far one stage is, as it last wrote itself."""

    done: int
    total: int
    unit: str
    fraction: float
    per_second: float
    seconds_left: float | None
    metric: float | None
    updated: float
    metric_name: str | None = None
    phase: str | None = None

    def sentence(self) -> str:
        """Return progress, speed and time left as a person reads them."""
        parts = [f"{self.fraction:.0%}", f"{self.done:,} of {self.total:,} {self.unit}"]
        if self.phase is not None:
            parts.append(self.phase)
        elif self.per_second >= 1:
            parts.append(f"{self.per_second:,.0f}/s")
        elif self.per_second > 0:
            parts.append(f"{duration(1 / self.per_second)} per {self.unit.removesuffix('s')}")
        if self.seconds_left is not None:
            parts.append(f"{duration(self.seconds_left)} left")
        return ", ".join(parts)


def read_progress(ledger: Ledger, work: Work) -> Progress | None:
    """Return what a tune or train stage last wrote about itself, None when it wrote nothing."""
    if work.stage not in {"tune", "train"}:
        return None
    settings = ledger.experiments[work.config_name].config.tune
    if work.stage == "tune":
        record = read_status(ledger.tuning(work).status)
        # After its trials a study trains the chosen parameters again, about as long each time.
        more = settings.rescore_seeds
        named = f"best valid {settings.metric}"
        return None if record is None else _progress(record, "best", named, more=more)
    run = ledger.run_of(work)
    record = None if run is None else read_status(run.directory.status)
    named = f"last valid {settings.metric}"
    return None if record is None else _progress(record, "last_metric", named)


def _progress(record: dict[str, Any], metric: str, named: str, *, more: int = 0) -> Progress:
    """Read a status record; `more` units of work follow those that it counts."""
    rescored = record.get("rescored")
    done, total = record["done"] + (rescored or 0.0), record["total"] + more
    per_second = record["per_second"]
    left = None
    if per_second > 0:
        # A study writes once per trial, so the record may be minutes old.
        left = max((total - done) / per_second - (time.time() - record["updated"]), 0.0)
    return Progress(
        done=record["done"],
        total=record["total"],
        unit=record["unit"],
        fraction=min(1.0, done / total),
        per_second=per_second,
        seconds_left=left,
        metric=record.get(metric),
        updated=record["updated"],
        metric_name=named,
        phase=None if rescored is None else RESCORING,
    )


@dataclass(frozen=True)
class UnderWay:
    """A job: seconds since it began or was queued, and what it says about itself."""

    work: Work
    seconds: float
    progress: Progress | None
    queued: bool = False


@dataclass(frozen=True)
class Snapshot:
    """How the whole matrix stands."""

    finished: int
    failed: int
    total: int
    fraction: float
    seconds_left: float | None
    running: tuple[UnderWay, ...]

    def sentence(self) -> str:
        """Return the state of the matrix in one line."""
        queued = sum(job.queued for job in self.running)
        running = len(self.running) - queued
        parts = [f"{self.finished} of {self.total} done", f"{running} running"]
        if queued:
            parts.append(f"{queued} queued")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.seconds_left is not None:
            parts.append(f"about {duration(self.seconds_left)} left")
        return ", ".join(parts)


def take_snapshot(
    graph: Mapping[Work, Node],
    results: Mapping[Work, Result],
    running: list[UnderWay],
    *,
    weight: Weight,
    jobs: int,
) -> Snapshot:
    """Sum up a matrix; `weight` is the rough cost of a piece of work in any unit."""
    total = sum(weight(work) for work in graph) or 1.0
    done = sum(weight(work) for work in results)
    done += sum(weight(job.work) * _fraction(job) for job in running)
    return Snapshot(
        finished=sum(result.good for result in results.values()),
        failed=sum(not result.good for result in results.values()),
        total=len(graph),
        fraction=min(1.0, done / total),
        seconds_left=_seconds_left(graph, results, running, weight=weight, jobs=jobs),
        running=tuple(running),
    )


def _seconds_left(
    graph: Mapping[Work, Node],
    results: Mapping[Work, Result],
    running: list[UnderWay],
    *,
    weight: Weight,
    jobs: int,
) -> float | None:
    """Play the rest of the matrix through with the speeds seen so far; None before any was seen."""
    speeds = _seconds_per_weight(results, running, weight)
    if not speeds:
        return None
    usual = sum(seconds for seconds, _ in speeds.values()) / sum(w for _, w in speeds.values())

    def seconds(work: Work) -> float:
        pair = speeds.get(work.stage)
        return weight(work) * (usual if pair is None else pair[0] / pair[1])

    left = {job.work: _left(job, seconds(job.work)) for job in running}
    return _play(graph, set(results), left, seconds, jobs)


def _play(
    graph: Mapping[Work, Node],
    finished: set[Work],
    running: dict[Work, float],
    seconds: Callable[[Work], float],
    jobs: int,
) -> float:
    """Return when the last piece of work ends if all take as long as expected."""
    ready = ReadyWork(graph, done=finished, busy=running)
    clock = 0.0
    ends = [(end, ready.place(work), work) for work, end in running.items()]
    heapq.heapify(ends)
    while ends or ready:
        while ready and len(ends) < jobs:
            work = ready.pop()
            heapq.heappush(ends, (clock + seconds(work), ready.place(work), work))
        clock, _, done = heapq.heappop(ends)
        ready.meet(done)
    return clock


def _seconds_per_weight(
    results: Mapping[Work, Result], running: list[UnderWay], weight: Weight
) -> dict[str, tuple[float, float]]:
    """Return (seconds, weight) seen per stage."""
    seen: dict[str, tuple[float, float]] = {}

    def add(work: Work, seconds: float, amount: float) -> None:
        before = seen.get(work.stage, (0.0, 0.0))
        seen[work.stage] = (before[0] + seconds, before[1] + amount)

    for work, result in results.items():
        if result.state == DONE and weight(work) > 0:
            add(work, result.seconds, weight(work))
    for job in running:
        progress = job.progress
        if progress is not None and progress.seconds_left and progress.fraction < 1.0:
            add(job.work, progress.seconds_left, weight(job.work) * (1.0 - progress.fraction))
    return seen


def _fraction(job: UnderWay) -> float:
    return 0.0 if job.progress is None else job.progress.fraction


def _left(job: UnderWay, usual: float) -> float:
    if job.progress is not None and job.progress.seconds_left is not None:
        return job.progress.seconds_left
    return usual if job.queued else max(usual - job.seconds, 0.0)
