"""Compare learned policies with the optimum of a simulated market: objectives, depths, a plot."""

import argparse
from pathlib import Path

from makerlab.cli import ArgumentParser, run_command, show_line


def main(argv: list[str] | None = None) -> int:
    """Parse, compare, show the mean over runs."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model_path",
        type=Path,
        nargs="+",
        required=True,
        metavar="RUN",
        help="runs of one simulated market, such as the seeds of a config",
    )
    parser.add_argument(
        "--episodes", type=_episodes, default=20_000, help="test episodes (default: 20000)"
    )
    parser.add_argument(
        "--output_dir", type=Path, required=True, help="where the table and the plot go"
    )
    given = parser.parse_args(argv)
    from makerlab.runs.directory import OptimumDirectory, run_of

    runs = [run_of(path) for path in given.model_path]
    output = OptimumDirectory(given.output_dir)
    from makerlab.stages.optimum import compare_with_optimum

    record = compare_with_optimum(runs, episodes=given.episodes, output=output, report=show_line)
    mean = record["mean_over_runs"]
    interval = "" if mean["low"] is None else f" [{mean['low']:.4f}, {mean['high']:.4f}]"
    show_line(f"mean over {len(runs)} runs: {mean['value']:.4f}{interval}")
    show_line(f"{output.record}: written")
    return 0


def _episodes(text: str) -> int:
    if not text.isdigit() or not 100 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"found '{text}', expected 100 to 1000000 episodes")
    return int(text)


if __name__ == "__main__":
    run_command(main)
