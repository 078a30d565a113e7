"""runs_summary.xlsx: the summary with types and formats, a sheet to pivot, a sheet of meanings."""

import io
import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from makerlab.files import write_bytes
from makerlab.report.by_config import Standing
from makerlab.report.columns import Describe, explanations
from makerlab.report.judgement import Cell
from makerlab.report.ranking import group_id
from makerlab.report.records import DIFFERENCE, SEGMENTS, RunRecord
from makerlab.report.stored import NET_PROFIT
from makerlab.report.summary import configs_table, runs_table
from makerlab.statistics.bootstrap import Estimate

LEARNED = "learned"
PIVOT_HEADER = (
    "config_name",
    "config_variant",
    "fold",
    "seed",
    "profile",
    "data_source",
    "ranking_group",
    "state",
    "segment",
    "policy",
    "metric",
    "value",
    "low",
    "high",
    "run",
)
_WIDEST = 40
_NARROWEST = 9
# Of 1000 and more, cents are enough; of less than 10, four digits after the point.
_FORMATS = ((1000.0, "#,##0.00"), (10.0, "0.00"), (0.0, "0.0000"))


class Sheet(NamedTuple):
    """A sheet's name, header and rows; where a column mixes quantities no format suits all."""

    name: str
    header: Sequence[str]
    rows: list[list[Cell]]
    mixed: bool = False


def write_spreadsheet(
    path: Path,
    records: Sequence[RunRecord],
    standings: Sequence[Standing],
    *,
    describe: Describe,
) -> None:
    """Write the workbook atomically; the same runs give the same bytes."""
    header, table = runs_table(records, standings)
    runs = Sheet("runs", header, [[*row.head, *row.numbers, *row.tail] for row in table])
    pivot = Sheet("pivot", PIVOT_HEADER, list(tidy_rows(records)), mixed=True)
    named = [*header, *PIVOT_HEADER, *configs_table(standings)[0]]
    columns = Sheet("columns", ("column", "meaning"), _meanings(named, describe))
    write_bytes(path, _workbook([runs, pivot, columns]))


def _meanings(columns: Sequence[str], describe: Describe) -> list[list[Cell]]:
    own = {
        "segment": "valid (the one used for choices) or test (shown, never used).",
        "policy": f"`{LEARNED}`, or the name of a baseline judged on the same episodes.",
        "metric": "Name of the metric; baselines are listed with what ranks them only.",
        "value": "Value of the metric.",
        "low": "Lower end of its interval over episodes.",
        "high": "Upper end of its interval over episodes.",
    }
    known = dict(explanations(dict.fromkeys(columns), describe))
    return [[name, meaning or own.get(name, "")] for name, meaning in known.items()]


def tidy_rows(records: Sequence[RunRecord]) -> Iterator[list[Cell]]:
    """Yield a row, in the order of PIVOT_HEADER, per run, segment, policy and metric."""
    for record in records:
        yield from _tidy(record)


def _tidy(record: RunRecord) -> Iterator[list[Cell]]:
    if record.metrics is None:
        return
    manifest = record.manifest
    identity: list[Cell] = [record.config_name, record.variant, record.fold, record.seed]
    identity += [manifest.profile, manifest.data_source] if manifest else [None, None]
    identity += [group_id(record), record.state]
    for name in SEGMENTS:
        segment = record.metrics.segment(name)
        measured = [(LEARNED, metric, estimate) for metric, estimate in segment.metrics.items()]
        for headline in dict.fromkeys((NET_PROFIT, record.headline)):
            measured += [(LEARNED, f"{DIFFERENCE}{headline}", segment.difference(headline))]
            measured += [
                (other, headline, segment.baseline(other, headline)) for other in segment.baselines
            ]
        for policy, metric, estimate in measured:
            yield [*identity, name, policy, metric, *_plain(estimate), record.name]


def _plain(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    return estimate.value, estimate.low, estimate.high


def _workbook(sheets: Sequence[Sheet]) -> bytes:
    # Slow to import, and not needed by those who write no spreadsheet.
    import xlsxwriter

    buffer = io.BytesIO()
    options = {"in_memory": True, "strings_to_urls": False, "strings_to_formulas": False}
    with xlsxwriter.Workbook(buffer, options) as workbook:
        # The clock is left out, so that the same runs give the same bytes.
        workbook.set_properties({"title": "Runs", "created": datetime(2000, 1, 1)})
        bold = workbook.add_format({"bold": True, "bottom": 1})
        formats = {code: workbook.add_format({"num_format": code}) for _, code in _FORMATS}
        for sheet in sheets:
            page = workbook.add_worksheet(sheet.name)
            page.freeze_panes(1, 1)
            page.write_row(0, 0, sheet.header, bold)
            for number in range(len(sheet.header)):
                values = [row[number] for row in sheet.rows]
                code = None if sheet.mixed else number_format(values)
                page.set_column(number, number, _width(sheet.header[number], values))
                for line, value in enumerate(values, start=1):
                    if value is not None:
                        # A workbook knows no infinity.
                        finite = not isinstance(value, float) or math.isfinite(value)
                        shown = value if finite else str(value)
                        page.write(line, number, shown, formats.get(code or ""))
            if sheet.rows:
                page.autofilter(0, 0, len(sheet.rows), len(sheet.header) - 1)
    return buffer.getvalue()


def number_format(values: Sequence[Cell]) -> str | None:
    """Return the format of a column by its largest number; None for text and whole numbers."""
    numbers = [value for value in values if isinstance(value, float) and math.isfinite(value)]
    if not numbers or any(isinstance(value, str) for value in values):
        return None
    largest = max(abs(number) for number in numbers)
    # Learning rates and the like: four digits after the point would show zeros.
    if largest < 0.01:
        return None
    return next(code for limit, code in _FORMATS if largest >= limit)


def _width(title: str, values: Sequence[Cell]) -> int:
    longest = max((len(value) for value in values if isinstance(value, str)), default=0)
    return max(_NARROWEST, min(_WIDEST, max(len(title), longest) + 2))
