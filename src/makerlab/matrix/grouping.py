"""Several jobs in one process, each with an outcome of its own."""

import dataclasses
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from makerlab.launchers.base import Job, Launcher, Outcome, logs_of

MakeGroup = Callable[[list[Job], Path], Job]
"""Returns the job that does several; it adds a line of JSON to a file as each of them ends."""


@dataclasses.dataclass
class _Process:
    """A process with its members' outcomes so far."""

    handle: str
    outcomes: Path
    ended: bool = False
    jobs: list[Job] = dataclasses.field(default_factory=list)
    found: dict[int, Outcome] = dataclasses.field(default_factory=dict)


class GroupLauncher:
    """Runs jobs with another launcher, alone or several in one process."""

    def __init__(self, launcher: Launcher, make: MakeGroup) -> None:
        self._launcher, self._make = launcher, make
        self._members: dict[str, tuple[_Process, int]] = {}
        self._count = 0

    def submit(self, job: Job) -> str:
        """Start a job by itself."""
        return self._launcher.submit(job)

    def submit_group(self, jobs: list[Job]) -> list[str]:
        """Start one process for several jobs; returns a handle for each."""
        if len(jobs) == 1:
            return [self.submit(jobs[0])]
        folder = Path(tempfile.mkdtemp(prefix="makerlab_group_"))
        process = _Process("", folder / "outcomes.jsonl", jobs=jobs)
        process.handle = self._launcher.submit(self._make(jobs, process.outcomes))
        self._count += 1
        handles = [f"group {self._count} member {number}" for number in range(len(jobs))]
        self._members |= {handle: (process, number) for number, handle in enumerate(handles)}
        return handles

    def place(self, handle: str) -> str:
        """Return what jobs of one process have in common."""
        return self._members[handle][0].handle if handle in self._members else handle

    def poll(self, handle: str) -> Outcome | None:
        """Return how a job ended, None while it runs.

        A process that ends without a word about a member has lost it.
        """
        if handle not in self._members:
            return self._launcher.poll(handle)
        process, number = self._members[handle]
        if not process.ended:
            end = self._launcher.poll(process.handle)
            process.ended = end is not None
            process.found |= _read(process.outcomes)
            if end is not None:
                for member in range(len(process.jobs)):
                    lost = dataclasses.replace(end, lost=True)
                    process.found.setdefault(member, lost)
                process.outcomes.unlink(missing_ok=True)
                process.outcomes.parent.rmdir()
        outcome = process.found.get(number)
        if outcome is not None:
            del self._members[handle]
        return outcome

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


def _read(path: Path) -> dict[int, Outcome]:
    """Return the outcomes written so far; a line without its end is still being written."""
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    records = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return {each["member"]: Outcome(each["status"], tuple(each["lines"])) for each in records}
