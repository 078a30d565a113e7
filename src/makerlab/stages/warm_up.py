"""A training and an evaluation of a moment, for what they leave behind in the process and on disk.

Imports, compiled code and caches: most of the start of a stage. Results are thrown away.
"""

import datetime
import tempfile
from pathlib import Path

import optuna.storages._rdb.storage  # noqa: F401 - tuning imports it when it opens a study

import makerlab.stages.analyze
import makerlab.stages.tune  # noqa: F401
from makerlab.config.load import validate_config
from makerlab.runs.directory import EvaluationDirectory
from makerlab.stages.evaluate import evaluate
from makerlab.stages.resolve import Resolved
from makerlab.stages.train import train

_CONFIG = {
    "env": {"csv_path": "synthetic", "base_spread_bps": 8, "episode_length": 30},
    "data": {"synthetic": {"days": 2}},
    "train": {
        "total_timesteps": 60,
        "net_arch": [16, 16],
        "learning_starts": 40,
        "batch_size": 16,
        "buffer_size": 100,
        "eval_freq": 60,
    },
    "tune": {"eval_episodes": 2},
    "evaluate": {"episodes": 2, "bootstrap_samples": 100},
    "run": {"short_name": "warm_up"},
}


def warm_up() -> None:
    """Do it, on the CPU and in one thread: the process may be forked afterwards."""
    config = validate_config(_CONFIG, source="warm-up")
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            Resolved(config, Path("warm_up.yaml"), None),
            runs_dir=Path(folder),
            device="cpu",
            reuse=False,
            report=_say_nothing,
            now=datetime.datetime.now,
        )
        evaluate(
            run,
            model=run.best_model,
            config=config,
            cross_config=None,
            output=EvaluationDirectory(run.path / "evaluation"),
            device="cpu",
            report=_say_nothing,
        )


def _say_nothing(line: str) -> None:
    """Nobody is interested."""
