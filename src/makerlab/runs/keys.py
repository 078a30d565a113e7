"""Keys: a stage's inputs hashed, so that what is finished is reused and anything else is redone."""

import functools
import hashlib
from pathlib import Path
from typing import Any

from makerlab.config import Config
from makerlab.config.settings import SYNTHETIC
from makerlab.errors import UserError
from makerlab.files import canonical_json, content_hash, file_hash

_PACKAGE = Path(__file__).parents[1]

# What the numbers of every stage depend on; plots, tables and scheduling are left out.
_SHARED_CODE = (
    "compiling.py",
    "data",
    "statistics/bootstrap.py",
    "market",
    "policies",
    "envs",
    "evaluation",
    "learning",
    "tasks",
    "theory.py",
)

_STAGE_CODE = {
    "tune": ("tuning", "stages/tune.py", "stages/trials.py", "stages/checkpoints.py"),
    "train": ("stages/train.py", "stages/run_course.py", "stages/checkpoints.py"),
    "evaluate": ("stages/evaluate.py",),
}


@functools.cache
def code_hash(stage: str) -> str:
    """Return the hash of the source that a stage's numbers depend on."""
    digest = hashlib.sha256()
    for name in (*_SHARED_CODE, *_STAGE_CODE[stage]):
        place = _PACKAGE / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(f"{path.relative_to(_PACKAGE)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def data_key(config: Config) -> str:
    """Return what identifies the data: the file's hash, or the generator's settings."""
    if config.env.simulates:
        # Its parameters lie in the `env` section, which every key knows.
        return f"simulated:{config.env.market}"
    if config.env.csv_path == SYNTHETIC:
        return f"{SYNTHETIC}:{content_hash(config.data.synthetic.model_dump(mode='json'))}"
    path = Path(config.env.csv_path)
    if path.is_dir():
        raise UserError(f"{path}: found a directory, expected a CSV or Parquet file")
    if not path.is_file():
        raise UserError(
            f"{path}: no such file of candles; fetch it with scripts/fetch_candles.py "
            f"or set env.csv_path to '{SYNTHETIC}'"
        )
    return f"file:{_file_hash(path, path.stat().st_mtime_ns, path.stat().st_size)}"


def environment_key(config: Config) -> str:
    """Return the hash of all that decides what an agent sees and earns, the code aside."""
    content = config.to_dict()
    env = {key: value for key, value in content["env"].items() if key != "csv_path"}
    return content_hash(
        {
            "task": content["task"],
            "env": env,
            "gaps": content["data"]["gaps"],
            "data_split": content["data_split"],
            "data": data_key(config),
        }
    )


def tune_key(config: Config) -> str:
    """Return the key of a study; the number of trials is a total and does not count."""
    content = config.to_dict()
    tuned = content["tune"]["search_space"]
    fixed = {
        key: value
        for key, value in content["train"].items()
        if key not in {"seed", "total_timesteps", "eval_freq", "log_interval", *tuned}
    }
    tune = {key: value for key, value in content["tune"].items() if key != "n_trials"}
    return content_hash(
        {
            "environment": environment_key(config),
            "train": fixed,
            "tune": tune,
            "code": code_hash("tune"),
        }
    )


def train_key(config: Config) -> str:
    """Return the key of a training run, tuned parameters and seed included."""
    return RunKeys(config).train(config.train.seed)


def evaluate_key(config: Config) -> str:
    """Return the key of a run's own evaluation."""
    return RunKeys(config).evaluate(config.train.seed)


class RunKeys:
    """Keys of the runs of a config that differ in their seed alone.

    What they share is written out once: a matrix asks for the keys of thousands.
    """

    def __init__(self, config: Config) -> None:
        content = config.to_dict()
        self._train = _Form(
            {
                "environment": environment_key(config),
                "train": content["train"] | {"seed": _HOLE},
                "run": config.run.short_name,
                # How the best checkpoint is chosen.
                "judge": _judge(config),
                "code": code_hash("train"),
            }
        )
        self._evaluate = _Form(
            {"train": _HOLE, "evaluate": content["evaluate"], "code": code_hash("evaluate")}
        )

    def train(self, seed: int) -> str:
        """Return the key of a training run."""
        return self._train.hash(str(seed))

    def evaluate(self, seed: int) -> str:
        """Return the key of a run's own evaluation."""
        return self._evaluate.hash(f'"{self.train(seed)}"')


# No YAML holds this character, so no setting does.
_HOLE = "\0"


class _Form:
    """A value with a hole in it, to be filled and hashed many times."""

    def __init__(self, content: Any) -> None:
        before, self._after = canonical_json(content).split(canonical_json(_HOLE))
        self._before = hashlib.sha256(before.encode())

    def hash(self, value: str) -> str:
        """Return the `content_hash` of the content with a value, as JSON, in the hole's place."""
        digest = self._before.copy()
        digest.update(f"{value}{self._after}".encode())
        return digest.hexdigest()


def _judge(config: Config) -> dict[str, Any]:
    tune = config.tune
    return {
        "episodes": tune.eval_episodes,
        "episode_length": tune.eval_episode_length,
        "metric": tune.metric,
    }


@functools.cache
def _file_hash(path: Path, changed_ns: int, size: int) -> str:
    """The hash of a file in this state; the state is part of the cache's key."""
    return file_hash(path)
