"""Which process owns a piece of work, and whether it still lives."""

import functools
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
        "pid_namespace": _pid_namespace(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
    }


def is_alive(owner: dict[str, Any] | None) -> bool:
    """Return whether the recorded process still runs.

    One that can't be looked up from here, on another host or in another container, is taken to;
    whoever must know watches its lease or its heartbeat.
    """
    if owner is None:
        return False
    if not is_local(owner):
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
    """Return whether the recorded process can be looked up from here.

    It can if it ran on this host, which may have been started anew since, and its number means
    here what it meant there: containers of one host count their processes apart.
    """
    if owner["host"] != platform.node():
        return False
    rebooted = owner["boot_id"] != _boot_id()
    return bool(rebooted or owner.get("pid_namespace") == _pid_namespace())


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


@functools.cache
def _boot_id() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else str(int(psutil.boot_time()))


def _pid_namespace() -> str:
    """Return what tells containers of one host apart; nothing where there are none."""
    try:
        return "".join(filter(str.isdigit, str(Path("/proc/self/ns/pid").readlink())))
    except OSError:
        return ""


@functools.lru_cache(maxsize=1)
def _started(pid: int) -> float:
    """Return when a process began; a fork asks anew."""
    return float(psutil.Process(pid).create_time())
