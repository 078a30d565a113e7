"""The CSV files: a cell per number, empty where nothing was measured, the same bytes each time."""

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from tests.made_up_runs import BASELINE_NAMES, METRIC_NAMES, MadeUpRun, write_run, write_runs

from makerlab.report.behind import behind_all
from makerlab.report.by_config import standings_of
from makerlab.report.parameters import values_of, varying
from makerlab.report.ranking import ranking_groups
from makerlab.report.records import read_runs
from makerlab.report.summary import configs_table, csv_lines, runs_table


def summary_of(runs_dir: Path) -> tuple[pd.DataFrame, str]:
    records = read_runs(runs_dir, baseline_metrics=frozenset({"net_profit"}))
    groups = ranking_groups(records, sort_by="valid_net_profit")
    standings = standings_of(groups, behind_all(runs_dir, records))
    text = "".join(csv_lines(*runs_table(records, standings)))
    return pd.read_csv(io.StringIO(text)), text


def by_config(runs_dir: Path) -> pd.DataFrame:
    records = read_runs(runs_dir, baseline_metrics=frozenset({"net_profit"}))
    groups = ranking_groups(records, sort_by="valid_net_profit")
    standings = standings_of(groups, behind_all(runs_dir, records))
    return pd.read_csv(io.StringIO("".join(csv_lines(*configs_table(standings)))))


def test_every_metric_of_both_segments_has_its_interval(tmp_path: Path) -> None:
    write_run(tmp_path)
    frame, _ = summary_of(tmp_path)
    for segment in ("valid", "test"):
        for metric in (*METRIC_NAMES, "difference_net_profit", "best_baseline_net_profit"):
            for end in ("", "_low", "_high"):
                assert f"{segment}_{metric}{end}" in frame, (segment, metric, end)


def test_the_row_holds_what_the_files_hold(tmp_path: Path) -> None:
    write_run(tmp_path, MadeUpRun(test=(4.0, 1.0, 7.0), difference=(2.0, 0.5, 3.5), n_trials=30))
    (row,) = summary_of(tmp_path)[0].to_dict("records")
    assert (row["test_net_profit"], row["test_net_profit_low"]) == (4.0, 1.0)
    assert (row["test_difference_net_profit"], row["best_baseline"]) == (2.0, "fixed_symmetric")
    assert (row["test_fixed_symmetric_net_profit"], row["test_no_quote_net_profit"]) == (2.0, 0.0)
    assert (row["trials"], row["tuning_score"], row["tuning_rescored"]) == (30, 6.5, 4.5)
    assert (row["state"], row["evaluated"], row["cross_env"], row["rank"]) == (
        "complete",
        "yes",
        "no",
        1,
    )
    assert row["data_source"] == "file"
    assert row["data_sha256"] == "ab" * 32
    assert row["git_commit"].startswith("0123456789")
    assert row["git_dirty"] == "no"
    assert "model=next bar" in row["fill_model"]
    assert (tmp_path / row["path"]).is_dir()


def test_a_config_has_the_interval_of_its_verdict_and_what_tuning_left(tmp_path: Path) -> None:
    write_runs(
        tmp_path,
        *(MadeUpRun(seed=n, difference=(n, n - 2.0, n + 2.0)) for n in range(3)),
        MadeUpRun(config_name="untuned", n_trials=None),
    )
    records = read_runs(tmp_path, baseline_metrics=frozenset({"net_profit"}))
    groups = ranking_groups(records, sort_by="valid_net_profit")
    ((_, configs),) = standings_of(groups, behind_all(tmp_path, records))
    frame = by_config(tmp_path).set_index("config_name")
    (verdict,) = (each.verdict for each in configs if each.config_name == "env_baseline")
    ends = ("", "_low", "_high")
    row = frame.loc["env_baseline"]
    assert [row[f"verdict_difference{end}"] for end in ends] == pytest.approx(verdict.difference)
    assert row["verdict_difference_low"] < row["test_difference_over_episodes_low"]
    assert row["tuning_score"] == 6.5
    assert [row[f"tuning_rescored{end}"] for end in ends] == [4.5, 1.5, 7.5]
    assert frame.loc["untuned"][["tuning_score", "tuning_rescored"]].isna().all()


def test_only_settings_that_vary_have_columns_under_their_dotted_names(tmp_path: Path) -> None:
    runs = [
        MadeUpRun(seed=n, values={"env.fee_rate": fee, "train.net_arch": [64 * (n + 1)] * 2})
        for n, fee in enumerate([0.0, 0.0002])
    ]
    frame, _ = summary_of(write_runs(tmp_path, *runs))
    settings = {name for name in frame if "." in name}
    assert settings == {"env.fee_rate", "train.net_arch"}
    assert sorted(frame["train.net_arch"]) == ["[128, 128]", "[64, 64]"]


def test_what_was_not_measured_is_an_empty_cell_and_never_zero(tmp_path: Path) -> None:
    write_run(tmp_path, MadeUpRun(seed=0, valid=(None, None, None)))
    write_run(tmp_path, MadeUpRun(seed=1, evaluated=False))
    _, text = summary_of(tmp_path)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0]["valid_net_profit"] == ""
    assert all(rows[1][f"test_{name}"] == "" for name in METRIC_NAMES)
    assert rows[1]["rank"] == ""


def test_a_damaged_run_has_a_row_and_adds_no_column(tmp_path: Path) -> None:
    write_run(tmp_path, MadeUpRun(seed=0))
    broken = write_run(tmp_path, MadeUpRun(seed=1))
    (broken / "manifest.json").write_text("{")
    frame, _ = summary_of(tmp_path)
    assert not [name for name in frame if "." in name]
    (row,) = frame[frame.run == broken.name].to_dict("records")
    assert row["state"] == "unknown"
    assert "damaged" in row["problem"]
    assert row["path"] == f"SAC/{broken.name}"


def test_the_best_run_comes_first_and_unranked_ones_last(tmp_path: Path) -> None:
    values = [1.0, 3.0, 2.0]
    runs = [MadeUpRun(seed=n, valid=(x, x, x)) for n, x in enumerate(values)]
    write_runs(tmp_path, *runs, MadeUpRun(seed=9, evaluated=False))
    frame, _ = summary_of(tmp_path)
    assert frame["seed"].tolist() == [1, 2, 0, 9]


def test_text_with_commas_quotes_and_line_breaks_survives(tmp_path: Path) -> None:
    notes = 'wide, "really" wide\nsecond line; null'
    write_run(tmp_path, MadeUpRun(values={"run.notes": notes}))
    assert summary_of(tmp_path)[0]["notes"].tolist() == [notes]


def test_numbers_survive_to_the_last_digit(tmp_path: Path) -> None:
    exact = (0.1 + 0.2, 1e-17, 123456789.123456789)
    write_run(tmp_path, MadeUpRun(test=exact))
    _, text = summary_of(tmp_path)
    (row,) = csv.DictReader(io.StringIO(text))
    found = [row[f"test_net_profit{end}"] for end in ("", "_low", "_high")]
    assert tuple(float(cell) for cell in found) == exact


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    runs = [MadeUpRun(seed=n, values={"env.alpha": 0.4 + 0.1 * n}) for n in range(3)]
    write_runs(tmp_path / "one", *runs)
    write_runs(tmp_path / "other", *reversed(runs))
    assert summary_of(tmp_path / "one")[1] == summary_of(tmp_path / "other")[1]


def test_configs_have_mean_and_interval_of_every_metric_and_their_baselines(
    tmp_path: Path,
) -> None:
    runs = [MadeUpRun(seed=n, test=(x, x - 1, x + 1)) for n, x in enumerate([1.0, 2.0, 3.0])]
    frame = by_config(write_runs(tmp_path, *runs))
    (row,) = frame.to_dict("records")
    assert (row["seeds"], row["seed_list"], row["trials"]) == (3, "0 1 2", 25)
    assert row["test_net_profit"] == pytest.approx(2.0)
    assert row["test_net_profit_low"] == pytest.approx(2.0 - 4.302653 / 3**0.5)
    assert row["verdict_on_test"] == "better"
    assert {f"{segment}_{metric}" for segment in ("valid", "test") for metric in METRIC_NAMES} <= (
        set(frame)
    )
    assert {f"test_{name}_net_profit" for name in BASELINE_NAMES} <= set(frame)


def test_a_single_seed_has_no_interval_over_seeds(tmp_path: Path) -> None:
    frame = by_config(write_runs(tmp_path, MadeUpRun()))
    assert frame["test_sharpe_low"].isna().all()
    assert frame["test_sharpe"].notna().all()


def test_lists_in_settings_are_ordered_by_their_numbers() -> None:
    runs = [{"x": text} for text in ("[256, 256]", "[64, 64]", "[128, 128]", None)]
    assert values_of("x", runs) == ["[64, 64]", "[128, 128]", "[256, 256]", None]


def test_a_setting_that_older_runs_do_not_know_counts_as_varying() -> None:
    assert varying([{"env.alpha": 0.5}, {"env.alpha": 0.5, "env.new": 1}]) == ["env.new"]
