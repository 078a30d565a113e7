"""Stable-Baselines3's SAC, driven one step at a time so that it can stop and continue exactly."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.logger import Logger

from makerlab.config import TrainSettings
from makerlab.envs import MarketMakingEnv
from makerlab.learning.actor import LearnedPolicy
from makerlab.learning.stock import stock_sac, write_model

Observation = npt.NDArray[np.float32]

_BUFFER_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


class SacLearner:
    """The reference learner: stock SAC with its networks, optimizers and replay buffer."""

    def __init__(self, env: MarketMakingEnv, settings: TrainSettings, *, device: str) -> None:
        """Build the networks; seeds Python's, numpy's and torch's global generators."""
        self._model = stock_sac(env, settings, device=device)
        self._logger = Logger(folder=None, output_formats=[])
        self._model.set_logger(self._logger)
        self._gradient_steps = settings.gradient_steps
        if self._model.replay_buffer is None or self._model.log_ent_coef is None:
            raise TypeError("this learner needs SAC with a replay buffer and a learned entropy")
        self._buffer: ReplayBuffer = self._model.replay_buffer
        self._log_ent_coef: torch.Tensor = self._model.log_ent_coef

    def explore(self, observation: Observation) -> tuple[Observation, Observation]:
        """Return an exploring action and its form in the replay buffer, shapes (1, actions)."""
        model = self._model
        model._last_obs = observation[None, :]
        action, stored = model._sample_action(model.learning_starts)
        return action, stored

    def store(
        self,
        observation: Observation,
        next_observation: Observation,
        stored_action: Observation,
        *,
        reward: float,
        terminated: bool,
        truncated: bool,
    ) -> None:
        """Remember a transition; a time limit is not an end and is bootstrapped through."""
        self._model.num_timesteps += 1
        self._buffer.add(
            observation[None, :],
            next_observation[None, :],
            stored_action,
            np.array([reward]),
            np.array([terminated or truncated]),
            [{"TimeLimit.truncated": truncated and not terminated}],
        )

    def update(self) -> dict[str, float]:
        """Take the gradient steps of one update once warmed up; returns mean losses, or nothing."""
        model = self._model
        if model.num_timesteps <= model.learning_starts:
            return {}
        model.train(gradient_steps=self._gradient_steps, batch_size=model.batch_size)
        values = self._logger.name_to_value
        names = ("actor_loss", "critic_loss", "ent_coef", "ent_coef_loss")
        losses = {name: float(values[f"train/{name}"]) for name in names}
        values.clear()
        return losses

    def policy(self, *, deterministic: bool = True, seed: int = 0) -> LearnedPolicy:
        """Return the present actor as a policy of its own."""
        weights = self._model.policy.actor.state_dict()
        return LearnedPolicy(weights, deterministic=deterministic, seed=seed)

    def save(self, path: Path) -> None:
        """Write a plain model.zip that `SAC.load` opens; the same state gives the same bytes."""
        write_model(path, self._model)

    def snapshot(self) -> dict[str, Any]:
        """Return everything a later step depends on: weights, optimizers, replay, generators."""
        model, buffer = self._model, self._buffer
        filled = buffer.size()
        return {
            "policy": model.policy.state_dict(),
            "optimizers": {n: o.state_dict() for n, o in self._optimizers().items()},
            "log_ent_coef": self._log_ent_coef,
            "updates": model._n_updates,
            "steps": model.num_timesteps,
            "replay": {name: getattr(buffer, name)[:filled] for name in _BUFFER_ARRAYS},
            "replay_position": (buffer.pos, buffer.full),
            "generators": {
                "python": random.getstate(),
                "numpy": np.random.get_state(legacy=False),
                "torch": torch.get_rng_state(),
                "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
                "action_space": model.action_space.np_random.bit_generator.state,
            },
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Continue from a snapshot."""
        model, buffer = self._model, self._buffer
        model.policy.load_state_dict(snapshot["policy"])
        for name, optimizer in self._optimizers().items():
            optimizer.load_state_dict(snapshot["optimizers"][name])
        with torch.no_grad():
            self._log_ent_coef.copy_(snapshot["log_ent_coef"])
        model._n_updates = snapshot["updates"]
        model.num_timesteps = snapshot["steps"]
        for name, rows in snapshot["replay"].items():
            getattr(buffer, name)[: len(rows)] = rows
        buffer.pos, buffer.full = snapshot["replay_position"]
        generators = snapshot["generators"]
        random.setstate(generators["python"])
        np.random.set_state(generators["numpy"])
        torch.set_rng_state(generators["torch"])
        if generators["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(generators["cuda"])
        model.action_space.np_random.bit_generator.state = generators["action_space"]

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        model = self._model
        optimizers = {"actor": model.actor.optimizer, "critic": model.critic.optimizer}
        if model.ent_coef_optimizer is not None:
            optimizers["entropy"] = model.ent_coef_optimizer
        return optimizers
