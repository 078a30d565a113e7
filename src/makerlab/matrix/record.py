"""runs/matrix.json: what a matrix was asked for and how it stands, for other terminals to read."""

import datetime
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from makerlab.config.load import ENVIRONMENT_PREFIX
from makerlab.files import write_json
from makerlab.matrix.options import MatrixOptions
from makerlab.matrix.plan import Work
from makerlab.matrix.progress import Snapshot
from makerlab.matrix.scheduler import FAILED, INTERRUPTED, Result, Running
from makerlab.runs.manifest import COMPLETE, RUNNING, utc
from makerlab.runs.owner import this_process

MOST_UNFINISHED = 8
WRITE_EVERY_SECONDS = 0.5

__all__ = [
    "COMPLETE",
    "RUNNING",
    "MatrixRecord",
    "describe",
    "read_record",
    "record_path",
    "settings_variables",
    "take_over_environment",
]


def record_path(runs_dir: Path) -> Path:
    """Return where the record lies."""
    return runs_dir / "matrix.json"


def read_record(runs_dir: Path) -> dict[str, Any] | None:
    """Return the record of the last matrix, None when there is none that can be read."""
    try:
        content = json.loads(record_path(runs_dir).read_bytes())
        MatrixOptions.from_dict(content["arguments"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return content if set(content) >= {"state", "owner", "environment", "running"} else None


class MatrixRecord:
    """Keeps runs/matrix.json; each change is a whole new file.

    Once the matrix no longer holds its directory, the file is another's and left as it is.
    """

    def __init__(
        self,
        options: MatrixOptions,
        *,
        held: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._held, self._clock, self._changed, self._written = held, clock, False, 0.0
        self._path = record_path(options.runs_dir)
        self._content: dict[str, Any] = {
            "state": RUNNING,
            "owner": this_process(),
            "started": utc(datetime.datetime.now(datetime.UTC)),
            "ended": None,
            "arguments": options.to_dict(),
            "environment": settings_variables(),
            "unfinished": [],
            "running": [],
            "failures": [],
            "fraction": 0.0,
            "seconds_left": None,
        }
        self._content["unfinished"] = _unfinished(options.runs_dir, self._content)
        self._write()

    def submitted(self, running: Running) -> None:
        """Note a job that began or is queued."""
        entry = describe(running.work) | {"job": running.handle, "started": time.time()}
        self._content["running"].append(entry)
        self._change()

    def lost(self, running: Running) -> None:
        """Note a job that ended without a result."""
        self._forget(running.work)
        self._change()

    def ended(self, work: Work, result: Result) -> None:
        """Note the end of a job."""
        what = describe(work)
        was_running = self._forget(work)
        if result.state == FAILED:
            self._content["failures"].append(what | {"lines": list(result.lines)})
        if result.state == FAILED or was_running:
            self._change()

    def _forget(self, work: Work) -> bool:
        """Take work off the list of what runs; returns whether it was on it."""
        what = describe(work)
        before = self._content["running"]
        after = [entry for entry in before if {key: entry[key] for key in what} != what]
        self._content["running"] = after
        return len(after) < len(before)

    def progress(self, snapshot: Snapshot) -> None:
        """Note how far the matrix is."""
        left = snapshot.seconds_left
        self._content["fraction"] = round(snapshot.fraction, 4)
        self._content["seconds_left"] = None if left is None else round(left, 1)
        self._write()

    def close(self, state: str) -> None:
        """Note how the matrix ended: complete, failed or interrupted."""
        ended = utc(datetime.datetime.now(datetime.UTC))
        self._content |= {"state": state, "ended": ended, "running": [], "seconds_left": None}
        self._write()

    def flush(self) -> None:
        """Write what has changed, if the last writing is a while ago.

        Writing waits for the disk; with many short jobs most of the time would go there.
        """
        if self._changed and self._clock() - self._written >= WRITE_EVERY_SECONDS:
            self._write()

    def _change(self) -> None:
        self._changed = True
        self.flush()

    def _write(self) -> None:
        if self._held():
            write_json(self._path, self._content)
        self._changed, self._written = False, self._clock()


def _unfinished(runs_dir: Path, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what other matrices before this one were asked for and did not end, latest first."""
    before = read_record(runs_dir)
    if before is None:
        return []
    kept = [before] if before["state"] in {RUNNING, INTERRUPTED} else []
    wanted = ("arguments", "environment")
    found = [{name: each[name] for name in wanted} for each in kept + before.get("unfinished", [])]
    others = [each for each in found if any(each[name] != asked[name] for name in wanted)]
    return others[:MOST_UNFINISHED]


def describe(work: Work) -> dict[str, Any]:
    """Return a piece of work as JSON holds it."""
    return {
        "config": work.config_name,
        "fold": work.fold,
        "seed": work.seed,
        "stage": work.stage,
    }


def settings_variables() -> dict[str, str]:
    """Return the settings that this process was given by environment variables."""
    return {key: text for key, text in os.environ.items() if key.startswith(ENVIRONMENT_PREFIX)}


def take_over_environment(settings: Mapping[str, str]) -> None:
    """Let this process have the settings of another instead of its own."""
    for name in settings_variables():
        del os.environ[name]
    os.environ.update(settings)
