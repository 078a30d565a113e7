"""Folds as an axis of the matrix: each has its own study, runs, log lines and row of the status."""

import contextlib
import csv
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.commands import TINY_CONFIG, run_well, start, write_tiny_config
from tests.matrix.conftest import Lab

from makerlab.chaos.artefacts import artefacts
from makerlab.config import Config
from makerlab.matrix.options import STAGES
from makerlab.matrix.plan import Experiment, Work, build_graph, folds_of
from makerlab.matrix.status import read_matrix_status
from makerlab.matrix.status_text import to_json, to_text

PLAN = {"folds": 2, "train": 0.4, "valid": 0.2, "test": 0.2}
TINY_PLAN = (
    "data_split: {walk_forward: {folds: 2, train: 0.4, valid: 0.2, test: 0.2, "
    "purge_bars: 30, embargo_bars: 30}}\n"
)


def test_a_config_with_folds_is_tuned_and_trained_once_per_fold() -> None:
    split = {"walk_forward": PLAN}
    config = Config.model_validate({"env": {"base_spread_bps": 8}, "data_split": split})
    folds = folds_of([Experiment(Path("walk.yaml"), config)])
    graph = build_graph(["walk", "plain"], (0, 1), STAGES, folds=folds)
    assert len(graph) == 2 * (1 + 2 + 2) + (1 + 2 + 2)
    assert graph[Work("train", "walk", 1, fold=1)].needs == (Work("tune", "walk", fold=1),)
    assert graph[Work("evaluate", "walk", 0, fold=0)].needs == (Work("train", "walk", 0, fold=0),)
    assert Work("tune", "plain") in graph


def test_two_folds_times_two_seeds_and_nothing_to_do_afterwards(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.config("walk", data_split__walk_forward=PLAN)
    lab.config("plain", env__fee_rate=0.0002)
    lab.targets("walk", "plain")
    result = lab.run()
    assert (result.returncode, result.stderr) == (0, "")
    assert "walk fold 1 seed 0 train: done" in result.stdout
    for fold in range(2):
        assert f"best parameters: runs/SAC/walk/fold_{fold}/best_params.json" in result.stdout
    names = [run.name.partition("_walk_")[2] for run in lab.runs() if "_walk_" in run.name]
    assert sorted(names) == ["fold0_seed0", "fold0_seed1", "fold1_seed0", "fold1_seed1"]
    keys = {json.loads((run / "manifest.json").read_text())["train_key"] for run in lab.runs()}
    assert len(keys) == 6
    assert "16 of 16 were done before" in lab.run().stdout
    # One fold's parameters lost: only that fold is done again.
    shutil.rmtree(lab.path / "runs" / "SAC" / "walk" / "fold_1")
    third = lab.run()
    assert "walk fold 1 tune: started" in third.stdout
    assert "fold 0" not in third.stdout
    monkeypatch.chdir(lab.path)
    status = read_matrix_status(Path("runs"), {})
    text = to_text(status)
    assert [line.split()[:4] for line in text.splitlines() if "fold" in line] == [
        ["walk", "fold", "0", "0"],
        ["walk", "fold", "1", "0"],
    ]
    assert {row["fold"] for row in json.loads(to_json(status))["rows"]} == {0, 1, None}


def test_a_failing_fold_is_named_and_the_others_finish(lab: Lab) -> None:
    lab.config("walk", data_split__walk_forward=PLAN, run__notes="tune fails in fold 1")
    lab.targets("walk")
    result = lab.run()
    assert result.returncode == 1
    assert "  walk fold 1 tune: exit status 2: error: the data end too early" in result.stdout
    assert "5 of 11 could not be done, 4 of them for want of another:" in result.stdout
    assert len(lab.runs()) == 2


def write_walk(folder: Path) -> Path:
    """Write a config of two folds that takes seconds, and its target list."""
    folder.mkdir(parents=True)
    text = TINY_CONFIG.replace("n_trials: 3", "n_trials: 1") + TINY_PLAN
    write_tiny_config(folder, name="walk", text=text)
    (folder / "targets.txt").write_text("walk.yaml\n")
    return folder


@pytest.mark.slow
def test_a_killed_matrix_of_folds_and_the_scripts_alone_leave_the_same_artefacts(
    tmp_path: Path,
) -> None:
    matrix = write_walk(tmp_path / "matrix")
    flags = ("--targets", "targets.txt", "--profile", "", "--seeds", "0")
    for seconds in (3.0, 6.0, 9.0):
        process = start(matrix, "scripts/run_matrix.py", *flags)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
        process.kill()
        process.communicate()
    run_well(matrix, "scripts/run_matrix.py", *flags)
    by_hand = write_walk(tmp_path / "by_hand")
    for fold in range(2):
        run_well(by_hand, "tune_mm_sac.py", "--config", "walk.yaml", "--fold", fold)
        run_well(by_hand, "train_mm_sac.py", "--config", "walk.yaml", "--fold", fold)
    for run in sorted(by_hand.glob("runs/SAC/*_fold*")):
        run_well(by_hand, "scripts/evaluate_policy.py", "--model_path", run)
    run_well(by_hand, "scripts/analyze_experiments.py")
    assert artefacts(by_hand / "runs") == artefacts(matrix / "runs")
    models = [path.read_bytes() for path in sorted(by_hand.glob("runs/SAC/*_fold*/model.zip"))]
    assert len(set(models)) == 2
    assert "fold 1 seed 0: " in (by_hand / "logs" / "walk_train.log").read_text()
    rows = list(csv.DictReader((matrix / "runs" / "runs_by_config.csv").open()))
    assert [row["fold"] for row in rows] == ["pooled", "0", "1"]
    assert (matrix / "plots" / "analysis_fold_vs_test_net_profit.png").is_file()
