"""Put all runs into one table, rank those that may be compared, draw how settings matter."""

import argparse
from pathlib import Path

from makerlab.cli import ArgumentParser, run_command, show_line


def _parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs_dir", type=Path, default=Path("runs"), help="directory of runs (default: runs)"
    )
    parser.add_argument(
        "--plots_dir", type=Path, default=Path("plots"), help="where plots go (default: plots)"
    )
    parser.add_argument(
        "--sort_by",
        metavar="COLUMN",
        help="metric column that ranks the runs, such as valid_sharpe (default: valid_net_profit; "
        "valid_objective on simulated markets)",
    )
    parser.add_argument(
        "--top_k", type=_rows, default=10, help="rows shown per table, 0 for all (default: 10)"
    )
    parser.add_argument(
        "--plot_param", metavar="KEY", help="setting to plot (default: each that varies)"
    )
    parser.add_argument(
        "--plot_metric",
        metavar="COLUMN",
        help="metric to plot (default: valid_net_profit; valid_objective on simulated markets)",
    )
    parser.add_argument(
        "--spreadsheet",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="write runs_summary.xlsx too (default: for at most 1,000 runs)",
    )
    parser.add_argument(
        "--report",
        dest="pages",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="write report.html and a page per run too (default: for at most 100 runs)",
    )
    return parser


def _rows(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"found '{text}', expected a whole number, 0 for all")
    return int(text)


def main(argv: list[str] | None = None) -> int:
    """Parse, analyze, show the tables line by line."""
    options = _parser().parse_args(argv)
    from makerlab.stages.analyze import analyze

    analyze(**vars(options), report=show_line)
    return 0


if __name__ == "__main__":
    run_command(main)
