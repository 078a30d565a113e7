"""The stages' commands: flags in, one library call, exit code out. Scripts hold no more."""

import argparse
import contextlib
import datetime
import sys
from pathlib import Path
from typing import Any

from makerlab.cli import ArgumentParser, show_line
from makerlab.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")


def tune_command(arguments: list[str] | None = None) -> int:
    """Tune a config's hyperparameters."""
    parser = ArgumentParser(description="Tune the hyperparameters of one config with Optuna.")
    _add_config_flags(parser)
    parser.add_argument("--n_trials", type=int, help=_help("tune.n_trials"))
    parser.add_argument("--train_timesteps", type=int, help=_help("tune.train_timesteps"))
    parser.add_argument("--eval_episodes", type=int, help=_help("tune.eval_episodes"))
    parser.add_argument("--eval_episode_length", type=int, help=_help("tune.eval_episode_length"))
    parser.add_argument("--metric", help=_help("tune.metric"))
    parser.add_argument("--seed", type=int, help=_help("tune.seed"))
    parser.add_argument("--fold", type=int, help=_help("data_split.fold"))
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
    parser.add_argument("--jobs", type=_positive, default=1, help="Processes on this study.")
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
    flags = _flags(given, named | {"data_split.fold": given.fold})
    resolved = _resolve(given, flags, params_path="none")

    from makerlab.runs.directory import tuning_directory
    from makerlab.runs.log import stage_log
    from makerlab.stages.resolve import is_tuned
    from makerlab.tuning.address import storage_in_environment

    algo, fold = resolved.config.train.algo, resolved.config.data_split.fold
    folder = tuning_directory(given.runs_dir, algo, resolved.name, fold=fold)
    target = given.best_params_path or folder.best_params
    storage = (
        given.storage or storage_in_environment() or f"sqlite:///{given.runs_dir / 'optuna.db'}"
    )
    log = given.logs_dir / f"{resolved.name}_tune.log"
    with stage_log(log, prefix=_prefix(fold=fold)) as report:
        if given.study_name is None and given.storage is None and is_tuned(resolved.config, target):
            report(f"{target}: already holds the result of this study, nothing to do")
            return 0
        from makerlab.stages.tune import check_study, tune, tune_in_processes

        if given.jobs > 1:
            # What is wrong is said here, once; each process would say it again.
            check_study(
                resolved,
                runs_dir=given.runs_dir,
                storage=storage,
                study_name=given.study_name,
                best_params=target,
                device=given.device,
            )
            typed = sys.argv[1:] if arguments is None else arguments
            code = tune_in_processes([sys.argv[0], *typed], given.jobs)
            if code:
                return code
        tune(
            resolved,
            runs_dir=given.runs_dir,
            storage=storage,
            study_name=given.study_name,
            best_params=target,
            device=given.device,
            report=report,
            now=_now,
            save=given.save_best_params,
        )
    return 0


def train_command(arguments: list[str] | None = None) -> int:
    """Train one run of a config, or continue one."""
    parser = ArgumentParser(description="Train one run of a config, or continue one.")
    _add_config_flags(parser, required=False)
    parser.add_argument(
        "--params_path",
        help="Tuned parameters (default: those of this config when they exist; none: ignore them).",
    )
    parser.add_argument("--run_name", help=_help("run.short_name"))
    parser.add_argument("--notes", help=_help("run.notes"))
    parser.add_argument("--seed", type=int, help=_help("train.seed"))
    parser.add_argument("--fold", type=int, help=_help("data_split.fold"))
    parser.add_argument("--total_timesteps", type=int, help=_help("train.total_timesteps"))
    parser.add_argument("--resume", type=Path, metavar="RUN_DIR", help="Continue this run.")
    parser.add_argument(
        "--reuse",
        action="store_true",
        help="Take a finished run of the same inputs, or continue an interrupted one.",
    )
    given = parser.parse_args(arguments)
    if given.resume is not None:
        return _resume(given)
    if given.config is None:
        raise UserError("give --config, or --resume to continue a run")
    named = {
        "run.short_name": given.run_name,
        "run.notes": given.notes,
        "train.seed": given.seed,
        "data_split.fold": given.fold,
        "train.total_timesteps": given.total_timesteps,
    }
    flags = _flags(given, named)
    resolved = _resolve(given, flags, params_path=given.params_path)
    from makerlab.runs.log import stage_log

    log = given.logs_dir / f"{resolved.name}_train.log"
    prefix = _prefix(fold=resolved.config.data_split.fold, seed=resolved.config.train.seed)
    with stage_log(log, prefix=prefix) as report:
        from makerlab.stages.train import train

        train(
            resolved,
            runs_dir=given.runs_dir,
            device=given.device,
            reuse=given.reuse,
            report=report,
            now=_now,
        )
    return 0


def _resume(given: argparse.Namespace) -> int:
    from makerlab.runs.directory import run_of
    from makerlab.runs.log import stage_log
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
    with stage_log(log, prefix=_prefix(fold=manifest.get("fold"), seed=manifest["seed"])) as report:
        from makerlab.stages.train import resume

        resume(run, device=given.device, report=report, now=_now)
    return 0


def evaluate_command(arguments: list[str] | None = None) -> int:
    """Judge a trained policy beside the baselines."""
    parser = ArgumentParser(description="Judge a trained policy beside all baselines.")
    parser.add_argument(
        "--model_path", type=Path, required=True, help="A run directory or its model.zip."
    )
    parser.add_argument(
        "--config", type=Path, help="Another environment; marked cross_env and never ranked."
    )
    parser.add_argument("--episodes", type=int, help=_help("evaluate.episodes"))
    parser.add_argument("--output_dir", type=Path, help="Default: evaluation/ of the run.")
    parser.add_argument(
        "--fill_sensitivity",
        action="store_true",
        help="Judge under every fill model instead; writes fill_sensitivity.csv, .json and .png.",
    )
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="Where to compute.")
    _add_set_flag(parser)
    _add_logs_flag(parser)
    given = parser.parse_args(arguments)
    from makerlab.config.load import stored_config
    from makerlab.runs.directory import EvaluationDirectory, run_of
    from makerlab.runs.log import stage_log
    from makerlab.stages.resolve import check_fold, resolve_config

    run = run_of(given.model_path)
    model = given.model_path if given.model_path.suffix == ".zip" else run.best_model
    output = EvaluationDirectory(given.output_dir or _evaluation_folder(run.path, given.config))
    flags = _flags(given, {"evaluate.episodes": given.episodes})
    source = given.config or run.config
    config = resolve_config(source, flags=flags, runs_dir=run.path.parents[1]).config
    if len(config.data_split.folds) > 1:
        # Another environment's walk-forward: the fold that the run was trained on.
        config = config.with_values({"data_split.fold": stored_config(run.config).data_split.fold})
    check_fold(config, source=source)
    with stage_log(given.logs_dir / f"{run.name}_eval.log") as report:
        from makerlab.learning.device import choose_device
        from makerlab.stages.evaluate import evaluate

        device = choose_device(given.device)
        if given.config is not None:
            report(f"warning: judged in the environment of {given.config}, not in the run's own")
        if given.fill_sensitivity:
            from makerlab.stages.fill_sensitivity import fill_sensitivity

            fill_sensitivity(
                run, model=model, config=config, output=output, device=device, report=report
            )
            return 0
        evaluate(
            run,
            model=model,
            config=config,
            cross_config=given.config,
            output=output,
            device=device,
            report=report,
        )
    return 0


def follow_log_command(arguments: list[str] | None = None) -> int:
    """Show the log of a run or a config, and follow it until Ctrl-C."""
    parser = ArgumentParser(description="Show the log of a run or a config, and follow it.")
    parser.add_argument("run", help="A run directory, its name or a part of it, or a config name.")
    parser.add_argument("--lines", type=_positive, default=20, help="Lines shown first (20).")
    parser.add_argument(
        "--follow", action=argparse.BooleanOptionalAction, default=True, help="Wait for more."
    )
    parser.add_argument("--runs_dir", type=Path, default=Path("runs"), help="Where results are.")
    _add_logs_flag(parser)
    given = parser.parse_args(arguments)
    from makerlab.runs.follow import follow, logs_of

    logs = logs_of(given.run, runs_dir=given.runs_dir, logs_dir=given.logs_dir)
    with contextlib.suppress(KeyboardInterrupt):
        for line in follow(logs, lines=given.lines, forever=given.follow):
            show_line(line)
    return 0


def compare_runs_command(arguments: list[str] | None = None) -> int:
    """Compare two runs."""
    parser = ArgumentParser(
        description="Compare two runs: what differs in config, data, code and versions, metrics "
        "side by side, curves in one picture."
    )
    parser.add_argument("first", type=Path, metavar="A", help="A run directory.")
    parser.add_argument("second", type=Path, metavar="B", help="Another.")
    parser.add_argument("--plots_dir", type=Path, default=Path("plots"), help="Where plots go.")
    parser.add_argument(
        "--plots", action=argparse.BooleanOptionalAction, default=True, help="Draw the curves."
    )
    parser.add_argument("--json", action="store_true", help="Show it as JSON, draw nothing.")
    given = parser.parse_args(arguments)
    import json

    from makerlab.report.compare import compare
    from makerlab.report.compare_view import comparison_lines, comparison_record, draw_comparison
    from makerlab.runs.directory import run_of

    first, second = run_of(given.first), run_of(given.second)
    found = compare(first, second)
    if given.json:
        show_line(json.dumps(comparison_record(found), indent=2))
        return 0
    for line in comparison_lines(found):
        show_line(line)
    if given.plots:
        for path in draw_comparison(found, first, second, plots_dir=given.plots_dir):
            show_line(f"{path}: written")
    return 0


def dashboards_command(arguments: list[str] | None = None) -> int:
    """Start dashboards on the studies and the runs, until Ctrl-C."""
    parser = ArgumentParser(
        description="Start optuna-dashboard on the studies and TensorBoard on the runs, on this "
        "machine only, until Ctrl-C."
    )
    parser.add_argument("--runs_dir", type=Path, default=Path("runs"), help="Where results are.")
    parser.add_argument("--storage", help="Optuna URL (default: optuna.db in the runs).")
    parser.add_argument("--optuna_port", type=_port, default=8080, help="First port tried (8080).")
    parser.add_argument(
        "--tensorboard_port", type=_port, default=6006, help="First port tried (6006)."
    )
    given = parser.parse_args(arguments)
    from makerlab.runs.dashboards import dashboards_of, serve

    serve(dashboards_of(**vars(given)), show_line)
    return 0


def export_mlflow_command(arguments: list[str] | None = None) -> int:
    """Export finished runs to an MLflow database."""
    parser = ArgumentParser(
        description="Export finished runs to an MLflow database, one sqlite file; look at it with "
        "mlflow ui --backend-store-uri sqlite:///FILE."
    )
    parser.add_argument("--runs_dir", type=Path, default=Path("runs"), help="Where results are.")
    parser.add_argument(
        "--output", type=Path, default=Path("mlflow.db"), help="The database (mlflow.db)."
    )
    parser.add_argument("--experiment", default="makerlab", help="Experiment's name (makerlab).")
    given = parser.parse_args(arguments)
    from makerlab.report.mlflow_export import export_runs

    export_runs(given.runs_dir, given.output, experiment=given.experiment, report=show_line)
    return 0


def warm_up_command(arguments: list[str] | None = None) -> int:
    """Compile what trainings need."""
    parser = ArgumentParser(
        description="Import and compile all that stages need, by a training of a moment. Compiled "
        "code stays on disk, so whatever comes next begins at once."
    )
    parser.parse_args(arguments)
    from makerlab.stages.warm_up import warm_up

    warm_up()
    return 0


def _evaluation_folder(run: Path, cross_config: Path | None) -> Path:
    """Keep another environment's evaluation apart from the run's own."""
    return run / ("evaluation" if cross_config is None else f"evaluation_{cross_config.stem}")


def _add_config_flags(parser: ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument("--config", type=Path, required=required, help="A YAML config.")
    parser.add_argument("--profile", help="An overlay in profiles/ beside the config, e.g. quick.")
    parser.add_argument("--data", help="A file of candles (or: synthetic) instead of the config's.")
    parser.add_argument("--runs_dir", type=Path, default=Path("runs"), help="Where results go.")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="Where to compute.")
    _add_set_flag(parser)
    _add_logs_flag(parser)


def _add_set_flag(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="Override any key of the config; repeatable.",
    )


def _add_logs_flag(parser: ArgumentParser) -> None:
    parser.add_argument("--logs_dir", type=Path, default=Path("logs"), help="Where logs go.")


def _flags(given: argparse.Namespace, named: dict[str, Any]) -> dict[str, Any]:
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


def _help(key: str) -> str:
    """Return a setting's own sentence."""
    from makerlab.config.load import describe

    return describe(key)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"found '{text}', expected a whole number of at least 1")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1024 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"found '{text}', expected a port from 1024 to 65535")
    return int(text)


def _now() -> datetime.datetime:
    return datetime.datetime.now()
