"""Runs the project's scripts as users do, on a config that takes seconds."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]

TINY_CONFIG = """\
env: {csv_path: synthetic, base_spread_bps: 8, episode_length: 30, fee_rate: 0.0001}
data: {synthetic: {days: 2}}
train:
  total_timesteps: 300
  net_arch: [8]
  learning_starts: 20
  batch_size: 16
  buffer_size: 200
  eval_freq: 50
  log_interval: 1
tune:
  n_trials: 3
  train_timesteps: 120
  eval_episodes: 3
  reports: 4
  startup_trials: 1
  rescore_seeds: 1
  search_space: {net_arch: [[8], [4, 4]], batch_size: [16]}
evaluate: {episodes: 4, bootstrap_samples: 100}
run: {short_name: tiny}
"""


def write_tiny_config(folder: Path, *, name: str = "tiny", text: str = TINY_CONFIG) -> Path:
    """Write the tiny config and return its path."""
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def command(script: str, *arguments: object) -> list[str]:
    """Return the command line of a script of the repository."""
    return [sys.executable, str(REPOSITORY / script), *map(str, arguments)]


def environment() -> dict[str, str]:
    """Return the environment of a stage: one thread, none of the caller's overrides."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MAKERLAB")}
    return kept | {"OMP_NUM_THREADS": "1"}


def start(folder: Path, script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a script in a folder."""
    return subprocess.Popen(
        command(script, *arguments),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder to its end."""
    process = start(folder, script, *arguments)
    output, errors = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def run_well(folder: Path, script: str, *arguments: object) -> str:
    """Run a script that must succeed; returns its standard output."""
    result = run(folder, script, *arguments)
    assert result.returncode == 0, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout
