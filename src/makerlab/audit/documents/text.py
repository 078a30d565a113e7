"""A document as its reader sees it: numbers in sentences and tables, blocks of output."""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from makerlab.errors import UserError

TYPED = frozenset({"sh", "bash", "python", "yaml"})
"""Languages of blocks that are typed or put into a file; what else is fenced is output."""

SMALL_COUNT = 12
"""Whole numbers up to here count things in a sentence ("four configs", "3 seeds")."""

NUMBER = r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?"

_NUMBER = re.compile(rf"(?<![\w.,/#-]){NUMBER}(?!\w)")
_FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_TABLE = re.compile(r"(?:^\|[^\n]*\n)+", re.MULTILINE)
_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
# Neither results nor settings: code and names, addresses, dates, list counters, versions, years.
_NO_NUMBERS = re.compile(
    r"```.*?^```$"
    r"|`[^`]*`"
    r"|\]\([^)]*\)"
    r"|https?://[^\s)]+"
    r"|\b\d{4}-\d\d-\d\d(?: to \d\d-\d\d)?\b|\b\d\d:\d\d\b"
    rf"|\b\d{{1,2}} {_MONTH}(?: \d{{4}})?\b|\b{_MONTH} \d{{4}}\b"
    r"|^\s*\d+\. "
    r"|\b\d+\.\d+\.\d+\b"
    r"|\b(?:19|20)\d\d\b",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Number:
    """A number as it is written, and where."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """Offset behind its last character."""
        return self.start + len(self.text)

    @property
    def value(self) -> float:
        """What it says."""
        return float(self.text.replace(",", ""))

    @property
    def decimals(self) -> int:
        """Digits behind the point that are written; negative where an exponent moves it."""
        mantissa, _, exponent = self.text.partition("e")
        return len(mantissa.partition(".")[2]) - int(exponent or 0)

    @property
    def small_count(self) -> bool:
        """Whether it only counts a few things."""
        whole = re.fullmatch(r"[+-]?\d+", self.text) is not None
        return whole and abs(self.value) <= SMALL_COUNT


@dataclass(frozen=True)
class Passage:
    """A block of output or a table: its text, and where it stands."""

    text: str
    start: int
    end: int
    table: bool


@dataclass(frozen=True)
class Document:
    """A document's text; offsets count its characters."""

    name: str
    text: str

    def line(self, offset: int) -> int:
        """Return the line of a place, from 1."""
        return self.text.count("\n", 0, offset) + 1

    @functools.cached_property
    def numbers(self) -> tuple[Number, ...]:
        """Every number that says something, in order; blocks of code and output are left out."""
        readable = _NO_NUMBERS.sub(_blank, self.text)
        found = (Number(m[0].rstrip(","), m.start()) for m in _NUMBER.finditer(readable))
        return tuple(number for number in found if not number.small_count)

    @functools.cached_property
    def outputs(self) -> tuple[Passage, ...]:
        """The fenced blocks that show what a command printed."""
        return tuple(
            Passage(match["text"], match.start("text"), match.end("text"), table=False)
            for match in _FENCE.finditer(self.text)
            if match["language"] not in TYPED and _says_something(match["text"])
        )

    @functools.cached_property
    def tables(self) -> tuple[Passage, ...]:
        """The tables."""
        readable = _FENCE.sub(_blank, self.text)
        return tuple(
            Passage(match[0], match.start(), match.end(), table=True)
            for match in _TABLE.finditer(readable)
        )


def read_documents(root: Path, *, generated: frozenset[str]) -> Iterator[Document]:
    """Yield README.md and every page below docs/ but the generated ones.

    Raises UserError where there is no README.md or no page.
    """
    readme = root / "README.md"
    pages = sorted((root / "docs").rglob("*.md"))
    for path, found in ((readme, readme.is_file()), (root / "docs", bool(pages))):
        if not found:
            raise UserError(f"{path}: holds no documents, expected the project's folder")
    for path in (readme, *pages):
        name = path.relative_to(root).as_posix()
        if name not in generated:
            yield Document(name, path.read_text(encoding="utf-8"))


def _says_something(text: str) -> bool:
    found = (Number(match[0].rstrip(","), 0) for match in _NUMBER.finditer(text))
    return any(not number.small_count for number in found)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])
