"""Commands of the stages that train: flags in, one library call, exit code out."""

import argparse
import datetime
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makerlab.cli import ArgumentParser
from makerlab.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")

Report = Callable[[str], None]


@dataclass(frozen=True)
class Member:
    """A command, read: where it logs, and the course that does its work, see `stages.together`.

    `course` takes the function that logs a line, and by name what members of a group share.
    `check` raises what each of `jobs` processes would; `finished` says that all is done already.
    """

    log: Path
    prefix: str
    course: Callable[..., Any]
    jobs: int = 1
    check: Callable[[], None] = lambda: None
    finished: str | None = None


def tune_member(arguments: list[str] | None = None) -> Member:
    """Read the flags of a study."""
    parser = ArgumentParser(description="Tune the hyperparameters of one config with Optuna.")
    _add_config_flags(parser)
    parser.add_argument("--n_trials", type=int, help=help_of("tune.n_trials"))
    parser.add_argument("--train_timesteps", type=int, help=help_of("tune.train_timesteps"))
    parser.add_argument("--eval_episodes", type=int, help=help_of("tune.eval_episodes"))
    parser.add_argument("--eval_episode_length", type=int, help=help_of("tune.eval_episode_length"))
    parser.add_argument("--metric", help=help_of("tune.metric"))
    parser.add_argument("--seed", type=int, help=help_of("tune.seed"))
    parser.add_argument("--fold", type=int, help=help_of("data_split.fold"))
    parser.add_argument("--study_name", help="Study (default: config name and hash of its inputs).")
    parser.add_argument(
        "--storage",
        help="Where studies are kept: an Optuna URL, or journal:PATH on a shared file system "
        "(default: MAKERLAB_STORAGE, else the sqlite file optuna.db in runs).",
    )
    parser.add_argument(
        "--save_best_params",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="Write the best parameters at the end.",
    )
    parser.add_argument("--best_params_path", type=Path, help="Where to write them.")
    parser.add_argument("--jobs", type=positive, default=1, help="Processes on this study.")
    parser.add_argument(
        "--to_the_end",
        action="store_true",
        help="Wait for other processes on this study, until its result is there.",
    )
    given = parser.parse_args(arguments)
    names = (
        "n_trials",
        "train_timesteps",
        "eval_episodes",
        "eval_episode_length",
        "metric",
        "seed",
    )
    named = {f"tune.{name}": getattr(given, name) for name in names}
    flags = flags_of(given, named | {"data_split.fold": given.fold})
    resolved = _resolve(given, flags, params_path="none")

    from makerlab.runs.directory import tuning_directory
    from makerlab.stages.resolve import is_tuned
    from makerlab.tuning.address import own_storage, read_address, storage_in_environment

    algo, fold = resolved.config.train.algo, resolved.config.data_split.fold
    folder = tuning_directory(given.runs_dir, algo, resolved.name, fold=fold)
    study = {
        "runs_dir": given.runs_dir,
        "storage": given.storage or storage_in_environment() or own_storage(given.runs_dir),
        "study_name": given.study_name,
        "best_params": given.best_params_path or folder.best_params,
        "device": given.device,
    }

    def course(report: Report, **shared: Any) -> Any:
        from makerlab.stages.tune import tune_course

        return tune_course(
            resolved,
            **study,
            report=report,
            now=_now,
            save=given.save_best_params,
            to_the_end=given.to_the_end,
            **shared,
        )

    def check() -> None:
        from makerlab.stages.tune import check_study

        check_study(resolved, **study)

    target, finished = study["best_params"], None
    shown = None if given.storage is None else read_address(given.storage).public
    if given.study_name is None and is_tuned(resolved.config, target, storage=shown):
        finished = f"{target}: already holds the result of this study, nothing to do"
    log = given.logs_dir / f"{resolved.name}_tune.log"
    return Member(log, _prefix(fold=fold), course, jobs=given.jobs, check=check, finished=finished)


def tune_command(arguments: list[str] | None = None) -> int:
    """Tune a config's hyperparameters."""
    member = tune_member(arguments)
    from makerlab.runs.log import stage_log

    with stage_log(member.log, prefix=member.prefix) as report:
        if member.finished is not None:
            report(member.finished)
            return 0
        if member.jobs > 1:
            # What is wrong is said here, once; each process would say it again.
            member.check()
            from makerlab.stages.tune import tune_in_processes

            typed = sys.argv[1:] if arguments is None else arguments
            code = tune_in_processes([sys.argv[0], *typed], member.jobs)
            if code:
                return code
        _follow(member, report)
    return 0


def _follow(member: Member, report: Report) -> None:
    from makerlab.stages.together import alone

    alone(member.course(report))


def train_member(arguments: list[str] | None = None) -> Member:
    """Read the flags of a run."""
    parser = ArgumentParser(description="Train one run of a config, or continue one.")
    _add_config_flags(parser, required=False)
    parser.add_argument(
        "--params_path",
        help="Tuned parameters (default: those of this config when they exist; none: ignore them).",
    )
    parser.add_argument("--run_name", help=help_of("run.short_name"))
    parser.add_argument("--notes", help=help_of("run.notes"))
    parser.add_argument("--seed", type=int, help=help_of("train.seed"))
    parser.add_argument("--fold", type=int, help=help_of("data_split.fold"))
    parser.add_argument("--total_timesteps", type=int, help=help_of("train.total_timesteps"))
    parser.add_argument("--resume", type=Path, metavar="RUN_DIR", help="Continue this run.")
    parser.add_argument(
        "--reuse",
        action="store_true",
        help="Take a finished run of the same inputs, or continue an interrupted one.",
    )
    given = parser.parse_args(arguments)
    if given.resume is not None:
        return _resumed(given)
    if given.config is None:
        raise UserError("give --config, or --resume to continue a run")
    named = {
        "run.short_name": given.run_name,
        "run.notes": given.notes,
        "train.seed": given.seed,
        "data_split.fold": given.fold,
        "train.total_timesteps": given.total_timesteps,
    }
    flags = flags_of(given, named)
    resolved = _resolve(given, flags, params_path=given.params_path)

    def course(report: Report, **shared: Any) -> Any:
        from makerlab.stages.train import train_course

        return train_course(
            resolved,
            runs_dir=given.runs_dir,
            device=given.device,
            reuse=given.reuse,
            report=report,
            now=_now,
            **shared,
        )

    log = given.logs_dir / f"{resolved.name}_train.log"
    prefix = _prefix(fold=resolved.config.data_split.fold, seed=resolved.config.train.seed)
    return Member(log, prefix, course)


def train_command(arguments: list[str] | None = None) -> int:
    """Train one run of a config, or continue one."""
    member = train_member(arguments)
    from makerlab.runs.log import stage_log

    with stage_log(member.log, prefix=member.prefix) as report:
        _follow(member, report)
    return 0


def _resumed(given: argparse.Namespace) -> Member:
    from makerlab.runs.directory import run_of
    from makerlab.runs.manifest import RESUMABLE, read_manifest

    fixed = ("config", "profile", "data", "run_name", "notes", "seed", "fold", "total_timesteps")
    for name in fixed:
        if getattr(given, name) is not None:
            raise UserError(
                f"--{name} can't go with --resume: a run continues with its own settings"
            )
    if given.set:
        raise UserError("--set can't go with --resume: a run continues with its own settings")
    run = run_of(given.resume)
    manifest = read_manifest(run.manifest, needs=RESUMABLE)
    log = given.logs_dir / f"{manifest['config_name']}_train.log"

    def course(report: Report, **shared: Any) -> Any:
        from makerlab.stages.train import resume_course

        return resume_course(run, device=given.device, report=report, now=_now, **shared)

    return Member(log, _prefix(fold=manifest.get("fold"), seed=manifest["seed"]), course)


def _add_config_flags(parser: ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument("--config", type=Path, required=required, help="A YAML config.")
    parser.add_argument("--profile", help="An overlay in profiles/ beside the config, e.g. quick.")
    parser.add_argument("--data", help="A file of candles (or: synthetic) instead of the config's.")
    parser.add_argument("--runs_dir", type=Path, default=Path("runs"), help="Where results go.")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="Where to compute.")
    add_set_flag(parser)
    add_logs_flag(parser)


def add_set_flag(parser: ArgumentParser) -> None:
    """Add the flag that overrides any key."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="Override any key of the config; repeatable.",
    )


def add_logs_flag(parser: ArgumentParser) -> None:
    """Add the flag that says where logs go."""
    parser.add_argument("--logs_dir", type=Path, default=Path("logs"), help="Where logs go.")


def flags_of(given: argparse.Namespace, named: dict[str, Any]) -> dict[str, Any]:
    """Merge `--set` and the flags that have names; one key given by both is an error."""
    from makerlab.stages.resolve import parse_settings

    flags = parse_settings(given.set)
    for key, value in named.items():
        if value is not None and key in flags:
            raise UserError(f"--set {key} and the flag for it are both given; leave one out")
        if value is not None:
            flags[key] = value
    return flags


def _resolve(given: argparse.Namespace, flags: dict[str, Any], *, params_path: str | None) -> Any:
    from makerlab.stages.resolve import check_fold, resolve_config

    resolved = resolve_config(
        given.config,
        profile=given.profile,
        data=given.data,
        flags=flags,
        runs_dir=given.runs_dir,
        params_path=params_path,
    )
    check_fold(resolved.config, source=given.config)
    return resolved


def _prefix(*, fold: int | None, seed: int | None = None) -> str:
    """Return what a line of a log begins with when folds and seeds share the file."""
    parts = [
        f"{name} {value}" for name, value in (("fold", fold), ("seed", seed)) if value is not None
    ]
    return f"{' '.join(parts)}: " if parts else ""


def help_of(key: str) -> str:
    """Return a setting's own sentence."""
    from makerlab.config.load import describe

    return describe(key)


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"found '{text}', expected a whole number of at least 1")
    return int(text)


def _now() -> datetime.datetime:
    return datetime.datetime.now()
