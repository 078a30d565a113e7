"""A learned policy: the actor network of Stable-Baselines3's SAC, read without running code."""

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from makerlab.errors import UserError
from makerlab.learning.archive import DAMAGE
from makerlab.market.base import Observations
from makerlab.policies.base import Actions

Weights = Mapping[str, torch.Tensor]

# Bounds of the log standard deviation in Stable-Baselines3's SAC (sac/policies.py).
_LOG_STD_BOUNDS = (-20.0, 2.0)


class LearnedPolicy:
    """Acts with a trained actor, batched over episodes."""

    def __init__(self, weights: Weights, *, deterministic: bool = True, seed: int = 0) -> None:
        """Take the state dict of a SAC policy (or of its actor alone)."""
        actor = {
            name.removeprefix("actor."): tensor.detach().clone()
            for name, tensor in weights.items()
            if not name.startswith(("critic.", "critic_target."))
        }
        numbers = sorted({int(name.split(".")[1]) for name in actor if "latent_pi" in name})
        self._layers = [
            (actor[f"latent_pi.{n}.weight"], actor[f"latent_pi.{n}.bias"]) for n in numbers
        ]
        self._mean = (actor["mu.weight"], actor["mu.bias"])
        self._log_std = (actor["log_std.weight"], actor["log_std.bias"])
        self._deterministic = deterministic
        self._generator = torch.Generator().manual_seed(seed)

    @property
    def observation_size(self) -> int:
        """Numbers of an observation."""
        return int(self._layers[0][0].shape[1])

    @property
    def action_size(self) -> int:
        """Numbers of an action."""
        return int(self._mean[0].shape[0])

    @property
    def hidden_sizes(self) -> list[int]:
        """Units of each hidden layer."""
        return [int(weight.shape[0]) for weight, _ in self._layers]

    def act(self, observation: Observations) -> Actions:
        """Return tanh of the mean, or of a sample when not deterministic."""
        device = self._mean[0].device
        with torch.no_grad():
            hidden = torch.from_numpy(np.ascontiguousarray(observation)).to(device)
            for weight, bias in self._layers:
                hidden = torch.relu(torch.nn.functional.linear(hidden, weight, bias))
            action = torch.nn.functional.linear(hidden, *self._mean)
            if not self._deterministic:
                log_std = torch.nn.functional.linear(hidden, *self._log_std)
                deviation = log_std.clamp(*_LOG_STD_BOUNDS).exp()
                noise = torch.randn(action.shape, generator=self._generator).to(device)
                action = action + deviation * noise
            result: Actions = torch.tanh(action).cpu().numpy()
        return result


def load_policy(
    path: Path,
    *,
    observations: int | None = None,
    deterministic: bool = True,
    seed: int = 0,
    device: str = "cpu",
) -> LearnedPolicy:
    """Read the actor from a model.zip of Stable-Baselines3.

    `observations` is the size that the environment gives, None for any.
    Only tensors are read (`weights_only`), never the pickled settings beside them, so a stranger's
    file runs no code. Raises UserError for a missing, damaged, foreign or malicious file.
    """
    try:
        content = io.BytesIO(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such model file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: found a directory, expected a model.zip") from None
    weights = _read_weights(path, content)
    try:
        weights = {name: value.to(device) for name, value in weights.items()}
        policy = LearnedPolicy(weights, deterministic=deterministic, seed=seed)
        # Layers that don't fit together show when the policy acts.
        action = policy.act(np.zeros((1, policy.observation_size), np.float32))
    except (KeyError, AttributeError, IndexError, TypeError, ValueError, RuntimeError):
        raise UserError(f"{path}: the weights are not those of an SAC policy with an MLP") from None
    if not np.isfinite(action).all():
        raise UserError(f"{path}: the weights are not finite numbers, the training had diverged")
    if observations not in (None, policy.observation_size):
        raise UserError(
            f"{path}: the model reads observations of {policy.observation_size} numbers, "
            f"this environment gives {observations}; it was made for another one"
        )
    return policy


def _read_weights(path: Path, content: io.BytesIO) -> Weights:
    try:
        with zipfile.ZipFile(content) as archive:
            if "policy.pth" not in archive.namelist():
                raise UserError(f"{path}: holds no policy.pth, is no Stable-Baselines3 model")
            _check_kind(path, json.loads(archive.read("data")))
            # Read whole: only then is the checksum compared.
            tensors = io.BytesIO(archive.read("policy.pth"))
            with warnings.catch_warnings():
                # Of pickle protocols it does not know; it refuses the file as well.
                warnings.simplefilter("ignore")
                weights: Weights = torch.load(tensors, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path}: refused, policy.pth holds something other than tensors and could run code"
        ) from None
    except (*DAMAGE, AssertionError):
        raise UserError(f"{path}: damaged, or not a zip file of Stable-Baselines3") from None
    return weights


def _check_kind(path: Path, settings: Any) -> None:
    """Refuse networks whose weights have the right names but which compute something else."""
    network = settings["policy_kwargs"]
    activation = str(network.get("activation_fn", "ReLU"))
    if activation.strip("<>' ").rpartition(".")[2] != "ReLU":
        raise UserError(f"{path}: its activation is {activation}, expected ReLU")
    if settings["use_sde"]:
        raise UserError(f"{path}: it explores by state (use_sde), which is not supported")
