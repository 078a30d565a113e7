"""Show what a static symmetric quoter earns on candles under each fill model, before fees."""

import sys
from pathlib import Path

from makerlab.cli import ArgumentParser, run_command


def _parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a file of candles")
    parser.add_argument("--since", help="first day, such as 2024-12-01 (default: all)")
    parser.add_argument("--until", help="day after the last one, UTC (default: all)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse, play the quoter, show the table."""
    options = _parser().parse_args(argv)
    from tabulate import tabulate

    from makerlab.data.candles import load_candles
    from makerlab.data.split import slice_days
    from makerlab.evaluation.fill_table import fill_rows

    candles = slice_days(load_candles(options.data), since=options.since, until=options.until)
    sys.stdout.write(tabulate(fill_rows(candles), headers="keys", floatfmt=".3f") + "\n")
    return 0


if __name__ == "__main__":
    run_command(main)
