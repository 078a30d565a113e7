"""The report stage: everything that lies in a directory of runs as pages to read."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from makerlab.files import write_text
from makerlab.report.behind import behind_all
from makerlab.report.by_config import Standing, standings_of
from makerlab.report.html.artefacts import Shelf
from makerlab.report.html.page import BASELINE_METRICS, report_page
from makerlab.report.html.run_page import run_page
from makerlab.report.html.sources import Sources
from makerlab.report.html.studies import Studies
from makerlab.report.ranking import RankingGroup, check_column, metric_of, ranking_groups
from makerlab.report.records import RunRecord, read_runs
from makerlab.runs.directory import REPORT
from makerlab.runs.owner import check_writable
from makerlab.runs.progress import Report
from makerlab.stages.collector import no_garbage_collection
from makerlab.stages.describe import descriptions


@dataclasses.dataclass(frozen=True)
class ReportResult:
    """What was written, and what could not be read."""

    page: Path
    run_pages: tuple[Path, ...]
    problems: tuple[str, ...]


def write_report(runs_dir: Path, *, sort_by: str | None, report: Report) -> ReportResult:
    """Write RUNS_DIR/report.html and a page into every run whose data are recorded.

    `sort_by` is a metric column of runs_summary.csv that ranks the runs (None: the headline metric
    on validation).
    The same runs give the same bytes. A damaged file is named on the page and stops nothing.
    Raises UserError when there are no runs, or for a column that there is not.
    """
    with no_garbage_collection():
        return _written(runs_dir, sort_by=sort_by, report=report)


def _written(runs_dir: Path, *, sort_by: str | None, report: Report) -> ReportResult:
    kept = BASELINE_METRICS | ({metric_of(sort_by)} if sort_by else set())
    records = read_runs(runs_dir, baseline_metrics=kept)
    check_column(sort_by, records, flag="--sort_by")
    check_writable(runs_dir)
    shelf = Shelf(runs_dir)
    sources = Sources(shelf, Studies(shelf), descriptions())
    groups = ranking_groups(records, sort_by=sort_by)
    standings = standings_of(groups, behind_all(runs_dir, records))
    pages = tuple(_write_run_pages(standings, sources))
    page = runs_dir / REPORT
    write_text(page, report_page(standings, records, sources))
    report(f"{page}: {len(records)} runs, {page.stat().st_size / 1e6:.1f} MB; open it in a browser")
    return ReportResult(page, pages, tuple(dict.fromkeys(shelf.problems)))


def _write_run_pages(standings: Sequence[Standing], sources: Sources) -> Iterator[Path]:
    for standing in standings:
        for record, why_not in _members(standing[0]):
            page = sources.shelf.run(record).page
            write_text(page, run_page(standing, record, why_not, sources))
            yield page


def _members(group: RankingGroup) -> list[tuple[RunRecord, str]]:
    return [*((record, "") for record in group.records), *group.unranked]
