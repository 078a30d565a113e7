"""The real stages under the matrix, on configs that take seconds."""

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.commands import (
    REPOSITORY,
    TINY_CONFIG,
    command,
    environment,
    run_well,
    start,
    write_tiny_config,
)

from makerlab.chaos.artefacts import artefacts

FLAGS = ("--targets", "targets.txt", "--profile", "")
KILLS = 12


def write_matrix(folder: Path, *names: str) -> Path:
    """Write tiny configs that differ in their spread, and the list of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        text = TINY_CONFIG.replace("short_name: tiny", f"short_name: {name}")
        text = text.replace("base_spread_bps: 8", f"base_spread_bps: {8 + number}")
        write_tiny_config(folder, name=name, text=text)
    (folder / "targets.txt").write_text("".join(f"{name}.yaml\n" for name in names))
    return folder


def run_by_hand(folder: Path) -> None:
    """Do what the matrix does with xargs and the scripts alone."""

    def xargs(source: str, script: str, *arguments: str) -> None:
        line = " ".join(f"'{word}'" for word in command(script, *arguments))
        shell = f"{source} | xargs -P 2 -I {{}} {line}"
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", shell],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr

    xargs("cat targets.txt", "tune_mm_sac.py", "--config", "{}")
    for seed in ("0", "1"):
        xargs("cat targets.txt", "train_mm_sac.py", "--config", "{}", "--seed", seed)
    xargs("ls -d runs/SAC/*_seed*", "scripts/evaluate_policy.py", "--model_path", "{}")
    run_well(folder, "scripts/analyze_experiments.py")


def test_a_real_matrix_from_tuning_to_tables_and_nothing_to_do_afterwards(tmp_path: Path) -> None:
    folder = write_matrix(tmp_path / "my lab", "narrow")
    shown = run_well(folder, "scripts/run_matrix.py", *FLAGS, "--seeds", "3")
    assert "narrow seed 3 evaluate: done" in shown
    assert "narrow" in (folder / "runs" / "runs_summary.csv").read_text()
    assert (folder / "logs" / "narrow_tune.log").is_file()
    assert (folder / "logs" / "narrow_train.log").is_file()
    (run,) = (folder / "runs" / "SAC").glob("*_narrow_seed3")
    assert (folder / "logs" / f"{run.name}_eval.log").is_file()
    manifest = json.loads((run / "manifest.json").read_text())
    best = json.loads((folder / "runs/SAC/narrow/best_params.json").read_text())
    assert manifest["data_source"] == "synthetic"
    assert manifest["tuned_params"]["params"] == best["params"]
    assert manifest["threads"] == 1
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*.*")}
    began = time.monotonic()
    again = run_well(folder, "scripts/run_matrix.py", *FLAGS, "--seeds", "3")
    assert time.monotonic() - began < 5.0
    assert "4 of 4 were done before" in again
    after = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*.*")}
    changed = {path.name for path in after if before.get(path) != after[path]}
    assert changed <= {"matrix.json", ".matrix.lease"}


@pytest.mark.slow
def test_xargs_and_the_scripts_alone_leave_the_same_artefacts(tmp_path: Path) -> None:
    matrix = write_matrix(tmp_path / "matrix", "narrow", "wide")
    run_well(matrix, "scripts/run_matrix.py", *FLAGS, "--seeds", "0 1")
    by_hand = write_matrix(tmp_path / "by_hand", "narrow", "wide")
    run_by_hand(by_hand)
    assert artefacts(by_hand / "runs") == artefacts(matrix / "runs")
    done = run_well(by_hand, "scripts/run_matrix.py", *FLAGS, "--seeds", "0 1")
    assert "11 of 11 were done before" in done or "10 of 11 were done before" in done


@pytest.mark.slow
def test_a_matrix_killed_at_random_moments_ends_as_one_left_alone(tmp_path: Path) -> None:
    alone = write_matrix(tmp_path / "alone", "narrow", "wide")
    run_well(alone, "scripts/run_matrix.py", *FLAGS, "--seeds", "0 1")
    killed = write_matrix(tmp_path / "killed", "narrow", "wide")
    generator = random.Random(0)
    for _ in range(KILLS):
        process = start(killed, "scripts/run_matrix.py", *FLAGS, "--seeds", "0 1")
        try:
            process.wait(timeout=generator.uniform(1.0, 20.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
    run_well(killed, "scripts/run_matrix.py", *FLAGS, "--seeds", "0 1")
    assert artefacts(killed / "runs") == artefacts(alone / "runs")


def test_the_shipped_target_list_names_the_shipped_configs() -> None:
    lines = (REPOSITORY / "configs" / "tuning_targets.txt").read_text().splitlines()
    listed = [line for line in lines if line and not line.startswith("#")]
    shipped = sorted((REPOSITORY / "configs").glob("env_*.yaml"))
    assert sorted(listed) == [f"configs/{path.name}" for path in shipped]
