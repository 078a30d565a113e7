"""Where numbers come from: commands, code, versions, hashes, ranges."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from makerlab.report.html.artefacts import Shelf
from makerlab.report.html.facts import day
from makerlab.report.html.numbers import NOTHING, plain, whole
from makerlab.report.records import RunRecord

_HASH = 12
_SHORT_COLUMNS = ("seed", "started", "ended")


@dataclass(frozen=True)
class Provenance:
    """What all runs share, said once, and a table of what differs."""

    shared: tuple[tuple[str, str], ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def provenance(records: Sequence[RunRecord], shelf: Shelf) -> Provenance:
    """Return the provenance of many runs."""
    facts = [origin(record, shelf) for record in records]
    names = list(dict.fromkeys(name for each in facts for name in each))
    same = [n for n in names if len(facts) > 1 and len({each.get(n) for each in facts}) == 1]
    differing = [name for name in names if name not in same]
    return Provenance(
        shared=tuple((name, facts[0][name]) for name in same),
        header=("run", *differing),
        rows=tuple(
            (record.name, *(each.get(name, NOTHING) for name in differing))
            for record, each in zip(records, facts, strict=True)
        ),
    )


def origin(record: RunRecord, shelf: Shelf) -> dict[str, str]:
    """Return a run's provenance as names and texts; what is not recorded is left out."""
    manifest, metrics = shelf.manifest(record), shelf.metrics(record)
    data, git = _section(manifest, "data"), _section(manifest, "git")
    found: dict[str, Any] = {
        "state": manifest.get("state"),
        "seed": manifest.get("seed"),
        "command": _command(manifest.get("command")),
        "started": _time(manifest.get("started")),
        "ended": _time(manifest.get("ended")),
        "git commit": _commit(git),
        "device": _device(manifest),
        "versions": _listed(manifest.get("versions")),
        "data source": manifest.get("data_source"),
        "data file": data.get("path"),
        "data sha256": data.get("sha256"),
        "data rows": whole(data["rows"]) if isinstance(data.get("rows"), int) else None,
        **_ranges(manifest),
        "fill model": _listed(manifest.get("fill_model")),
        "config file": manifest.get("config_path"),
        "set in the environment": _listed(manifest.get("settings_in_environment")) or None,
        "config hash": _short(manifest.get("config_hash")),
        "environment key": _short(manifest.get("environment_key")),
        "train key": _short(manifest.get("train_key")),
        "evaluate key": _short(metrics.get("evaluate_key")),
        "model sha256": _short(metrics.get("model_sha256")),
        "tuned by": _tuned(manifest.get("tuned_params")),
        "notes": manifest.get("notes") or None,
    }
    return {name: str(value) for name, value in found.items() if value is not None}


def _section(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def _command(words: object) -> str | None:
    if isinstance(words, list):
        return shlex.join(str(word) for word in words)
    return None if words is None else str(words)


def _time(stamp: object) -> str | None:
    return None if stamp is None else day(stamp)


def _commit(git: Mapping[str, Any]) -> str | None:
    if not git.get("commit"):
        return None
    return f"{str(git['commit'])[:_HASH]}{' with uncommitted changes' if git.get('dirty') else ''}"


def _device(manifest: Mapping[str, Any]) -> str | None:
    device, threads = manifest.get("device"), manifest.get("threads")
    if device is None:
        return None
    return str(device) if threads is None else f"{device}, threads {_listed(threads) or threads}"


def _listed(content: object) -> str | None:
    if not isinstance(content, dict):
        return None
    return ", ".join(f"{name} {value}" for name, value in content.items() if value is not None)


def _ranges(manifest: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{name} segment": f"{day(part.get('start'))} to {day(part.get('end'))}"
        for name, part in _section(manifest, "split").items()
        if isinstance(part, dict)
    }


def _short(value: object) -> str | None:
    return None if value is None else str(value)[:_HASH]


def _tuned(tuned: object) -> str | None:
    if not isinstance(tuned, dict):
        return "nothing: the config's own parameters"
    score = tuned.get("score")
    shown = f", score {plain(score)}" if isinstance(score, int | float) else ""
    return (
        f"study {tuned.get('study')}, trial {tuned.get('trial')} of {tuned.get('n_trials')}{shown}"
    )
