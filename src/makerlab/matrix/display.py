"""What a person sees while a matrix runs: a live table on a terminal, plain lines in a log."""

import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from makerlab.matrix.progress import Snapshot, UnderWay
from makerlab.runs.progress import duration
from makerlab.runs.terminal import is_live

SUMMARY_SECONDS = 60.0
BAR_WIDTH = 20


class Display(Protocol):
    """Shows lines and, until it is closed, the state of the matrix."""

    live: bool

    def line(self, text: str) -> None:
        """Show a line that stays."""
        ...

    def text(self, text: str) -> None:
        """Show text of several lines as it is."""
        ...

    def show(self, snapshot: Snapshot) -> None:
        """Show how the matrix stands."""
        ...

    def close(self) -> None:
        """Show lines only from now on."""
        ...


def choose_display(output: TextIO) -> Display:
    """Return a live display on a terminal, plain lines for a file, a pipe or CI."""
    return LiveDisplay(output) if is_live(output) else PlainDisplay(output)


class PlainDisplay:
    """Lines with the time of day; a summary at most once a minute."""

    live = False

    def __init__(self, output: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._output, self._clock = output, clock
        self._summary = clock()
        self._closed = False

    def line(self, text: str) -> None:
        """Write a line."""
        self._output.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        self._output.flush()

    def text(self, text: str) -> None:
        """Write text without times."""
        self._output.write(text)
        self._output.flush()

    def show(self, snapshot: Snapshot) -> None:
        """Write a line if the last summary is a minute old."""
        if not self._closed and self._clock() - self._summary >= SUMMARY_SECONDS:
            self._summary = self._clock()
            self.line(snapshot.sentence())

    def close(self) -> None:
        """Show no more summaries."""
        self._closed = True


class LiveDisplay:
    """A bar for the matrix and a row per running stage, redrawn in place."""

    live = True

    def __init__(self, output: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=output, highlight=False)
        self._live: Any = None
        self._closed = False

    def line(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, markup=False, soft_wrap=True)

    def text(self, text: str) -> None:
        """Print text as it is."""
        self._console.print(text, markup=False, soft_wrap=True, end="")

    def show(self, snapshot: Snapshot) -> None:
        """Redraw the bar and the rows."""
        if self._closed:
            return
        from rich.live import Live

        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(draw(snapshot), refresh=True)

    def close(self) -> None:
        """Take the bar away; the lines stay."""
        self._closed = True
        if self._live is not None:
            self._live.stop()


def draw(snapshot: Snapshot) -> Any:
    """Return the bar and the rows as something rich can print."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    head = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=1.0, completed=snapshot.fraction, width=BAR_WIDTH)
    head.add_row(bar, f"{snapshot.fraction:4.0%}", snapshot.sentence())
    rows = Table.grid(padding=(0, 2))
    for job in snapshot.running:
        rows.add_row(f"  {job.work}", _describe(job))
    return Group(head, rows)


def _describe(job: UnderWay) -> str:
    """Return progress where a stage tells it, else how long it has run or waits to begin."""
    if job.queued:
        return f"queued for {duration(job.seconds)}"
    if job.progress is None:
        return f"{duration(job.seconds)} so far"
    return job.progress.sentence()
