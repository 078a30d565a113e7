"""A small real matrix in a folder of its own: configs, launchers, and the command that runs it."""

import os
import subprocess
import sys
from pathlib import Path

CONFIG = """\
env: {{csv_path: synthetic, base_spread_bps: {spread}, episode_length: 60, fee_rate: 0.0001}}
data: {{synthetic: {{days: 3}}}}
train:
  total_timesteps: {steps}
  net_arch: [16]
  learning_starts: 100
  batch_size: 32
  buffer_size: 2000
  eval_freq: {often}
  log_interval: 1
tune:
  n_trials: 5
  train_timesteps: {trial}
  eval_episodes: 4
  reports: 6
  startup_trials: 2
  rescore_seeds: 2
  search_space: {{net_arch: [[16], [8, 8]], batch_size: [32]}}
evaluate: {{episodes: 6, bootstrap_samples: 200}}
run: {{short_name: {name}}}
"""
SPREADS = {"narrow": 6, "middle": 8, "wide": 10}
SEEDS = "0 1"


def write_lab(folder: Path, *, configs: int, steps: int, launcher: str) -> Path:
    """Write configs, the list of them, and the settings of a launcher; returns the folder.

    A training has so many `steps`, a trial of tuning a quarter; each saves its state on the way.
    """
    launchers = folder / "configs" / "launchers"
    launchers.mkdir(parents=True)
    (launchers / "chaos.yaml").write_text(launcher)
    names = list(SPREADS)[:configs]
    sizes = {"steps": steps, "often": max(steps // 16, 1), "trial": steps // 4}
    for name in names:
        text = CONFIG.format(name=name, spread=SPREADS[name], **sizes)
        (folder / f"{name}.yaml").write_text(text)
    (folder / "targets.txt").write_text("".join(f"{name}.yaml\n" for name in names))
    return folder


def start_matrix(
    folder: Path, *, root: Path, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Start the matrix of a lab as a user does, or start it again; `root` holds the scripts."""
    flags = ["--targets", "targets.txt", "--profile", "", "--seeds", SEEDS, "--jobs", "2"]
    command = [sys.executable, str(root / "scripts" / "run_matrix.py"), *flags]
    kept = {key: text for key, text in os.environ.items() if not key.startswith("MAKERLAB")}
    with (folder / "driver.log").open("ab") as log:
        return subprocess.Popen(
            [*command, "--launcher", "chaos"],
            cwd=folder,
            env=kept | {"OMP_NUM_THREADS": "1"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
