"""The workbook beside the summary, and the summary in a real spreadsheet program."""

import csv
import shutil
import subprocess
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from tests.made_up_runs import METRIC_NAMES, MadeUpRun, write_run, write_runs

from makerlab.report.columns import explain
from makerlab.report.spreadsheet import number_format
from makerlab.stages.analyze import analyze

OFFICE = shutil.which("soffice")


def analyzed(runs_dir: Path, **changes: Any) -> Path:
    options: dict[str, Any] = dict.fromkeys(("plots_dir", "sort_by", "plot_param", "plot_metric"))
    analyze(runs_dir, **(options | {"top_k": 3} | changes), report=lambda line: None)
    return runs_dir


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    fees = (("env_baseline", 0.0001), ("env_aggressive_spread", 0.0))
    runs = [
        MadeUpRun(config_name=name, seed=seed, values={"env.fee_rate": fee, "run.notes": "=1+1"})
        for name, fee in fees
        for seed in range(2)
    ]
    folder = write_runs(tmp_path / "runs", *runs)
    write_run(folder, MadeUpRun(config_name="unfinished", state="failed", evaluated=False))
    return folder


def sheet(path: Path, name: str) -> list[list[Any]]:
    return [list(row) for row in openpyxl.load_workbook(path)[name].iter_rows(values_only=True)]


def test_the_workbook_holds_what_the_csv_holds_with_types(runs_dir: Path) -> None:
    path = analyzed(runs_dir) / "runs_summary.xlsx"
    header, *rows = sheet(path, "runs")
    with (runs_dir / "runs_summary.csv").open(newline="") as file:
        expected_header, *expected = list(csv.reader(file))
    assert header == expected_header
    assert len(rows) == len(expected) == 5
    for row, texts in zip(rows, expected, strict=True):
        for value, text in zip(row, texts, strict=True):
            if isinstance(value, int | float):
                assert float(text) == pytest.approx(value, rel=1e-12)
            else:
                assert (value or "") == text
    numbers = [name for name in header if name.startswith("valid_net_profit")]
    assert all(isinstance(rows[0][header.index(name)], int | float) for name in numbers)


def test_what_was_not_measured_is_an_empty_cell(runs_dir: Path) -> None:
    header, *rows = sheet(analyzed(runs_dir) / "runs_summary.xlsx", "runs")
    (failed,) = (row for row in rows if row[header.index("config_name")] == "unfinished")
    assert failed[header.index("test_net_profit")] is None


def test_text_from_a_config_is_never_a_formula(runs_dir: Path) -> None:
    page = openpyxl.load_workbook(analyzed(runs_dir) / "runs_summary.xlsx")["runs"]
    notes = [cell for row in page.iter_rows() for cell in row if cell.value == "=1+1"]
    assert len(notes) == 4
    assert {cell.data_type for cell in notes} == {"s"}


def test_headers_stay_in_sight_and_columns_can_be_filtered(runs_dir: Path) -> None:
    book = openpyxl.load_workbook(analyzed(runs_dir) / "runs_summary.xlsx")
    assert book.sheetnames == ["runs", "pivot", "columns"]
    for page in book:
        assert page.freeze_panes == "B2"
        assert page.auto_filter.ref


def test_the_pivot_sheet_has_one_row_per_run_segment_policy_and_metric(runs_dir: Path) -> None:
    header, *rows = sheet(analyzed(runs_dir) / "runs_summary.xlsx", "pivot")
    keys = [
        tuple(row[header.index(n)] for n in ("run", "segment", "policy", "metric")) for row in rows
    ]
    assert len(set(keys)) == len(keys)
    # Four evaluated runs, two segments; every metric, the difference, and six baselines' profit.
    assert len(rows) == 4 * 2 * (len(METRIC_NAMES) + 1 + 6)


def test_every_column_is_explained(runs_dir: Path) -> None:
    path = analyzed(runs_dir) / "runs_summary.xlsx"
    meanings = dict(sheet(path, "columns")[1:])
    with (runs_dir / "runs_by_config.csv").open(newline="") as file:
        by_config = next(csv.reader(file))
    columns = {*sheet(path, "runs")[0], *sheet(path, "pivot")[0], *by_config}
    assert columns <= set(meanings)
    assert [name for name in columns if not meanings[name]] == []
    assert "over seeds and days together" in meanings["verdict_difference_low"]


def test_an_explanation_names_segment_bound_and_unit() -> None:
    described = {"fees": "Mean fees, currency."}
    text = explain("test_fees_low", lambda name: described.get(name, ""))
    assert text == "Lower end of the interval: mean fees, currency, on the test segment."
    assert explain("nonsense", lambda name: "") == ""


def test_formats_show_small_numbers_and_separate_thousands() -> None:
    assert number_format([12_345.6, None]) == "#,##0.00"
    assert number_format([0.31, -0.2]) == "0.0000"
    assert number_format([3e-4]) is None
    assert number_format([1, 2]) is None
    assert number_format(["a", 1.0]) is None


def test_the_same_runs_give_the_same_bytes(runs_dir: Path) -> None:
    first = (analyzed(runs_dir) / "runs_summary.xlsx").read_bytes()
    assert (analyzed(runs_dir) / "runs_summary.xlsx").read_bytes() == first


def test_without_a_spreadsheet_none_of_other_runs_stays(runs_dir: Path) -> None:
    path = analyzed(runs_dir) / "runs_summary.xlsx"
    assert path.exists()
    analyzed(runs_dir, spreadsheet=False)
    assert not path.exists()


@pytest.mark.skipif(OFFICE is None, reason="LibreOffice (soffice) is not installed")
def test_the_csv_opens_in_libreoffice_with_types_and_decimal_points(
    runs_dir: Path, tmp_path: Path
) -> None:
    """Converted as by opening it: fields by comma, UTF-8, English numbers."""
    assert OFFICE is not None
    source = analyzed(runs_dir) / "runs_summary.csv"
    subprocess.run(
        [
            OFFICE,
            f"-env:UserInstallation=file://{tmp_path}/profile",
            "--headless",
            "--infilter=CSV:44,34,76,1,,1033,false,true",
            "--convert-to",
            "xlsx",
            "--outdir",
            str(tmp_path),
            str(source),
        ],
        check=True,
        capture_output=True,
        timeout=180,
    )
    header, *rows = sheet(tmp_path / "runs_summary.xlsx", "runs_summary")
    with source.open(newline="") as file:
        expected = list(csv.DictReader(file))
    assert len(rows) == len(expected)
    for row, texts in zip(rows, expected, strict=True):
        for name, value in zip(header, row, strict=True):
            if name.startswith(("valid_", "test_")) and texts[name]:
                assert isinstance(value, int | float), name
                assert value == pytest.approx(float(texts[name]), rel=1e-9)
    assert all(isinstance(row[header.index("seed")], int) for row in rows)
