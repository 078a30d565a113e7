"""Show what naive and skilled makers earn on the synthetic market."""

import sys

from makerlab.cli import ArgumentParser, run_command


def _parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seed",
        type=int,
        nargs="+",
        default=[7, 8, 9],
        help="seeds of the market (default: 7 8 9)",
    )
    parser.add_argument("--days", type=int, default=60, help="length of each (default: 60)")
    parser.add_argument(
        "--reversion_strength",
        type=float,
        help="share of a return's variance that passes; 0 is the market without skill",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse, play the makers, show the table."""
    options = _parser().parse_args(argv)
    from tabulate import tabulate

    from makerlab.evaluation.synthetic_table import synthetic_rows

    given = {"days": options.days, "reversion_strength": options.reversion_strength}
    values = {key: value for key, value in given.items() if value is not None}
    rows = synthetic_rows(values, seeds=options.seed)
    sys.stdout.write(tabulate(rows, headers="keys", floatfmt="+.2f") + "\n")
    return 0


if __name__ == "__main__":
    run_command(main)
