"""A SAC learner that computes what Stable-Baselines3's does, several times faster.

The same algorithm, hyperparameters, initial weights and files. Its random numbers are its own
(another stream than stock's): nothing global is read or changed, so learners in one process don't
disturb each other.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from makerlab.config import TrainSettings
from makerlab.envs import MarketMakingEnv
from makerlab.learning.actor import LearnedPolicy
from makerlab.learning.fast_compiled import CompiledUpdate
from makerlab.learning.fast_exchange import (
    actor_weights,
    give_to_stock,
    stock_model,
    take_from_stock,
)
from makerlab.learning.fast_kernels import CpuSacUpdate
from makerlab.learning.fast_networks import can_round
from makerlab.learning.fast_replay import Replay
from makerlab.learning.fast_update import SacUpdate, Shape, Update
from makerlab.learning.stock import write_model

Observation = npt.NDArray[np.float32]


class FastSacLearner:
    """SAC on flat tensors with hand-derived gradients."""

    def __init__(self, env: MarketMakingEnv, settings: TrainSettings, *, device: str) -> None:
        """Start from stock SAC's initial weights for this seed."""
        self._settings = settings
        self._stock = stock_model(env, settings)
        shape = Shape(
            int(np.prod(env.observation_space.shape or ())),
            int(np.prod(env.action_space.shape or ())),
            settings.net_arch,
        )
        self._update = make_update(shape, settings, device=device)
        take_from_stock(self._update, self._stock)
        self._replay = Replay(settings.buffer_size, shape)
        acting, noise = np.random.SeedSequence(settings.seed).spawn(2)
        self._generator = np.random.default_rng(acting)
        self._noise_generator = np.random.default_rng(noise)
        self._noise_size = (settings.gradient_steps, 2, shape.actions, settings.batch_size)
        self._steps = 0
        self._updates = 0

    def explore(self, observation: Observation) -> tuple[Observation, Observation]:
        """Return an exploring action, shape (1, actions), twice: as played and as stored."""
        actions = self._update.shape.actions
        if self._steps < self._settings.learning_starts:
            action = self._generator.uniform(-1.0, 1.0, (1, actions)).astype(np.float32)
            return action, action
        noise = self._generator.standard_normal(actions, np.float32)
        action = np.empty((1, actions), np.float32)
        self._update.act(observation, noise, action[0])
        return action, action

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
        self._steps += 1
        self._replay.add(
            observation, next_observation, stored_action[0], reward=reward, ended=terminated
        )

    def update(self) -> dict[str, float]:
        """Take the gradient steps of one update once warmed up; returns mean losses, or nothing."""
        if self._steps <= self._settings.learning_starts:
            return {}
        steps, batch = self._settings.gradient_steps, self._settings.batch_size
        samples = self._generator.integers(len(self._replay), size=(steps, batch))
        noise = self._noise_generator.standard_normal(self._noise_size, np.float32)
        # Moments of silent units decay into denormal numbers, which processors handle slowly.
        torch.set_flush_denormal(True)
        try:
            self._update.step(self._replay.rows, samples, noise)
        finally:
            torch.set_flush_denormal(False)
        self._updates += steps
        return self._update.losses()._asdict()

    def policy(self, *, deterministic: bool = True, seed: int = 0) -> LearnedPolicy:
        """Return the present actor as a policy of its own."""
        weights = actor_weights(self._update)
        return LearnedPolicy(weights, deterministic=deterministic, seed=seed)

    def save(self, path: Path) -> None:
        """Write a plain model.zip that `SAC.load` opens; the same state gives the same bytes."""
        give_to_stock(self._update, self._stock)
        self._stock.num_timesteps = self._steps
        self._stock._n_updates = self._updates
        write_model(path, self._stock)

    def snapshot(self) -> dict[str, Any]:
        """Return everything a later step depends on: weights, optimizers, replay, generators."""
        return {
            **self._update.state(),
            "updates": self._updates,
            "steps": self._steps,
            "replay": self._replay.snapshot(),
            "generators": {
                "acting": self._generator.bit_generator.state,
                "noise": self._noise_generator.bit_generator.state,
            },
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Continue from a snapshot."""
        self._update.restore(snapshot)
        self._updates, self._steps = snapshot["updates"], snapshot["steps"]
        self._replay.restore(snapshot["replay"])
        self._generator.bit_generator.state = snapshot["generators"]["acting"]
        self._noise_generator.bit_generator.state = snapshot["generators"]["noise"]


def make_update(shape: Shape, settings: TrainSettings, *, device: str) -> Update:
    """Return the update that suits a device and a precision, all its parameters zero."""
    options: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "gamma": settings.gamma,
        "tau": settings.tau,
    }
    if device != "cpu":
        return SacUpdate(shape, device=device, **options)
    if settings.precision == "bfloat16" and can_round():
        return CpuSacUpdate(shape, device=device, rounded=True, **options)
    return CompiledUpdate(shape, **options)
