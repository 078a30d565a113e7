"""Do the fast learner's policies earn what stock Stable-Baselines3 SAC's earn?

    python benchmarks/compare_learning.py --seeds 10 --steps 6000
    python benchmarks/compare_learning.py --market cartea_jaimungal --net 32 32 --batch 64

Trains the learners with the same seeds on one market and judges each on the validation segment
along the way. Prints the mean validation score per episode (profit on candles, reward in a market
whose optimum is known, beside that optimum) with Student t intervals over seeds, and of the
difference to stock with the same seed; writes results/learning_<market>.json.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from machine import machine

from makerlab.config import Config, TrainSettings
from makerlab.evaluation.metrics import episode_sums
from makerlab.evaluation.rollout import evaluation_starts, rollout
from makerlab.evaluation.synthetic_table import DeviationSkew
from makerlab.learning.training import Training
from makerlab.market.base import Market
from makerlab.market.markets import load_markets
from makerlab.policies import baseline_policies
from makerlab.policies.base import Policy
from makerlab.policies.baselines import FixedSymmetric
from makerlab.statistics.bootstrap import mean_interval

KINDS: dict[str, dict[str, Any]] = {
    "sb3": {"learner": "sb3"},
    "float32": {"learner": "fast"},
    "bfloat16": {"learner": "fast", "precision": "bfloat16"},
}
RESULTS = Path(__file__).parent / "results"
REPORTS = 3
MARKETS: dict[str, dict[str, Any]] = {
    "candles": {"base_spread_bps": 8.0, "fee_rate": 1e-4, "beta": 0.6},
    "avellaneda_stoikov": {
        "market": "avellaneda_stoikov",
        "episode_length": 200,
        "order_size": 1,
        "max_inventory": 5,
    },
    "cartea_jaimungal": {
        "market": "cartea_jaimungal",
        "episode_length": 200,
        "order_size": 1,
        "max_inventory": 5,
    },
}


def main() -> None:
    """Train, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--net", type=int, nargs="+", default=[64, 64])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=["sb3", "float32"])
    parser.add_argument("--market", choices=list(MARKETS), default="candles")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate")
    options = parser.parse_args()
    output = RESULTS / f"learning_{options.market}.json"
    torch.set_num_threads(1)
    config = Config.model_validate({"env": MARKETS[options.market]})
    markets = load_markets(config, synthetic_folder=None)
    train, valid = markets["train"], markets["valid"]
    report: dict[str, Any] = {
        "machine": machine(),
        "settings": vars(options),
        "makers": {name: score(valid, maker) for name, maker in makers(valid).items()},
        "scores": {kind: [] for kind in options.kinds},
    }
    print(json.dumps(report["makers"]), flush=True)
    for seed in range(options.seeds):
        for kind in options.kinds:
            curve, seconds = learn(train, valid, KINDS[kind], options, seed)
            report["scores"][kind].append(curve)
            print(f"seed {seed} {kind:9} {np.round(curve, 2)} in {seconds:.0f} s", flush=True)
        report["summary"] = summary(report["scores"])
        output.write_text(json.dumps(report, indent=1) + "\n")
    for line in report["summary"]:
        print(line)


def learn(
    train: Market, valid: Market, kind: dict[str, Any], options: argparse.Namespace, seed: int
) -> tuple[list[float], float]:
    """Return the scores along one training, and how long it took."""
    settings = TrainSettings.model_validate(
        {
            "net_arch": options.net,
            "batch_size": options.batch,
            "learning_rate": options.rate,
            "gamma": 0.98,
            "seed": seed,
            "total_timesteps": options.steps,
            **kind,
        }
    )
    training = Training(train, settings, device="cpu")
    started = time.perf_counter()
    scores = []
    for step in range(1, options.steps + 1):
        training.advance()
        if step % (options.steps // REPORTS) == 0:
            scores.append(score(valid, training.learner.policy()))
    return scores, time.perf_counter() - started


def makers(market: Market) -> dict[str, Policy]:
    """Return what learners are held against: simple makers, or the optimum where it is known."""
    if market.settings.market == "candles":
        return {"fixed_symmetric": FixedSymmetric(), "deviation_skew": DeviationSkew()}
    return baseline_policies(market, seed=0)


def score(market: Market, policy: Policy) -> float:
    """Return the mean score of the episodes that fit side by side."""
    length = market.settings.episode_length
    known = market.settings.market != "candles"
    starts = evaluation_starts(market, episodes=200 if known else 60, episode_length=length)
    sums = episode_sums(rollout(market, policy, starts))
    return float(np.mean(sums["reward" if known else "profit"]))


def summary(scores: dict[str, list[list[float]]]) -> list[str]:
    """Return a line per learner and report: mean with its interval, and against stock."""
    lines = []
    for kind, curves in scores.items():
        for number, values in enumerate(zip(*curves, strict=True), start=1):
            value, low, high = mean_interval(values)
            line = f"{kind} report {number}/{REPORTS}: {value:.2f} [{low}, {high}]"
            if kind != "sb3" and "sb3" in scores:
                stock = [curve[number - 1] for curve in scores["sb3"]][: len(values)]
                line += f", less stock: {mean_interval(np.subtract(values, stock))}"
            lines.append(line)
    return lines


if __name__ == "__main__":
    main()
