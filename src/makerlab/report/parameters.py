"""Settings of many runs: which of them vary, and which runs share all of them."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from makerlab.config import Config
from makerlab.files import content_hash

Value = str | int | float | bool | None
Parameters = Mapping[str, Value]

FOLD = frozenset({"data_split.fold"})
"""Which part of the data is looked at; the idea under test is the same."""

IDENTITY = FOLD | {
    "task",
    "train.algo",
    "train.seed",
    "run.short_name",
    "run.notes",
    "run.profile",
}
"""Settings that have columns of their own or only name things."""

PATHS = frozenset({"env.csv_path"})
"""Settings that say where something lies; what lies there is known by its hash."""

_NO_SETTINGS = PATHS | IDENTITY
"""Whatever these are, the idea under test is the same."""


class Flattener:
    """Turns nested settings into dotted ones; sections equal to the last seen are not redone."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Any, dict[str, Value]]] = {}

    def parameters(self, config: Mapping[str, Any]) -> dict[str, Value]:
        """Return every setting under its dotted name; lists become their JSON text."""
        result: dict[str, Value] = {}
        for name, section in config.items():
            last = self._last.get(name)
            if last is None or last[0] != section:
                last = self._last[name] = (section, {})
                _flattened({name: section}, "", last[1])
            result.update(last[1])
        return result


def _flattened(value: Mapping[str, Any], name: str, found: dict[str, Value]) -> None:
    for key, inner in value.items():
        dotted = f"{name}.{key}" if name else key
        if isinstance(inner, dict):
            _flattened(inner, dotted, found)
        else:
            found[dotted] = json.dumps(inner) if isinstance(inner, list) else inner


def varying(runs: Iterable[Parameters]) -> list[str]:
    """Return the settings that differ between runs, in the order of the config.

    A setting that only some runs know counts as differing; runs whose settings are lost don't
    count, nor does what merely names a run.
    """
    order: dict[str, None] = {}
    always: set[str] = set()
    seen: set[tuple[str, Value]] = set()
    for parameters in filter(None, runs):
        if not order:
            always = set(parameters)
        if order.keys() != parameters.keys():
            order |= dict.fromkeys(parameters)
            always &= parameters.keys()
        # Whole dictionaries at a time: of ten thousand runs, most agree on most.
        seen.update(parameters.items())
    values = Counter(name for name, _ in seen)
    return [
        name for name in order if name not in IDENTITY and (values[name] > 1 or name not in always)
    ]


def values_of(name: str, runs: Iterable[Parameters]) -> list[Value]:
    """Return the distinct values of a setting: numbers by size, then text, then none."""
    return sorted({parameters.get(name) for parameters in runs}, key=_order)


def _order(value: Value) -> tuple[int, float, list[tuple[int, str]]]:
    if value is None:
        return (2, 0.0, [])
    if isinstance(value, str):
        # Numbers within text count as numbers: [64, 64] comes before [128, 128].
        parts = re.findall(r"\d+|\D+", value)
        return (1, 0.0, [(int(part) if part.isdigit() else -1, part) for part in parts])
    return (0, float(value), [])


class Variants:
    """Names the distinct settings of runs, whatever their seed, notes and place of the data."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[str, Value], ...], str] = {}

    def of(self, parameters: Parameters, *, tuned: Iterable[str] = ()) -> str:
        """Return a short hash of the settings; the same for all seeds and folds of one config.

        Each fold of a walk-forward is tuned on its own: what tuning chose there (`tuned`, keys of
        `train`) is no part of the idea under test, that it was tuned is.
        """
        left_out, chosen = _NO_SETTINGS, list[str]()
        if parameters.get("data_split.fold") is not None:
            chosen = sorted({f"train.{name}" for name in tuned})
            left_out = left_out.union(chosen)
        content = tuple([item for item in parameters.items() if item[0] not in left_out])
        content += tuple([(name, "tuned") for name in chosen])
        if content not in self._known:
            self._known[content] = content_hash([list(item) for item in sorted(content)])[:12]
        return self._known[content]


def variant_of(config: Config, *, tuned: Iterable[str] = ()) -> str:
    """Return what names a config's settings, whatever its seed, notes and place of the data."""
    return Variants().of(Flattener().parameters(config.to_dict()), tuned=tuned)
