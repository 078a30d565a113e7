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
Samples = npt.NDArray[np.int64]


class FastSacLearner:
    """SAC on flat tensors with hand-derived gradients."""

    def __init__(
        self,
        env: MarketMakingEnv,
        settings: TrainSettings,
        *,
        device: str,
        update: Update | None = None,
    ) -> None:
        """Start from stock SAC's initial weights for this seed, in an update given or new."""
        self._settings = settings
        self.device = device
        self._stock = stock_model(env, settings)
        shape = shape_of(env, settings)
        self._update = make_update(shape, settings, device=device) if update is None else update
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
        action, noise = self.draw_action()
        if noise is not None:
            self._update.act(observation, noise, action)
        return action[None], action[None]

    def draw_action(self) -> tuple[Observation, Observation | None]:
        """Return an action, or room for one and the noise it takes, shape (actions,)."""
        actions = self._update.shape.actions
        if self._steps < self._settings.learning_starts:
            return self._generator.uniform(-1.0, 1.0, actions).astype(np.float32), None
        noise = self._generator.standard_normal(actions, np.float32)
        return np.empty(actions, np.float32), noise

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
        drawn = self.draw_batches()
        if drawn is None:
            return {}
        # Moments of silent units decay into denormal numbers, which processors handle slowly.
        torch.set_flush_denormal(True)
        try:
            self._update.step(self._replay.rows, *drawn)
        finally:
            torch.set_flush_denormal(False)
        return self._update.losses()._asdict()

    def draw_batches(self) -> tuple[Samples, Observation] | None:
        """Return samples and noise of the next gradient steps, None before learning begins."""
        if self._steps <= self._settings.learning_starts:
            return None
        steps, batch = self._settings.gradient_steps, self._settings.batch_size
        samples = self._generator.integers(len(self._replay), size=(steps, batch))
        self._updates += steps
        return samples, self._noise_generator.standard_normal(self._noise_size, np.float32)

    @property
    def engine(self) -> Update:
        """What is learned and how; a `Slot` where several learners share it."""
        return self._update

    @property
    def rows(self) -> Observation:
        """The replay store."""
        return self._replay.rows

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


def shape_of(env: MarketMakingEnv, settings: TrainSettings) -> Shape:
    """Return the sizes of a learner's networks in an environment."""
    return Shape(
        int(np.prod(env.observation_space.shape or ())),
        int(np.prod(env.action_space.shape or ())),
        settings.net_arch,
    )


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
