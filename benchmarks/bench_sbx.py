"""Training steps per second of the fast learner against SBX, SAC compiled by JAX.

    .venv/bin/python -m pip install -c constraints.txt -e '.[bench]'
    .venv/bin/python benchmarks/bench_sbx.py

Without SBX it says so and measures nothing. Both learners have one environment each of the same
market, take the same whole steps (action, environment, replay store, one gradient step on a batch
of 256) and turns in short rounds of one process, which is held on one core; XLA gets one thread.
SBX is driven by the two calls that its own `learn` makes for each step, without logging. Medians
of the rounds and of the ratios within rounds, by the clock and by the processor time of the
process, all its threads together.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
# Before JAX is imported, which makes as many threads as there are cores for it.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])

import torch
from bench_learner import BATCH, KINDS, NETWORKS, WARM_UP, Contestant
from machine import machine

from makerlab.envs import MarketMakingEnv
from makerlab.envs.market_making import default_market
from makerlab.market.base import Market

RESULTS = Path(__file__).parent / "results" / "sbx.json"
VERSIONS = ("sbx-rl", "jax", "flax", "optax")


class Sbx:
    """SBX's SAC in an environment of its own, past its warm-up and compiled."""

    def __init__(self, market: Market, network: tuple[int, ...]) -> None:
        from sbx import SAC

        self._model = SAC(
            "MlpPolicy",
            MarketMakingEnv(market),
            batch_size=BATCH,
            learning_starts=WARM_UP,
            buffer_size=200_000,
            policy_kwargs={"net_arch": list(network)},
            seed=0,
        )
        _, self._callback = self._model._setup_learn(10**9)
        for _ in range(WARM_UP + 20):
            self.turn()
        assert self._model._n_updates > 0

    def turn(self) -> int:
        """Take one step as `learn` does; returns 1."""
        model = self._model
        model.collect_rollouts(
            model.env,
            train_freq=model.train_freq,
            action_noise=None,
            callback=self._callback,
            learning_starts=WARM_UP,
            replay_buffer=model.replay_buffer,
            log_interval=None,
        )
        if model.num_timesteps > WARM_UP:
            model.train(gradient_steps=1, batch_size=BATCH)
        return 1

    def round(self, seconds: float) -> tuple[float, float]:
        """Return steps per second of the clock and of the processor."""
        steps = 0
        clock, processor = time.perf_counter(), time.process_time()
        while time.perf_counter() < clock + seconds:
            steps += self.turn()
        return steps / (time.perf_counter() - clock), steps / (time.process_time() - processor)


def main() -> None:
    """Measure, print, write results/sbx.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one round of one learner")
    options = parser.parse_args()
    if importlib.util.find_spec("sbx") is None:
        print(
            "SBX is not installed, so nothing was measured against it; "
            ".venv/bin/python -m pip install -c constraints.txt -e '.[bench]' installs it"
        )
        return
    torch.set_num_threads(1)
    report: dict[str, Any] = {"machine": machine(), "batch_size": BATCH}
    report["machine"]["versions"] |= {name: importlib.metadata.version(name) for name in VERSIONS}
    print(json.dumps(report["machine"]))
    market = default_market(None, "train", {})
    networks = {str(list(network)): measure(market, network, options) for network in NETWORKS}
    report["networks"] = networks
    for measured in ("clock", "processor"):
        mean = statistics.geometric_mean(row["ratio"][measured] for row in networks.values())
        report[f"mean_ratio_{measured}"] = round(mean, 2)
        print(f"geometric mean of ratios to SBX, by the {measured}: {mean:.2f}")
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def measure(
    market: Market, network: tuple[int, ...], options: argparse.Namespace
) -> dict[str, Any]:
    """Return medians for one network: both learners, and the ratio of ours to SBX."""
    ours, theirs = Contestant(market, network, KINDS["float32"]), Sbx(market, network)
    rounds = [
        (ours.round(options.seconds), theirs.round(options.seconds)) for _ in range(options.rounds)
    ]
    found: dict[str, Any] = {"fast": {}, "sbx": {}, "ratio": {}}
    for place, measured in enumerate(("clock", "processor")):
        pairs = [(mine[place], base[place]) for mine, base in rounds]
        found["fast"][measured] = round(statistics.median(mine for mine, _ in pairs), 1)
        found["sbx"][measured] = round(statistics.median(base for _, base in pairs), 1)
        found["ratio"][measured] = round(statistics.median(mine / base for mine, base in pairs), 2)
    print(
        f"{list(network)!s:12} fast {found['fast']['processor']:.0f} steps/s of processor time, "
        f"SBX {found['sbx']['processor']:.0f}, x{found['ratio']['processor']:.2f} "
        f"(by the clock x{found['ratio']['clock']:.2f})"
    )
    return found


if __name__ == "__main__":
    main()
