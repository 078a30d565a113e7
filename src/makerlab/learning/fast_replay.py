"""A replay store of one block: a batch is gathered by a single call."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from makerlab.learning.fast_kernels import gather
from makerlab.learning.fast_update import Shape

Floats = npt.NDArray[np.float32]


class Replay:
    """The last `capacity` transitions; memory is taken as it fills.

    Transition i fills rows 2i (observation, action, reward) and 2i + 1 (next observation, room
    for an action, 0 where the episode ended else 1).
    """

    def __init__(self, capacity: int, shape: Shape) -> None:
        """Start empty."""
        self._capacity = capacity
        self._shape = shape
        self._rows = np.zeros((2 * capacity, shape.row), np.float32)
        self.position = 0
        self.full = False

    def __len__(self) -> int:
        return self._capacity if self.full else self.position

    def add(
        self,
        observation: Floats,
        next_observation: Floats,
        action: Floats,
        *,
        reward: float,
        ended: bool,
    ) -> None:
        """Remember a transition in place of the oldest; a time limit is not an end."""
        observations = self._shape.observations
        here, there = self._rows[2 * self.position], self._rows[2 * self.position + 1]
        here[:observations] = observation
        here[observations:-1] = action
        here[-1] = reward
        there[:observations] = next_observation
        there[-1] = not ended
        self.position += 1
        if self.position == self._capacity:
            self.position, self.full = 0, True

    def sample(self, generator: np.random.Generator, result: Tensor) -> None:
        """Gather random transitions: first all the even rows, then all the odd ones."""
        chosen = generator.integers(len(self), size=len(result) // 2)
        if result.device.type == "cpu":
            gather(self._rows, chosen, result.numpy())
        else:
            both = np.concatenate([2 * chosen, 2 * chosen + 1])
            result.copy_(torch.from_numpy(self._rows[both]))

    def snapshot(self) -> dict[str, Any]:
        """Return the filled part (not a copy) and where the next transition goes."""
        rows = self._rows[: 2 * len(self)]
        return {"rows": rows, "position": self.position, "full": self.full}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Take back what `snapshot` returned."""
        self._rows[: len(snapshot["rows"])] = snapshot["rows"]
        self.position, self.full = snapshot["position"], snapshot["full"]
