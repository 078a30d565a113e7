"""What a check may say: passed, failed or skipped, and why."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["passed", "failed", "skipped"]

PASSED: Outcome = "passed"
FAILED: Outcome = "failed"
SKIPPED: Outcome = "skipped"

_MOST_FAULTS = 5


class Skip(Exception):
    """A check can't be made; the message says what it would need."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check, with its evidence in sentences."""

    check: str
    outcome: Outcome
    evidence: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"check": self.check, "outcome": self.outcome, "evidence": list(self.evidence)}


@dataclass
class Evidence:
    """Collects what a check found; the check has failed as soon as one fault is among it."""

    facts: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def fact(self, text: str) -> None:
        """Note something that was checked, or that could not be."""
        self.facts.append(text)

    def fault(self, text: str) -> None:
        """Note something that is wrong."""
        self.faults.append(text)

    def equal(self, found: object, expected: object, *, what: str) -> bool:
        """Compare two values; different ones are a fault, which names both."""
        if found == expected:
            return True
        self.fault(f"{what} is {_short(found)}, expected {_short(expected)}")
        return False

    def finding(self, check: str) -> Finding:
        """Return the finding; of many faults the first few stand for all."""
        if not self.faults:
            return Finding(check, PASSED, tuple(self.facts))
        shown = self.faults[:_MOST_FAULTS]
        more = len(self.faults) - len(shown)
        return Finding(check, FAILED, (*shown, *([f"and {more} more like these"] if more else [])))


def close(found: float | None, expected: float | None, *, relative: float, absolute: float) -> bool:
    """Return whether two numbers agree; what is undefined agrees with nothing but its like."""
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=relative, abs_tol=absolute)


def failed(findings: Iterable[Finding]) -> bool:
    """Return whether any check failed."""
    return any(finding.outcome == FAILED for finding in findings)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
