"""Numbers in stored artefacts, by place.

| file | place | example |
|---|---|---|
| JSON, YAML | keys and positions with dots; `*` for each of many | `policies.policy.fills` |
| CSV, JSON records | `column=value & column=value -> column` | `fold=1 -> net_profit` |
| other text | words with `{}` for the number, which must stand there | `makes {} trades` |

Before a place `least of`, `most of`, `mean of`, `total of` or `count of` takes one number of the
many that it names.
"""

import csv
import functools
import io
import json
import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from makerlab.audit.documents.listing import Value
from makerlab.audit.documents.text import NUMBER

_OF_MANY: Mapping[str, Callable[[Sequence[float]], float]] = {
    "least of ": min,
    "most of ": max,
    "mean of ": statistics.fmean,
    "count of ": len,
    "total of ": math.fsum,
}


class Missing(Exception):
    """An artefact, or a place in it, is not there; the message says which."""


class Artefacts:
    """Reads each artefact below a root once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.text = functools.cache(self._text)
        self._content = functools.cache(self._parsed)

    def number(self, value: Value, *, artefact: str) -> float:
        """Return what a value's places hold; raises Missing."""
        name = value.artefact or artefact
        found = self._at(name, value.at)
        if value.minus:
            found -= self._at(name, value.minus)
        if value.over:
            found /= self._at(name, value.over)
        return found * value.times

    def _at(self, name: str, place: str) -> float:
        for word, one_of in _OF_MANY.items():
            if place.startswith(word):
                return float(one_of(self._all(name, place.removeprefix(word))))
        found = self._all(name, place)
        if len(found) != 1:
            raise Missing(f"{name}: '{place}' names {len(found)} numbers, expected one")
        return found[0]

    def _all(self, name: str, place: str) -> list[float]:
        suffix = Path(name).suffix
        if "->" in place and suffix in {".csv", ".json"}:
            found = _in_rows(self._content(name), place)
        elif suffix in {".json", ".yaml"} and "{}" not in place:
            found = _in_tree(self._content(name), place.split("."))
        else:
            found = _in_text(self.text(name), place)
        numbers = [number for each in found if (number := _number(each)) is not None]
        if not numbers:
            raise Missing(f"{name}: no number at '{place}'")
        return numbers

    def _text(self, name: str) -> str:
        path = self._root / name
        if not path.is_file():
            raise Missing(f"{name}: there is no such artefact")
        return path.read_text(encoding="utf-8")

    def _parsed(self, name: str) -> Any:
        text, suffix = self.text(name), Path(name).suffix
        try:
            if suffix == ".json":
                return json.loads(text)
            if suffix == ".yaml":
                return yaml.safe_load(text)
        except (ValueError, yaml.YAMLError):
            raise Missing(f"{name}: damaged") from None
        return list(csv.DictReader(io.StringIO(text)))


def _in_tree(tree: Any, keys: Sequence[str]) -> list[Any]:
    if not keys:
        return [tree]
    key, *rest = keys
    if key == "*":
        members = tree.values() if isinstance(tree, dict) else tree
        return [found for member in members for found in _in_tree(member, rest)]
    if (
        isinstance(tree, list)
        and re.fullmatch(r"-?\d+", key)
        and -len(tree) <= int(key) < len(tree)
    ):
        return _in_tree(tree[int(key)], rest)
    if isinstance(tree, dict) and key in tree:
        return _in_tree(tree[key], rest)
    return []


def _in_rows(rows: Any, place: str) -> list[Any]:
    conditions, _, column = place.rpartition("->")
    wanted = [each.strip().partition("=") for each in conditions.split("&") if each.strip()]
    return [
        row.get(column.strip())
        for row in rows
        if isinstance(row, dict) and all(str(row.get(name)) == value for name, _, value in wanted)
    ]


def _in_text(text: str, place: str) -> list[Any]:
    before, _, after = place.partition("{}")
    pattern = rf"{_words(before)}({NUMBER}){_words(after)}"
    return [match[1].replace(",", "") for match in re.finditer(pattern, text)]


def _words(text: str) -> str:
    return r"\s+".join(re.escape(part) for part in re.split(r"\s+", text))


def _number(found: Any) -> float | None:
    if isinstance(found, bool):
        return None
    try:
        return float(found)
    except (TypeError, ValueError):
        return None
