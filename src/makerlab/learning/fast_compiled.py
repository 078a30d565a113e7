"""The learner's update on the CPU: numbers in panels, steps compiled as a whole."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from makerlab.learning import panels
from makerlab.learning.compiled_step import Moving, Networks, Room, act, gradient_steps, turn_all
from makerlab.learning.fast_update import CRITICS, Losses, Shape, State
from makerlab.learning.panels import round_up
from makerlab.learning.tiles import COLUMNS, ROWS

Array = npt.NDArray[Any]


class CompiledUpdate:
    """Parameters, optimizers and buffers of one learner on the CPU."""

    def __init__(
        self,
        shape: Shape,
        *,
        batch_size: int,
        learning_rate: float,
        gamma: float,
        tau: float,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Allocate everything, all parameters zero."""
        self.shape = shape
        self._settings = (learning_rate, gamma, tau)
        kind = np.float32 if dtype == torch.float32 else np.float64
        self._networks = _networks(shape, kind)
        self._room = _room(shape, batch_size, self._networks, kind)
        self._places = {
            "actor": _actor_places(self._networks),
            "critics": _critic_places(self._networks),
        }
        units = max(1, len(self._room.policy_units) // len(self._room.goal))
        self._action_room = (
            np.zeros(round_up(shape.observations, COLUMNS) * ROWS, kind),
            np.zeros(units * ROWS, kind),
            np.zeros(2 * shape.actions * ROWS, kind),
        )

    def act(self, observation: Array, noise: Array, action: Array) -> None:
        """Fill the exploring action at one observation."""
        act(self._networks, observation, noise, *self._action_room, action)

    def step(self, store: Array, samples: Array, noise: Array) -> None:
        """Take a gradient step for each row of samples.

        `samples`, shape (steps, batch), are transitions of the store, which has two rows for each
        (see `Replay`); `noise`, shape (steps, 2, actions, batch), is standard normal: for the
        observations, then for the next ones.
        """
        gradient_steps(self._networks, self._room, store, samples, noise, *self._settings)

    def losses(self) -> Losses:
        """Return the mean losses of the last call of `step`."""
        return Losses(*self._room.report.tolist())

    def state(self) -> State:
        """Return copies of all that is learned, in the order of `layers_of`."""
        networks = self._networks
        result: State = {"targets": self._ordered("critics", networks.targets)}
        for name, moving in (("actor", networks.actor), ("critics", networks.critics)):
            result[name] = {
                kind: self._ordered(name, getattr(moving, kind))
                for kind in ("parameters", "first_moment", "second_moment")
            } | {"steps": torch.tensor(float(moving.steps[0]))}
        return result

    def restore(self, state: State) -> None:
        """Take back what `state` returned."""
        networks = self._networks
        networks.targets[self._places["critics"]] = state["targets"].numpy()
        for name, moving in (("actor", networks.actor), ("critics", networks.critics)):
            for kind in ("parameters", "first_moment", "second_moment"):
                getattr(moving, kind)[self._places[name]] = state[name][kind].numpy()
            moving.steps[0] = float(state[name]["steps"])
        turn_all(networks)

    def gradients(self) -> dict[str, Tensor]:
        """Return the gradients of the last step in the order of `layers_of`."""
        networks = self._networks
        return {
            "actor": self._ordered("actor", networks.actor.gradients),
            "critics": self._ordered("critics", networks.critics.gradients),
        }

    def _ordered(self, name: str, numbers: Array) -> Tensor:
        return torch.from_numpy(numbers[self._places[name]])


def _networks(shape: Shape, kind: Any) -> Networks:
    actor_plan, actor_size, actor_turned, _ = panels.plan_of(shape.actor)
    critic_plan, critic_size, critic_turned, _ = panels.plan_of(shape.critic)

    def moving(size: int, turned: int) -> Moving:
        return Moving(
            parameters=np.zeros(size, kind),
            gradients=np.zeros(size, kind),
            first_moment=np.zeros(size, kind),
            second_moment=np.zeros(size, kind),
            steps=np.zeros(1),
            turned=np.zeros(turned, kind),
        )

    return Networks(
        actor=moving(actor_size + 1, actor_turned),
        critics=moving(CRITICS * critic_size, CRITICS * critic_turned),
        targets=np.zeros(CRITICS * critic_size, kind),
        actor_plan=actor_plan,
        critic_plan=critic_plan,
    )


def _room(shape: Shape, batch: int, networks: Networks, kind: Any) -> Room:
    half = round_up(batch, ROWS)
    wide = round_up(shape.observations + shape.actions, COLUMNS)
    policy_units, units = (
        int(plan[:-1, panels.WIDE].sum()) for plan in (networks.actor_plan, networks.critic_plan)
    )

    def empty(*size: int) -> Array:
        return np.zeros(size, kind)

    return Room(
        inputs=empty(2 * half * wide),
        reward=empty(half),
        continues=empty(half),
        policy=empty(2 * shape.actions * half),
        units=empty(CRITICS * units * half),
        policy_units=empty(policy_units * half),
        deltas=empty(max(units, policy_units) * half),
        head=empty(half * COLUMNS),
        action=empty(shape.actions * half),
        deviation=empty(shape.actions * half),
        log_prob=empty(half),
        values=empty(CRITICS * half),
        goal=empty(half),
        action_gradients=empty(shape.actions * half),
        part=empty(half),
        everyone=np.arange(half),
        chosen=np.zeros(half, np.int64),
        report=np.zeros(4),
    )


def _actor_places(networks: Networks) -> Array:
    """Return where each number of the flat tensor lies in the panels."""
    parts = panels.layer_places(networks.actor_plan)
    inner = [part.reshape(-1) for layer in parts for part in layer]
    return np.concatenate([*inner, [len(networks.actor.parameters) - 1]])


def _critic_places(networks: Networks) -> Array:
    size = len(networks.targets) // CRITICS
    each = [panels.layer_places(networks.critic_plan, critic * size) for critic in range(CRITICS)]
    layers = zip(*each, strict=True)
    return np.concatenate(
        [np.stack(part).reshape(-1) for layer in layers for part in zip(*layer, strict=True)]
    )
