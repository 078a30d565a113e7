"""The analyze stage: every run in one table, ranked only against its like, and drawn."""

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from makerlab.files import write_lines, write_text
from makerlab.report.behind import behind_all
from makerlab.report.by_config import Standing, standings_of
from makerlab.report.planning import Plot, plan_plots
from makerlab.report.ranking import RankingGroup, check_column, metric_of, ranking_groups
from makerlab.report.records import RunRecord, read_runs
from makerlab.report.stored import HEADLINES
from makerlab.report.summary import configs_table, csv_lines, runs_table
from makerlab.report.tables import group_lines
from makerlab.runs.directory import SUMMARY, TABLES
from makerlab.runs.owner import check_writable
from makerlab.runs.progress import Report
from makerlab.runs.stopping import leave_with_parent
from makerlab.stages.collector import no_garbage_collection
from makerlab.stages.describe import descriptions

SPREADSHEET = "runs_summary.xlsx"
BY_CONFIG = "runs_by_config.csv"
MOST_PLOTS = 24
MOST_SPREADSHEET_RUNS = 1000
"""A workbook of more takes longer to write, and to open, than everything else together."""
MOST_REPORT_RUNS = 100
"""Pages of more take longer to write than the rest of an analysis."""

_MOST_PROBLEMS = 20


@dataclasses.dataclass(frozen=True)
class AnalysisResult:
    """What an analysis found and wrote."""

    summary: Path
    by_config: Path
    plots: tuple[Path, ...]
    runs: int
    groups: tuple[RankingGroup, ...]
    problems: tuple[str, ...]

    @property
    def ranked(self) -> int:
        """Number of runs that stand in a ranking."""
        return sum(len(group.ranked) for group in self.groups)


class _Drawings(NamedTuple):
    """What is to be drawn: settings against a metric, and walk-forwards fold by fold."""

    plots: Sequence[Plot]
    walked: Sequence[Standing]
    metric: str | None


def analyze(
    runs_dir: Path,
    *,
    plots_dir: Path | None,
    sort_by: str | None,
    top_k: int,
    plot_param: str | None,
    plot_metric: str | None,
    spreadsheet: bool | None = None,
    pages: bool | None = None,
    report: Report,
) -> AnalysisResult:
    """Write the tables (CSV and a spreadsheet), report the rankings, draw the plots, write pages.

    `sort_by` and `plot_metric` are metric columns of the summary (None: the headline
    metric on validation), `plot_param` a setting (None: each that varies), `plots_dir` None draws
    nothing; of a table `top_k` rows are reported, with 0 all. `spreadsheet` None writes one for at
    most MOST_SPREADSHEET_RUNS runs, `pages` None writes those to open in a browser for at most
    MOST_REPORT_RUNS. A damaged run is listed and reported and stops nothing. Raises UserError when
    there are no runs, or for a column or setting that there is not; then nothing is written.
    """
    leave_with_parent()
    with no_garbage_collection():
        result, drawings = _tables(
            runs_dir,
            sort_by=sort_by,
            top_k=top_k or sys.maxsize,
            plot_param=plot_param,
            plot_metric=plot_metric,
            plots_dir=plots_dir,
            spreadsheet=spreadsheet,
            report=report,
        )
        if plots_dir is not None:
            drawn = tuple(_draw(drawings, plots_dir, report))
            result = dataclasses.replace(result, plots=drawn)
        if pages or (pages is None and result.runs <= MOST_REPORT_RUNS):
            # Drawing is slow to import, and not needed where no page is written.
            from makerlab.stages.report import write_report

            # What can't be read is told above, and once more on the page.
            write_report(runs_dir, sort_by=sort_by, report=report)
        return result


def _tables(
    runs_dir: Path,
    *,
    sort_by: str | None,
    top_k: int,
    plot_param: str | None,
    plot_metric: str | None,
    plots_dir: Path | None,
    spreadsheet: bool | None,
    report: Report,
) -> tuple[AnalysisResult, _Drawings]:
    kept = set(HEADLINES) | ({metric_of(sort_by)} if sort_by else set())
    records = read_runs(runs_dir, baseline_metrics=frozenset(kept))
    check_column(sort_by, records, flag="--sort_by")
    check_column(plot_metric, records, flag="--plot_metric")
    groups = ranking_groups(records, sort_by=sort_by)
    standings = standings_of(groups, behind_all(runs_dir, records))
    plots = plan_plots(standings, parameter=plot_param, metric=plot_metric)
    walked = [each for each in standings if each[0].walk_forward and plot_param is None]
    if (plots or walked) and plots_dir is not None:
        check_writable(plots_dir)
    result = _write(runs_dir, records, standings)
    _write_spreadsheet(
        runs_dir / SPREADSHEET, records, standings, wanted=spreadsheet, report=report
    )
    told: list[str] = []
    for group, configs in standings:
        told += [*group_lines(group, configs, top_k=top_k), ""]
    told += _closing(result)
    for line in told:
        report(line)
    write_text(runs_dir / TABLES, "".join(f"{line}\n" for line in told))
    return result, _Drawings(plots, walked, plot_metric)


def _write(
    runs_dir: Path, records: Sequence[RunRecord], standings: Sequence[Standing]
) -> AnalysisResult:
    groups = [group for group, _ in standings]
    summary, by_config = runs_dir / SUMMARY, runs_dir / BY_CONFIG
    write_lines(summary, csv_lines(*runs_table(records, standings)))
    write_lines(by_config, csv_lines(*configs_table(standings)))
    return AnalysisResult(
        summary=summary,
        by_config=by_config,
        plots=(),
        runs=len(records),
        groups=tuple(groups),
        problems=tuple(f"{run.path}: {problem}" for run in records for problem in run.problems),
    )


def _write_spreadsheet(
    path: Path,
    records: Sequence[RunRecord],
    standings: Sequence[Standing],
    *,
    wanted: bool | None,
    report: Report,
) -> None:
    """Write the workbook, or remove one that would be of other runs than the CSV beside it."""
    many = len(records) > MOST_SPREADSHEET_RUNS
    if wanted or (wanted is None and not many):
        from makerlab.report.spreadsheet import write_spreadsheet

        write_spreadsheet(path, records, standings, describe=descriptions())
        return
    path.unlink(missing_ok=True)
    if wanted is None:
        report(f"{path}: not written for {len(records):,} runs; ask for it with --spreadsheet")


def _closing(result: AnalysisResult) -> Iterator[str]:
    for problem in result.problems[:_MOST_PROBLEMS]:
        yield f"warning: {problem}"
    if len(result.problems) > _MOST_PROBLEMS:
        more = len(result.problems) - _MOST_PROBLEMS
        yield f"warning: {more} more problems, see column 'problem' of {result.summary}"
    rankings = sum(bool(group.ranked) for group in result.groups)
    yield f"{result.summary}: {result.runs} runs, {result.ranked} of them in {rankings} rankings"
    if not result.ranked:
        yield "Nothing to rank yet; evaluate with scripts/evaluate_policy.py --model_path RUN_DIR"


def _draw(drawings: _Drawings, plots_dir: Path, report: Report) -> list[Path]:
    plots = drawings.plots
    if not plots and not drawings.walked:
        report("No plots: they need two comparable evaluated runs that differ in a setting.")
        return []
    # Drawing libraries are slow to import, and not needed where nothing is drawn.
    from makerlab.report.fold_plots import draw_fold_plots
    from makerlab.report.plots import draw_plots

    options: Any = {"plots_dir": plots_dir, "describe": descriptions()}
    drawn = list(draw_fold_plots(drawings.walked, metric=drawings.metric, **options))
    drawn += draw_plots(plots[:MOST_PLOTS], **options)
    report(f"{plots_dir}: {len(drawn)} plots, {drawn[0].name} first")
    if len(plots) > MOST_PLOTS:
        report(
            f"{len(plots) - MOST_PLOTS} more plots were left out ({MOST_PLOTS} is the most at "
            "once); name a setting with --plot_param"
        )
    older = sorted(set(plots_dir.glob("analysis_*.png")) - set(drawn))
    if older:
        report(f"{plots_dir}: {len(older)} analysis plots are older and not of this analysis")
    return drawn
