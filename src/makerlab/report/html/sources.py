"""What pages are drawn from: files of runs, studies, and sentences about settings and metrics."""

from collections.abc import Callable
from dataclasses import dataclass

from makerlab.report.html.artefacts import Shelf
from makerlab.report.html.studies import Studies


@dataclass(frozen=True)
class Sources:
    """Everything is read once, however many pages show it.

    `describe` says in a sentence what a setting or a metric is, or nothing.
    """

    shelf: Shelf
    studies: Studies
    describe: Callable[[str], str]
