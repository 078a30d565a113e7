"""Replay a run's policies on a recorded order book with hftbacktest, beside the candle model."""

import argparse
import math
from pathlib import Path

from makerlab.cli import ArgumentParser, run_command, show_line

QUEUES = ("risk_adverse", "log_prob", "log_prob2", "power_prob", "power_prob2", "power_prob3")


def _parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model_path", type=Path, required=True, help="a run directory or its model.zip"
    )
    parser.add_argument("--tape", type=Path, required=True, help="raw capture of an exchange")
    parser.add_argument(
        "--queue",
        choices=QUEUES,
        default="risk_adverse",
        help="who cancels before a resting order: nobody (risk_adverse, the default), or a share "
        "by hftbacktest's other models",
    )
    parser.add_argument(
        "--latency_ms",
        type=_not_negative,
        default=10.0,
        help="time of an order to the exchange, and of its answer back (default: 10)",
    )
    parser.add_argument(
        "--feed_latency_ms",
        type=_not_negative,
        help="added to the capture's own feed latency, whose fastest message takes none "
        "(default: latency_ms)",
    )
    parser.add_argument(
        "--exchange",
        choices=("partial_fill", "whole_fill"),
        default="partial_fill",
        help="a trade at the order's price fills what it traded beyond the queue (default), or "
        "the order whole",
    )
    parser.add_argument("--market", choices=("usdm", "spot"), help="default: what the capture is")
    parser.add_argument("--symbol", help="of a capture that holds several")
    parser.add_argument(
        "--policy",
        nargs="+",
        default=["policy"],
        metavar="NAME",
        help="policy (the learned one, default) and baselines, such as fixed_symmetric",
    )
    parser.add_argument(
        "--step_seconds",
        type=_step,
        help="time between decisions and length of the bars they see (default: the run's own bar "
        "where the capture is long enough, else 1)",
    )
    parser.add_argument("--tick_size", type=_positive, help="default: read off the prices")
    parser.add_argument("--lot_size", type=_positive, help="default: read off the quantities")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="another environment than the run's, such as env.base_spread_bps=1; repeatable",
    )
    parser.add_argument("--output_dir", type=Path, help="default: replay/ of the run")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse, replay, show the table."""
    given = _parser().parse_args(argv)
    from makerlab.replay.text import table
    from makerlab.runs.directory import ReplayDirectory, run_of
    from makerlab.stages.resolve import parse_settings, resolve_config

    run = run_of(given.model_path)
    flags = parse_settings(given.set)
    config = resolve_config(run.config, flags=flags, runs_dir=run.path.parents[1]).config
    output = ReplayDirectory(given.output_dir or run.path / "replay")
    from makerlab.stages.replay import ReplayRequest, replay

    request = ReplayRequest(
        tape=given.tape,
        queue=given.queue,
        latency_ms=given.latency_ms,
        feed_latency_ms=given.feed_latency_ms,
        exchange=given.exchange,
        market=given.market,
        symbol=given.symbol,
        policies=tuple(dict.fromkeys(given.policy)),
        step_seconds=given.step_seconds,
        tick_size=given.tick_size,
        lot_size=given.lot_size,
    )
    model = given.model_path if given.model_path.suffix == ".zip" else run.best_model
    record = replay(run, request, model=model, config=config, output=output, report=show_line)
    show_line(table(record))
    show_line(f"{output.record}: written")
    return 0


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _positive(text: str) -> float:
    if not 0.0 < (value := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a number above 0")
    return value


def _not_negative(text: str) -> float:
    if not 0.0 <= (value := _number(text)) <= 60_000.0:
        raise argparse.ArgumentTypeError(f"found '{text}', expected 0 to 60000 ms")
    return value


def _step(text: str) -> float:
    value = _number(text)
    if not 0.01 <= value < math.inf or abs(value * 1000 - round(value * 1000)) > 1e-9:
        raise argparse.ArgumentTypeError(f"found '{text}', expected whole ms, 0.01 s at least")
    return value


if __name__ == "__main__":
    run_command(main)
