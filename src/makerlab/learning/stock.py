"""Stock SAC of Stable-Baselines3: built from our settings, written with reproducible bytes."""

import inspect
import io
import re
import zipfile
from pathlib import Path

from stable_baselines3 import SAC
from torch.optim import Optimizer

from makerlab.config import TrainSettings
from makerlab.envs import MarketMakingEnv
from makerlab.files import write_bytes
from makerlab.learning.archive import add_member

# The settings hold the printed form of functions, memory addresses included.
_ADDRESS = re.compile(rb" at 0x[0-9a-f]+")


def stock_sac(env: MarketMakingEnv, settings: TrainSettings, *, device: str) -> SAC:
    """Return stock SAC; seeds Python's, numpy's and torch's global generators."""
    _spare_the_compiler()
    return SAC(
        "MlpPolicy",
        env,
        learning_rate=settings.learning_rate,
        buffer_size=settings.buffer_size,
        learning_starts=settings.learning_starts,
        batch_size=settings.batch_size,
        tau=settings.tau,
        gamma=settings.gamma,
        train_freq=settings.train_freq,
        gradient_steps=settings.gradient_steps,
        policy_kwargs={"net_arch": list(settings.net_arch)},
        seed=settings.seed,
        device=device,
    )


def _spare_the_compiler() -> None:
    """Let an optimizer be made without loading torch's compiler, two seconds and 100 MB.

    Torch loads it at the first of these calls only to say that it must leave them alone. Where a
    version of torch asks in another way, it is loaded as before.
    """
    for method in (Optimizer.add_param_group, Optimizer.state_dict, Optimizer.load_state_dict):
        plain = inspect.unwrap(method)
        plain.__dynamo_disable = plain


def write_model(path: Path, model: SAC) -> None:
    """Write a model that `SAC.load` opens, atomically; the same state gives the same bytes."""
    model.start_time = 0
    # The last view belongs to the course of training, and a run resumed at its end has none.
    model._last_obs = None
    saved, result = io.BytesIO(), io.BytesIO()
    model.save(saved)
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(result, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            add_member(target, name, _ADDRESS.sub(b"", content) if name == "data" else content)
    write_bytes(path, result.getvalue())
