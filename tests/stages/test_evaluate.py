"""What is judged is the model that validation chose, in the run's own environment."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.bad_input.lab import run_command
from tests.commands import TINY_CONFIG, write_tiny_config

from makerlab.files import file_hash
from makerlab.runs.directory import RunDirectory


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunDirectory]:
    """A folder with a run that went on learning after its best validation."""
    folder = tmp_path_factory.mktemp("evaluated")
    write_tiny_config(folder, text=TINY_CONFIG.replace("eval_freq: 50", "eval_freq: 30"))
    for seed in range(10):
        flags = ("--config", "tiny.yaml", "--params_path", "none", "--seed", str(seed))
        assert run_command(folder, "train", flags).code == 0
        (path,) = (folder / "runs" / "SAC").glob(f"*_seed{seed}")
        run = RunDirectory(path)
        if json.loads(run.manifest.read_text())["best"]["step"] < 300:
            return folder, run
    raise AssertionError("every run was best at its last step")


def judged(folder: Path, *flags: str) -> dict[str, Any]:
    """Evaluate in a folder and return what metrics.json holds."""
    done = run_command(folder, "evaluate", flags)
    assert done.code == 0, done.err
    newest = max(folder.rglob("metrics.json"), key=os.path.getmtime)
    content: dict[str, Any] = json.loads(newest.read_text())
    return content


def test_the_best_checkpoint_is_judged_and_not_the_last_one(
    evaluated: tuple[Path, RunDirectory],
) -> None:
    """Trap: best checkpoint saved but the last one evaluated."""
    folder, run = evaluated
    assert file_hash(run.best_model) != file_hash(run.model)
    own = judged(folder, "--model_path", str(run.path))
    assert (own["model"], own["model_sha256"]) == ("best_model.zip", file_hash(run.best_model))
    last = judged(folder, "--model_path", str(run.model), "--output_dir", str(folder / "last"))
    assert last["model_sha256"] == file_hash(run.model)
    # The last one is another policy, and its judgement does not stand for the run.
    assert last["test"]["turnover"] != own["test"]["turnover"]
    assert last["evaluate_key"] is None
    assert own["evaluate_key"] is not None


def test_a_run_is_judged_in_its_own_environment_unless_it_is_marked(
    evaluated: tuple[Path, RunDirectory],
) -> None:
    """Trap: models judged in another config's environment."""
    folder, run = evaluated
    own = judged(folder, "--model_path", str(run.path))
    assert own["cross_env"] is None
    text = TINY_CONFIG.replace("fee_rate: 0.0001", "fee_rate: 0.0005")
    write_tiny_config(folder, name="dear", text=text)
    other = judged(folder, "--model_path", str(run.path), "--config", "dear.yaml")
    assert other["cross_env"]["config_path"] == "dear.yaml"
    assert other["cross_env"]["run_environment_key"] == own["environment_key"]
    assert other["environment_key"] != own["environment_key"]
