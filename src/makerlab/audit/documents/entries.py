"""What each kind of entry of docs/numbers.yaml says, held against document and artefact."""

import re

from makerlab.audit.documents.artefacts import Missing
from makerlab.audit.documents.checked import Checked, words_pattern
from makerlab.audit.documents.listing import Entry, Given, Output, Rows, Sentence, Value
from makerlab.audit.documents.text import NUMBER, Number

LEFT_OUT = "[...]"

_CELL = re.compile(r"([^|\n]+)\|")
_CELL_NUMBER = re.compile(rf"(?<![\w.,]){NUMBER}(?!\w)")


def check_entry(entry: Entry, checked: Checked) -> None:
    """Check one entry; faults go to the document's evidence."""
    if isinstance(entry, Sentence):
        _check_sentence(entry, checked)
    elif isinstance(entry, Rows):
        _check_rows(entry, checked)
    elif isinstance(entry, Output):
        _check_output(entry, checked)
    else:
        _check_given(entry, checked)


def _check_sentence(entry: Sentence, checked: Checked) -> None:
    matches = list(words_pattern(entry.text).finditer(checked.document.text))
    if len(matches) != 1:
        checked.evidence.fault(f"'{entry.text}' stands {len(matches)} times, expected once")
        return
    (match,) = matches
    if len(match.groups()) != len(entry.values):
        checked.evidence.fault(
            f"'{entry.text}' has {len(match.groups())} numbers, but {len(entry.values)} values"
        )
        return
    for group, value in enumerate(entry.values, start=1):
        number = Number(match[group].rstrip(","), match.start(group))
        checked.compare(number, value, artefact=entry.artefact)


def _check_rows(entry: Rows, checked: Checked) -> None:
    passage = checked.passage(entry.table, checked.document.tables)
    if passage is None:
        return
    offset = passage.start
    for position, line in enumerate(passage.text.splitlines(keepends=True)):
        # Heading and rule come first.
        if position > 1:
            _check_row(entry, line, offset, checked)
        offset += len(line)


def _check_row(entry: Rows, line: str, offset: int, checked: Checked) -> None:
    cells = [(match[1].strip(), offset + match.start(1)) for match in _CELL.finditer(line)]
    (first, _), *others = cells
    name = entry.names.get(first, first)
    if len(others) != len(entry.columns):
        checked.evidence.fault(
            f"{checked.place(offset)}: {len(others)} cells, but {len(entry.columns)} columns listed"
        )
        return
    for (cell, start), places in zip(others, entry.columns, strict=True):
        start += line[start - offset :].index(cell)
        found = [Number(m[0].rstrip(","), start + m.start()) for m in _CELL_NUMBER.finditer(cell)]
        if len(found) not in {0, len(places)}:
            checked.evidence.fault(
                f"{checked.place(start)}: {len(found)} numbers in '{cell}', "
                f"but {len(places)} places listed"
            )
            continue
        for number, place in zip(found, places, strict=False):
            value = Value(at=place.replace("{row}", name))
            checked.compare(number, value, artefact=entry.artefact)


def _check_output(entry: Output, checked: Checked) -> None:
    document = checked.document
    passage = checked.passage(entry.output, (*document.outputs, *document.tables))
    if passage is None:
        return
    checked.cover(passage.start, passage.end)
    try:
        stored = _one_line(checked.artefacts.text(entry.artefact))
    except Missing as missing:
        checked.evidence.fault(f"{checked.place(passage.start)}: {missing}")
        return
    position, offset, piece = 0, passage.start, ""
    for line in passage.text.splitlines(keepends=True):
        words = _one_line(line)
        longer = "" if words == LEFT_OUT else f"{piece} {words}".strip()
        # A piece that ends has been found; the next one stands behind it.
        position = position if longer else position + len(piece)
        found = stored.find(longer, position)
        if found < 0:
            place = checked.place(offset)
            checked.evidence.fault(f"{place}: not so in {entry.artefact}: '{words[:100]}'")
            return
        checked.compared += bool(longer)
        piece, offset = longer, offset + len(line)


def _one_line(text: str) -> str:
    """Return a text as words: columns and line breaks depend on the width of a terminal."""
    return " ".join(text.split())


def _check_given(entry: Given, checked: Checked) -> None:
    matches = list(words_pattern(entry.given).finditer(checked.document.text))
    if not matches:
        checked.evidence.fault(f"'{entry.given}' is listed as given, but is not in the document")
    for match in matches:
        checked.cover(*match.span())
