"""The status of a matrix as text of 80 columns, and as JSON."""

import contextlib
import dataclasses
import json
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from makerlab.matrix.leftover import Leftover
from makerlab.matrix.lock import RENEW_SECONDS
from makerlab.matrix.options import STAGES
from makerlab.matrix.plan import ANALYZE, Work
from makerlab.matrix.record import RUNNING
from makerlab.matrix.run_index import INTERRUPTED
from makerlab.matrix.status import DONE, INVALID, PENDING, QUEUED, Elsewhere, MatrixStatus, Row
from makerlab.runs.manifest import FAILED
from makerlab.runs.progress import duration

WIDTH = 80
NAME_WIDTH = 30
MOST_LEFTOVERS = 8
CELL_WIDTH = 13
CLEAR_SCREEN = "\x1b[H\x1b[2J\x1b[3J"
STATES = (DONE, RUNNING, QUEUED, FAILED, INTERRUPTED, PENDING, INVALID)


def to_text(status: MatrixStatus) -> str:
    """Return a grid of all work, then what is worth a line of its own."""
    lines = [*_head(status), "", *_grid(status)]
    for row in status.rows:
        if row.work == ANALYZE:
            lines += ["", f"analyze: {row.state}"]
    lines += _details(status)
    lines += _leftovers(status.leftovers)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def to_json(status: MatrixStatus) -> str:
    """Return everything that is known."""
    content = {
        "driver": status.driver,
        "driver_pid": status.driver_pid,
        "driver_elsewhere": status.elsewhere and dataclasses.asdict(status.elsewhere),
        "arguments": status.options.to_dict(),
        "fraction": status.fraction,
        "seconds_left": status.seconds_left,
        "counts": {state: status.count(state) for state in STATES},
        "rows": [_row_record(row) for row in status.rows],
        "command": status.command,
        "leftovers": [_leftover_record(each) for each in status.leftovers],
    }
    return json.dumps(content, indent=2) + "\n"


def refresh(
    text: Callable[[], str], output: TextIO, *, every: float, sleep: Callable[[float], None]
) -> None:
    """Write a text anew every so many seconds until Ctrl-C, each time from the top of a terminal.

    Where the output is no terminal, a text is written only when it differs from the last one.
    """
    terminal, last = output.isatty(), ""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            current = text()
            if terminal:
                output.write(f"{CLEAR_SCREEN}{current}\nevery {every:g} s; Ctrl-C leaves\n")
            elif current != last:
                output.write(f"{current}\n")
            output.flush()
            last = current
            sleep(every)


def _row_record(row: Row) -> dict[str, Any]:
    work = row.work
    return {
        "config": work.config_name or None,
        "fold": work.fold,
        "seed": work.seed,
        "stage": work.stage,
        "state": row.state,
        "progress": None if row.progress is None else dataclasses.asdict(row.progress),
        "message": row.message,
        "lines": list(row.before),
    }


def _leftover_record(leftover: Leftover) -> dict[str, Any]:
    return dataclasses.asdict(leftover) | {"path": str(leftover.path)}


def _head(status: MatrixStatus) -> list[str]:
    options = status.options
    counts = ", ".join(
        f"{status.count(state)} {state}" for state in STATES if status.count(state) or state == DONE
    )
    drivers = {
        None: "no matrix has run here",
        RUNNING: f"running (process {status.driver_pid})",
    }
    title = drivers.get(status.driver, f"last matrix: {status.driver}")
    left = ""
    if status.seconds_left is not None:
        left = f", about {duration(status.seconds_left)} left"
    return [
        _cut(f"{options.runs_dir}: {title}, profile {options.profile or 'none'}", WIDTH),
        _cut(f"{len(status.rows)} stages: {counts}{left}", WIDTH),
        *_elsewhere(status.elsewhere),
    ]


def _elsewhere(elsewhere: Elsewhere | None) -> list[str]:
    """Say what can be known of a process of another host: that it wrote, and when."""
    if elsewhere is None:
        return []
    heard = elsewhere.last_sign_of_life or "never"
    return _paragraph(
        f"That process is on {elsewhere.host}. Last sign of life, one is due every "
        f"{RENEW_SECONDS:.0f} s: {heard}, by the file system's clock."
    )


def _grid(status: MatrixStatus) -> list[str]:
    stages = [stage for stage in STAGES[:-1] if stage in status.options.stages]
    if not stages:
        return []
    cells = {row.work: _cell(row) for row in status.rows}
    works = [row.work for row in status.rows if row.work != ANALYZE]
    lines = [_line("config", "seed", stages)]
    for name, fold in dict.fromkeys((work.config_name, work.fold) for work in works):
        label = name if fold is None else _with_fold(name, fold)
        for index, seed in enumerate(status.options.seeds):
            tune = cells.get(Work("tune", name, fold=fold), "") if index == 0 else ""
            rest = [cells[Work(stage, name, seed, fold)] for stage in stages if stage != "tune"]
            values = ([tune] if "tune" in stages else []) + rest
            if index == 0 or rest:
                lines.append(_line(label if index == 0 else "", str(seed) if rest else "", values))
    return lines


def _with_fold(name: str, fold: int) -> str:
    """Cut a long name rather than the fold behind it."""
    ending = f" fold {fold}"
    return _cut(name, NAME_WIDTH - len(ending)) + ending


def _line(name: str, seed: str, values: list[str]) -> str:
    cells = "".join(f" {_cut(value, CELL_WIDTH):<{CELL_WIDTH}}" for value in values)
    return f"{_cut(name, NAME_WIDTH):<{NAME_WIDTH}} {seed:>6}{cells}"


def _cell(row: Row) -> str:
    if row.state == RUNNING and row.progress is not None:
        return f"running {row.progress.fraction:.0%}"
    return row.state


def _details(status: MatrixStatus) -> list[str]:
    """Return lines on running, failed and interrupted work and on bad configs."""
    lines = []
    for row in status.rows:
        if row.state == RUNNING:
            lines += _paragraph(f"{row.work}: {_progress(row)}")
    for row in status.rows:
        if row.state == QUEUED:
            lines += _paragraph(f"{row.work}: queued, {row.message}")
    for row in status.rows:
        if row.state == INTERRUPTED:
            lines += _paragraph(f"{row.work}: interrupted{_where(row)}")
        elif row.state == FAILED:
            lines += _paragraph(f"{row.work}: FAILED{_where(row)}: {row.message or 'see its log'}")
            lines += [_cut(f"    | {line}", WIDTH) for line in row.before]
    if status.count(INTERRUPTED) and status.driver != RUNNING:
        # Whole, whatever its length: it is there to be copied.
        lines += ["what is interrupted continues with:", f"    {status.command}"]
    problems = dict.fromkeys(row.message for row in status.rows if row.state == INVALID)
    lines += [line for problem in problems for line in _paragraph(f"invalid: {problem}")]
    return ["", *lines] if lines else []


def _leftovers(leftovers: Sequence[Leftover]) -> list[str]:
    """Return lines on what is no part of the matrix, by the command that continues it."""
    if not leftovers:
        return []
    lines = ["", "begun, not finished, and not part of this matrix:"]
    shown = leftovers[:MOST_LEFTOVERS]
    for command in dict.fromkeys(each.command for each in shown):
        for each in (each for each in shown if each.command == command):
            far = "" if each.fraction is None else f" at {each.fraction:.0%}"
            lines += _paragraph(f"{each.path}: {each.state}{far}")
        lines += [f"    continues with: {command}"] if command else []
    more = len(leftovers) - len(shown)
    return [*lines, f"and {more} more"] if more else lines


def _progress(row: Row) -> str:
    if row.progress is None:
        return RUNNING
    metric = row.progress.metric
    last = "" if metric is None else f", {row.progress.metric_name} {metric:.4g}"
    return row.progress.sentence() + last


def _where(row: Row) -> str:
    return "" if row.progress is None else f" at {row.progress.fraction:.0%}"


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="    ", break_long_words=False)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 2] + ".."
