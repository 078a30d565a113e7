"""Slurm's own commands: what is in the queue, and taking jobs out of it."""

import os
import re
import subprocess
from dataclasses import dataclass

from makerlab.errors import UserError

PREFIX = "makerlab"
PENDING = "PENDING"

_ENDED = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
}
_FORMAT = "%F|%K|%T|%j|%N|%r"
_TIMEOUT_SECONDS = 60.0
_LONGEST_COMMAND = 500


class Unreachable(Exception):
    """Slurm's controller does not answer; what is in the queue goes on without it."""


@dataclass(frozen=True)
class Entry:
    """A task in the queue, or one that left it a moment ago."""

    job_id: str
    name: str
    index: int
    state: str
    node: str
    reason: str

    @property
    def ended(self) -> bool:
        """Whether it has left the queue for good."""
        return self.state in _ENDED

    @property
    def waits(self) -> bool:
        """Whether it has yet to begin, for the first time or again."""
        return self.state == PENDING

    @property
    def completing(self) -> bool:
        """Whether its processes have ended, and the controller waits for its node to say so."""
        return self.state == "COMPLETING"

    @property
    def lost(self) -> bool:
        """Whether Slurm holds it, after its node failed to start it, until somebody looks at it."""
        return self.waits and "launch failed" in self.reason

    def sentence(self) -> str:
        """Return how it stands as a person reads it."""
        where = f" on {self.node}" if self.node else ""
        why = f" ({self.reason})" if self.state == PENDING and self.reason != "None" else ""
        return f"Slurm job {self.job_id}: {self.state}{where}{why}"


Queue = dict[tuple[str, int], Entry]
"""Tasks by batch and index."""


def read_queue() -> Queue:
    """Return this user's tasks; raises Unreachable, or UserError where there is no Slurm."""
    text = _run("squeue", "-r", "-h", "-t", "all", "-u", str(os.getuid()), "-o", _FORMAT)
    entries = [_entry(line) for line in text.splitlines() if line.count("|") >= 5]
    return {(entry.name, entry.index): entry for entry in entries if entry.name.startswith(PREFIX)}


def cancel(job_ids: list[str], *, kill: bool = False) -> None:
    """Take jobs out of the queue: SIGTERM, and SIGKILL some time after, or at once."""
    for start in range(0, len(job_ids), _LONGEST_COMMAND):
        some = job_ids[start : start + _LONGEST_COMMAND]
        if kill:
            _run("scancel", "--quiet", "--full", "--signal=KILL", *some, check=False)
        _run("scancel", "--quiet", *some, check=False)


def was_cancelled(job_id: str) -> bool:
    """Return whether a running job was told to leave for good rather than to make room.

    A preempted job is still running while its grace lasts. When Slurm can't be asked it is not
    begun again: the next matrix will do so.
    """
    try:
        text = _run("scontrol", "-o", "show", "job", job_id)
    except (Unreachable, UserError):
        return True
    found = re.search(r"\bJobState=(\w+)", text)
    return found is None or found.group(1) not in {"RUNNING", "SUSPENDED"}


def _entry(line: str) -> Entry:
    job_id, index, state, name, node, reason = line.split("|", 5)
    alone = not index.isdigit()
    return Entry(
        job_id=job_id if alone else f"{job_id}_{index}",
        name=name,
        index=0 if alone else int(index),
        state=state,
        node=node,
        reason=reason,
    )


def _run(*command: str, check: bool = True) -> str:
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
        )
    except FileNotFoundError:
        raise UserError(
            f"no program {command[0]} here; LAUNCHER=slurm needs a machine of the cluster from "
            "which jobs can be submitted"
        ) from None
    except subprocess.TimeoutExpired:
        raise Unreachable(f"{command[0]} does not answer") from None
    if check and result.returncode:
        raise Unreachable(" ".join(result.stderr.split()) or f"{command[0]} failed")
    return result.stdout
