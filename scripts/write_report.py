"""Write the report: one page of all runs and one page per run, to open in a browser."""

from pathlib import Path

from makerlab.cli import ArgumentParser, run_command, show_line


def _parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs_dir", type=Path, default=Path("runs"), help="directory of runs (default: runs)"
    )
    parser.add_argument(
        "--sort_by",
        metavar="COLUMN",
        help="metric column that ranks the runs, such as valid_sharpe (default: valid_net_profit; "
        "valid_objective on simulated markets)",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse, write the pages, say where they are and what could not be read."""
    options = _parser().parse_args(argv)
    from makerlab.stages.report import write_report

    result = write_report(options.runs_dir, sort_by=options.sort_by, report=show_line)
    for problem in result.problems:
        show_line(f"warning: {problem}")
    return 0


if __name__ == "__main__":
    run_command(main)
