"""The commands in the documents, as a reader would type them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))

_FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words behind it, and its text."""

    document: Path
    language: str
    words: tuple[str, ...]
    text: str


def blocks(document: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a document in order."""
    for match in _FENCE.finditer(document.read_text(encoding="utf-8")):
        language, *words = match["kind"].split() or [""]
        yield Block(document, language, tuple(words), match["text"])


NOT_TYPED = {
    "network": "needs a network and an exchange that answers",
    "hours": "takes longer than a test may",
    "tests": "runs these tests, which would run themselves again",
}
"""Words behind ```sh that keep a block from being typed, and why."""

NEEDS_DATA = "data"
"""The word of blocks that read recorded market data, which are not part of the project."""


def commands(document: Path) -> list[Block]:
    """Return the blocks a reader types: language `sh`."""
    return [block for block in blocks(document) if block.language == "sh"]


def words_after_scripts(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (script, flags) of every call of one of the project's scripts in a text."""
    joined = text.replace("\\\n", " ")
    for match in re.finditer(r"(?<![\w/])((?:scripts/)?\w+\.py)((?: +[^\n;|&<>`]+)?)", joined):
        # What is in quotes are words of somebody else.
        flags = re.findall(r"(?<!\S)--[A-Za-z][\w-]*", re.sub(r"\"[^\"]*\"", "", match[2]))
        yield match[1], flags
