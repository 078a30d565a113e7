"""A document under check: what entries account for, and what is wrong with them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from makerlab.audit.documents.artefacts import Artefacts, Missing
from makerlab.audit.documents.listing import Value
from makerlab.audit.documents.text import NUMBER, Document, Number, Passage
from makerlab.audit.findings import Evidence


@dataclass
class Checked:
    """Collects what the entries of one document account for."""

    document: Document
    artefacts: Artefacts
    evidence: Evidence = field(default_factory=Evidence)
    compared: int = 0
    _covered: list[tuple[int, int]] = field(default_factory=list)

    def cover(self, start: int, end: int) -> None:
        """Note that an entry accounts for this stretch of the text."""
        self._covered.append((start, end))

    def covers(self, start: int) -> bool:
        """Return whether any entry accounts for what stands here."""
        return any(first <= start < last for first, last in self._covered)

    def place(self, offset: int) -> str:
        """Name a place as a reader finds it."""
        return f"{self.document.name}:{self.document.line(offset)}"

    def compare(self, number: Number, value: Value, *, artefact: str) -> None:
        """Compare a number with its artefact's, rounded to the digits that are written."""
        self.compared += 1
        self.cover(number.start, number.end)
        try:
            expected = self.artefacts.number(value, artefact=artefact)
        except Missing as missing:
            self.evidence.fault(f"{self.place(number.start)}: {number.text}: {missing}")
            return
        if value.unsigned:
            expected = abs(expected)
        if not _agree(number, expected):
            self.evidence.fault(
                f"{self.place(number.start)}: the document says {number.text}, "
                f"{value.artefact or artefact} {expected:.8g} ({value.at})"
            )

    def passage(self, words: str, passages: Sequence[Passage]) -> Passage | None:
        """Return the one block or table with these words in it; else that is a fault."""
        found = [passage for passage in passages if words in passage.text]
        if len(found) == 1:
            return found[0]
        self.evidence.fault(f"'{words}' stands in {len(found)} blocks or tables, expected one")
        return None


def words_pattern(text: str) -> re.Pattern[str]:
    """Return what finds words with `{}` for numbers, wherever their lines break."""
    number = rf"({NUMBER})"
    parts = (number.join(map(re.escape, word.split("{}"))) for word in text.split())
    words = r"\s+".join(parts)
    return re.compile(rf"(?<![\w.,]){words}(?!\w)")


def _agree(number: Number, expected: float) -> bool:
    half = 0.5 * 10.0**-number.decimals
    return abs(number.value - expected) <= half * (1 + 1e-9) + 1e-12 * abs(expected)
