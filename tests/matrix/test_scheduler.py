"""Order, limits and isolation of scheduled work."""

from dataclasses import dataclass, field

import pytest

from makerlab.errors import UserError
from makerlab.launchers.base import Job, Outcome
from makerlab.matrix.lock import TakenOver
from makerlab.matrix.options import STAGES
from makerlab.matrix.packing import Packing
from makerlab.matrix.plan import Node, Work, build_graph
from makerlab.matrix.scheduler import Result, Running, Scheduler


@dataclass
class Clockwork:
    """Launcher, workshop, observer and stop in one: a job lasts a few polls of a made-up clock."""

    lasts: dict[str, int] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    present: frozenset[str] = frozenset()
    impossible: frozenset[str] = frozenset()
    useless: frozenset[str] = frozenset()
    key: str | None = None
    stop_after: int | None = None
    interrupt_after: int | None = None
    limit: int = 1
    full: bool = False
    dies: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    begins: dict[str, int] = field(default_factory=dict)

    requested: bool = field(default=False, init=False)
    time: int = field(default=0, init=False)
    order: list[str] = field(default_factory=list, init=False)
    running: dict[str, int] = field(default_factory=dict, init=False)
    most: int = field(default=0, init=False)
    cancelled: list[tuple[str, bool]] = field(default_factory=list, init=False)
    busy: list[tuple[int, int]] = field(default_factory=list, init=False)
    groups: list[list[str]] = field(default_factory=list, init=False)
    places: dict[str, str] = field(default_factory=dict, init=False)
    lost_work: list[str] = field(default_factory=list, init=False)
    died: set[str] = field(default_factory=set, init=False)
    told: list[tuple[int, str]] = field(default_factory=list, init=False)

    def job(self, work: Work) -> Job | None:
        """Return a job, or say that the result is there, or that it can't be."""
        if str(work) in self.impossible:
            raise UserError("can't be done")
        if str(work) in self.present:
            return None
        return Job(str(work), (), key=self.key or str(work))

    def group_key(self, work: Work) -> object:
        """Runs may share a process, whatever their config."""
        return "train" if work.stage == "train" else None

    @property
    def packing(self) -> Packing:
        """How many may share a process."""
        return Packing(self.limit, full=self.full)

    def check(self, work: Work) -> str | None:
        """Find fault with useless results, and with those of whom died."""
        return "left nothing" if str(work) in {*self.useless, *self.died} else None

    def failure(self, work: Work, job: Job, outcome: Outcome) -> tuple[str, ...]:
        """Tell the exit status."""
        return (f"exit status {outcome.status}",)

    def submit(self, job: Job) -> str:
        """Start a job."""
        self.order.append(job.name)
        self.died.discard(job.name)
        self.running[job.name] = self.time + self.lasts.get(job.name, 1)
        return job.name

    def submit_group(self, jobs: list[Job]) -> list[str]:
        """Start jobs in one process."""
        names = [self.submit(job) for job in jobs]
        self.groups.append(names)
        self.places |= dict.fromkeys(names, names[0])
        self.most = max(self.most, len({self.places[name] for name in self.running}))
        return names

    def place(self, handle: str) -> str:
        """Return the first job of a process."""
        return self.places[handle]

    def poll(self, handle: str) -> Outcome | None:
        """End a job when its time has come."""
        if self.time < self.running[handle]:
            return None
        del self.running[handle]
        shares = sum(place == self.places[handle] for place in self.places.values()) > 1
        if shares and self.places[handle] in self.dies:
            self.died |= {handle} - self.left
            return Outcome(-11, lost=True)
        return Outcome(self.status.get(handle, 0))

    def cancel(self, handle: str, *, kill: bool = False) -> None:
        """End a job at the next poll, as a stage that saves its state."""
        self.cancelled.append((handle, kill))
        self.running[handle] = self.time
        self.status[handle] = 143

    def waits(self, handle: str) -> bool:
        """Say whether a job is still queued."""
        return self.time < self.begins.get(handle, 0)

    def submitted(self, running: Running) -> None:
        """Remember what is queued."""
        if running.queued:
            self.told.append((self.time, f"{running.work} queued"))

    def began(self, running: Running) -> None:
        """Remember what was queued and has begun."""
        self.told.append((self.time, f"{running.work} started"))

    def lost(self, running: Running) -> None:
        """Remember what is to be done again."""
        self.lost_work.append(str(running.work))
        del self.places[running.handle]

    def finished(self, work: Work, result: Result) -> None:
        """Nothing to see."""

    def tick(self, running: list[Running], results: dict[Work, Result]) -> None:
        """Remember how busy it was."""
        self.busy.append((self.time, len(running)))

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.time += 1
        self.requested = self.stop_after is not None and self.time >= self.stop_after
        if self.interrupt_after is not None and self.time >= self.interrupt_after:
            raise KeyboardInterrupt


def schedule(clockwork: Clockwork, *, names: str = "ab", jobs: int = 2) -> dict[str, Result]:
    """Run configs with two seeds each; returns the results by the work's name."""
    graph = build_graph(list(names), (0, 1), STAGES)
    return {str(work): result for work, result in run_graph(clockwork, graph, jobs=jobs).items()}


def run_graph(clockwork: Clockwork, graph: dict[Work, Node], *, jobs: int) -> dict[Work, Result]:
    """Run a graph by the made-up clock."""
    scheduler = Scheduler(
        graph,
        clockwork,
        clockwork,
        clockwork,
        clockwork,
        jobs,
        clock=lambda: float(clockwork.time),
        sleep=clockwork.sleep,
    )
    return scheduler.run()


def states(results: dict[str, Result]) -> dict[str, str]:
    """Return the states alone."""
    return {name: result.state for name, result in results.items()}


def test_what_is_begun_is_finished_before_anything_new_begins() -> None:
    clockwork = Clockwork()
    schedule(clockwork, jobs=1)
    assert clockwork.order == [
        f"{name} {stage}"
        for name in "ab"
        for stage in (
            "tune",
            "seed 0 train",
            "seed 0 evaluate",
            "seed 1 train",
            "seed 1 evaluate",
        )
    ]


@pytest.mark.parametrize("jobs", [1, 2, 3, 50])
def test_no_more_jobs_run_at_once_than_asked_for_and_all_get_done(jobs: int) -> None:
    clockwork = Clockwork(lasts={"a tune": 3, "b seed 0 train": 4})
    results = schedule(clockwork, names="abcd", jobs=jobs)
    assert clockwork.most <= jobs
    assert len(clockwork.order) == len(set(clockwork.order)) == 20
    assert all(result.state == "done" for result in results.values())


def test_a_slow_tuning_leaves_the_other_place_busy_with_later_work() -> None:
    clockwork = Clockwork(lasts={"a tune": 5})
    schedule(clockwork, jobs=2)
    assert clockwork.order.index("b seed 1 evaluate") < clockwork.order.index("a seed 0 train")
    assert all((time, 2) in clockwork.busy for time in range(5))


def test_a_failure_blocks_what_needs_it_and_nothing_else() -> None:
    clockwork = Clockwork(status={"a seed 0 train": 1})
    results = schedule(clockwork)
    assert results["a seed 0 train"] == Result("failed", 1.0, ("exit status 1",))
    assert results["a seed 0 evaluate"] == Result("blocked", lines=("needs a seed 0 train",))
    others = [name for name in results if not name.startswith("a seed 0")]
    assert len(others) == 8
    assert all(results[name].state == "done" for name in others)


def test_a_failed_tuning_blocks_both_levels_below_it() -> None:
    results = states(schedule(Clockwork(status={"a tune": -9})))
    assert results["a tune"] == "failed"
    below = {name: state for name, state in results.items() if name.startswith("a seed")}
    assert set(below.values()) == {"blocked"}
    assert results["b seed 1 evaluate"] == "done"


def test_work_whose_result_is_there_starts_no_job() -> None:
    clockwork = Clockwork(present=frozenset({"a tune", "a seed 0 train", "b tune"}))
    results = states(schedule(clockwork))
    assert results["a tune"] == results["a seed 0 train"] == "present"
    assert "a tune" not in clockwork.order
    assert results["a seed 0 evaluate"] == "done"


def test_a_finished_matrix_starts_nothing_and_never_waits() -> None:
    graph = [f"{n} {s}" for n in "ab" for s in ("tune", "seed 0 train", "seed 1 train")]
    graph += [f"{n} seed {s} evaluate" for n in "ab" for s in (0, 1)]
    clockwork = Clockwork(present=frozenset(graph))
    assert set(states(schedule(clockwork)).values()) == {"present"}
    assert (clockwork.order, clockwork.time) == ([], 0)


def test_work_that_cannot_be_started_has_failed() -> None:
    results = schedule(Clockwork(impossible=frozenset({"a seed 1 train"})))
    assert results["a seed 1 train"].reason == "can't be done"
    assert results["a seed 1 evaluate"].state == "blocked"
    assert results["a seed 0 evaluate"].state == "done"


def test_exit_code_zero_without_the_result_is_a_failure() -> None:
    results = schedule(Clockwork(useless=frozenset({"b tune"})))
    assert results["b tune"].reason == "left nothing"
    assert results["b seed 0 train"].state == "blocked"


def test_jobs_that_write_the_same_files_never_run_at_once() -> None:
    clockwork = Clockwork(key="same")
    results = schedule(clockwork, jobs=4)
    assert clockwork.most == 1
    assert all(result.state == "done" for result in results.values())


def test_a_stop_asks_running_jobs_to_leave_and_starts_no_more() -> None:
    lasts = {"a tune": 100, "b tune": 100}
    clockwork = Clockwork(lasts=lasts, stop_after=3)
    results = schedule(clockwork)
    assert clockwork.cancelled == [("a tune", False), ("b tune", False)]
    assert clockwork.order == ["a tune", "b tune"]
    assert set(states(results).values()) == {"interrupted"}


def test_a_second_ctrl_c_kills() -> None:
    clockwork = Clockwork(lasts={"a tune": 100, "b tune": 100}, interrupt_after=3)
    with pytest.raises(KeyboardInterrupt):
        schedule(clockwork)
    assert clockwork.cancelled == [("a tune", True), ("b tune", True)]


def test_ready_work_of_one_kind_shares_processes_evenly() -> None:
    clockwork = Clockwork(limit=64)
    graph = build_graph(list("abc"), (0, 1, 2), ("train",))
    run_graph(clockwork, graph, jobs=2)
    assert [len(group) for group in clockwork.groups] == [5, 4]
    assert clockwork.most == 2


def test_on_a_cluster_as_few_processes_as_may_be_share_evenly() -> None:
    """Ninety free places of a queue are no reason to give each run a GPU of its own."""
    clockwork = Clockwork(limit=4, full=True)
    run_graph(clockwork, build_graph(list("abc"), (0, 1, 2), ("train",)), jobs=90)
    assert [len(group) for group in clockwork.groups] == [3, 3, 3]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_group_is_larger_than_allowed_and_all_gets_done(limit: int) -> None:
    clockwork = Clockwork(limit=limit)
    results = schedule(clockwork, names="abcd", jobs=2)
    assert set(states(results).values()) == {"done"}
    trained = [group for group in clockwork.groups if "train" in group[0]]
    assert max(map(len, trained)) <= limit
    assert all(len(group) == 1 for group in clockwork.groups if group not in trained)
    assert len(clockwork.order) == len(set(clockwork.order)) == 20


def test_a_member_that_ends_early_lets_what_needs_it_begin_when_a_place_is_free() -> None:
    clockwork = Clockwork(limit=2, lasts={"a seed 1 train": 9, "b seed 0 train": 4})
    graph = build_graph(["a", "b"], (0, 1), ("train", "evaluate"))
    run_graph(clockwork, graph, jobs=2)
    assert clockwork.groups[0] == ["a seed 0 train", "a seed 1 train"]
    # The other place was free first; the group's own is taken as long as a member lives.
    assert clockwork.order.index("a seed 0 evaluate") < clockwork.order.index("a seed 1 evaluate")
    assert clockwork.most == 2


def test_members_of_a_process_that_died_are_done_again_by_themselves() -> None:
    """Trap: one member's crash is the failure of all that shared its process."""
    clockwork = Clockwork(
        limit=4, dies=frozenset({"a seed 0 train"}), status={"b seed 0 train": -11}
    )
    graph = build_graph(["a", "b"], (0, 1), ("train", "evaluate"))
    results = run_graph(clockwork, graph, jobs=1)
    assert len(clockwork.groups[0]) == len(clockwork.lost_work) == 4
    assert all(len(group) == 1 for group in clockwork.groups[1:])
    failed = [str(work) for work, result in results.items() if result.state == "failed"]
    assert failed == ["b seed 0 train"]
    assert sum(result.state == "done" for result in results.values()) == 6


def test_what_a_lost_member_has_left_is_taken() -> None:
    """A process that an earlier matrix left in a queue says nothing of its members to this one."""
    names = frozenset({"a seed 0 train", "a seed 1 train"})
    clockwork = Clockwork(limit=2, dies=names, left=names)
    results = run_graph(clockwork, build_graph(["a"], (0, 1), ("train",)), jobs=1)
    assert set(states(results).values()) == {"done"}
    assert clockwork.order == sorted(names)
    assert clockwork.lost_work == []


class Counting(Clockwork):
    """Counts the questions about work."""

    asked = 0

    def job(self, work: Work) -> Job | None:
        """Count."""
        self.asked += 1
        return super().job(work)


def test_each_piece_of_work_is_asked_about_once_however_many_there_are() -> None:
    clockwork = Counting()
    graph = build_graph(["a", "b"], tuple(range(300)), STAGES)
    results = run_graph(clockwork, graph, jobs=7)
    assert {result.state for result in results.values()} == {"done"}
    assert clockwork.asked == len(graph) == 1202
    assert list(results) == list(graph)


class TakenAway(Clockwork):
    """Loses its directory to another matrix at a time."""

    def __init__(self) -> None:
        super().__init__(lasts={"a tune": 5})

    @property
    def requested(self) -> bool:
        """Find that it is lost."""
        if self.time >= 3:
            raise TakenOver("another matrix works there now")
        return False

    @requested.setter
    def requested(self, value: bool) -> None:
        """Nobody asks for a stop."""


def test_what_another_matrix_has_taken_over_is_left_alone() -> None:
    clockwork = TakenAway()
    with pytest.raises(TakenOver):
        schedule(clockwork)
    assert clockwork.running
    assert clockwork.cancelled == []


def test_a_job_in_a_queue_starts_when_it_begins_and_its_time_counts_from_there() -> None:
    clockwork = Clockwork(lasts={"a tune": 7}, begins={"a tune": 4})
    results = schedule(clockwork)
    assert clockwork.told == [(0, "a tune queued"), (4, "a tune started")]
    assert results["a tune"] == Result("done", 3.0)
