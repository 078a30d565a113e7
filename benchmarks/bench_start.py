"""Seconds that jobs of a matrix take to begin and end: as new processes, as forks of a warm one.

A training of 400 steps and an evaluation of it, with little to compute beside their start. The two
ways take turns; the clock counts from handing a job in to its end, the server's own start apart.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import yaml
from machine import machine

from makerlab.launchers.base import Job, Launcher
from makerlab.launchers.forking import ForkingLauncher
from makerlab.launchers.local import LocalLauncher

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "start.json"
CONFIG = {
    "env": {"csv_path": "synthetic", "base_spread_bps": 8, "episode_length": 240},
    "data": {"synthetic": {"days": 30}},
    "train": {
        "total_timesteps": 400,
        "eval_freq": 400,
        "learning_starts": 100,
        "buffer_size": 1000,
        "batch_size": 64,
        "net_arch": [64, 64],
    },
    "evaluate": {"episodes": 10, "bootstrap_samples": 100},
    "run": {"short_name": "start"},
}


def seconds(launcher: Launcher, *command: str) -> float:
    """Return how long a job takes."""
    began = time.perf_counter()
    job = Job(name="job", command=(sys.executable, *command), key="job")
    handle = launcher.submit(job)
    while (outcome := launcher.poll(handle)) is None:
        time.sleep(0.01)
    if outcome.status:
        raise SystemExit(f"{command[0]} failed: {outcome.last_lines}")
    return time.perf_counter() - began


def main() -> None:
    """Measure, print, write results/start.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    report: dict[str, Any] = {"machine": machine()}
    print(json.dumps(report["machine"]))
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        Path("start.yaml").write_text(yaml.safe_dump(CONFIG))
        errors = Path("errors.log")
        forks = ForkingLauncher(error_log=errors, warm_up=ROOT / "scripts" / "warm_up.py")
        ways = {"process": LocalLauncher(error_log=errors), "fork": forks}
        train = [str(ROOT / "train_mm_sac.py"), "--config", "start.yaml", "--device", "cpu"]
        # The first of all compiles and writes the made-up candles; the server gets warm.
        report["server_seconds"] = round(seconds(forks, *train, "--seed", "1000"), 2)
        seen: dict[str, dict[str, list[float]]] = {
            way: {"train": [], "evaluate": []} for way in ways
        }
        for number in range(options.rounds):
            for place, (way, launcher) in enumerate(ways.items()):
                seed = str(2 * number + place)
                seen[way]["train"].append(seconds(launcher, *train, "--seed", seed))
                (run,) = Path("runs/SAC").glob(f"*_seed{seed}")
                script = str(ROOT / "scripts" / "evaluate_policy.py")
                seen[way]["evaluate"].append(seconds(launcher, script, "--model_path", str(run)))
        forks.close()
    for stage in ("train", "evaluate"):
        taken = {way: round(statistics.median(seen[way][stage]), 2) for way in ways}
        pairs = zip(seen["process"][stage], seen["fork"][stage], strict=True)
        ratio = round(statistics.median(slow / quick for slow, quick in pairs), 2)
        report[stage] = taken | {"ratio": ratio}
        print(f"{stage}: process {taken['process']} s, fork {taken['fork']} s, x{ratio}")
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
