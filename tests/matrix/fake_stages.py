"""Stages that do in a moment what the real ones do in hours: same flags, same files, same keys.

A config's `run.notes` says what goes wrong, such as `train fails` or `tune sleeps`.
"""

import argparse
import contextlib
import datetime
import io
import json
import os
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from makerlab.cli import exit_code_of, run_command
from makerlab.config import Config, load_config
from makerlab.config.load import read_yaml, validate_config
from makerlab.errors import UserError
from makerlab.files import write_json, write_text
from makerlab.runs import keys
from makerlab.runs.directory import RunDirectory, create_run_directory, tuning_directory
from makerlab.runs.owner import this_process
from makerlab.runs.progress import StatusFile
from makerlab.runs.stopping import StopRequest
from makerlab.stages.resolve import parse_settings, resolve_config

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = {
    "tune": "tune_mm_sac.py",
    "train": "train_mm_sac.py",
    "evaluate": "scripts/evaluate_policy.py",
    "analyze": "scripts/analyze_experiments.py",
    "warm_up": "scripts/warm_up.py",
    "group": "scripts/run_group.py",
}


def install(root: Path) -> Path:
    """Write the stages' scripts, and a copy of the matrix's own, under `root`; returns that one."""
    (root / "scripts").mkdir(parents=True)
    for stage, name in SCRIPTS.items():
        lines = [
            "import sys",
            f"sys.path.insert(0, {str(Path(__file__).parent)!r})",
            "import fake_stages",
            f"fake_stages.main({stage!r})",
        ]
        (root / name).write_text("\n".join(lines) + "\n")
    return Path(shutil.copy(REPOSITORY / "scripts" / "run_matrix.py", root / "scripts"))


def main(stage: str) -> None:
    """Run a stage and leave with its exit code."""
    if stage == "group":
        run_command(_group)
    parser = _parser()
    given = parser.parse_args()
    run_command(lambda: _STAGES[stage](given))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    for flag in (
        "config",
        "profile",
        "data",
        "runs_dir",
        "logs_dir",
        "plots_dir",
        "device",
        "storage",
    ):
        parser.add_argument(f"--{flag}")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--fold", type=int)
    parser.add_argument("--model_path", type=Path)
    parser.add_argument("--reuse", action="store_true")
    parser.add_argument("--to_the_end", action="store_true")
    parser.add_argument("--set", action="append", default=[])
    return parser


def _group() -> int:
    """Do what members do, one after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--stage")
    parser.add_argument("--outcomes", type=Path)
    parser.add_argument("--member", action="append")
    given = parser.parse_args()
    codes = []
    for number, flags in enumerate(given.member):
        member = _parser().parse_args(shlex.split(flags))
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            code = exit_code_of(lambda member=member: _STAGES[given.stage](member))
        sys.stderr.write(errors.getvalue())
        record = {"member": number, "status": code, "lines": errors.getvalue().splitlines()}
        with given.outcomes.open("a") as file:
            file.write(f"{json.dumps(record)}\n")
        codes.append(code)
    return max(codes)


def best_params(config: Config, **params: Any) -> dict[str, Any]:
    """Return what tuning writes at its end."""
    return {
        "tune_key": keys.tune_key(config),
        "environment_key": keys.environment_key(config),
        "params": params,
        "study": "study",
        "storage": "sqlite:///runs/optuna.db",
        "trial": 0,
        "score": 1.0,
        "n_trials": config.tune.n_trials,
        "rescored": {"value": 0.5, "low": None, "high": None},
    }


def _tune(given: argparse.Namespace) -> int:
    config = _config(given, None)
    place = tuning_directory(Path(given.runs_dir), "SAC", Path(given.config).stem, fold=given.fold)
    place.path.mkdir(parents=True, exist_ok=True)
    status = StatusFile(place.status, total=config.tune.n_trials, unit="trials")
    said = {"stage": "tune", "tune_key": keys.tune_key(config)}
    status.write(0, force=True, state="running", owner=this_process(), best=None, **said)
    _misbehave(config, "tune")
    write_json(place.best_params, best_params(config, learning_rate=0.001))
    done = config.tune.n_trials
    status.write(done, force=True, state="complete", owner=None, best=1.0, **said)
    return 0


def _train(given: argparse.Namespace) -> int:
    config = _config(given, given.seed)
    run = create_run_directory(
        Path(given.runs_dir),
        algo="SAC",
        short_name=config.run.short_name,
        seed=config.train.seed,
        now=datetime.datetime.now,
        fold=given.fold,
    )
    manifest: dict[str, Any] = {
        "state": "running",
        "config_name": Path(given.config).stem,
        "train_key": keys.train_key(config),
        "owner": this_process(),
        "error": None,
        "config": config.to_dict(),
    }
    write_text(run.config, config.to_yaml())
    write_json(run.manifest, manifest)
    StatusFile(run.status, total=100, unit="steps").write(40, force=True, last_metric=1.5)
    try:
        _misbehave(config, "train")
    except ValueError as error:
        failed = {"state": "failed", "error": {"message": str(error), "last_lines": []}}
        write_json(run.manifest, manifest | failed)
        raise
    write_json(run.manifest, manifest | {"state": "complete", "owner": None})
    return 0


def _evaluate(given: argparse.Namespace) -> int:
    run = RunDirectory(given.model_path)
    stored = validate_config(read_yaml(run.config), source="stored")
    config = stored.with_values(parse_settings(given.set))
    _misbehave(config, "evaluate")
    write_json(run.evaluation.metrics, {"evaluate_key": keys.evaluate_key(config)})
    return 0


def _analyze(given: argparse.Namespace) -> int:
    runs = sorted(Path(given.runs_dir).glob("*/*/manifest.json"))
    write_text(Path(given.runs_dir) / "runs_summary.csv", f"runs\n{len(runs)}\n")
    table = f"a table of {len(runs)} runs\n"
    write_text(Path(given.runs_dir) / "runs_summary.txt", table)
    sys.stdout.write(table)
    return 0


def _config(given: argparse.Namespace, seed: int | None) -> Config:
    flags = {"train.seed": seed, "data_split.fold": given.fold}
    return resolve_config(
        Path(given.config),
        profile=given.profile,
        data=given.data,
        flags={key: value for key, value in flags.items() if value is not None},
        runs_dir=Path(given.runs_dir),
        params_path="none" if seed is None else None,
    ).config


def _misbehave(config: Config, stage: str) -> None:
    wish = config.run.notes
    if wish in {f"{stage} fails", f"{stage} fails in fold {config.data_split.fold}"}:
        raise UserError("the data end too early")
    if wish == f"{stage} breaks":
        raise ValueError("learning broke")
    if wish == f"{stage} crashes":
        os.kill(os.getpid(), 9)
    if wish == f"{stage} sleeps":
        _sleep(30.0)
    if wish == f"{stage} sleeps a little":
        _sleep(8.0)


def _sleep(seconds: float) -> None:
    """Sleep as a stage works: looking up now and then, leaving when asked or orphaned."""
    until = time.monotonic() + seconds
    with StopRequest() as stop:
        while time.monotonic() < until:
            time.sleep(0.02)
            if stop.requested:
                raise stop.interruption("stopped with a checkpoint")


def write_config(folder: Path, name: str, **settings: Any) -> Path:
    """Write a small config of a name; keyword `env__fee_rate=0.1` sets `env.fee_rate`."""
    content: dict[str, dict[str, Any]] = {"env": {"base_spread_bps": 8.0}}
    content["run"] = {"short_name": name}
    for key, value in settings.items():
        section, _, field = key.partition("__")
        content.setdefault(section, {})[field] = value
    path = folder / f"{name}.yaml"
    lines = [f"{section}: {fields}" for section, fields in content.items()]
    write_text(path, "\n".join(lines) + "\n")
    load_config(path)
    return path


_STAGES = {
    "tune": _tune,
    "train": _train,
    "evaluate": _evaluate,
    "analyze": _analyze,
    "warm_up": lambda _: 0,
}
