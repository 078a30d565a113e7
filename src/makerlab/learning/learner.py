"""What a training asks of a learner, and the choice of one."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from makerlab.config import TrainSettings
from makerlab.envs import MarketMakingEnv
from makerlab.learning.actor import LearnedPolicy
from makerlab.learning.fast_sac import FastSacLearner, shape_of
from makerlab.learning.fast_update import Shape, Update
from makerlab.learning.sac import SacLearner

Observation = npt.NDArray[np.float32]


class Learner(Protocol):
    """Soft actor-critic, driven one step at a time; everything random follows its seed."""

    def explore(self, observation: Observation) -> tuple[Observation, Observation]:
        """Return an exploring action and its form in the replay store, shapes (1, actions)."""

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

    def update(self) -> dict[str, float]:
        """Take the gradient steps of one update once warmed up; returns mean losses, or nothing."""

    def policy(self, *, deterministic: bool = True, seed: int = 0) -> LearnedPolicy:
        """Return the present actor as a policy of its own."""

    def save(self, path: Path) -> None:
        """Write a plain model.zip of Stable-Baselines3; the same state gives the same bytes."""

    def snapshot(self) -> dict[str, Any]:
        """Return everything a later step depends on; written away before the next step."""

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Continue from a snapshot of the same kind of learner."""


class Seats(Protocol):
    """A group of learners that share a device."""

    def seat(self, shape: Shape, settings: TrainSettings) -> Update | None:
        """Return a place in the group's batched update, None for an update of its own."""


def make_learner(
    env: MarketMakingEnv, settings: TrainSettings, *, device: str, seats: Seats | None = None
) -> Learner:
    """Return the learner that `train.learner` names."""
    if settings.learner == "sb3":
        return SacLearner(env, settings, device=device)
    update = None if seats is None else seats.seat(shape_of(env, settings), settings)
    return FastSacLearner(env, settings, device=device, update=update)
