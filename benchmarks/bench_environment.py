"""Speed of the candle environment: one episode, and ten thousand.

The Gymnasium environment and a plain Python loop of the same market take turns in short rounds
inside one process, so that other work on the machine slows them alike; medians of rounds and of
the ratios within rounds are reported, by this process's processor time.
"""

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from machine import machine

from makerlab.envs import MarketMakingEnv
from makerlab.envs.market_making import default_market

RESULTS = Path(__file__).parent / "results" / "environment.json"
EPISODES = 10_000


class PlainLoop:
    """The least a market-making loop does, in Python numbers over a list of bars.

    It does less than the environment: no arrays, eight numbers seen instead of seventeen, four of
    twelve accounts, no checks of actions. A Gymnasium step costs more than such a loop.
    """

    def __init__(self, bars: list[list[float]], length: int) -> None:
        self.bars, self.length = bars, length
        self.reset()

    def reset(self) -> list[float]:
        """Start at a random bar."""
        self.bar = random.randrange(60, len(self.bars) - self.length - 1)
        self.taken, self.cash, self.inventory, self.equity = 0, 1e5, 0.0, 1e5
        return self.observe(0.0, 0.0)

    def step(
        self, action: tuple[float, float]
    ) -> tuple[list[float], float, bool, dict[str, float]]:
        """Quote for one bar."""
        mid = self.bars[self.bar][3]
        half = mid * 8e-4 * (1.0 + 0.5 * action[0])
        bid, ask = mid - half * (1.0 - 0.5 * action[1]), mid + half * (1.0 + 0.5 * action[1])
        self.bar += 1
        self.taken += 1
        first, high, low, close, volume = self.bars[self.bar]
        size = min(0.1, 0.1 * volume)
        bought = size if low < bid < first and self.inventory < 1.0 else 0.0
        sold = size if high > ask > first and self.inventory > -1.0 else 0.0
        if bought and sold:
            bought, sold = (bought, 0.0) if close - bid < ask - close else (0.0, sold)
        fees = 1e-4 * (bid * bought + ask * sold)
        self.cash += ask * sold - bid * bought - fees
        self.inventory += bought - sold
        equity = self.cash + self.inventory * close
        reward, self.equity = equity - self.equity, equity
        info = {"cash": self.cash, "inventory": self.inventory, "equity": equity, "fees": fees}
        return self.observe(bought, sold), reward, self.taken >= self.length, info

    def observe(self, bought: float, sold: float) -> list[float]:
        """Return a few returns and the own part."""
        close = self.bars[self.bar][3]
        returns = [close / self.bars[self.bar - back][3] - 1.0 for back in (1, 5, 15, 60)]
        return [*returns, self.inventory, 1.0 - self.taken / self.length, bought, sold]


def main() -> None:
    """Measure, print, write results/environment.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {"machine": machine()}
    print(json.dumps(report["machine"]))
    report |= {"single": single(options.rounds), "batch": batch(options.rounds)}
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def single(rounds: int) -> dict[str, float]:
    """Return steps per second of the environment and of the plain loop, and their ratio."""
    market = default_market(None, "train", {"episode_length": 1000})
    env, plain = MarketMakingEnv(market), PlainLoop(market.bars.tolist(), 1000)
    env.reset(seed=0)
    action = np.array([0.1, -0.1], np.float32)

    def ours() -> None:
        if env.step(action)[3]:
            env.reset()

    def theirs() -> None:
        if plain.step((0.1, -0.1))[2]:
            plain.reset()

    measured = [(_rate(ours), _rate(theirs)) for _ in range(rounds)]
    found = {
        "environment_steps_per_second": statistics.median(mine for mine, _ in measured),
        "plain_loop_steps_per_second": statistics.median(base for _, base in measured),
        "ratio": statistics.median(mine / base for mine, base in measured),
    }
    print(
        f"one episode: environment {found['environment_steps_per_second']:,.0f} steps/s, plain "
        f"Python loop {found['plain_loop_steps_per_second']:,.0f}, ratio {found['ratio']:.2f}"
    )
    return {name: round(value, 2) for name, value in found.items()}


def batch(rounds: int) -> dict[str, float]:
    """Return steps per second of ten thousand episodes in one call, observations included."""
    market = default_market(None, "train", {"episode_length": 1000})
    episodes = market.episodes(EPISODES)
    starts = np.random.default_rng(0).choice(market.starts(), EPISODES)
    actions = np.random.default_rng(1).uniform(-1.0, 1.0, (EPISODES, market.action_size))
    rates = []
    for _ in range(rounds):
        episodes.restart(starts)
        rates.append(EPISODES * _rate(lambda: episodes.step(actions), count=50))
    rate = statistics.median(rates)
    print(f"{EPISODES:,} episodes: {rate / 1e6:.1f} million steps/s, fills and observations")
    return {"episodes": EPISODES, "steps_per_second": round(rate)}


def _rate(call: Callable[[], object], count: int = 5000) -> float:
    """Return calls per second of processor time."""
    begun = time.process_time()
    for _ in range(count):
        call()
    return count / (time.process_time() - begun)


if __name__ == "__main__":
    main()
