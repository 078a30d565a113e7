"""What the profits per period say: Sharpe ratios, and what is left of them after choosing."""

from collections.abc import Sequence

from makerlab.report.believing import PSR_BESIDE_VERDICT, track_record
from makerlab.report.evidence import Evidence
from makerlab.report.html.numbers import NOTHING, plain, whole
from makerlab.report.html.view import Table

_HEADER = (
    "config",
    "record on test",
    "Sharpe, annualised",
    "PSR",
    "deflated Sharpe",
    "tried behind it",
    "record needed at 95 %",
)


def evidence_table(labelled: Sequence[tuple[str, Evidence]], first: str = "config") -> Table | None:
    """Return the evidence of configs or runs, None where no profits per period are stored."""
    rows = tuple((label, *_cells(found)) for label, found in labelled if found.period is not None)
    if not rows:
        return None
    caption = (
        "Sharpe ratios of profits per period on the test segment, mean over seeds. PSR: "
        "probability that the true one is above zero. Deflated: probability that it is above what "
        "the best of everything tried shows by luck; below 0.95 luck is explanation enough. "
        f"{PSR_BESIDE_VERDICT}"
    )
    return Table(caption=caption, header=(first, *_HEADER[1:]), rows=rows)


def _cells(found: Evidence) -> tuple[str, ...]:
    record = NOTHING if found.periods is None else f"{whole(found.periods)} {found.period}s"
    return (
        record,
        plain(found.sharpe_annualised, digits=2),
        _probability(found.psr),
        _probability(found.deflated_sharpe),
        whole(found.trials),
        track_record(found).replace("-", NOTHING),
    )


def _probability(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"
