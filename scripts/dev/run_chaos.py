"""Run a small matrix while its parts are killed at random; it must end as one left alone."""

import sys
import tempfile
from pathlib import Path

from makerlab.cli import ArgumentParser, run_command

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Parse, run the rounds, tell the verdict; 1 when anything differs."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="How long to kill (default: 10)."
    )
    parser.add_argument("--seed", type=int, default=0, help="Of what is killed when (default: 0).")
    parser.add_argument(
        "--launcher", choices=("local", "slurm", "ray"), default="local", help="Where jobs run."
    )
    parser.add_argument(
        "--storage",
        choices=("own", "journal", "postgresql"),
        default="own",
        help="Where studies are kept: where the launcher keeps them by itself (default), or in a "
        "PostgreSQL, which is killed too.",
    )
    parser.add_argument(
        "--configs", type=int, choices=(1, 2, 3), default=2, help="Configs (default: 2)."
    )
    parser.add_argument(
        "--steps", type=int, default=16_000, help="Steps of a training (default: 16000)."
    )
    parser.add_argument("--folder", type=Path, help="Where it happens (default: a new folder).")
    given = parser.parse_args()
    from makerlab.chaos.rounds import ChaosOptions, run_chaos
    from makerlab.chaos.verdict import tell

    def report(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    folder = given.folder or Path(tempfile.mkdtemp(prefix="makerlab_chaos_"))
    options = ChaosOptions(**{**vars(given), "folder": folder}, root=ROOT)
    return tell(run_chaos(options, report=report), report=report)


if __name__ == "__main__":
    run_command(main)
