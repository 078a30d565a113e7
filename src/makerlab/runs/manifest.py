"""The manifest: what a run was made of and how it stands. Written last, it makes a run finished."""

import datetime
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from makerlab.errors import UserError, nearest
from makerlab.files import write_json

RUNNING = "running"
COMPLETE = "complete"
FAILED = "failed"
_STATES = (RUNNING, COMPLETE, FAILED)

_PACKAGES = (
    "makerlab",
    "torch",
    "stable-baselines3",
    "gymnasium",
    "optuna",
    "numpy",
    "numba",
    "pandas",
    "scipy",
)


# What a run needs to be continued, beside its state.
RESUMABLE: dict[str, type] = {"config_name": str, "seed": int, "device": str, "data": dict}


def read_manifest(path: Path, *, needs: Mapping[str, type] | None = None) -> dict[str, Any]:
    """Read a manifest; raises UserError when it is missing, damaged, or lacks what is needed."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: missing; the run was stopped before it began") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: damaged, not JSON ({error})") from None
    if not isinstance(content, dict) or "state" not in content:
        raise UserError(f"{path}: damaged, found no 'state' in it")
    if content["state"] not in _STATES:
        hint = nearest(str(content["state"]), _STATES)
        raise UserError(f"{path}: 'state' is {content['state']!r}; {hint}")
    for name, kind in (needs or {}).items():
        if not isinstance(content.get(name), kind):
            raise UserError(
                f"{path}: not as the train stage writes it, '{name}' is {content.get(name)!r}"
            )
    return content


def update_manifest(path: Path, **changes: Any) -> dict[str, Any]:
    """Change entries of a manifest atomically; returns the new content."""
    content = read_manifest(path) | changes
    write_json(path, content)
    return content


def utc(now: datetime.datetime) -> str:
    """Return a time as ISO text in UTC with seconds."""
    return now.astimezone(datetime.UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        found[name] = importlib.metadata.version(name)
    return found


def git_state() -> dict[str, Any]:
    """Return {commit, dirty} of the checkout the package runs from; None outside of one."""
    root = Path(__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            command = ["git", "-C", str(root), *arguments]
            result = subprocess.run(command, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return result.stdout.strip()

    commit = git("rev-parse", "HEAD")
    status = git("status", "--porcelain", "--untracked-files=no") if commit else None
    return {"commit": commit, "dirty": None if status is None else bool(status)}
