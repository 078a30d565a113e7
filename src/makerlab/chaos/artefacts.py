"""Compares what two matrices left behind, clock times and machine facts aside."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import optuna

from makerlab.tuning.address import StorageAddress, read_address, storages_of
from makerlab.tuning.slots import SLOT, standing
from makerlab.tuning.storage import open_storage

_STAMP = re.compile(r"\d{8}_\d{6}_")
_CLOCK_KEYS = ("started", "ended", "owner", "command", "git", "created")
_CLOCK_COLUMNS = ("steps_per_second", "git_commit", "git_dirty")
_ABSENT = "not there"


class DoubledError(Exception):
    """Something that must be there once is there twice."""


def artefacts(runs_dir: Path, *, storage: StorageAddress | None = None) -> dict[str, Any]:
    """Return every final artefact by its name without clock time, in comparable form.

    Studies are looked for in `storage`, with the runs if none is given. Raises DoubledError.
    """
    if storage is None:
        (public,) = storages_of(runs_dir, None)
        storage = read_address(public)
    return final_files(runs_dir) | {"trials": _trials(storage)}


def final_files(runs_dir: Path) -> dict[str, Any]:
    """Return every final file by its name without clock time, in comparable form."""
    found: dict[str, Any] = {}
    for path in sorted(runs_dir.rglob("*")):
        name = _STAMP.sub("", str(path.relative_to(runs_dir)))
        content = _content(path)
        if content is None:
            continue
        if name in found:
            raise DoubledError(f"{name} is there twice")
        found[name] = content
    return found


def differences(expected: Any, found: Any, *, place: str = "") -> list[str]:
    """Return a line for each place where two artefacts differ; tables and trees are looked into."""
    if isinstance(expected, list) and isinstance(found, list):
        expected, found = dict(enumerate(expected)), dict(enumerate(found))
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            line
            for key in [*expected, *(key for key in found if key not in expected)]
            for line in differences(
                expected.get(key, _ABSENT),
                found.get(key, _ABSENT),
                place=f"{place}/{key}" if place else str(key),
            )
        ]
    if expected == found:
        return []
    return [f"{place}: {_shown(found)}, undisturbed {_shown(expected)}"]


def _shown(value: Any) -> str:
    text = f"{len(value)} bytes" if isinstance(value, bytes) else " ".join(str(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _content(path: Path) -> Any:
    if path.name.startswith(".") or not path.is_file() or path.parent.name == "checkpoints":
        return None
    if path.name == "manifest.json":
        manifest = json.loads(path.read_text())
        kept = {key: value for key, value in manifest.items() if key not in _CLOCK_KEYS}
        return kept | {"tuned_params": _anywhere(kept.get("tuned_params"))}
    if path.name in {"best_params.json", "metrics.json"}:
        return _anywhere(json.loads(path.read_text()))
    if path.suffix == ".csv":
        rows = csv.DictReader(io.StringIO(_STAMP.sub("", path.read_text()), newline=""))
        return [{k: v for k, v in row.items() if k not in _CLOCK_COLUMNS} for row in rows]
    if path.suffix == ".yaml":
        return _STAMP.sub("", path.read_text())
    return path.read_bytes() if path.suffix == ".zip" else None


def _anywhere(content: dict[str, Any] | None) -> dict[str, Any] | None:
    """Leave out where a study is kept: many hosts need another place than one."""
    return content and {key: value for key, value in content.items() if key != "storage"}


def _trials(address: StorageAddress) -> dict[str, Any]:
    """Return state, parameters and values of every slot of every study."""
    storage = open_storage(address)
    result: dict[str, Any] = {}
    for name in sorted(optuna.get_all_study_names(storage)):
        trials = optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
        live = standing(trials)
        reasoned = [t for t in trials if t.state.name != "FAIL" or "reason" in t.user_attrs]
        if len([t for t in reasoned if SLOT in t.user_attrs]) != len(live):
            raise DoubledError(f"study {name}: a slot is taken twice")
        for slot, trial in live.items():
            values = (trial.state.name, trial.params, trial.value, trial.intermediate_values)
            result[f"{name}:{slot}"] = values
    return result
