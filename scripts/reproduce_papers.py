"""Print the tables of the papers beside our own numbers; exit code 1 when one does not fit."""

import argparse
import sys

from makerlab.cli import ArgumentParser, run_command
from makerlab.errors import Failed


def main(argv: list[str] | None = None) -> int:
    """Parse, compute and simulate, show the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--paths", type=_paths, default=20_000, help="paths per row (20000)")
    parser.add_argument("--seed", type=_seed, default=0, help="seed of the paths (0)")
    given = parser.parse_args(argv)
    from makerlab.evaluation.papers import compare_with_papers, table

    found = list(compare_with_papers(paths=given.paths, seed=given.seed))
    sys.stdout.write(f"{table(found)}\n")
    failed = [row for row in found if not row.passed]
    if failed:
        names = "; ".join(f"{row.source}, {row.what}" for row in failed)
        raise Failed(f"{len(failed)} of {len(found)} figures do not fit: {names}")
    sys.stdout.write(f"all {len(found)} figures pass; simulated over {given.paths:,} paths each\n")
    return 0


def _paths(text: str) -> int:
    if not text.isdigit() or not 100 <= int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError(f"found '{text}', expected 100 to 10000000 paths")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdigit() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a whole number from 0")
    return int(text)


if __name__ == "__main__":
    run_command(main)
