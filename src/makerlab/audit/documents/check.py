"""Every number of the documents against the artefact that holds it."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from makerlab.audit.documents.artefacts import Artefacts
from makerlab.audit.documents.checked import Checked
from makerlab.audit.documents.entries import check_entry
from makerlab.audit.documents.listing import (
    LISTING,
    Entry,
    Listing,
    Output,
    Rows,
    Sentence,
    read_listing,
)
from makerlab.audit.documents.text import Document, read_documents
from makerlab.audit.findings import SKIPPED, Evidence, Finding

NUMBERS = "numbers: in artefacts"
ARTEFACTS = "artefacts: of commands"

_SCRIPT = re.compile(r"[\w/]+\.py\b")
_TARGET = re.compile(r"\bmake ([a-z-]+)")


def audit_documents(root: Path) -> dict[str, list[Finding]]:
    """Audit README.md and docs/ below a project's folder; returns the findings by document.

    Raises UserError where there are no documents, and for a fault in docs/numbers.yaml.
    """
    listing, artefacts = read_listing(root), Artefacts(root)
    documents = list(read_documents(root, generated=listing.generated))
    audits = {document.name: [_numbers(document, listing, artefacts)] for document in documents}
    names = {document.name for document in documents}
    audits[LISTING.as_posix()] = [_sources(root, listing, names).finding(ARTEFACTS)]
    return audits


def _numbers(document: Document, listing: Listing, artefacts: Artefacts) -> Finding:
    if document.name in listing.waiting:
        return Finding(NUMBERS, SKIPPED, (listing.waiting[document.name],))
    checked = Checked(document, artefacts)
    for entry in listing.documents.get(document.name, ()):
        check_entry(entry, checked)
    _find_unlisted(checked)
    checked.evidence.fact(
        f"{checked.compared} numbers and lines of output are those of their artefacts; "
        f"{len(document.numbers)} numbers of the text accounted for"
    )
    return checked.evidence.finding(NUMBERS)


def _find_unlisted(checked: Checked) -> None:
    document, lines = checked.document, checked.document.text.splitlines()
    for number in document.numbers:
        if not checked.covers(number.start):
            line = lines[document.line(number.start) - 1].strip()
            checked.evidence.fault(
                f"{checked.place(number.start)}: {number.text} is in no artefact that "
                f"{LISTING.as_posix()} lists: '{line[:60]}'"
            )
    for passage in document.outputs:
        if not checked.covers(passage.start):
            first = passage.text.strip().splitlines()[0]
            checked.evidence.fault(
                f"{checked.place(passage.start)}: output that no artefact holds: '{first[:60]}'"
            )


def _sources(root: Path, listing: Listing, documents: set[str]) -> Evidence:
    """Check that artefacts are there, and that what is said to make them can be typed."""
    evidence, targets = Evidence(), _make_targets(root)
    used = set(_artefacts_of(entry for each in listing.documents.values() for entry in each))
    for name, command in listing.artefacts.items():
        if not (root / name).is_file():
            evidence.fault(f"{name}: there is no such artefact")
        lost = [word for word in _SCRIPT.findall(command) if not (root / word).is_file()]
        lost += [word for word in _TARGET.findall(command) if word not in targets]
        for word in lost:
            evidence.fault(f"{name}: made by '{command}', but there is no {word}")
    for name in sorted(used - set(listing.artefacts)):
        evidence.fault(f"{name}: no command is listed that makes it")
    for name in sorted(set(listing.artefacts) - used):
        evidence.fault(f"{name}: listed, but no document quotes it")
    for name in sorted(set(listing.documents) - documents):
        evidence.fault(f"{name}: listed, but there is no such document")
    evidence.fact(f"{len(listing.artefacts)} artefacts are there, with commands that can be typed")
    return evidence


def _make_targets(root: Path) -> set[str]:
    makefile = root / "Makefile"
    text = makefile.read_text(encoding="utf-8") if makefile.is_file() else ""
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


def _artefacts_of(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, Sentence):
            yield from (value.artefact or entry.artefact for value in entry.values)
        elif isinstance(entry, Rows | Output):
            yield entry.artefact
