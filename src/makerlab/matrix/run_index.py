"""Which runs there are, by the keys of their inputs."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from makerlab.errors import UserError
from makerlab.files import Stamp, stamp_of
from makerlab.matrix.heads import complete_key, read_head
from makerlab.runs.directory import MANIFEST, RunDirectory, run_names
from makerlab.runs.manifest import COMPLETE, FAILED, RUNNING, read_manifest
from makerlab.runs.owner import is_alive

INTERRUPTED = "interrupted"

_KEPT = ("state", "train_key", "owner", "error", "config_name")
# Of several runs of the same inputs, the one that is furthest counts.
_ORDER = {COMPLETE: 0, RUNNING: 1, INTERRUPTED: 2, FAILED: 3}


@dataclass(frozen=True)
class FoundRun:
    """A run on disk, its state, and of one that is not complete its config and its error."""

    directory: RunDirectory
    state: str
    config_name: str = ""
    error: dict[str, Any] | None = None

    def evaluate_settings(self) -> dict[str, Any]:
        """Read the settings by which the run was to be judged when it was trained."""
        return dict(read_manifest(self.directory.manifest).get("config", {}).get("evaluate", {}))


class RunIndex:
    """All runs by train key, as of the last refresh; a manifest is read again only when changed.

    A refresh lists folders and asks for the manifests of new and unfinished runs only: with many
    runs, asking for each file every time would be most of the driver's work. What is complete
    stays so.
    """

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        # By path as text: pathlib remembers each name for good, and thousands of objects weigh.
        self._complete: dict[str, str] = {}
        self._others: dict[str, _Manifest] = {}
        self._by_key: dict[str, tuple[str, ...]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look at the disk again."""
        names = run_names(self._runs_dir)
        there = {f"{folder}{os.sep}{name}" for folder in names for name in names[folder]}
        for path in self._complete.keys() - there:
            self._forget(path)
        for path in self._others.keys() - there:
            self._forget(path)
        # In the order of their names, whatever the order of the folder.
        for path in sorted(there - self._complete.keys()):
            self._look(path)

    def find(self, train_key: str) -> FoundRun | None:
        """Return the run of these inputs that is furthest, None when there is none."""
        paths = self._by_key.get(train_key, ())
        if len(paths) == 1 and paths[0] in self._complete:
            return self._found(paths[0])
        for path in paths:
            if path in self._others:
                self._look(path)
        found = map(self._found, self._by_key.get(train_key, ()))
        return min(found, key=lambda run: _ORDER[run.state], default=None)

    def unfinished(self) -> list[tuple[str, FoundRun]]:
        """Return (train key, run) of runs that are under way or were stopped."""
        found = [
            (known.content["train_key"], self._found(path))
            for path, known in self._others.items()
            if known.content is not None
        ]
        return [(key, run) for key, run in found if run.state in {RUNNING, INTERRUPTED}]

    def _found(self, path: str) -> FoundRun:
        run = RunDirectory(Path(path))
        if path in self._complete:
            return FoundRun(run, COMPLETE)
        content = self._others[path].content or {}
        state = content["state"]
        if state == RUNNING and not is_alive(content["owner"]):
            state = INTERRUPTED
        return FoundRun(run, state, str(content["config_name"]), content["error"])

    def _look(self, path: str) -> None:
        """Read a run's manifest if it has changed; one that is damaged or missing is no run."""
        manifest = f"{path}{os.sep}{MANIFEST}"
        known = self._others.get(path)
        if known is not None and known.stamp == stamp_of(manifest):
            return
        self._forget(path)
        head = read_head(manifest)
        key = None if head is None else complete_key(head)
        if key is None:
            content = None if head is None else _read(Path(manifest))
            key = None if content is None else content["train_key"]
            if content is None or content["state"] != COMPLETE:
                self._others[path] = _Manifest(head.stamp if head else None, content)
        if key is not None:
            self._by_key[key] = (*self._by_key.get(key, ()), path)
            if path not in self._others:
                self._complete[path] = key

    def _forget(self, path: str) -> None:
        known = self._others.pop(path, None)
        key = self._complete.pop(path, None)
        if known is not None and known.content is not None:
            key = known.content["train_key"]
        if key is not None:
            self._by_key[key] = tuple(other for other in self._by_key[key] if other != path)


class _Manifest(NamedTuple):
    """A manifest that is not complete, None for none that can be read, and the file's stamp."""

    stamp: Stamp | None
    content: dict[str, Any] | None


def _read(path: Path) -> dict[str, Any] | None:
    """Return what matters of a manifest, None for one that tells nothing."""
    try:
        manifest = read_manifest(path)
    except (UserError, NotADirectoryError):
        return None
    if "train_key" not in manifest:
        return None
    return {name: manifest.get(name) for name in _KEPT}
