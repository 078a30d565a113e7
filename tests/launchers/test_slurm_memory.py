"""What Slurm's controller says of jobs and what they say themselves, when the two disagree."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.launchers.conftest import Python

from makerlab.launchers import slurm, slurm_queue
from makerlab.launchers.base import Job
from makerlab.launchers.settings import SlurmSettings
from makerlab.launchers.slurm import PATIENCE_SECONDS, SlurmLauncher
from makerlab.launchers.slurm_batch import Task, write_batch
from makerlab.launchers.slurm_queue import Entry


@dataclass
class Controller:
    """A controller that says what a test wants, and a clock that a test moves."""

    task: Task
    state: str = "RUNNING"
    reason: str = "None"
    now: float = 1000.0
    cancelled: list[str] = field(default_factory=list)

    def queue(self) -> slurm_queue.Queue:
        """Return the one job."""
        name, index = self.task.place
        return {self.task.place: Entry("7_0", name, index, self.state, "node1", self.reason)}

    def cancel(self, job_ids: list[str], *, kill: bool) -> None:
        """Note which jobs are to leave, saving their state."""
        assert not kill
        self.cancelled += job_ids

    def note(self, status: int) -> None:
        """Let the job say how it ended."""
        path = self.task.batch.outcome(self.task.index)
        path.write_text(json.dumps({"status": status}))


Begin = Callable[[], tuple[Controller, SlurmLauncher, str]]


@pytest.fixture
def begin(tmp_path: Path, python: Python, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Begin with a job that an earlier matrix left in the queue."""
    pytest.importorskip("submitit")

    def begin() -> tuple[Controller, SlurmLauncher, str]:
        job: Job = python("pass")
        (task,) = write_batch([job], runs_dir=tmp_path / "runs", token="1")
        controller = Controller(task)
        monkeypatch.setattr(slurm, "read_queue", controller.queue)
        monkeypatch.setattr(slurm_queue, "cancel", controller.cancel)
        launcher = SlurmLauncher(
            SlurmSettings(kind="slurm", poll_seconds=1.0),
            runs_dir=tmp_path / "runs",
            error_log=tmp_path / "errors.log",
            clock=lambda: controller.now,
        )
        return controller, launcher, launcher.submit(job)

    return begin


@pytest.mark.parametrize("status", [0, -9])
def test_a_job_that_has_said_its_last_word_is_not_waited_for_for_ever(
    begin: Begin, status: int
) -> None:
    """A controller killed right after a job's end remembers it as running."""
    controller, launcher, handle = begin()
    assert launcher.poll(handle) is None
    controller.note(status)
    controller.now += 2.0
    assert launcher.poll(handle) is None  # as a rule Slurm knows it in a moment
    controller.now += PATIENCE_SECONDS
    outcome = launcher.poll(handle)
    assert outcome is not None and outcome.status == status
    launcher.close()
    assert controller.cancelled == ["7_0"]


def test_a_job_begun_again_has_not_said_its_last_word(begin: Begin) -> None:
    controller, launcher, handle = begin()
    controller.note(-9)
    controller.now += 2.0
    assert launcher.poll(handle) is None
    controller.task.batch.outcome(controller.task.index).unlink()
    controller.now += PATIENCE_SECONDS
    assert launcher.poll(handle) is None
    controller.note(0)
    controller.now += 2.0
    assert launcher.poll(handle) is None
    controller.state = "COMPLETING"
    controller.now += 2.0
    outcome = launcher.poll(handle)
    assert outcome is not None and outcome.status == 0
    launcher.close()
    assert controller.cancelled == []


def test_a_job_that_its_node_failed_to_start_counts_as_failed(begin: Begin) -> None:
    """Slurm holds it until an administrator looks at it."""
    controller, launcher, handle = begin()
    controller.state, controller.reason = "PENDING", "launch failed requeued held"
    controller.now += 2.0
    outcome = launcher.poll(handle)
    assert outcome is not None and outcome.status == -9
    assert outcome.last_lines[0] == "Slurm job 7_0: PENDING on node1 (launch failed requeued held)"
    launcher.close()
    assert controller.cancelled == ["7_0"]


def test_a_job_held_on_purpose_is_waited_for(begin: Begin) -> None:
    controller, launcher, handle = begin()
    controller.state, controller.reason = "PENDING", "JobHeldUser"
    controller.now += 2.0 * PATIENCE_SECONDS
    assert launcher.poll(handle) is None and launcher.waits(handle)
