"""Errors that are the user's to mend: one clear line, exit code 2."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Bad input. The message names the place, what was found and what was expected."""


class Failed(Exception):
    """Work that ended without a result for a reason that one line tells; exit code 1."""


class Interrupted(Exception):
    """A stop was asked for (SIGTERM or Ctrl-C) and the work left in a resumable state."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


_MOST_CHOICES = 25


def nearest(found: str, choices: Iterable[str]) -> str:
    """Return a hint naming the nearest valid choice, or all choices when none is near.

    Of very many choices only those of the same section (`env.` for `env.fees`) are named.
    """
    options = sorted(choices)
    close = get_close_matches(found, options, n=1, cutoff=0.6)
    # Someone who writes a short name out, such as env.
    begun = [option for option in options if len(option) >= 3 and found.startswith(option)]
    close = close or sorted(begun, key=len, reverse=True)
    if close:
        return f"did you mean '{close[0]}'?"
    if len(options) > _MOST_CHOICES:
        section = f"{found.split('.')[0]}."
        options = [option for option in options if option.startswith(section)] or options
    shown, more = options[:_MOST_CHOICES], len(options) - _MOST_CHOICES
    return f"expected one of: {', '.join(shown)}{f' and {more} more' if more > 0 else ''}"
