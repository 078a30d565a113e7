"""Training steps per second of the fast learner against stock Stable-Baselines3 SAC.

    python benchmarks/bench_learner.py

A step is a whole one: action, environment, replay store and one gradient step on a batch of 256.
All learners take turns in short rounds inside one process with one thread, so that other work on
the machine slows them alike; medians of the rounds and of the ratios within rounds are reported,
by the clock and by the processor time of this process. Stock is driven by the same loop, without
the callbacks and logging of its own `learn`.
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

from makerlab.config import TrainSettings
from makerlab.envs.market_making import default_market
from makerlab.learning.training import Training
from makerlab.market.base import Market

NETWORKS = ((64, 64), (128, 128), (256, 256))
KINDS: dict[str, dict[str, Any]] = {
    "sb3": {"learner": "sb3"},
    "float32": {"learner": "fast"},
    "bfloat16": {"learner": "fast", "precision": "bfloat16"},
}
WARM_UP = 300
RESULTS = Path(__file__).parent / "results" / "learner.json"


class Contestant:
    """One learner in its own environment, already past its warm-up."""

    def __init__(self, market: Market, network: tuple[int, ...], kind: dict[str, Any]) -> None:
        settings = TrainSettings.model_validate(
            {"net_arch": network, "batch_size": 256, "learning_starts": WARM_UP, **kind}
        )
        self._training = Training(market, settings, device="cpu")
        for _ in range(WARM_UP + 20):
            self._training.advance()

    def round(self, seconds: float) -> tuple[float, float]:
        """Return steps per second of the clock and of the processor."""
        steps = 0
        clock, processor = time.perf_counter(), time.process_time()
        while time.perf_counter() < clock + seconds:
            self._training.advance()
            steps += 1
        return (
            steps / (time.perf_counter() - clock),
            steps / (time.process_time() - processor),
        )


def main() -> None:
    """Measure, print a table, write results/learner.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one round of one learner")
    options = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {"machine": machine(), "batch_size": 256, "networks": {}}
    print(json.dumps(report["machine"]))
    market = default_market(None, "train", {})
    for network in NETWORKS:
        report["networks"][str(list(network))] = measure(market, network, options)
    for measured in ("clock", "processor"):
        for kind in list(KINDS)[1:]:
            ratios = [row[kind]["ratio"][measured] for row in report["networks"].values()]
            mean = statistics.geometric_mean(ratios)
            report[f"mean_ratio_{kind}_{measured}"] = round(mean, 2)
            print(f"geometric mean of ratios to sb3, {kind}, by the {measured}: {mean:.2f}")
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def measure(
    market: Market, network: tuple[int, ...], options: argparse.Namespace
) -> dict[str, Any]:
    """Return medians for one network, by learner."""
    contestants = {name: Contestant(market, network, kind) for name, kind in KINDS.items()}
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(options.rounds):
        for name, contestant in contestants.items():
            rounds[name].append(contestant.round(options.seconds))
    result: dict[str, Any] = {}
    for name, values in rounds.items():
        result[name] = {
            "steps_per_second": _medians(values),
            "ratio": _medians(
                [
                    (mine[0] / base[0], mine[1] / base[1])
                    for mine, base in zip(values, rounds["sb3"], strict=True)
                ]
            ),
        }
        speed, ratio = result[name]["steps_per_second"], result[name]["ratio"]
        print(
            f"{list(network)!s:12} {name:10} {speed['clock']:8.0f} steps/s "
            f"({speed['processor']:.0f} by processor time), x{ratio['clock']:.2f} "
            f"(x{ratio['processor']:.2f})"
        )
    return result


def _medians(values: list[tuple[float, float]]) -> dict[str, float]:
    clock, processor = (statistics.median(column) for column in zip(*values, strict=True))
    return {"clock": round(clock, 2), "processor": round(processor, 2)}


if __name__ == "__main__":
    main()
