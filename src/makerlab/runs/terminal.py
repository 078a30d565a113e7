"""A progress bar for whoever sits before the terminal; in a log or in CI there is none."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TextIO

Show = Callable[[int, int, str], None]

REFRESH_SECONDS = 0.2

_shown: ContextVar[Show | None] = ContextVar("shown", default=None)


def is_live(output: TextIO) -> bool:
    """Whether somebody may be looking who wants to see things move: a terminal, and no CI."""
    plain = os.environ.get("CI") or os.environ.get("TERM", "dumb") == "dumb"
    return output.isatty() and not plain


def show_progress(done: int, total: int, unit: str) -> None:
    """Move the bar of the terminal that this work belongs to, if it has one."""
    show = _shown.get()
    if show is not None:
        show(done, total, unit)


@contextlib.contextmanager
def terminal_bar(output: TextIO, *, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Show a bar below the lines written to `output` as long as the work inside tells of itself.

    It appears with the first call of `show_progress` and is gone at the end; lines written
    meanwhile scroll above it. Nothing happens where `output` is no terminal, or in CI.
    """
    if not is_live(output):
        yield
        return
    with contextlib.ExitStack() as stack:
        token = _shown.set(_bar(stack, clock))
        try:
            yield
        finally:
            _shown.reset(token)


def _bar(stack: contextlib.ExitStack, clock: Callable[[], float]) -> Show:
    """Return what moves a bar, which is made when it is first moved."""
    # Slow to import, and not needed by those who have no terminal.
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    bar = Progress(*columns, TimeRemainingColumn(), transient=True)
    tasks: list[TaskID] = []
    last = -REFRESH_SECONDS

    def show(done: int, total: int, unit: str) -> None:
        nonlocal last
        now = clock()
        if now - last < REFRESH_SECONDS and done < total:
            return
        last = now
        if not tasks:
            stack.enter_context(bar)
            tasks.append(bar.add_task(unit, total=total))
        bar.update(tasks[0], completed=done, total=total, description=unit)

    return show
