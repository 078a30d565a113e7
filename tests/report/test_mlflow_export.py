"""Finished runs in MLflow: its client, and its own user interface, read them back."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.made_up_runs import MadeUpRun, write_run

from makerlab.errors import UserError
from makerlab.report.mlflow_export import export_runs
from makerlab.runs.dashboards import HOST, free_port

pytest.importorskip("mlflow", reason="MLflow is not installed (extra `mlflow`)")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three runs, two of them complete, and their database."""
    folder = tmp_path_factory.mktemp("mlflow")
    for seed in (0, 1):
        run = write_run(folder / "runs", MadeUpRun(seed=seed, values={"env.fee_rate": 0.0002}))
        (run / "progress.csv").write_text(
            "step,episode_reward,actor_loss\n100,-3.5,\n200,-2.5,nan\n"
        )
    write_run(folder / "runs", MadeUpRun(config_name="broken", state="failed", evaluated=False))
    assert export(folder) == 2
    return folder


def export(folder: Path) -> int:
    database = folder / "mlflow.db"
    return export_runs(folder / "runs", database, experiment="test", report=lambda line: None)


def client(folder: Path) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")


def runs_in(folder: Path) -> list[Any]:
    store = client(folder)
    experiment = store.get_experiment_by_name("test")
    return sorted(store.search_runs([experiment.experiment_id]), key=lambda run: run.info.run_name)


def test_parameters_metrics_and_provenance_are_there(exported: Path) -> None:
    first, _ = runs_in(exported)
    assert first.info.status == "FINISHED"
    assert first.data.params["env.fee_rate"] == "0.0002"
    assert first.data.metrics["test.net_profit"] == 4.0
    assert first.data.metrics["test.net_profit_low"] == 1.0
    assert first.data.tags["makerlab.data_source"] == "file"
    assert first.data.tags["makerlab.run"] == "SAC/20261101_120000_env_baseline_seed0"
    assert first.info.end_time - first.info.start_time == 30 * 60 * 1000


def test_the_learning_curve_keeps_its_steps_and_leaves_out_what_is_no_number(
    exported: Path,
) -> None:
    first, _ = runs_in(exported)
    history = client(exported).get_metric_history(first.info.run_id, "learning.episode_reward")
    assert [(point.step, point.value) for point in history] == [(100, -3.5), (200, -2.5)]
    assert "learning.actor_loss" not in first.data.metrics


def test_exporting_again_adds_nothing_and_a_new_evaluation_replaces(exported: Path) -> None:
    assert export(exported) == 0
    path = next((exported / "runs").glob("*/*seed1/evaluation/metrics.json"))
    content = json.loads(path.read_text())
    content["test"]["net_profit"]["value"] = 9.0
    path.write_text(json.dumps(content))
    assert export(exported) == 1
    assert [run.data.metrics["test.net_profit"] for run in runs_in(exported)] == [4.0, 9.0]


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", MadeUpRun())
    (tmp_path / "mlflow.db").write_text("precious")
    with pytest.raises(UserError, match="not an MLflow database"):
        export(tmp_path)
    assert (tmp_path / "mlflow.db").read_text() == "precious"


def test_nothing_complete_is_said(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", MadeUpRun(state="failed", evaluated=False))
    with pytest.raises(UserError, match="no complete run"):
        export(tmp_path)


@contextlib.contextmanager
def user_interface(folder: Path) -> Iterator[str]:
    """Serve MLflow's own interface on the database; yields its address."""
    port = free_port(23280)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://{HOST}:{port}"
        until = time.monotonic() + 120
        while time.monotonic() < until:
            assert process.poll() is None
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(120)


def test_mlflows_interface_opens_it(exported: Path) -> None:
    experiment = client(exported).get_experiment_by_name("test").experiment_id
    with user_interface(exported) as address:
        page = urllib.request.urlopen(address, timeout=30).read().decode()
        assert "<title>MLflow</title>" in page
        request = urllib.request.Request(
            f"{address}/ajax-api/2.0/mlflow/runs/search",
            data=json.dumps({"experiment_ids": [experiment]}).encode(),
            headers={"Content-Type": "application/json"},
        )
        found = json.loads(urllib.request.urlopen(request, timeout=30).read())["runs"]
    assert len(found) == 2
