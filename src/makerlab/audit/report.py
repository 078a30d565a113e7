"""The audit's own output: one table for people, one record for programs."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from makerlab.audit.findings import FAILED, PASSED, SKIPPED, Finding, Outcome

_WIDTH = 90
_SIGNS: Mapping[Outcome, str] = {PASSED: "passed", FAILED: "FAILED", SKIPPED: "skipped"}

Audits = Mapping[str, Sequence[Finding]]


def audit_lines(audits: Audits) -> Iterator[str]:
    """Yield a table of every subject's checks and a closing count."""
    for subject, findings in audits.items():
        yield f"=== {subject} ==="
        rows = [
            (finding.check, _SIGNS[finding.outcome], _wrapped(finding.evidence))
            for finding in findings
        ]
        yield tabulate(rows, headers=("check", "outcome", "evidence"))
        yield ""
    counts = outcome_counts(audits)
    failing = [name for name, found in audits.items() if any(f.outcome == FAILED for f in found)]
    yield f"{len(audits)} audited: " + ", ".join(f"{n} {name}" for name, n in counts.items())
    yield from (f"failed: {name}" for name in failing)


def audit_record(audits: Audits) -> dict[str, Any]:
    """Return everything as plain values for JSON."""
    return {
        "audited": {name: [f.to_dict() for f in found] for name, found in audits.items()},
        "counts": outcome_counts(audits),
    }


def outcome_counts(audits: Audits) -> dict[str, int]:
    """Return how many checks passed, failed and were skipped."""
    outcomes = [finding.outcome for found in audits.values() for finding in found]
    return {outcome: outcomes.count(outcome) for outcome in (PASSED, FAILED, SKIPPED)}


def _wrapped(evidence: Sequence[str]) -> str:
    return "\n".join(line for text in evidence for line in textwrap.wrap(text, _WIDTH))
