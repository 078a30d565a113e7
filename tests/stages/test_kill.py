"""Any stage may be killed at any moment; started again, it ends with the same bytes."""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.artefacts import artefacts
from tests.commands import run_well, start, write_tiny_config

KILLS = {"tune": 20, "train": 25, "evaluate": 8, "analyze": 8}


def stage_arguments(stage: str, folder: Path) -> tuple[str, list[object]]:
    """Return script and arguments of a stage, made to be started again after a kill."""
    if stage == "tune":
        return "tune_mm_sac.py", ["--config", "tiny.yaml"]
    if stage == "train":
        return "train_mm_sac.py", ["--config", "tiny.yaml", "--reuse"]
    if stage == "evaluate":
        (run,) = (folder / "runs" / "SAC").glob("*_tiny_seed0")
        return "scripts/evaluate_policy.py", ["--model_path", run.relative_to(folder)]
    return "scripts/analyze_experiments.py", []


def kill_repeatedly(
    start_stage: Callable[[], subprocess.Popen[str]], kills: int, generator: random.Random
) -> int:
    """Start a stage and kill it at random moments; returns how often it was hit.

    The moments spread from the first instant to twice the longest life seen, so imports, work
    and the last writes are all hit; a stage that ends first has survived and counts as no kill.
    """
    hits, longest = 0, 6.0
    for _ in range(10 * kills):
        if hits == kills:
            break
        process = start_stage()
        began = time.monotonic()
        try:
            process.wait(timeout=generator.uniform(0.2, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            hits += 1
        process.communicate()
        if process.returncode == 0:
            longest = max(2.0, 1.1 * (time.monotonic() - began))
    return hits


@pytest.mark.slow
def test_killed_matrix_equals_an_undisturbed_one(tmp_path: Path) -> None:
    """Trap: resume that loads weights only: random state, replay and step count start over."""
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    generator = random.Random(0)
    hits = {}
    for folder in (calm, killed):
        folder.mkdir()
        write_tiny_config(folder)
    for stage, kills in KILLS.items():
        run_well(calm, *_flat(stage_arguments(stage, calm)))
        script, arguments = stage_arguments(stage, killed)
        hits[stage] = kill_repeatedly(
            lambda script=script, arguments=arguments: start(killed, script, *arguments),
            kills,
            generator,
        )
        run_well(killed, script, *arguments)
    assert sum(hits.values()) >= 50, hits
    assert all(hits.values()), hits
    assert artefacts(killed / "runs") == artefacts(calm / "runs")


def _flat(stage: tuple[str, list[object]]) -> list[object]:
    script, arguments = stage
    return [script, *arguments]


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
