"""The course of one training: environment steps, updates, and a state to continue from."""

import contextlib
import math
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.config import TrainSettings
from makerlab.envs import MarketMakingEnv
from makerlab.errors import Failed
from makerlab.learning.learner import Seats, make_learner
from makerlab.market.base import Market

Actions = npt.NDArray[np.float32]

RECENT_EPISODES = 100

_WAY_OUT = "a smaller train.learning_rate may help"


class Diverged(Failed):
    """A loss or weight became infinite or NaN; the run can't go on."""


class Training:
    """One learner in one environment, advanced in small steps by whoever wants results."""

    def __init__(
        self,
        market: Market,
        settings: TrainSettings,
        *,
        device: str,
        seats: Seats | None = None,
    ) -> None:
        """Seed everything by `settings.seed` and start the first episode."""
        self.settings = settings
        self.step = 0
        self.episodes = 0
        self.losses: dict[str, float] = {}
        self._recent: deque[float] = deque(maxlen=RECENT_EPISODES)
        self._env = MarketMakingEnv(market)
        self.learner = make_learner(self._env, settings, device=device, seats=seats)
        self.observation, _ = self._env.reset(seed=settings.seed)
        self._episode_reward = 0.0

    @property
    def episode_reward(self) -> float | None:
        """Mean reward of the last finished episodes, None before the first."""
        return sum(self._recent) / len(self._recent) if self._recent else None

    def advance(self) -> None:
        """Take `train_freq` environment steps and one update.

        Raises Diverged when a loss or an action is not a finite number.
        """
        with self.divergence():
            for _ in range(self.settings.train_freq):
                self.play(*self.learner.explore(self.observation))
            self.take_losses(self.learner.update())

    @contextlib.contextmanager
    def divergence(self) -> Iterator[None]:
        """Tell errors that NaN weights cause from others: torch and the market refuse NaN."""
        try:
            yield
        except ValueError as error:
            if np.isfinite(self.learner.policy().act(self.observation[None, :])).all():
                raise
            raise Diverged(
                f"training diverged at step {self.step}: NaN weights; {_WAY_OUT}"
            ) from error

    def take_losses(self, losses: dict[str, float]) -> None:
        """Remember the losses of an update, if there was one; raises Diverged."""
        if not all(math.isfinite(value) for value in losses.values()):
            raise Diverged(f"training diverged at step {self.step}: {losses}; {_WAY_OUT}")
        self.losses = losses or self.losses

    def play(self, action: Actions, stored: Actions) -> None:
        """Take one environment step with an action, shape (1, actions), and remember it."""
        observation, reward, terminated, truncated, _ = self._env.step(action[0])
        self.learner.store(
            self.observation,
            observation,
            stored,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
        )
        self.step += 1
        self._episode_reward += reward
        self.observation = observation
        if terminated or truncated:
            self.episodes += 1
            self._recent.append(self._episode_reward)
            self._episode_reward = 0.0
            self.observation, _ = self._env.reset()

    def snapshot(self) -> dict[str, Any]:
        """Return everything a later step depends on."""
        return {
            "settings": self.settings.model_dump(mode="json"),
            "step": self.step,
            "episodes": self.episodes,
            "losses": self.losses,
            "recent": list(self._recent),
            "episode_reward": self._episode_reward,
            "environment": self._env.snapshot(),
            "learner": self.learner.snapshot(),
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Continue from a snapshot as if nothing had happened.

        Raises ValueError when it is of a training with other settings: its tensors may fit by
        chance or by broadcasting.
        """
        made, mine = snapshot["settings"], self.settings.model_dump(mode="json")
        for name in mine:
            if made[name] != mine[name]:
                raise ValueError(f"made with train.{name} {made[name]}, not {mine[name]}")
        self.step = snapshot["step"]
        self.episodes = snapshot["episodes"]
        self.losses = snapshot["losses"]
        self._recent = deque(snapshot["recent"], maxlen=RECENT_EPISODES)
        self._episode_reward = snapshot["episode_reward"]
        self.observation = self._env.restore(snapshot["environment"])
        self.learner.restore(snapshot["learner"])
