"""Any stage may be killed at any moment; started again, it ends with the same bytes."""

import dataclasses
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.commands import TINY_CONFIG, run_well, start, write_tiny_config

from makerlab.chaos.artefacts import artefacts

KILLS = {"tune": 16, "train": 24, "evaluate": 8, "analyze": 8}

# Long enough that kills land in the midst of work: an import takes some seconds, a life does too.
LONGER = TINY_CONFIG.replace("total_timesteps: 300", "total_timesteps: 240000")
LONGER = LONGER.replace("eval_freq: 50", "eval_freq: 1000").replace(
    "log_interval: 1", "log_interval: 50"
)
LONGER = LONGER.replace("n_trials: 3", "n_trials: 10").replace("steps: 120", "steps: 12000")


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage as a user starts it again after a kill, and the file that says it is done."""

    folder: Path
    script: str
    arguments: tuple[object, ...]
    result: str

    def results(self) -> list[Path]:
        return list((self.folder / "runs").glob(self.result))

    def start(self) -> subprocess.Popen[str]:
        return start(self.folder, self.script, *self.arguments)

    def finish(self) -> None:
        run_well(self.folder, self.script, *self.arguments)


def stage_in(folder: Path, name: str) -> Stage:
    """Return a stage of the matrix in a folder."""
    if name == "tune":
        arguments: tuple[object, ...] = ("--config", "tiny.yaml")
        return Stage(folder, "tune_mm_sac.py", arguments, "SAC/tiny/best_params.json")
    if name == "train":
        arguments = ("--config", "tiny.yaml", "--reuse")
        return Stage(folder, "train_mm_sac.py", arguments, "SAC/*_tiny_seed0/model.zip")
    if name == "evaluate":
        (run,) = (folder / "runs" / "SAC").glob("*_tiny_seed0")
        arguments = ("--model_path", run.relative_to(folder))
        result = "SAC/*_tiny_seed0/evaluation/metrics.json"
        return Stage(folder, "scripts/evaluate_policy.py", arguments, result)
    return Stage(folder, "scripts/analyze_experiments.py", (), "runs_summary.csv")


def kill_repeatedly(stage: Stage, kills: int, generator: random.Random) -> int:
    """Start a stage and kill it at random moments; returns how often work was hit.

    A kill counts only while the result is not there. Tuning and training go on from kill to kill
    until they are done; the two short stages lose their result before each start instead, and
    are killed within the time they take.
    """
    hits, longest = 0, 7.0
    long = stage.script in {"tune_mm_sac.py", "train_mm_sac.py"}
    for _ in range(3 * kills):
        if not long:
            for path in stage.results():
                path.unlink()
        if hits == kills or stage.results():
            break
        process, began = stage.start(), time.monotonic()
        try:
            process.wait(timeout=generator.uniform(0.3 if long else 0.02, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            hits += not stage.results()
        process.communicate()
        if process.returncode == 0 and not long:
            longest = time.monotonic() - began
    return hits


@pytest.mark.slow
def test_killed_matrix_equals_an_undisturbed_one(tmp_path: Path) -> None:
    """Trap: resume that loads weights only: random state, replay and step count start over."""
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    generator = random.Random(0)
    hits = {}
    for folder in (calm, killed):
        folder.mkdir()
        write_tiny_config(folder, text=LONGER)
    for name, kills in KILLS.items():
        stage_in(calm, name).finish()
        stage = stage_in(killed, name)
        hits[name] = kill_repeatedly(stage, kills, generator)
        stage.finish()
    assert sum(hits.values()) >= 50, hits
    assert all(hits.values()), hits
    assert artefacts(killed / "runs") == artefacts(calm / "runs")


def test_train_killed_once_and_resumed_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """A run killed with -9 and resumed has the weights of one left alone, byte for byte."""
    write_tiny_config(tmp_path)
    common = ("--config", "tiny.yaml", "--params_path", "none", "--set", "train.eval_freq=100")
    run_well(tmp_path, "train_mm_sac.py", *common, "--runs_dir", "calm")
    process = start(tmp_path, "train_mm_sac.py", *common, "--runs_dir", "killed")
    checkpoint = _wait_for(
        lambda: next((tmp_path / "killed").glob("SAC/*/checkpoints/latest.zip"), None)
    )
    process.send_signal(signal.SIGKILL)
    process.communicate()
    run = checkpoint.parents[1]
    run_well(tmp_path, "train_mm_sac.py", "--resume", run.relative_to(tmp_path))
    (reference,) = (tmp_path / "calm" / "SAC").iterdir()
    for name in ("model.zip", "best_model.zip"):
        assert (run / name).read_bytes() == (reference / name).read_bytes(), name


def _wait_for(find: Callable[[], Path | None], *, seconds: float = 60.0) -> Path:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = find()
        if found is not None:
            return found
        time.sleep(0.01)
    raise AssertionError(f"nothing appeared within {seconds} s")
