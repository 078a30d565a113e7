"""Runs are read as they are: damaged, unfinished and strange ones are listed, never dropped."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.made_up_runs import MadeUpRun, write_run, write_runs

from makerlab.errors import UserError
from makerlab.report.records import RunRecord, read_runs, why_not_ranked
from makerlab.runs.owner import this_process

PROFIT = frozenset({"net_profit"})


def read_one(runs_dir: Path) -> RunRecord:
    (record,) = read_runs(runs_dir, baseline_metrics=PROFIT)
    return record


def test_a_finished_run_keeps_its_numbers_and_its_settings(tmp_path: Path) -> None:
    write_run(tmp_path, MadeUpRun(seed=3, values={"env.fee_rate": 0.0002}, test=(4.0, 1.0, 7.0)))
    record = read_one(tmp_path)
    assert (record.state, record.seed, record.problems) == ("complete", 3, ())
    assert record.parameters["env.fee_rate"] == 0.0002
    assert record.parameters["env.fill.both_touched"] == "worse_side"
    assert record.estimate("test_net_profit") == (4.0, 1.0, 7.0)
    assert record.metrics is not None
    assert record.metrics.test.baseline("no_quote") == (0.0, 0.0, 0.0)
    assert why_not_ranked(record) is None


def test_runs_come_in_order_of_algorithm_and_name(tmp_path: Path) -> None:
    write_runs(tmp_path, MadeUpRun(seed=1), MadeUpRun(seed=0))
    write_run(tmp_path, MadeUpRun(seed=5), algo="PPO")
    paths = [record.path for record in read_runs(tmp_path, baseline_metrics=PROFIT)]
    assert paths == sorted(paths)
    assert paths[0].startswith("PPO/")


def test_tuning_folders_and_synthetic_candles_are_no_runs(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "SAC" / "env_baseline").mkdir()
    (tmp_path / "SAC" / "env_baseline" / "best_params.json").write_text("{}")
    (tmp_path / "synthetic").mkdir()
    (tmp_path / "synthetic" / "7.parquet").write_bytes(b"")
    assert len(read_runs(tmp_path, baseline_metrics=PROFIT)) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "damaged"),
        ('{"state": "comp', "damaged"),
        ('{"state": "finished", "config_name": "x", "config": {}}', "'state'"),
        ('{"state": "complete", "config_name": "x"}', "'config'"),
        ("[1, 2]", "damaged"),
        ('{"state": "complete", "config_name": "x", "config": {}, "seed": "one"}', "'seed'"),
    ],
)
def test_a_damaged_manifest_is_listed_with_what_is_wrong(
    tmp_path: Path, content: str, said: str
) -> None:
    directory = write_run(tmp_path, MadeUpRun(config_name="tight", seed=7))
    (directory / "manifest.json").write_text(content)
    record = read_one(tmp_path)
    assert record.state == "unknown"
    assert (record.config_name, record.seed) == ("tight", 7)
    assert record.problems[0].startswith("manifest.json: damaged")
    assert said in record.problems[0]
    assert why_not_ranked(record) is not None


def test_a_run_directory_without_a_manifest_is_listed(tmp_path: Path) -> None:
    directory = write_run(tmp_path)
    (directory / "manifest.json").unlink()
    assert read_one(tmp_path).problems == ("manifest.json: missing",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"test": 3}, "'test'"),
        ({"valid": {"sharpe": {"value": "high", "low": None, "high": None}}}, "valid.sharpe"),
        ({"test": {"sharpe": {"value": 1.0}}}, "test.sharpe.low"),
    ],
)
def test_a_damaged_evaluation_is_named_and_its_run_kept(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    write_run(tmp_path, MadeUpRun(metrics=change))
    record = read_one(tmp_path)
    assert record.state == "complete"
    assert record.metrics is None
    assert record.problems[0].startswith("metrics.json: damaged")
    assert said in record.problems[0]
    assert why_not_ranked(record) == "evaluation damaged"


def test_nan_in_an_evaluation_is_damage_and_never_a_number(tmp_path: Path) -> None:
    directory = write_run(tmp_path)
    path = directory / "evaluation" / "metrics.json"
    content = json.loads(path.read_text())
    content["test"]["sharpe"]["value"] = float("nan")
    path.write_text(json.dumps(content))
    assert "test.sharpe.value" in read_one(tmp_path).problems[0]


def test_what_was_not_measured_stays_undefined(tmp_path: Path) -> None:
    write_run(tmp_path, MadeUpRun(valid=(None, None, None)))
    assert read_one(tmp_path).estimate("valid_net_profit").value is None


def test_running_means_that_the_owner_lives(tmp_path: Path) -> None:
    write_run(tmp_path, MadeUpRun(seed=0, state="running", evaluated=False))
    alive = {"owner": this_process()}
    write_run(tmp_path, MadeUpRun(seed=1, state="running", evaluated=False, manifest=alive))
    dead, living = read_runs(tmp_path, baseline_metrics=PROFIT)
    assert (dead.state, living.state) == ("interrupted", "running")


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    error = {"error": {"message": "loss is not finite", "last_lines": []}}
    write_run(tmp_path, MadeUpRun(state="failed", evaluated=False, manifest=error))
    record = read_one(tmp_path)
    assert record.problems == ("failed: loss is not finite",)
    assert why_not_ranked(record) == "failed"


def test_an_evaluation_of_an_unfinished_run_is_not_ranked(tmp_path: Path) -> None:
    write_run(tmp_path, MadeUpRun(state="running", evaluated=True))
    assert why_not_ranked(read_one(tmp_path)) == "interrupted"


def test_a_run_judged_in_another_environment_is_not_ranked(tmp_path: Path) -> None:
    write_run(tmp_path, MadeUpRun(metrics={"cross_env": {"config_path": "configs/other.yaml"}}))
    assert "cross_env" in str(why_not_ranked(read_one(tmp_path)))


def test_a_run_judged_on_other_data_is_not_ranked_and_reported(tmp_path: Path) -> None:
    write_run(tmp_path, MadeUpRun(metrics={"data_sha256": "00" * 32}))
    record = read_one(tmp_path)
    assert why_not_ranked(record) == "judged on other data"
    assert "other data" in record.problems[0]


@pytest.mark.parametrize("place", ["missing", "file", "empty"])
def test_no_runs_is_an_error_that_says_what_to_do(tmp_path: Path, place: str) -> None:
    runs_dir = tmp_path / "runs"
    if place == "file":
        runs_dir.write_text("")
    elif place == "empty":
        runs_dir.mkdir()
    with pytest.raises(UserError) as caught:
        read_runs(runs_dir, baseline_metrics=PROFIT)
    assert str(runs_dir) in str(caught.value)
    assert place == "file" or "make matrix" in str(caught.value)


def test_a_metric_of_any_name_can_be_kept_of_baselines(tmp_path: Path) -> None:
    names = ("net_profit", "estimate", "model_config", "_private", "with space")
    write_run(tmp_path, MadeUpRun(metric_names=names))
    (record,) = read_runs(tmp_path, baseline_metrics=frozenset(names))
    assert record.metrics is not None
    for name in names:
        assert record.metrics.valid.baseline("random", name).value is not None
