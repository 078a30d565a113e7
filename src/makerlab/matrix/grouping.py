"""Several jobs in one process, each with an outcome of its own."""

import dataclasses
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from makerlab.launchers.base import STOPPED, Job, Launcher, Outcome, logs_of

MakeGroup = Callable[[list[Job], Path], Job]
"""Returns the job that does several; it adds a line of JSON to a file as each of them ends."""

_LOOK_SECONDS = 0.5


@dataclasses.dataclass
class _Process:
    """A process with its members' outcomes so far."""

    handle: str
    outcomes: Path
    ended: bool = False
    looked: float = 0.0
    jobs: list[Job] = dataclasses.field(default_factory=list)
    found: dict[int, Outcome] = dataclasses.field(default_factory=dict)


class GroupLauncher:
    """Runs jobs with another launcher, alone or several in one process.

    The process may be on another host, may be begun anew there, and may be one that an earlier
    matrix left in a queue: `folder`, which all hosts see, is where members note how they ended.
    `token` names a note; it must never name two.
    """

    def __init__(
        self,
        launcher: Launcher,
        make: MakeGroup,
        folder: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        token: Callable[[], str] = lambda: uuid.uuid4().hex[:8],
    ) -> None:
        self._launcher, self._make, self._folder = launcher, make, folder
        self._clock, self._token = clock, token
        self._members: dict[str, tuple[_Process, int]] = {}
        self._count = 0
        for left in folder.glob("*.jsonl"):
            left.unlink(missing_ok=True)

    def submit(self, job: Job) -> str:
        """Start a job by itself."""
        return self._launcher.submit(job)

    def submit_group(self, jobs: list[Job]) -> list[str]:
        """Start one process for several jobs; returns a handle for each."""
        if len(jobs) == 1:
            return [self.submit(jobs[0])]
        self._folder.mkdir(parents=True, exist_ok=True)
        process = _Process("", self._folder / f"{self._token()}.jsonl", jobs=jobs)
        process.handle = self._launcher.submit(self._make(jobs, process.outcomes))
        self._count += 1
        handles = [f"group {self._count} member {number}" for number in range(len(jobs))]
        self._members |= {handle: (process, number) for number, handle in enumerate(handles)}
        return handles

    def place(self, handle: str) -> str:
        """Return what jobs of one process have in common."""
        return self._members[handle][0].handle if handle in self._members else handle

    def poll(self, handle: str) -> Outcome | None:
        """Return how a job ended, None while it runs."""
        if handle not in self._members:
            return self._launcher.poll(handle)
        process, number = self._members[handle]
        if not process.ended:
            self._look(process)
        outcome = process.found.get(number)
        if outcome is not None:
            del self._members[handle]
        return outcome

    def waits(self, handle: str) -> bool:
        """Whether a job, or the process that it shares, has yet to begin."""
        return self._launcher.waits(self.place(handle))

    def logs(self, handle: str) -> tuple[Path, ...]:
        """Return the files that tell of a job under way, its own log first."""
        if handle not in self._members:
            return self._launcher.logs(handle)
        process, number = self._members[handle]
        return logs_of(process.jobs[number], *self._launcher.logs(process.handle))

    def cancel(self, handle: str, *, kill: bool = False) -> None:
        """Stop the process of a job, its other members included."""
        if handle not in self._members:
            self._launcher.cancel(handle, kill=kill)
        elif not self._members[handle][0].ended:
            self._launcher.cancel(self._members[handle][0].handle, kill=kill)

    def close(self) -> None:
        """Leave nothing behind."""
        self._launcher.close()

    def _look(self, process: _Process) -> None:
        """Take in the ends of members, and that of the process."""
        end = self._launcher.poll(process.handle)
        now = self._clock()
        if end is None and now - process.looked < _LOOK_SECONDS:
            return
        process.looked, process.ended = now, end is not None
        process.found |= _read(process.outcomes)
        if end is not None:
            for member in range(len(process.jobs)):
                process.found.setdefault(member, _unsaid(end))
            process.outcomes.unlink(missing_ok=True)


def _unsaid(end: Outcome) -> Outcome:
    """Return how a member ended of whom nothing is known but the end of its process.

    All went well, or all were stopped, or it is lost.
    """
    return end if end.status == 0 or end.status in STOPPED else dataclasses.replace(end, lost=True)


def _read(path: Path) -> dict[int, Outcome]:
    """Return the outcomes written so far; a line without its end is still being written.

    A member that was stopped has not ended: its process may be begun again, elsewhere as well.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    records = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return {
        each["member"]: Outcome(each["status"], tuple(each["lines"]))
        for each in records
        if each["status"] not in STOPPED
    }
