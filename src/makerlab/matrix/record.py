"""runs/matrix.json: what a matrix was asked for and how it stands, for other terminals to read."""

import contextlib
import datetime
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from makerlab.config.load import ENVIRONMENT_PREFIX
from makerlab.errors import UserError
from makerlab.files import write_json
from makerlab.matrix.options import MatrixOptions
from makerlab.matrix.plan import Work
from makerlab.matrix.progress import Snapshot
from makerlab.matrix.scheduler import FAILED, INTERRUPTED, Result, Running
from makerlab.runs.manifest import COMPLETE, RUNNING, utc
from makerlab.runs.owner import is_alive, this_process

PATIENCE_SECONDS = 60.0
MOST_UNFINISHED = 8

__all__ = [
    "COMPLETE",
    "RUNNING",
    "MatrixRecord",
    "describe",
    "matrix_lock",
    "read_record",
    "record_path",
    "settings_in_environment",
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
    """Keeps runs/matrix.json; each change is a whole new file."""

    def __init__(self, options: MatrixOptions, plan: list[Work]) -> None:
        self._path = record_path(options.runs_dir)
        self._content: dict[str, Any] = {
            "state": RUNNING,
            "owner": this_process(),
            "started": utc(datetime.datetime.now(datetime.UTC)),
            "ended": None,
            "arguments": options.to_dict(),
            "environment": settings_in_environment(),
            "unfinished": [],
            "plan": [describe(work) for work in plan],
            "running": [],
            "failures": [],
            "fraction": 0.0,
            "seconds_left": None,
        }
        self._content["unfinished"] = _unfinished(options.runs_dir, self._content)
        self._write()

    def started(self, running: Running) -> None:
        """Note a job that began."""
        entry = describe(running.work) | {"job": running.handle, "started": time.time()}
        self._content["running"].append(entry)
        self._write()

    def lost(self, running: Running) -> None:
        """Note a job that ended without a result."""
        self._forget(running.work)
        self._write()

    def ended(self, work: Work, result: Result) -> None:
        """Note the end of a job."""
        what = describe(work)
        was_running = self._forget(work)
        if result.state == FAILED:
            self._content["failures"].append(what | {"lines": list(result.lines)})
        if result.state == FAILED or was_running:
            self._write()

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

    def _write(self) -> None:
        write_json(self._path, self._content)


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


@contextlib.contextmanager
def matrix_lock(runs_dir: Path, say: Callable[[str], None]) -> Iterator[int]:
    """Let one matrix at a time work in a runs directory; yields the open lock file.

    Jobs inherit the file, so the lock outlives a killed matrix until its last job has saved its
    state and left: the next matrix waits for them. Raises UserError when another one is at work.
    """
    path = runs_dir / ".matrix.lock"
    with path.open("a") as file:
        _acquire(file.fileno(), path, runs_dir, say)
        # Closing gives the lock up; unlocking would take it from jobs that are still at work.
        yield file.fileno()


def _acquire(lock: int, path: Path, runs_dir: Path, say: Callable[[str], None]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    told = False
    while not _try_lock(lock):
        record = read_record(runs_dir)
        if record and record["state"] == RUNNING and is_alive(record["owner"]):
            raise UserError(
                f"{runs_dir}: another matrix is at work there (process {record['owner']['pid']}); "
                "see make status, wait for it, or choose another --runs_dir (make: RUNS_DIR=...)"
            )
        if time.monotonic() > until:
            holders = ", ".join(str(pid) for pid in _holders(path)) or "unknown"
            raise UserError(
                f"{runs_dir}: processes of an earlier matrix still work there ({holders}); end them"
            )
        if not told:
            say(f"waiting for processes of an earlier matrix in {runs_dir} to save their state")
        told = True
        time.sleep(0.1)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holders(path: Path) -> list[int]:
    """Return the processes that hold a file open, as far as the system tells."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(path.resolve()) in {file.path for file in process.open_files()}:
                found.append(process.pid)
    return [pid for pid in found if pid != os.getpid()]


def settings_in_environment() -> dict[str, str]:
    """Return the settings that this process was given by environment variables."""
    return {key: text for key, text in os.environ.items() if key.startswith(ENVIRONMENT_PREFIX)}


def take_over_environment(settings: Mapping[str, str]) -> None:
    """Let this process have the settings of another instead of its own."""
    for name in settings_in_environment():
        del os.environ[name]
    os.environ.update(settings)
