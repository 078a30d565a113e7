"""The matrix's commands: flags in, one library call, exit code out."""

import argparse
import sys
import time
from pathlib import Path

from makerlab.cli import ArgumentParser
from makerlab.matrix.options import (
    MatrixOptions,
    parse_group_size,
    parse_jobs,
    parse_seeds,
    parse_stages,
)
from makerlab.stage_commands import DEVICES

DEFAULTS = MatrixOptions()


def matrix_command(arguments: list[str] | None = None, *, root: Path) -> int:
    """Run a matrix; `root` is the folder of the scripts."""
    parser = ArgumentParser(description="Tune, train, evaluate and compare configs.")
    _add_plan_flags(parser)
    parser.add_argument(
        "--jobs", type=parse_jobs, default=DEFAULTS.jobs, help="Processes at once (default: 2)."
    )
    parser.add_argument(
        "--group_size",
        type=parse_group_size,
        default=DEFAULTS.group_size,
        metavar="auto|N",
        help="Runs, or studies, of one shape per process (default: auto: one on a CPU, where more "
        "save nothing, all on a GPU that fit; 8 in a cluster's job with a whole GPU).",
    )
    parser.add_argument(
        "--device", choices=DEVICES, default=DEFAULTS.device, help="Where to compute."
    )
    _add_folder(parser, "logs_dir", "Where logs go.")
    _add_folder(parser, "plots_dir", "Where plots go.")
    parser.add_argument(
        "--stages",
        type=parse_stages,
        default=DEFAULTS.stages,
        help="Some of tune,train,evaluate,analyze (default: all).",
    )
    parser.add_argument(
        "--launcher",
        default=DEFAULTS.launcher,
        metavar="NAME",
        help="Where jobs run: local (default), debug, slurm, ray, or another file in "
        "configs/launchers.",
    )
    parser.add_argument(
        "--debugger", action="store_true", help="Stop where a stage fails (--launcher debug)."
    )
    parser.add_argument(
        "--dry_run", action="store_true", help="Show commands and batch scripts, start nothing."
    )
    given = vars(parser.parse_args(arguments))
    dry_run = given.pop("dry_run")
    options = MatrixOptions(**given)
    if dry_run:
        from makerlab.matrix.dry_run import show_matrix

        return show_matrix(options, root=root, output=sys.stdout)
    from makerlab.matrix.drive import run_matrix

    return run_matrix(options, root=root, output=sys.stdout)


def status_command(arguments: list[str] | None = None) -> int:
    """Show how a matrix stands, once or again and again; nothing is written."""
    parser = ArgumentParser(
        description="Show what is done, running, failed and pending in the last matrix; with "
        "--targets, --profile, --data or --seeds, in the one they describe."
    )
    _add_plan_flags(parser, given_only=True)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="Show it as JSON.")
    shown.add_argument(
        "--watch",
        type=_seconds,
        nargs="?",
        const=2.0,
        metavar="SECONDS",
        help="Show it anew every so many seconds (2) until Ctrl-C.",
    )
    given = vars(parser.parse_args(arguments))
    as_json, every = given.pop("json"), given.pop("watch")
    runs_dir = given.pop("runs_dir", DEFAULTS.runs_dir)
    from makerlab.matrix.status import read_matrix_status
    from makerlab.matrix.status_text import refresh, to_json, to_text

    if every is None:
        status = read_matrix_status(runs_dir, given, metrics=as_json)
        sys.stdout.write(to_json(status) if as_json else to_text(status))
        return 0
    refresh(
        lambda: to_text(read_matrix_status(runs_dir, given, metrics=False)),
        sys.stdout,
        every=every,
        sleep=time.sleep,
    )
    return 0


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.1 <= number <= 3600.0:
        raise argparse.ArgumentTypeError(f"found '{text}', expected 0.1 to 3600 seconds")
    return number


def _add_plan_flags(parser: ArgumentParser, *, given_only: bool = False) -> None:
    """Add the flags that say which matrix; `given_only` leaves out those that were not given."""

    def default(name: str) -> object:
        return argparse.SUPPRESS if given_only else getattr(DEFAULTS, name)

    parser.add_argument(
        "--targets", type=Path, default=default("targets"), help="A list of configs, one per line."
    )
    parser.add_argument(
        "--seeds", type=parse_seeds, default=default("seeds"), help="Such as '0 1 2'."
    )
    parser.add_argument(
        "--profile", default=default("profile"), help="quick (default), hour, day, or '' for none."
    )
    parser.add_argument(
        "--data", default=default("data"), help="A file of candles for all configs."
    )
    parser.add_argument(
        "--runs_dir", type=Path, default=default("runs_dir"), help="Where results are."
    )


def _add_folder(parser: ArgumentParser, name: str, text: str) -> None:
    parser.add_argument(f"--{name}", type=Path, default=getattr(DEFAULTS, name), help=text)
