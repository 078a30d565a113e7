"""Everything ever tried on a data set, whether or not its results are still there.

A line is appended when a trial or a run starts, before its first step, and none is ever taken
away: deleting a run, a study or a failure does not make the search look smaller. Starting the same
thing again (the same key) is not counted again.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from makerlab.files import append_line, canonical_json
from makerlab.runs.directory import RegistryDirectory
from makerlab.runs.lease import Lease

Kind = Literal["trial", "rescore", "run"]
"""A tuning trial, the chosen parameters once more on a fresh seed, a training run."""


@dataclass(frozen=True)
class Tried:
    """One thing that was started.

    `key` hashes all its inputs, so it is the same when the same thing is started again; `variant`
    names its settings whatever the seed; `study` is None for a run.
    """

    kind: Kind
    key: str
    task: str
    config_name: str
    variant: str
    seed: int
    study: str | None
    profile: str
    started: str


@dataclass(frozen=True)
class History:
    """What is known of one data set; `damaged` counts lines that can't be read."""

    tried: tuple[Tried, ...]
    damaged: int

    def number(self, kind: Kind, *, task: str) -> int:
        """Return how many different things of a kind were started for a task."""
        return sum(entry.kind == kind and entry.task == task for entry in self.tried)

    def by_study(self, *, task: str) -> Mapping[str, int]:
        """Return the number of different trials of each study."""
        counts: dict[str, int] = {}
        for entry in self.tried:
            if entry.kind == "trial" and entry.task == task:
                counts[entry.study or ""] = counts.get(entry.study or "", 0) + 1
        return counts

    def of_runs(self, *, task: str) -> list[Tried]:
        """Return the training runs."""
        return [entry for entry in self.tried if entry.kind == "run" and entry.task == task]


class Registry:
    """The record below a directory of runs; a file per data set, safe for many processes."""

    def __init__(self, runs_dir: Path) -> None:
        """Nothing is read or written yet."""
        self._directory = RegistryDirectory(runs_dir)

    def add(self, data_sha256: str, entry: Tried) -> bool:
        """Append an entry, on disk when this returns; False when its key is known already."""
        path = self._directory.file(data_sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        with Lease(self._directory.lease).kept():
            if self._is_known(path, entry):
                return False
            append_line(path, canonical_json(asdict(entry)))
        return True

    def _is_known(self, path: Path, entry: Tried) -> bool:
        """Look for the key as bytes first: reading every line for each of n would be n x n."""
        if not path.is_file() or canonical_json(entry.key).encode() not in path.read_bytes():
            return False
        known = self.history(path.stem).tried
        return any((entry.kind, entry.key) == (other.kind, other.key) for other in known)

    def history(self, data_sha256: str) -> History:
        """Return what was tried on a data set, in order, each key once.

        A line that can't be read, such as the last words of a process that was killed, is left
        out and counted.
        """
        path = self._directory.file(data_sha256)
        if not path.is_file():
            return History((), 0)
        lines = [line for line in path.read_bytes().split(b"\n") if line]
        entries = [_entry(line) for line in lines]
        return History(
            tried=_distinct(entry for entry in entries if entry is not None),
            damaged=sum(entry is None for entry in entries),
        )


def _distinct(entries: Iterable[Tried]) -> tuple[Tried, ...]:
    found: dict[tuple[str, str], Tried] = {}
    for entry in entries:
        found.setdefault((entry.kind, entry.key), entry)
    return tuple(found.values())


_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "kind": str,
    "key": str,
    "task": str,
    "config_name": str,
    "variant": str,
    "seed": int,
    "study": (str, type(None)),
    "profile": str,
    "started": str,
}


def _entry(line: bytes) -> Tried | None:
    try:
        content: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(content, dict) or content.keys() != _TYPES.keys():
        return None
    right = all(isinstance(content[name], kind) for name, kind in _TYPES.items())
    return Tried(**content) if right and content["kind"] in get_args(Kind) else None
