"""Seconds to judge 7 policies on 3 segments x 100 episodes x 1,000 steps, intervals included.

The learned policy is an untrained network of [256, 256]: its speed does not depend on its weights.
Files and pictures are not written.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from machine import machine

from makerlab.config import Config
from makerlab.data.split import SEGMENT_NAMES
from makerlab.tasks import open_workbench

RESULTS = Path(__file__).parent / "results" / "evaluation.json"
CONFIG = {
    "env": {"base_spread_bps": 8, "fee_rate": 1e-4, "episode_length": 1000},
    "data": {"synthetic": {"days": 240}},
    "data_split": {"train": 0.34, "valid": 0.33, "test": 0.33},
    "evaluate": {"episodes": 100},
}


def main() -> None:
    """Measure, print, write results/evaluation.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {"machine": machine()}
    print(json.dumps(report["machine"]))
    config = Config.model_validate(CONFIG)
    workbench = open_workbench(config, synthetic_folder=None)
    learned = workbench.training(config.train, device="cpu").learner.policy()
    clocks, processors = [], []
    for _ in range(options.rounds):
        clock, processor = time.perf_counter(), time.process_time()
        for segment in SEGMENT_NAMES:
            policies = {workbench.learned: learned, **workbench.baselines()}
            result = workbench.evaluate(policies, segment, config.evaluate)
            if result.episodes != config.evaluate.episodes or len(policies) != 7:
                raise SystemExit(f"{segment}: {result.episodes} episodes, {len(policies)} policies")
        clocks.append(time.perf_counter() - clock)
        processors.append(time.process_time() - processor)
    report["seconds"] = {
        "clock": round(statistics.median(clocks), 2),
        "processor": round(statistics.median(processors), 2),
    }
    print(
        f"3 segments x 100 episodes x 1,000 steps x 7 policies: {report['seconds']['clock']} s by "
        f"the clock, {report['seconds']['processor']} s of processor time"
    )
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
