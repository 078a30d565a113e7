"""A whole matrix with `train.learner: fast` against the same one with `sb3`.

Two configs from tuning to tables on made-up candles, the same trials, steps, seeds, and two
processes at a time. The learners take turns, a whole matrix each. Processor time is that of all
processes; imports and compiled code count as they come (numba keeps what it compiles on disk).

    python benchmarks/bench_matrix.py                            # minutes
    python benchmarks/bench_matrix.py --trials 25 --trial_steps 10000 --train_steps 10000

The second is the matrix that the target is set for, an hour: results/matrix.json. What a smaller
one finds goes to results/matrix_short.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import yaml
from machine import machine, processor_seconds

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
LEARNERS = ("sb3", "fast")
SPREADS = {"narrow": 8, "wide": 12}
TARGET = 6.0
TARGET_SIZE = {"trials": 25, "trial_steps": 10_000, "train_steps": 10_000}
"""The matrix that the target is set for; a smaller one is a result of its own."""


def config(learner: str, spread: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return one config of the matrix."""
    return {
        "env": {"csv_path": "synthetic", "base_spread_bps": spread, "episode_length": 240},
        "data": {"synthetic": {"days": 30}},
        "train": {
            "learner": learner,
            "total_timesteps": options.train_steps,
            "eval_freq": max(1, options.train_steps // 4),
            "net_arch": options.net,
            "batch_size": options.batch,
            "buffer_size": 50_000,
            "learning_starts": 500,
            "gradient_steps": 1,
            "train_freq": 1,
        },
        "tune": {
            "n_trials": options.trials,
            "train_timesteps": options.trial_steps,
            "eval_episodes": 10,
            "reports": 4,
            "rescore_seeds": 1,
            "search_space": {"net_arch": [options.net], "batch_size": [options.batch]},
            # Pruning would make the learners' matrices differ in size.
            "startup_trials": options.trials,
        },
        "evaluate": {"episodes": 20, "bootstrap_samples": 500},
    }


def matrix(learner: str, options: argparse.Namespace) -> tuple[float, float]:
    """Run a matrix in a folder of its own; returns seconds by the clock and of the processor."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for config_name, spread in SPREADS.items():
            content = config(learner, spread, options) | {"run": {"short_name": config_name}}
            (folder / f"{config_name}.yaml").write_text(yaml.safe_dump(content))
        (folder / "targets.txt").write_text("".join(f"{name}.yaml\n" for name in SPREADS))
        script = str(ROOT / "scripts" / "run_matrix.py")
        flags = ["--targets", "targets.txt", "--profile", "", "--jobs", str(options.jobs)]
        flags += ["--seeds", " ".join(map(str, range(options.seeds))), "--device", "cpu"]
        clock, before = time.perf_counter(), processor_seconds()
        done = subprocess.run(
            [sys.executable, script, *flags],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"the matrix failed: {done.stdout[-2000:]}{done.stderr}")
        return time.perf_counter() - clock, processor_seconds() - before


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--trial_steps", type=int, default=4_000)
    parser.add_argument("--train_steps", type=int, default=6_000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--net", type=int, nargs="+", default=[64, 64])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    report: dict[str, Any] = {"machine": machine(), "options": vars(options)}
    print(json.dumps(report["machine"]))
    report["steps"] = len(SPREADS) * (
        (options.trials + 1) * options.trial_steps + options.seeds * options.train_steps
    )
    seen: dict[str, list[tuple[float, float]]] = {learner: [] for learner in LEARNERS}
    for _ in range(options.rounds):
        for learner in LEARNERS:
            seen[learner].append(matrix(learner, options))
            clock, processor = seen[learner][-1]
            print(
                f"{learner}: {clock:.0f} s by the clock, {processor:.0f} s of the processor",
                flush=True,
            )
    for place, what in enumerate(("clock", "processor")):
        seconds = {name: statistics.median(t[place] for t in seen[name]) for name in LEARNERS}
        ratio = statistics.median(
            slow[place] / quick[place] for slow, quick in zip(*seen.values(), strict=True)
        )
        report[what] = {name: round(value, 1) for name, value in seconds.items()}
        report[what]["ratio"] = round(ratio, 2)
    report["target"] = TARGET
    print(
        f"{report['steps']:,} steps of {options.net}: x{report['processor']['ratio']} by processor "
        f"time, x{report['clock']['ratio']} by the clock (target x{TARGET:g})"
    )
    whole = all(getattr(options, name) >= size for name, size in TARGET_SIZE.items())
    path = RESULTS / ("matrix.json" if whole else "matrix_short.json")
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
