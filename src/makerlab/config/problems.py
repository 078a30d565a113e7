"""What pydantic finds wrong, in plain words."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from makerlab.errors import nearest

# By pydantic's name of the problem; in braces what it says of the limit.
_EXPECTED = {
    "date_from_datetime_parsing": "a date such as 2024-12-31",
    "date_parsing": "a date such as 2024-12-31",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "a number greater than {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "less_than": "a number less than {lt}",
    "less_than_equal": "a number of at most {le}",
    "string_pattern_mismatch": "text that matches {pattern}",
    "string_too_short": "text of at least {min_length} characters",
    "string_type": "text",
    "too_short": "at least {min_length} elements",
    "tuple_type": "a list such as [64, 64]",
}


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Return the dotted place of the first problem, and a sentence: place, found, expected."""
    problem = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    found = problem["input"]
    words = _words(problem["type"], found, dict(problem.get("ctx") or {}))
    if words is None:
        words = problem["msg"].removeprefix("Value error, ")
    if problem["type"] != "missing" and not isinstance(found, Mapping):
        words = f"found {found!r}; {words}"
    return place, f"'{place}': {words}" if place else words


def _words(kind: str, found: Any, context: dict[str, Any]) -> str | None:
    """Return what was expected instead, None for a problem that speaks for itself."""
    if kind == "missing":
        return "missing, expected a value"
    if kind == "literal_error":
        choices = context["expected"].replace(" or ", ", ").split(", ")
        return nearest(str(found), [choice.strip("' ") for choice in choices])
    return f"expected {_EXPECTED[kind].format(**context)}" if kind in _EXPECTED else None
