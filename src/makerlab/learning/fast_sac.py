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
from makerlab.learning.fast_exchange import (
    actor_weights,
    give_to_stock,
    stock_model,
    take_from_stock,
)
from makerlab.learning.fast_kernels import act_once, update_for
from makerlab.learning.fast_networks import can_round
from makerlab.learning.fast_replay import Replay
from makerlab.learning.fast_update import Losses, Shape
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
        self._update = update_for(device)(
            shape,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            gamma=settings.gamma,
            tau=settings.tau,
            device=device,
            rounded=settings.precision == "bfloat16" and device == "cpu" and can_round(),
        )
        take_from_stock(self._update, self._stock)
        self._replay = Replay(settings.buffer_size, shape)
        indices, noise = np.random.SeedSequence(settings.seed).spawn(2)
        self._generator = np.random.default_rng(indices)
        self._noise_generator = torch.Generator().manual_seed(int(noise.generate_state(1)[0]))
        self._noise = torch.zeros(self._update.noise.shape)
        self._sizes = np.array(shape.actor)
        self._scratch = np.zeros((2, max(shape.actor)), np.float32)
        self._steps = 0
        self._updates = 0

    def explore(self, observation: Observation) -> tuple[Observation, Observation]:
        """Return an exploring action, shape (1, actions), twice: as played and as stored."""
        actions = self._update.shape.actions
        if self._steps < self._settings.learning_starts:
            action = self._generator.uniform(-1.0, 1.0, (1, actions)).astype(np.float32)
            return action, action
        noise = self._generator.standard_normal(actions, dtype=np.float32)
        action = np.empty((1, actions), np.float32)
        parameters = self._update.actor.parameters.cpu().numpy()
        act_once(parameters, self._sizes, observation, noise, self._scratch, action[0])
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
            observation, next_observation, stored_action, reward=reward, ended=terminated
        )

    def update(self) -> dict[str, float]:
        """Take the gradient steps of one update once warmed up; returns mean losses, or nothing."""
        if self._steps <= self._settings.learning_starts:
            return {}
        count = self._settings.gradient_steps
        # Moments of silent units decay into denormal numbers, which processors handle slowly.
        torch.set_flush_denormal(True)
        try:
            losses = [self._gradient_step() for _ in range(count)]
        finally:
            torch.set_flush_denormal(False)
        self._updates += count
        if count == 1:
            return losses[0]._asdict()
        means = [sum(values) / count for values in zip(*losses, strict=True)]
        return dict(zip(Losses._fields, means, strict=True))

    def _gradient_step(self) -> Losses:
        update = self._update
        self._replay.sample(self._generator, update.rows)
        update.noise.copy_(self._noise.normal_(generator=self._noise_generator))
        return update.step()

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
        update = self._update
        return {
            "actor": update.actor.state(),
            "critics": update.critics.state(),
            "targets": update.targets.clone(),
            "updates": self._updates,
            "steps": self._steps,
            "replay": self._replay.snapshot(),
            "generators": {
                "numpy": self._generator.bit_generator.state,
                "torch": self._noise_generator.get_state(),
            },
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Continue from a snapshot."""
        update = self._update
        update.actor.restore(snapshot["actor"])
        update.critics.restore(snapshot["critics"])
        update.targets.copy_(snapshot["targets"])
        self._updates, self._steps = snapshot["updates"], snapshot["steps"]
        self._replay.restore(snapshot["replay"])
        self._generator.bit_generator.state = snapshot["generators"]["numpy"]
        self._noise_generator.set_state(snapshot["generators"]["torch"])
