"""Fit A and k of the fill intensity A exp(-k d) to trades or bars; write them as settings."""

import argparse
import math
import sys
from pathlib import Path

from makerlab.cli import ArgumentParser, run_command
from makerlab.errors import UserError


def _parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--tape", type=Path, help="raw capture of an exchange, for its trades")
    parser.add_argument("--candles", type=Path, help="file of candles instead")
    parser.add_argument("--market", choices=("usdm", "spot"), help="default: what the capture is")
    parser.add_argument("--symbol", help="of a capture that holds several")
    parser.add_argument(
        "--window_seconds",
        type=_positive,
        nargs="+",
        help="length of the windows of trades; the first is written (default: 1; candles: a bar)",
    )
    parser.add_argument(
        "--rolling_seconds", type=_positive, help="stretch of each rolling fit (default: a fifth)"
    )
    parser.add_argument(
        "--nearest_bps",
        type=_positive,
        help="nearest distance looked at (default: the median spread, at least 0.2; candles: 4/3 "
        "volatilities of a bar)",
    )
    parser.add_argument(
        "--farthest_bps",
        type=_positive,
        help="farthest distance looked at (default: 12.5 times that; candles: 4 volatilities)",
    )
    parser.add_argument(
        "--fill_rule",
        choices=("exact", "literal"),
        default="exact",
        help="a window is reached with probability 1 - exp(-W A exp(-k d)), as the kernel has it, "
        "or literally W A exp(-k d) (default: exact)",
    )
    parser.add_argument("--confidence", type=float, default=0.95, help="default: 0.95")
    parser.add_argument("--output", type=Path, required=True, help="YAML file to write")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse, fit, write the settings, show the table."""
    given = _parser().parse_args(argv)
    if (given.tape is None) == (given.candles is None):
        raise UserError("give exactly one of --tape and --candles")
    for name in ("window_seconds", "market", "symbol"):
        if given.candles is not None and getattr(given, name) is not None:
            raise UserError(f"--{name} is for --tape; candles have their bars")
    if not 0.5 < given.confidence < 1.0:
        raise UserError(f"--confidence: found {given.confidence}, expected one between 0.5 and 1")
    if given.output.suffix not in {".yaml", ".yml"}:
        raise UserError(f"--output: found '{given.output}', expected a .yaml file")
    from makerlab.calibration.calibrate import CalibrationRequest, calibrate
    from makerlab.calibration.text import table, to_yaml
    from makerlab.files import write_text

    request = CalibrationRequest(
        tape=given.tape,
        candles=given.candles,
        market=given.market,
        symbol=given.symbol,
        window_seconds=tuple(given.window_seconds or (1.0,)),
        rolling_seconds=given.rolling_seconds,
        nearest_bps=given.nearest_bps,
        farthest_bps=given.farthest_bps,
        rule=given.fill_rule,
        confidence=given.confidence,
    )
    calibration = calibrate(request)
    write_text(given.output, to_yaml(calibration, name=given.output.name))
    sys.stdout.write(f"{table(calibration)}\n{given.output}: written\n")
    return 0


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a number above 0")
    return value


if __name__ == "__main__":
    run_command(main)
