"""A replay store of one block."""

from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.compiling import kept
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
        self.rows = np.zeros((2 * capacity, shape.row), np.float32)
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
        write_rows(self.rows, self.position, observation, next_observation, action, reward, ended)
        self.position += 1
        if self.position == self._capacity:
            self.position, self.full = 0, True

    def snapshot(self) -> dict[str, Any]:
        """Return the filled part (not a copy) and where the next transition goes."""
        rows = self.rows[: 2 * len(self)]
        return {"rows": rows, "position": self.position, "full": self.full}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Take back what `snapshot` returned."""
        self.rows[: len(snapshot["rows"])] = snapshot["rows"]
        self.position, self.full = snapshot["position"], snapshot["full"]


@kept
def write_rows(
    rows: Floats,
    position: int,
    observation: Floats,
    next_observation: Floats,
    action: Floats,
    reward: float,
    ended: bool,
) -> None:
    """Fill the two rows of a transition; rows hold an observation, an action and one number."""
    here, there = rows[2 * position], rows[2 * position + 1]
    size = len(observation)
    for c in range(size):
        here[c] = observation[c]
        there[c] = next_observation[c]
    for c in range(len(action)):
        here[size + c] = action[c]
    here[-1] = reward
    there[-1] = 0.0 if ended else 1.0
