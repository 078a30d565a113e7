"""Play a policy on a simulated market whose best quotes are known; show what it earns."""

import argparse
import sys
from typing import Any

from makerlab.cli import ArgumentParser, run_command

MARKETS = ("avellaneda_stoikov", "cartea_jaimungal")
POLICIES = ("inventory", "symmetric", "constant_depth", "optimal", "random", "none")

# Flags of the market, and the keys of env.simulated that they set.
FLAGS = {
    "gamma": "risk_aversion",
    "mid": "mid",
    "sigma": "volatility",
    "horizon": "horizon",
    "buy_intensity": "buy_intensity",
    "sell_intensity": "sell_intensity",
    "decay": "decay",
    "running_penalty": "running_penalty",
    "terminal_penalty": "terminal_penalty",
    "min_depth": "min_depth",
    "max_depth": "max_depth",
    "signal_strength": "signal_strength",
    "signal_switching": "signal_switching",
}


def _parser() -> ArgumentParser:
    from makerlab.config.load import describe

    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--market", choices=MARKETS, required=True, help="which market")
    parser.add_argument("--policy", choices=POLICIES, required=True, help="who quotes")
    parser.add_argument("--paths", type=_paths, default=20_000, help="episodes (20000)")
    parser.add_argument("--seed", type=int, default=0, help=describe("env.simulated.seed"))
    parser.add_argument("--steps", type=int, help="steps of an episode (200)", default=200)
    parser.add_argument(
        "--inventory_cap", type=int, default=100, help="largest absolute position (100)"
    )
    parser.add_argument("--fee_rate", type=float, default=0.0, help=describe("env.fee_rate"))
    parser.add_argument(
        "--fill_rule",
        choices=("literal", "exact"),
        default="literal",
        help=describe("env.simulated.fill_rule"),
    )
    for flag, key in FLAGS.items():
        parser.add_argument(f"--{flag}", type=float, help=describe(f"env.simulated.{key}"))
    parser.add_argument("--depth", type=float, help="of constant_depth (1/decay), currency")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse, simulate, print."""
    given = _parser().parse_args(argv)
    from makerlab.evaluation.simulation import simulated_settings, simulation_report

    market: dict[str, Any] = {
        key: getattr(given, flag) for flag, key in FLAGS.items() if getattr(given, flag) is not None
    }
    settings = simulated_settings(
        given.market,
        steps=given.steps,
        inventory_cap=given.inventory_cap,
        fee_rate=given.fee_rate,
        market={**market, "fill_rule": given.fill_rule, "seed": given.seed},
    )
    text = simulation_report(
        settings, given.policy, paths=given.paths, depth=given.depth, as_json=given.json
    )
    sys.stdout.write(f"{text}\n")
    return 0


def _paths(text: str) -> int:
    if not text.isdigit() or not 2 <= int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError(f"found '{text}', expected 2 to 10000000 paths")
    return int(text)


if __name__ == "__main__":
    run_command(main)
