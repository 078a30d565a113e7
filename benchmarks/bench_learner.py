"""Training steps per second of the fast learner against stock Stable-Baselines3 SAC.

    python benchmarks/bench_learner.py

"float32 x4" is four members of a group in one process, each turn one step of each; its figure
counts all steps. Beside the speeds stand the arithmetic of an update and the speed of a plain
matrix product of the same sizes in the same rounds, whose quotient is the speed that no learner
passes which leaves its products to that library.

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
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from machine import machine

from makerlab.config import TrainSettings
from makerlab.envs import MarketMakingEnv
from makerlab.envs.market_making import default_market
from makerlab.learning.fast_networks import can_round
from makerlab.learning.fast_sac import shape_of
from makerlab.learning.group import TrainingGroup
from makerlab.learning.training import Training
from makerlab.market.base import Market

NETWORKS = ((64, 64), (128, 128), (256, 256))
KINDS: dict[str, dict[str, Any]] = {
    "sb3": {"learner": "sb3"},
    "float32": {"learner": "fast"},
    "bfloat16": {"learner": "fast", "precision": "bfloat16"},
}
GROUP = "float32 x4"
WARM_UP = 300
BATCH = 256
RESULTS = Path(__file__).parent / "results" / "learner.json"


class Contestant:
    """Learners in environments of their own, already past their warm-up."""

    def __init__(
        self, market: Market, network: tuple[int, ...], kind: dict[str, Any], members: int = 1
    ) -> None:
        self._group = TrainingGroup(members, device="cpu")
        self._members = [
            Training(market, settings(network, kind, seed), device="cpu", seats=self._group)
            for seed in range(members)
        ]
        for _ in range(WARM_UP + 20):
            self.turn()

    def turn(self) -> int:
        """Take one step with each member; returns how many."""
        self._group.turn(self._members)
        return len(self._members)

    def round(self, seconds: float) -> tuple[float, float]:
        """Return steps per second of the clock and of the processor."""
        steps = 0
        clock, processor = time.perf_counter(), time.process_time()
        while time.perf_counter() < clock + seconds:
            steps += self.turn()
        return (
            steps / (time.perf_counter() - clock),
            steps / (time.process_time() - processor),
        )


def settings(network: tuple[int, ...], kind: dict[str, Any], seed: int) -> TrainSettings:
    return TrainSettings.model_validate(
        {
            "net_arch": network,
            "batch_size": BATCH,
            "learning_starts": WARM_UP,
            "seed": seed,
            **kind,
        }
    )


class Product:
    """A plain matrix product of the sizes of a hidden layer, as torch's library computes it."""

    def __init__(self, width: int) -> None:
        self._one, self._other = torch.randn(BATCH, width), torch.randn(width, width)
        self._result = torch.empty(BATCH, width)
        self._operations = 2.0 * BATCH * width * width

    def round(self, seconds: float) -> tuple[float, float]:
        """Return floating-point operations per second of the clock and of the processor."""
        products = 0
        clock, processor = time.perf_counter(), time.process_time()
        while time.perf_counter() < clock + seconds:
            for _ in range(20):
                torch.mm(self._one, self._other, out=self._result)
            products += 20
        done = products * self._operations
        return done / (time.perf_counter() - clock), done / (time.process_time() - processor)


def operations(market: Market, network: tuple[int, ...]) -> float:
    """Return the floating-point operations of the matrix products of one update.

    Forwards: the actor at both observations, each critic three times. Backwards to the weights
    cost what two forwards do, less the first layer's inputs; the actor's way back through the
    critics goes through one of them in each row, and to no weights.
    """
    shape = shape_of(MarketMakingEnv(market), settings(network, {}, 0))

    def forward(sizes: tuple[int, ...]) -> float:
        return 2.0 * BATCH * sum(inputs * outputs for inputs, outputs in pairwise(sizes))

    def inner(sizes: tuple[int, ...]) -> float:
        return forward(sizes[1:])

    actor, critic = shape.actor, shape.critic
    through_one_critic = inner(critic) + 2.0 * BATCH * shape.actions * network[0]
    actors = 2 * forward(actor) + forward(actor) + inner(actor)
    return actors + 6 * forward(critic) + 2 * (forward(critic) + inner(critic)) + through_one_critic


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
        for kind in [kind for kind in (*KINDS, GROUP) if kind != "sb3"]:
            if kind not in next(iter(report["networks"].values())):
                continue
            ratios = [row[kind]["ratio"][measured] for row in report["networks"].values()]
            mean = statistics.geometric_mean(ratios)
            report[f"mean_ratio_{kind}_{measured}"] = round(mean, 2)
            print(f"geometric mean of ratios to sb3, {kind}, by the {measured}: {mean:.2f}")
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def measure(
    market: Market, network: tuple[int, ...], options: argparse.Namespace
) -> dict[str, Any]:
    """Return medians for one network, by learner."""
    # Without its instructions bfloat16 is float32 by the same code.
    kinds = {name: kind for name, kind in KINDS.items() if name != "bfloat16" or can_round()}
    contestants: dict[str, Contestant | Product] = {
        name: Contestant(market, network, kind) for name, kind in kinds.items()
    }
    contestants[GROUP] = Contestant(market, network, KINDS["float32"], members=4)
    contestants["product"] = Product(network[0])
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(options.rounds):
        for name, contestant in contestants.items():
            rounds[name].append(contestant.round(options.seconds))
    result: dict[str, Any] = {}
    product = _medians(rounds.pop("product"))
    work = operations(market, network)
    limit = {measured: round(speed / work, 1) for measured, speed in product.items()}
    result["limit"] = {
        "operations_per_update": work,
        "product_operations_per_second": product,
        "updates_per_second": limit,
    }
    print(
        f"{list(network)!s:12} product    {product['processor'] / 1e9:8.1f} GFLOP/s, "
        f"{work / 1e6:.1f} MFLOP per update: at most {limit['processor']:.0f} updates/s by "
        "processor time"
    )
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
