"""The command that a user types to go on with a matrix, from what the matrix was asked for."""

import shlex
from collections.abc import Mapping

from makerlab.matrix.options import STAGES, MatrixOptions

_VARIABLES = {
    "targets": "TARGETS",
    "jobs": "JOBS",
    "seeds": "SEEDS",
    "profile": "PROFILE",
    "device": "DEVICE",
    "data": "DATA",
    "runs_dir": "RUNS_DIR",
    "logs_dir": "LOGS_DIR",
    "plots_dir": "PLOTS_DIR",
    "launcher": "LAUNCHER",
    "group_size": "GROUP_SIZE",
}
_SPECIAL = set('"$`\\!')


def command_of(options: MatrixOptions, environment: Mapping[str, str]) -> str:
    """Return the command of a matrix, in which only what differs from the defaults is named.

    `environment` holds the settings that it was given by environment variables. What make has no
    target or variable for is asked of the script.
    """
    defaults = MatrixOptions()
    values = {name: _text(getattr(options, name)) for name in _VARIABLES}
    given = {name: text for name, text in values.items() if text != _text(getattr(defaults, name))}
    before = [f"{name}={_quoted(text)}" for name, text in sorted(environment.items())]
    target = "matrix" if options.stages == STAGES else options.stages[0]
    if (options.stages == STAGES or len(options.stages) == 1) and not options.debugger:
        # Make would take a dollar for a variable of its own.
        words = [
            f"{_VARIABLES[name]}={_quoted(text.replace('$', '$$'))}" for name, text in given.items()
        ]
        return " ".join([*before, "make", target, *words])
    if options.stages != STAGES:
        given["stages"] = ",".join(options.stages)
    words = [f"--{name} {_quoted(text)}" for name, text in given.items()]
    words += ["--debugger"] if options.debugger else []
    return " ".join([*before, ".venv/bin/python scripts/run_matrix.py", *words])


def _text(value: object) -> str:
    """Return a value as flags and make's variables hold it."""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _quoted(text: str) -> str:
    if text and shlex.quote(text) == text:
        return text
    return shlex.quote(text) if set(text) & _SPECIAL else f'"{text}"'
