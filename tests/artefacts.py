"""Compares what two matrices left behind, clock times and machine facts aside."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import optuna

from makerlab.tuning.address import read_address, storages_of
from makerlab.tuning.storage import open_storage

_STAMP = re.compile(r"\d{8}_\d{6}_")
_CLOCK_KEYS = ("started", "ended", "owner", "command", "git", "created")


def artefacts(runs_dir: Path) -> dict[str, Any]:
    """Return every final artefact by its name without clock time, in comparable form."""
    return final_files(runs_dir) | {"trials": _trials(runs_dir)}


def final_files(runs_dir: Path) -> dict[str, Any]:
    """Return every final file by its name without clock time, in comparable form."""
    found: dict[str, Any] = {}
    for path in sorted(runs_dir.rglob("*")):
        name = _STAMP.sub("", str(path.relative_to(runs_dir)))
        content = _content(path)
        if content is not None:
            assert name not in found, f"{name} is there twice"
            found[name] = content
    return found


def _content(path: Path) -> Any:
    if path.name.startswith(".") or not path.is_file() or path.parent.name == "checkpoints":
        return None
    if path.name == "manifest.json":
        manifest = json.loads(path.read_text())
        kept = {key: value for key, value in manifest.items() if key not in _CLOCK_KEYS}
        return kept | {"tuned_params": _anywhere(kept.get("tuned_params"))}
    if path.name in {"best_params.json", "metrics.json"}:
        return _anywhere(json.loads(path.read_text()))
    if path.name == "progress.csv":
        rows = list(csv.DictReader(path.open()))
        return [{k: v for k, v in row.items() if k != "steps_per_second"} for row in rows]
    if path.suffix in {".csv", ".yaml"}:
        return _STAMP.sub("", path.read_text())
    return path.read_bytes() if path.suffix == ".zip" else None


def _anywhere(content: dict[str, Any] | None) -> dict[str, Any] | None:
    """Leave out where a study is kept: many hosts need another place than one."""
    return content and {key: value for key, value in content.items() if key != "storage"}


def _trials(runs_dir: Path) -> dict[str, Any]:
    """Return state, parameters and values of every slot of every study."""
    (public,) = storages_of(runs_dir, None)
    storage = open_storage(read_address(public))
    result = {}
    for name in sorted(optuna.get_all_study_names(storage)):
        for trial in optuna.load_study(study_name=name, storage=storage).trials:
            died = trial.state.name == "FAIL" and "reason" not in trial.user_attrs
            if "slot" in trial.user_attrs and not died:
                key = f"{name}:{trial.user_attrs['slot']}"
                assert key not in result, f"slot {key} is there twice"
                values = (trial.state.name, trial.params, trial.value, trial.intermediate_values)
                result[key] = values
    return result
