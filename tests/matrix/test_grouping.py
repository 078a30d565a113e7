"""Several jobs in one process: what is concluded from notes of members and from its end."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from makerlab.launchers.base import Job, Outcome
from makerlab.launchers.settings import DebugSettings, LocalSettings, RaySettings, SlurmSettings
from makerlab.matrix import packing
from makerlab.matrix.grouping import GroupLauncher
from makerlab.matrix.options import MatrixOptions
from makerlab.matrix.packing import ALL_THAT_FIT, PER_GPU, packing_of

JOBS = [Job(name, (), key=name) for name in ("a", "b")]


@dataclass
class Puppet:
    """A launcher of one job, which ends when it is told to."""

    end: Outcome | None = None
    cancelled: list[bool] = field(default_factory=list)

    def submit(self, job: Job) -> str:
        return job.name

    def poll(self, handle: str) -> Outcome | None:
        return self.end

    def cancel(self, handle: str, *, kill: bool = False) -> None:
        self.cancelled.append(kill)

    def logs(self, handle: str) -> tuple[Path, ...]:
        return ()

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class Group:
    """A group of two under way; time passes at every look."""

    folder: Path
    puppet: Puppet = field(default_factory=Puppet)
    time: float = 0.0

    def __post_init__(self) -> None:
        self.launcher = GroupLauncher(
            self.puppet, self.make, self.folder / ".groups", clock=self.tick, token=lambda: "note"
        )
        self.handles = self.launcher.submit_group(JOBS)

    def tick(self) -> float:
        self.time += 1.0
        return self.time

    def make(self, jobs: list[Job], outcomes: Path) -> Job:
        self.note = outcomes
        return Job(", ".join(job.name for job in jobs), (), key="group")

    def says(self, member: int, status: int, *lines: str) -> None:
        with self.note.open("a") as file:
            record = {"member": member, "status": status, "lines": lines}
            file.write(f"{json.dumps(record)}\n")

    def ends(self, status: int) -> None:
        self.puppet.end = Outcome(status, ("last words",))

    def outcomes(self) -> list[Outcome | None]:
        return [self.launcher.poll(handle) for handle in self.handles]


@pytest.fixture
def group(tmp_path: Path) -> Group:
    return Group(tmp_path)


def test_a_member_ends_before_its_process_does(group: Group) -> None:
    assert group.outcomes() == [None, None]
    group.says(1, 2, "error: no")
    assert group.outcomes() == [None, Outcome(2, ("error: no",))]


def test_a_note_that_is_still_being_written_is_left(group: Group) -> None:
    group.note.write_text('{"member": 0, "sta')
    assert group.outcomes() == [None, None]


def test_a_stopped_member_whose_process_is_begun_again_has_not_ended(group: Group) -> None:
    """Trap: a job at its time limit is requeued, and its members are taken for failed."""
    group.says(0, 143, "stopped at step 10")
    group.says(1, 143, "stopped at step 11")
    assert group.outcomes() == [None, None]
    group.says(0, 0)
    # The one before, on a host that was cut off, may say so late.
    group.says(0, 143, "stopped at step 10")
    group.says(1, 0)
    assert group.outcomes() == [Outcome(0), Outcome(0)]


@pytest.mark.parametrize(("status", "lost"), [(0, False), (143, False), (-15, False), (-9, True)])
def test_of_whom_nothing_is_said_shares_the_end_of_the_process(
    group: Group, status: int, lost: bool
) -> None:
    group.says(0, 2, "error: no")
    group.ends(status)
    others = Outcome(status, ("last words",), lost=lost)
    assert group.outcomes() == [Outcome(2, ("error: no",)), others]


def test_nothing_stays_behind(group: Group, tmp_path: Path) -> None:
    group.says(0, 0)
    group.ends(0)
    group.outcomes()
    assert not list((tmp_path / ".groups").iterdir())


def test_what_a_killed_matrix_has_left_is_removed(group: Group, tmp_path: Path) -> None:
    group.says(0, 2)
    assert group.note.is_file()
    Group(tmp_path)
    assert not group.note.is_file()


@pytest.mark.parametrize(
    ("settings", "device", "asked", "limit"),
    [
        (SlurmSettings(), "auto", None, 1),
        (SlurmSettings(gpus=1), "auto", None, PER_GPU),
        (SlurmSettings(gpus=1), "cpu", None, 1),
        (SlurmSettings(gpus=1), "cuda", 3, 3),
        (RaySettings(gpus=1), "auto", None, PER_GPU),
        (RaySettings(gpus=0.25), "auto", None, 1),
        (RaySettings(), "auto", 2, 2),
        (DebugSettings(), "auto", None, 1),
        (LocalSettings(), "cuda", None, ALL_THAT_FIT),
        (LocalSettings(), "cpu", None, 1),
    ],
)
def test_left_to_itself_a_process_has_several_where_it_has_a_gpu(
    settings: SlurmSettings, device: str, asked: int | None, limit: int
) -> None:
    options = MatrixOptions(device=device, group_size=asked)
    assert packing_of(settings, options).limit == limit


def test_the_login_node_needs_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "computes_on_cpu", lambda device: True)
    assert packing_of(SlurmSettings(gpus=1), MatrixOptions()).limit == PER_GPU
