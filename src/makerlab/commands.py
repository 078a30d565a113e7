"""Commands beside trainings: flags in, one library call, exit code out. Scripts hold no more."""

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from makerlab.cli import ArgumentParser, show_line
from makerlab.errors import UserError
from makerlab.stage_commands import (
    DEVICES,
    add_logs_flag,
    add_set_flag,
    flags_of,
    help_of,
    positive,
)

if TYPE_CHECKING:
    from makerlab.runs.directory import RunDirectory


def evaluate_command(arguments: list[str] | None = None) -> int:
    """Judge a trained policy beside the baselines."""
    parser = ArgumentParser(description="Judge a trained policy beside all baselines.")
    parser.add_argument(
        "--model_path", type=Path, required=True, help="A run directory or its model.zip."
    )
    parser.add_argument(
        "--config", type=Path, help="Another environment; marked cross_env and never ranked."
    )
    parser.add_argument("--episodes", type=int, help=help_of("evaluate.episodes"))
    parser.add_argument("--output_dir", type=Path, help="Default: evaluation/ of the run.")
    parser.add_argument(
        "--fill_sensitivity",
        action="store_true",
        help="Judge under every fill model instead; writes fill_sensitivity.csv, .json and .png.",
    )
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="Where to compute.")
    add_set_flag(parser)
    add_logs_flag(parser)
    given = parser.parse_args(arguments)
    from makerlab.config.load import stored_config
    from makerlab.runs.directory import EvaluationDirectory, run_of
    from makerlab.runs.log import stage_log
    from makerlab.stages.resolve import check_fold, resolve_config

    run = run_of(given.model_path)
    model = given.model_path if given.model_path.suffix == ".zip" else run.best_model
    output = EvaluationDirectory(given.output_dir or _evaluation_folder(run.path, given.config))
    flags = flags_of(given, {"evaluate.episodes": given.episodes})
    source = given.config or run.config
    config = resolve_config(source, flags=flags, runs_dir=run.path.parents[1]).config
    if len(config.data_split.folds) > 1:
        # Another environment's walk-forward: the fold that the run was trained on.
        config = config.with_values({"data_split.fold": stored_config(run.config).data_split.fold})
    check_fold(config, source=source)
    with stage_log(given.logs_dir / f"{run.name}_eval.log") as report:
        from makerlab.learning.device import check_device
        from makerlab.stages.evaluate import evaluate

        # Playing a policy is a small matter for any processor.
        device = "cpu" if given.device == "auto" else check_device(given.device)
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
    parser.add_argument("--lines", type=positive, default=20, help="Lines shown first (20).")
    parser.add_argument(
        "--follow", action=argparse.BooleanOptionalAction, default=True, help="Wait for more."
    )
    parser.add_argument("--runs_dir", type=Path, default=Path("runs"), help="Where results are.")
    add_logs_flag(parser)
    given = parser.parse_args(arguments)
    from makerlab.matrix.status import configs_at_work
    from makerlab.runs.follow import follow, logs_of

    logs = logs_of(
        given.run,
        runs_dir=given.runs_dir,
        logs_dir=given.logs_dir,
        planned=configs_at_work(given.runs_dir),
    )
    if not any(log.path.is_file() for log in logs):
        show_line(f"{logs[0].path}: not begun yet; {given.logs_dir / 'matrix.log'} says what is")
    with contextlib.suppress(KeyboardInterrupt):
        for line in follow(logs, lines=given.lines, forever=given.follow):
            show_line(line)
    return 0


def compare_runs_command(arguments: list[str] | None = None) -> int:
    """Compare two runs, or two configs over all their seeds."""
    parser = ArgumentParser(
        description="Compare two runs: what differs in config, data, code and versions, metrics "
        "side by side, curves in one picture. Or two configs, all seeds of each: which earned "
        "more on test, paired by seed and by day."
    )
    parser.add_argument("first", metavar="A", help="A run, by directory or name, or a config name.")
    parser.add_argument("second", metavar="B", help="Another of the same kind.")
    parser.add_argument("--runs_dir", type=Path, default=Path("runs"), help="Where results are.")
    parser.add_argument("--plots_dir", type=Path, default=Path("plots"), help="Where plots go.")
    parser.add_argument(
        "--plots",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="Draw the curves of two runs.",
    )
    parser.add_argument("--json", action="store_true", help="Show it as JSON, draw nothing.")
    given = parser.parse_args(arguments)
    from makerlab.report.compare_configs import run_or_config

    first, second = (
        run_or_config(name, runs_dir=given.runs_dir) for name in (given.first, given.second)
    )
    if isinstance(first, str) and isinstance(second, str):
        return _compare_configs(first, second, given)
    for one, other in ((first, second), (second, first)):
        if isinstance(one, str) and not isinstance(other, str):
            raise UserError(
                f"'{one}': not a run, as {other.name} is; expected two runs or two configs"
            )
    assert not isinstance(first, str) and not isinstance(second, str)
    return _compare_runs(first, second, given)


def _compare_configs(first: str, second: str, given: argparse.Namespace) -> int:
    import json

    from makerlab.report.compare_configs import compare_configs
    from makerlab.report.compare_configs_view import (
        config_comparison_lines,
        config_comparison_record,
    )

    found = compare_configs(first, second, runs_dir=given.runs_dir)
    if given.json:
        show_line(json.dumps([config_comparison_record(each) for each in found], indent=2))
        return 0
    for number, each in enumerate(found):
        for line in ([""] if number else []) + list(config_comparison_lines(each)):
            show_line(line)
    return 0


def _compare_runs(first: "RunDirectory", second: "RunDirectory", given: argparse.Namespace) -> int:
    import json

    from makerlab.report.compare import compare
    from makerlab.report.compare_view import comparison_lines, comparison_record, draw_comparison

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
    parser.add_argument(
        "--storage",
        help="Where studies are kept: an Optuna URL, or journal:PATH (default: MAKERLAB_STORAGE, "
        "else optuna.db and optuna.journal in runs, whichever are there).",
    )
    parser.add_argument("--optuna_port", type=_port, default=8080, help="First port tried (8080).")
    parser.add_argument(
        "--tensorboard_port", type=_port, default=6006, help="First port tried (6006)."
    )
    given = parser.parse_args(arguments)
    from makerlab.runs.dashboards import dashboards_of, serve
    from makerlab.tuning.address import storages_of

    studies = storages_of(given.runs_dir, given.storage)
    ports = {name: getattr(given, name) for name in ("optuna_port", "tensorboard_port")}
    serve(dashboards_of(given.runs_dir, studies, **ports), show_line)
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


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1024 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"found '{text}', expected a port from 1024 to 65535")
    return int(text)
