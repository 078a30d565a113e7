"""A folder with one tuned, trained and evaluated run, and what a command does to a copy of it."""

import contextlib
import datetime
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from tests.commands import REPOSITORY, write_tiny_config

from makerlab import commands, stage_commands
from makerlab.cli import exit_code_of
from makerlab.config import SyntheticSettings
from makerlab.data.candles import write_candles
from makerlab.data.synthetic import generate_candles
from makerlab.files import file_hash
from makerlab.matrix.command import matrix_command, status_command

RUN = Path("runs/SAC/20260101_000000_tiny_seed0")
BEST_PARAMS = Path("runs/SAC/tiny/best_params.json")
STUDY = Path("runs/optuna.db")
CANDLES = Path("candles.csv")
CONFIG = Path("tiny.yaml")
DISK = "disk"

# Logs tell of failures, locks stay, and made-up candles are kept: no part of any result.
_HARMLESS = re.compile(
    r"logs(/.*\.log)?|(.*/)?\.[^/]*(lock|jobs|lease(/.*)?)|runs/(synthetic|cache)/.*|disk/cache(/.*)?"
)
_RUN_NAME = re.compile(r"\d{8}_\d{6}_.+")
_NEW_RUN = re.compile(r"(?!20260101_000000)\b\d{8}_\d{6}_")
_HASH = re.compile(r"\b[0-9a-f]{12}\b")


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code, what it wrote, and how the folder changed."""

    code: int
    out: str
    err: str
    lost: list[str]
    added: list[str]
    debris: list[str]

    @property
    def message(self) -> str:
        """The line a user reads, without what differs from one time or machine to another."""
        text = self.err or _last_warning(self.out)
        text = re.sub(r"which has: .*", "which has: cpu", text.strip())
        return _NEW_RUN.sub("<time>_", _HASH.sub("<hash>", text))


def make_template(folder: Path) -> None:
    """Fill a folder with a tiny config, its candles, and a run through all stages but the last."""
    write_tiny_config(folder)
    write_candles(folder / CANDLES, generate_candles(SyntheticSettings(days=2)))
    clock = mock.patch.object(stage_commands, "_now", lambda: datetime.datetime(2026, 1, 1))
    with clock:
        for name, arguments in (
            ("tune", ("--config", "tiny.yaml", "--n_trials", "1")),
            ("train", ("--config", "tiny.yaml")),
            ("evaluate", ("--model_path", str(RUN))),
        ):
            done = run_command(folder, name, arguments)
            assert done.code == 0, done.err
    shutil.rmtree(folder / "logs")


def run_command(
    folder: Path,
    name: str,
    arguments: tuple[str, ...],
    *,
    variables: Mapping[str, str] | None = None,
) -> Outcome:
    """Run a command in a folder, in this process, and look at what it left."""
    before = _contents(folder)
    out, err = io.StringIO(), io.StringIO()
    kept = {key: text for key, text in os.environ.items() if not key.startswith("MAKERLAB")}
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, {**kept, **(variables or {})}, clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = exit_code_of(lambda: _command(name)(list(arguments)))
    after = _contents(folder)
    return Outcome(
        code=code,
        out=out.getvalue().replace(f"{folder}/", ""),
        err=err.getvalue().replace(f"{folder}/", ""),
        lost=[path for path in before if after.get(path) != before[path]],
        added=[_NEW_RUN.sub("<time>_", path) for path in after if path not in before],
        debris=debris(folder),
    )


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """Mount a small file system in memory; raises OSError where that is not allowed."""
    folder.mkdir()
    _mount("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder))
    try:
        yield
    finally:
        _mount("umount", "-l", str(folder))


def make_read_only(folder: Path) -> None:
    """Forbid writing to a mounted file system, for root too."""
    _mount("mount", "-o", "remount,ro", str(folder))


def _mount(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise OSError(f"{' '.join(command)}: {result.stderr.strip()}")


def debris(folder: Path) -> list[str]:
    """Return temporary files and run directories without a manifest."""
    temporary = [str(path) for path in folder.rglob("*.tmp")]
    bare = [
        str(path)
        for path in folder.glob("runs/*/*")
        if _RUN_NAME.fullmatch(path.name) and not (path / "manifest.json").exists()
    ]
    return temporary + bare


def _command(name: str) -> Callable[[list[str]], int]:
    scripts = {
        "analyze": "analyze_experiments",
        "audit": "audit",
        "calibrate": "calibrate_fills",
        "compare": "compare_with_optimum",
        "fills": "describe_fills",
        "fetch": "fetch_candles",
        "papers": "reproduce_papers",
        "replay": "replay_l2",
        "report": "write_report",
        "simulate": "simulate_market",
    }
    if name in scripts:
        main: Callable[[list[str]], int] = _script(scripts[name]).main
        return main
    if name == "matrix":
        return lambda arguments: matrix_command(arguments, root=REPOSITORY)
    if name == "status":
        return status_command
    found: Callable[[list[str]], int] = getattr(
        stage_commands if name in {"tune", "train"} else commands, f"{name}_command"
    )
    return found


def _script(name: str) -> Any:
    full = f"makerlab_script_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, REPOSITORY / "scripts" / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[full] = module
    return sys.modules[full]


def _contents(folder: Path) -> dict[str, str]:
    """Return each file's hash, harmless ones aside."""
    return {
        name: file_hash(path) if path.is_file() else "directory"
        for path in sorted(folder.rglob("*"))
        if not _HARMLESS.fullmatch(name := str(path.relative_to(folder)))
    }


def _last_warning(text: str) -> str:
    """Return the last thing said that is not quite as it should be, without its time."""
    lines = [line for line in text.splitlines() if re.search("warning|already|damaged", line)]
    clock = r"^([-\d]+ )?[:\d]{8}Z? *(seed \d+: )?"
    return re.sub(clock, "", lines[-1]) if lines else ""
