"""Which process owns a piece of work, and whether it still lives."""

import os
import platform
from pathlib import Path
from typing import Any

import psutil

from makerlab.errors import UserError


def this_process() -> dict[str, Any]:
    """Return a record by which another process can tell whether this one lives."""
    return {
        "host": platform.node(),
        "boot_id": _boot_id(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
    }


def is_alive(owner: dict[str, Any] | None) -> bool:
    """Return whether the recorded process still runs; one on another host is taken to."""
    if owner is None:
        return False
    if owner["host"] != platform.node():
        return True
    if owner["boot_id"] != _boot_id():
        return False
    try:
        process = psutil.Process(owner["pid"])
        same = abs(process.create_time() - owner["started"]) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_local(owner: dict[str, Any]) -> bool:
    """Return whether the recorded process ran on this host."""
    return bool(owner["host"] == platform.node())


def check_writable(directory: Path) -> None:
    """Create a directory and raise UserError when it can't be written to."""
    probe = directory / f".write_test_{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except FileExistsError:
        raise UserError(f"{directory}: found a file, expected a directory") from None
    except OSError as error:
        problem = (error.strerror or str(error)).lower()
        raise UserError(f"{directory}: can't be written to ({problem})") from None


def _boot_id() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else str(int(psutil.boot_time()))
