"""The analyze stage as a user meets it: files, words, errors, exit codes."""

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.made_up_runs import SYNTHETIC_DATA, MadeUpRun, write_run, write_runs

from makerlab.errors import UserError
from makerlab.stages import analyze as stage
from makerlab.stages.analyze import AnalysisResult, analyze

SCRIPT = Path(__file__).parents[2] / "scripts" / "analyze_experiments.py"


def analysis(runs_dir: Path, **changes: Any) -> tuple[AnalysisResult, str]:
    lines: list[str] = []
    options: dict[str, Any] = {
        "plots_dir": None,
        "sort_by": None,
        "top_k": 10,
        "plot_param": None,
        "plot_metric": None,
    }
    result = analyze(runs_dir, **(options | changes), report=lines.append)
    return result, "\n".join(lines)


def some_runs(runs_dir: Path) -> Path:
    runs = [
        MadeUpRun(config_name=name, seed=seed, values={"env.fee_rate": fee})
        for name, fee in (("env_baseline", 0.0001), ("env_aggressive_spread", 0.0))
        for seed in range(2)
    ]
    return write_runs(runs_dir, *runs)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_and_plots_are_written_where_they_belong(tmp_path: Path) -> None:
    runs_dir, plots_dir = some_runs(tmp_path / "runs"), tmp_path / "plots"
    result, text = analysis(runs_dir, plots_dir=plots_dir)
    assert len(rows(runs_dir / "runs_summary.csv")) == 4
    assert len(rows(runs_dir / "runs_by_config.csv")) == 2
    assert result.plots == (plots_dir / "analysis_env.fee_rate_vs_valid_net_profit.png",)
    assert (result.runs, result.ranked) == (4, 4)
    assert "4 runs, 4 of them in 1 rankings" in text


def test_a_second_analysis_gives_the_same_bytes(tmp_path: Path) -> None:
    runs_dir = some_runs(tmp_path / "runs")
    contents = []
    for _ in range(2):
        result, _ = analysis(runs_dir, plots_dir=tmp_path / "plots")
        files = (result.summary, result.by_config, *result.plots)
        contents.append([path.read_bytes() for path in files])
    assert contents[0] == contents[1]


def test_one_damaged_run_stops_nothing_and_is_reported(tmp_path: Path) -> None:
    runs_dir = some_runs(tmp_path / "runs")
    broken = write_run(runs_dir, MadeUpRun(config_name="broken"))
    (broken / "evaluation" / "metrics.json").write_bytes(b"\x00\xff")
    result, text = analysis(runs_dir)
    assert result.ranked == 4
    assert f"warning: SAC/{broken.name}: metrics.json: damaged" in text
    (row,) = (row for row in rows(result.summary) if row["config_name"] == "broken")
    assert (row["state"], row["evaluated"], row["rank"]) == ("complete", "no", "")


def test_many_damaged_runs_are_counted_rather_than_listed(tmp_path: Path) -> None:
    runs_dir = some_runs(tmp_path / "runs")
    for seed in range(25):
        broken = write_run(runs_dir, MadeUpRun(config_name="broken", seed=seed))
        (broken / "manifest.json").write_text("{}")
    result, text = analysis(runs_dir)
    assert len(result.problems) == 25
    assert text.count("warning: ") == 21
    assert "5 more problems" in text


def test_synthetic_and_real_runs_have_a_table_each(tmp_path: Path) -> None:
    runs_dir = some_runs(tmp_path / "runs")
    write_run(runs_dir, MadeUpRun(config_name="made_up", data=SYNTHETIC_DATA, valid=(99, 98, 100)))
    result, text = analysis(runs_dir)
    assert text.count("=== ") == 2
    real, synthetic = text.split("SYNTHETIC DATA")
    assert "made_up" not in real
    assert "env_baseline" not in synthetic
    ranks = {row["config_name"]: row["rank"] for row in rows(result.summary)}
    assert ranks["made_up"] == "1"


def test_sorting_by_another_column_changes_the_ranks(tmp_path: Path) -> None:
    runs_dir = write_runs(
        tmp_path / "runs",
        MadeUpRun(seed=0, valid=(1, 0, 2), test=(9, 8, 10)),
        MadeUpRun(seed=1, valid=(2, 1, 3), test=(8, 7, 9)),
    )
    analysis(runs_dir)
    assert [row["seed"] for row in rows(runs_dir / "runs_summary.csv")] == ["1", "0"]
    _, text = analysis(runs_dir, sort_by="test_net_profit")
    assert [row["seed"] for row in rows(runs_dir / "runs_summary.csv")] == ["0", "1"]
    assert "choosing on the test segment" in text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sort_by": "valid_shrpe"}, "--sort_by: found 'valid_shrpe'.*'valid_sharpe'"),
        ({"plot_metric": "valid_shrpe"}, "--plot_metric: found 'valid_shrpe'.*'valid_sharpe'"),
        ({"plot_param": "env.fee"}, "--plot_param: found 'env.fee'.*env.fee_rate"),
    ],
)
def test_a_wrong_name_is_an_error_before_anything_is_written(
    tmp_path: Path, wrong: dict[str, str], said: str
) -> None:
    runs_dir = some_runs(tmp_path / "runs")
    with pytest.raises(UserError, match=said):
        analysis(runs_dir, plots_dir=tmp_path / "plots", **wrong)
    assert not list(runs_dir.glob("*.csv"))
    assert not (tmp_path / "plots").exists()


def test_pages_to_open_in_a_browser_are_written_and_named(tmp_path: Path) -> None:
    runs_dir = some_runs(tmp_path / "runs")
    _, text = analysis(runs_dir)
    assert text.splitlines()[-1].startswith(f"{runs_dir / 'report.html'}: 4 runs, ")
    assert len(list(runs_dir.glob("SAC/*/report.html"))) == 4


def test_pages_are_left_to_the_report_where_they_are_not_wanted_or_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_dir = some_runs(tmp_path / "runs")
    analysis(runs_dir, pages=False)
    monkeypatch.setattr(stage, "MOST_REPORT_RUNS", 3)
    analysis(runs_dir)
    assert not list(runs_dir.rglob("report.html"))
    analysis(runs_dir, pages=True)
    assert (runs_dir / "report.html").is_file()


def test_no_more_than_the_most_plots_are_drawn_and_the_rest_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "MOST_PLOTS", 2)
    runs_dir = write_runs(
        tmp_path / "runs",
        MadeUpRun(seed=0),
        MadeUpRun(seed=1, values={"env.alpha": 0.1, "env.beta": 0.1, "env.lambda_inv": 0.1}),
    )
    result, text = analysis(runs_dir, plots_dir=tmp_path / "plots")
    assert len(result.plots) == 2
    assert "1 more plots were left out" in text


def test_plots_of_an_earlier_analysis_are_left_alone_and_mentioned(tmp_path: Path) -> None:
    runs_dir, plots_dir = some_runs(tmp_path / "runs"), tmp_path / "plots"
    plots_dir.mkdir()
    (plots_dir / "analysis_env.alpha_vs_valid_sharpe.png").write_bytes(b"old")
    _, text = analysis(runs_dir, plots_dir=plots_dir)
    assert "1 analysis plots are older" in text


def test_runs_without_evaluations_are_listed_and_the_way_on_is_named(tmp_path: Path) -> None:
    runs_dir = write_runs(tmp_path / "runs", MadeUpRun(evaluated=False))
    result, text = analysis(runs_dir, plots_dir=tmp_path / "plots")
    assert (result.runs, result.ranked, result.plots) == (1, 0, ())
    assert "scripts/evaluate_policy.py" in text
    assert rows(result.summary)[0]["evaluated"] == "no"


def run_script(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_the_script_takes_its_defaults_from_where_it_runs(tmp_path: Path) -> None:
    some_runs(tmp_path / "runs")
    done = run_script(cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Ranked by valid_net_profit" in done.stdout
    assert (tmp_path / "runs" / "runs_summary.csv").is_file()
    assert list((tmp_path / "plots").glob("analysis_*.png"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runs_dir", "nowhere"], "nowhere: no such directory of runs"),
        (["--sort_by", "valid_profit"], "did you mean"),
        (["--top_k", "-1"], "--top_k: found '-1', expected a whole number, 0 for all"),
        (["--sort", "valid_sharpe"], "did you mean '--sort_by'"),
        (["--plots_dir", "runs/SAC/file"], "found a file, expected a directory"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    (some_runs(tmp_path / "runs") / "SAC" / "file").write_text("")
    done = run_script(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
