"""The command line: parsing with helpful errors, and the one place that picks an exit code."""

import argparse
import contextlib
import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NoReturn

from makerlab.errors import Failed, Interrupted, UserError, nearest

USER_ERROR = 2
OUR_FAULT = 1

# What the user's disk, permissions or paths refuse; anything else the system says is our fault.
_USERS_SYSTEM_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
}


_NUMBERS = {int: "a whole number", float: "a number"}


class ArgumentParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and name the nearest valid flag or value."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)

    def error(self, message: str) -> NoReturn:
        """Raise UserError instead of printing the usage."""
        raise UserError(message)

    def parse_args(  # type: ignore[override]
        self, args: list[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse; an unknown flag names the nearest one."""
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            if not unknown[0].startswith("-"):
                raise UserError(
                    f"unrecognized argument '{unknown[0]}', expected only flags and their values"
                )
            flag = unknown[0].split("=")[0]
            hint = nearest(flag, self._option_string_actions)
            raise UserError(f"unrecognized argument '{unknown[0]}'; {hint}")
        return parsed

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError:
            for kind, words in _NUMBERS.items():
                if action.type is kind:
                    problem = f"found '{arg_string}', expected {words}"
                    raise argparse.ArgumentError(action, problem) from None
            raise

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            hint = nearest(str(value), [str(choice) for choice in action.choices])
            raise argparse.ArgumentError(action, f"found '{value}'; {hint}")


def show_line(line: str) -> None:
    """Write a line to standard output at once: whoever waits for it may be reading a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_command(main: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit: 0 done, 2 bad input (one line), 1 our own fault (a traceback)."""
    sys.exit(exit_code_of(main))


def exit_code_of(main: Callable[[], int | None]) -> int:
    """Run a command and return its exit code; messages go to standard error."""
    try:
        return main() or 0
    except UserError as error:
        return _complain(str(error), USER_ERROR)
    except Failed as error:
        return _complain(str(error), OUR_FAULT)
    except Interrupted as stop:
        return _complain(str(stop), 128 + stop.signal_number)
    except KeyboardInterrupt:
        return _complain("interrupted", 128 + signal.SIGINT)
    except BrokenPipeError:
        # The reader (head, say) has gone; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno in _USERS_SYSTEM_ERRORS:
            return _complain(describe_system_error(error), USER_ERROR)
        traceback.print_exc()
        return OUR_FAULT
    except Exception as error:  # noqa: BLE001 - the one place where a fault of ours becomes 1
        traceback.print_exc()
        inspect = _inspect.get()
        if inspect is not None:
            inspect(error)
        return OUR_FAULT


Inspect = Callable[[BaseException], None]

_inspect: ContextVar[Inspect | None] = ContextVar("inspect", default=None)


@contextlib.contextmanager
def inspecting(inspect: Inspect) -> Iterator[None]:
    """Hand faults of commands that are run inside to a function, before they become exit codes."""
    token = _inspect.set(inspect)
    try:
        yield
    finally:
        _inspect.reset(token)


def describe_system_error(error: OSError) -> str:
    """Return one line naming the file and what the system refused."""
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{(error.strerror or str(error)).lower()}"


def _complain(message: str, code: int) -> int:
    line = " ".join(message.split())
    prefix = "error: " if code in {USER_ERROR, OUR_FAULT} else ""
    sys.stderr.write(f"{prefix}{line}\n")
    sys.stderr.flush()
    return code
