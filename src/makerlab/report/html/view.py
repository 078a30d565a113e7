"""What a page is made of: sections of panels of figures, and whom they are about."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from makerlab.report.by_config import over_seeds
from makerlab.report.records import RunRecord
from makerlab.statistics.bootstrap import UNDEFINED, Estimate

POLICY = "policy"
"""What the learned policy is called in tables of several policies."""


@dataclass(frozen=True)
class Subject:
    """Runs drawn together: the seeds of one config, or a single run."""

    label: str
    runs: tuple[RunRecord, ...]

    def estimate(self, column: str) -> Estimate:
        """Return a column such as `test_fees`: a run's own, or the mean over seeds."""
        found = [run.estimate(column) for run in self.runs]
        return found[0] if len(found) == 1 else over_seeds(found)

    @property
    def baselines(self) -> list[str]:
        """Names of the baselines on the test segment."""
        judged = [run.metrics.test for run in self.runs if run.metrics is not None]
        return list(dict.fromkeys(name for segment in judged for name in segment.baselines))

    def baseline(self, name: str, metric: str) -> Estimate:
        """Return a baseline's metric on the test segment.

        Most do the same beside every seed, and keep their interval over episodes.
        """
        judged = [run.metrics.test for run in self.runs if run.metrics is not None]
        found = [segment.baseline(name, metric) for segment in judged]
        if not found:
            return UNDEFINED
        return found[0] if len(set(found)) == 1 else over_seeds(found)

    def policies(self, metric: str) -> dict[str, Estimate]:
        """Return a metric on the test segment of the policy and all baselines that have it."""
        found = {POLICY: self.estimate(f"test_{metric}")}
        found |= {name: self.baseline(name, metric) for name in self.baselines}
        return {name: estimate for name, estimate in found.items() if estimate.value is not None}


@dataclass(frozen=True)
class Figure:
    """A chart with what it shows above it and what to distrust below it."""

    caption: str
    chart: Markup
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Numbers in words, for whoever can't see or doesn't trust the picture."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Panel:
    """Figures of one subject, side by side where there is room."""

    title: str
    figures: tuple[Figure, ...]
    note: str = ""
    table: Table | None = None


@dataclass(frozen=True)
class Section:
    """One question and its answer; without panels `absent` says why there is none."""

    anchor: str
    title: str
    lead: str
    panels: tuple[Panel, ...] = ()
    legend: Markup | str = ""
    absent: str = ""
    together: bool = False
    """Whether all panels stand in one grid: a figure each needs no line of its own."""

    @property
    def open_panels(self) -> Sequence[Panel]:
        """The panels shown at once."""
        return self.panels[:MOST_OPEN]

    @property
    def folded_panels(self) -> Sequence[Panel]:
        """The panels shown when asked for."""
        return self.panels[MOST_OPEN:]


MOST_OPEN = 6
