"""Environment steps per second of a market with a known answer, against plain numpy.

    python benchmarks/bench_kernel.py

A step is a whole one: actions checked for NaN, both quotes placed, random numbers drawn, fills,
fees, the move of the mid, cash, inventory, equity, penalties, reward, ends, and the observation in
float32 written. Episodes are started anew when they end, which is included too. Actions are given:
no policy is played. The same market in plain numpy, its random numbers from numpy's fastest
generator, takes turns with the kernel in short rounds of one process with one thread; medians of
the rounds and of the ratios within rounds are reported, by the clock and by the processor time.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from machine import machine

from makerlab.config import EnvSettings
from makerlab.data.split import Segment
from makerlab.market.simulated import SimulatedMarket

COUNTS = (1, 100, 10_000)
RESULTS = Path(__file__).parent / "results" / "kernel.json"
SETTINGS = EnvSettings.model_validate(
    {
        "market": "avellaneda_stoikov",
        "episode_length": 200,
        "order_size": 1,
        "max_inventory": 30,
        "fee_rate": 1e-5,
        "simulated": {"min_depth": -1, "max_depth": 3},
    }
)


class Kernel:
    """The market as the package steps it."""

    def __init__(self, episodes: int) -> None:
        market = SimulatedMarket(Segment("train", 0, 1_000_000), SETTINGS)
        self._batch = market.episodes(episodes)
        self._numbers = np.arange(episodes)
        self._batch.restart(self._numbers)
        self._step = 0

    def step(self, actions: np.ndarray) -> None:
        """Take one step with all episodes."""
        outcome = self._batch.step(actions)
        self._step += 1
        if self._step % SETTINGS.episode_length == 0:
            assert outcome.terminated.all()
            self._batch.restart(self._numbers)


class PlainNumpy:
    """The same market, array by array."""

    def __init__(self, episodes: int) -> None:
        self._random = np.random.Generator(np.random.SFC64(0))
        self._episodes = episodes
        self._restart()

    def _restart(self) -> None:
        self._step = 0
        self._mid = np.full(self._episodes, SETTINGS.simulated.mid)
        self._cash = np.full(self._episodes, SETTINGS.initial_cash)
        self._inventory = np.zeros(self._episodes)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, ...]:
        """Take one step with all episodes; returns what the kernel's outcome holds."""
        market, cap = SETTINGS.simulated, SETTINGS.max_inventory
        dt = market.horizon / SETTINGS.episode_length
        if np.isnan(actions).any():
            raise ValueError("NaN")
        depths = market.min_depth + (market.max_depth - market.min_depth) * 0.5 * (
            1.0 + np.clip(actions, -1.0, 1.0)
        )
        bid_depth, ask_depth = depths[:, 0], depths[:, 1]
        drawn = self._random.random((3, self._episodes))
        rates = np.exp(-market.decay * depths) * dt
        bought = (drawn[0] < market.sell_intensity * rates[:, 0]) & (self._inventory < cap)
        sold = (drawn[1] < market.buy_intensity * rates[:, 1]) & (self._inventory > -cap)
        bid = np.where(self._inventory < cap, self._mid - bid_depth, -np.inf)
        ask = np.where(self._inventory > -cap, self._mid + ask_depth, np.inf)
        paid, received = np.where(bought, bid, 0.0), np.where(sold, ask, 0.0)
        turnover = paid + received
        fees = SETTINGS.fee_rate * turnover
        spread = bought * bid_depth + sold * ask_depth
        self._cash += received - paid - fees
        self._inventory += bought
        self._inventory -= sold
        moved = market.volatility * np.sqrt(dt) * np.where(drawn[2] < 0.5, 1.0, -1.0)
        self._mid += moved
        equity = self._cash + self._inventory * self._mid
        profit = self._inventory * moved
        penalty = 0.5 * market.risk_aversion * market.volatility**2 * dt
        reward = spread + profit - fees - penalty * np.square(self._inventory)
        self._step += 1
        ended = np.full(self._episodes, self._step >= SETTINGS.episode_length)
        seen = np.empty((self._episodes, 4), np.float32)
        seen[:, 0] = self._inventory / cap
        seen[:, 1] = np.clip(self._inventory / 10.0, -10.0, 10.0)
        seen[:, 2] = 1.0 - self._step / SETTINGS.episode_length
        seen[:, 3] = 0.0
        if ended[0]:
            self._restart()
        return bid, ask, turnover, fees, equity, reward, ended, seen


def timed(step: Callable[[np.ndarray], Any], actions: list[np.ndarray], seconds: float) -> Any:
    """Return environment steps per second of the clock and of the processor."""
    steps, turn = 0, 0
    clock, processor = time.perf_counter(), time.process_time()
    while time.perf_counter() < clock + seconds:
        for _ in range(10):
            step(actions[turn % len(actions)])
            turn += 1
            steps += len(actions[0])
    return steps / (time.perf_counter() - clock), steps / (time.process_time() - processor)


def measure(episodes: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return medians for one number of episodes."""
    generator = np.random.default_rng(0)
    actions = [generator.uniform(-1.0, 1.0, (episodes, 2)) for _ in range(4)]
    contestants = {"kernel": Kernel(episodes), "numpy": PlainNumpy(episodes)}
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for contestant in contestants.values():
        timed(contestant.step, actions, 0.1)
    for _ in range(options.rounds):
        for name, contestant in contestants.items():
            rounds[name].append(timed(contestant.step, actions, options.seconds))
    ratios = [
        (mine[0] / base[0], mine[1] / base[1])
        for mine, base in zip(rounds["kernel"], rounds["numpy"], strict=True)
    ]
    result = {
        **{name: _medians(values, digits=0) for name, values in rounds.items()},
        "ratio": _medians(ratios, digits=2),
    }
    for name in contestants:
        speed = result[name]
        print(
            f"{episodes:6} episodes {name:7} {speed['clock'] / 1e6:8.2f} million steps/s "
            f"({speed['processor'] / 1e6:.2f} by processor time)"
        )
    ratio = result["ratio"]
    print(f"{episodes:6} episodes ratio   x{ratio['clock']} (x{ratio['processor']})")
    return result


def _medians(values: list[tuple[float, float]], *, digits: int) -> dict[str, float]:
    clock, processor = (statistics.median(column) for column in zip(*values, strict=True))
    return {"clock": round(clock, digits), "processor": round(processor, digits)}


def main() -> None:
    """Measure, print a table, write results/kernel.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one round")
    options = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {"machine": machine(), "market": SETTINGS.market}
    print(json.dumps(report["machine"]))
    report["steps_per_second"] = {count: measure(count, options) for count in COUNTS}
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
