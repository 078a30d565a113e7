"""How far a piece of work is: a small file for other processes, lines for people."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from makerlab.files import write_json
from makerlab.runs.terminal import show_progress

Report = Callable[[str], None]

WRITE_EVERY_SECONDS = 2.0


class StatusFile:
    """Writes progress at most once in a while; reading it never disturbs the work."""

    def __init__(
        self, path: Path, *, total: int, unit: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._total, self._unit, self._clock = total, unit, clock
        self._began = clock()
        self._first: int | None = None
        self._written = 0.0
        self.last: dict[str, Any] | None = None

    def write(
        self, done: int, *, force: bool = False, every_seconds: float = 2.0, **more: Any
    ) -> None:
        """Record progress; speed counts only what this process did."""
        now = self._clock()
        show_progress(done, self._total, self._unit)
        if self._first is None:
            self._first = done
        if not force and now - self._written < WRITE_EVERY_SECONDS:
            return
        self._written = now
        elapsed = max(now - self._began, 1e-9)
        speed = (done - self._first) / elapsed
        left = (self._total - done) / speed if speed > 0 else None
        record = {
            "done": done,
            "total": self._total,
            "unit": self._unit,
            "per_second": float(f"{speed:.4g}"),
            "seconds_left": None if left is None else round(left, 1),
            "updated": now,
            **more,
        }
        self.last = record
        write_json(self._path, record)


def read_status(path: Path) -> dict[str, Any] | None:
    """Return the last recorded progress, None when there is none."""
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return content


def duration(seconds: float | None) -> str:
    """Return a duration as people say it: 42 s, 3 min 20 s, 2 h 05 min."""
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
