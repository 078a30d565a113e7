"""Gradient steps of several learners at once, as batched products, for devices that like them.

M learners of one shape hold a slot each; every tensor's first dimension counts slots (times two
for the critics). On CUDA the step is captured once and replayed, so that launching its few hundred
kernels costs nothing. Gradients are autograd's: the sum of independent losses has the gradients
of each. The same code runs on the CPU, where tests hold it against `SacUpdate`; nothing is in
double precision unless asked for, which MPS does not have.
"""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from makerlab.learning.fast_networks import Sizes
from makerlab.learning.fast_update import (
    CRITICS,
    HALF_LOG_TWO_PI,
    LOG_STD_BOUNDS,
    TANH_EPSILON,
    Array,
    Losses,
    Shape,
    State,
)

_MOMENTS = ("parameters", "first_moment", "second_moment")
_FIRST, _SECOND, _EPSILON = 0.9, 0.999, 1e-8


class _Stack:
    """Tensors of equal networks with Adam's moments, by layer: weight, then bias."""

    def __init__(self, like: Tensor, slots: int, networks: int, sizes: Sizes) -> None:
        shapes = []
        for inputs, outputs in pairwise(sizes):
            shapes += [(slots, networks, outputs, inputs), (slots, networks, 1, outputs)]
        self.tensors = {kind: [like.new_zeros(s) for s in shapes] for kind in _MOMENTS}
        self.steps = like.new_zeros(slots)

    def read(self, slot: int) -> dict[str, Tensor]:
        """Return copies of a slot's numbers in the order of `layers_of`."""
        content = {
            kind: torch.cat([t[slot].detach().reshape(-1) for t in tensors]).cpu()
            for kind, tensors in self.tensors.items()
        }
        return content | {"steps": self.steps[slot].cpu().clone()}

    def write(self, slot: int, content: dict[str, Tensor]) -> None:
        """Take back what `read` returned."""
        for kind, tensors in self.tensors.items():
            position = 0
            for tensor in tensors:
                place = tensor.detach()[slot]
                part = content[kind][position : position + place.numel()]
                place.copy_(part.view(place.shape))
                position += place.numel()
        self.steps[slot] = content["steps"]


class StackedUpdate:
    """Slots for learners of one shape, each with its own settings; see `Slot`."""

    def __init__(
        self,
        shape: Shape,
        *,
        slots: int,
        batch_size: int,
        device: str,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Allocate everything, all parameters zero."""
        self.shape, self.slots, self.batch_size = shape, slots, batch_size
        like = torch.empty(0, device=device, dtype=dtype)
        self._like = like
        self.actor = _Stack(like, slots, 1, shape.actor)
        for tensors in self.actor.tensors.values():
            tensors.append(like.new_zeros(slots))  # log of the entropy coefficient
        self.critics = _Stack(like, slots, CRITICS, shape.critic)
        self._targets = [torch.zeros_like(t) for t in self.critics.tensors["parameters"]]
        for tensor in self.actor.tensors["parameters"][:-1] + self.critics.tensors["parameters"]:
            tensor.requires_grad_(True)
        self._settings = like.new_zeros(3, slots)  # learning rate, gamma, tau
        self._active = torch.zeros(slots, dtype=torch.bool, device=device)
        self._rows = like.new_zeros(slots, 2 * batch_size, shape.row)
        self._noise = like.new_zeros(slots, 2, shape.actions, batch_size)
        self._host_rows = self._rows.cpu().numpy().copy()
        self._host_noise = self._noise.cpu().numpy().copy()
        self._report = like.new_zeros(slots, 4)
        self._graph: Any = None

    def set_settings(self, slot: int, *, learning_rate: float, gamma: float, tau: float) -> None:
        """Give a slot its own hyperparameters."""
        self._settings[:, slot] = self._settings.new_tensor([learning_rate, gamma, tau])

    def read(self, slot: int) -> State:
        """Return copies of all that a slot has learned."""
        targets = torch.cat([t[slot].reshape(-1) for t in self._targets]).cpu()
        return {
            "actor": self.actor.read(slot),
            "critics": self.critics.read(slot),
            "targets": targets,
        }

    def write(self, slot: int, state: State) -> None:
        """Take back what `read` returned."""
        self.actor.write(slot, state["actor"])
        self.critics.write(slot, state["critics"])
        position = 0
        for tensor in self._targets:
            part = state["targets"][position : position + tensor[slot].numel()]
            tensor[slot] = part.view(tensor[slot].shape).to(tensor)
            position += part.numel()

    def clear(self, slot: int) -> None:
        """Forget what a slot has learned."""
        for stack in (self.actor, self.critics):
            stack.steps[slot] = 0.0
        moving = (self.actor.tensors, self.critics.tensors)
        for tensor in [t for kinds in moving for kind in kinds.values() for t in kind]:
            tensor.detach()[slot] = 0.0
        for tensor in self._targets:
            tensor[slot] = 0.0

    def act(self, observations: Array, noise: Array) -> Array:
        """Return exploring actions, shape (slots, actions), for one observation in each slot."""
        with torch.no_grad():
            inputs = self._like.new_tensor(observations)[:, None, None, :]
            numbers = self._like.new_tensor(noise)[:, :, None]
            action, _ = self._policy(inputs, numbers)
        result: Array = action[:, :, 0].cpu().numpy()
        return result

    def step(self, rows: dict[int, Array], noise: dict[int, Array]) -> dict[int, Losses]:
        """Take a gradient step in the slots named; returns their losses.

        Rows have shape (2 * batch, numbers of a row), all first rows before all second ones;
        noise (2, actions, batch). Other slots stay as they are.
        """
        active = np.zeros(self.slots, np.bool_)
        for slot, content in rows.items():
            active[slot] = True
            self._host_rows[slot] = content
            self._host_noise[slot] = noise[slot]
        # One copy each, however many slots.
        self._rows.copy_(torch.from_numpy(self._host_rows))
        self._noise.copy_(torch.from_numpy(self._host_noise))
        self._run(torch.from_numpy(active))
        report = self._report.tolist()
        return {slot: Losses(*report[slot]) for slot in rows}

    def _run(self, active: Tensor) -> None:
        if self._active.device.type != "cuda":
            self._active.copy_(active)
            self._gradient_step()
            return
        if self._graph is None:
            # With no slot active a step changes nothing, and may be tried out before the capture.
            self._active.zero_()
            stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(3):
                    self._gradient_step()
            torch.cuda.current_stream().wait_stream(stream)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._gradient_step()
        self._active.copy_(active)
        self._graph.replay()

    def _gradient_step(self) -> None:
        """One step as `SacUpdate` takes it, in every active slot."""
        shape, batch, rows = self.shape, self.batch_size, self._rows
        observations = shape.observations
        here, there = rows[:, None, :batch], rows[:, None, batch:]
        gamma = self._settings[1]
        actor, critics = (s.tensors["parameters"] for s in (self.actor, self.critics))
        log_ent_coef = actor[-1]
        before = log_ent_coef.clone()
        ent_coef = log_ent_coef.exp()

        action, log_prob = self._policy(here[..., :observations], self._noise[:, 0])
        with torch.no_grad():
            following, density = self._policy(there[..., :observations], self._noise[:, 1])
            pair = torch.cat([there[..., :observations], following.mT[:, None]], -1)
            smaller = _values(self._targets, pair).amin(1) - ent_coef[:, None] * density
            goal = here[:, 0, :, -1] + there[:, 0, :, -1] * gamma[:, None] * smaller

        error = _values(critics, here[..., :-1]) - goal[:, None]
        critic_loss = 0.5 * error.square().mean(-1).sum(1)
        gradients = torch.autograd.grad(critic_loss.sum(), critics)
        self._adam(self.critics, list(gradients))

        pair = torch.cat([here[..., :observations], action.mT[:, None]], -1)
        value = _values(critics, pair).min(1).values
        actor_loss = (ent_coef[:, None] * log_prob - value).mean(-1)
        gradients = torch.autograd.grad(actor_loss.sum(), actor[:-1])
        mean_log_prob = log_prob.detach().mean(-1)
        self._adam(self.actor, [*gradients, shape.actions - mean_log_prob])
        self._follow()

        entropy_loss = -before * (mean_log_prob - shape.actions)
        losses = (actor_loss.detach(), critic_loss.detach(), ent_coef, entropy_loss)
        self._report.copy_(torch.stack(losses, 1))

    def _policy(self, inputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return actions (slots, actions, rows) and log probabilities (slots, rows)."""
        head = _forward(self.actor.tensors["parameters"][:-1], inputs)[:, 0].mT
        mean, log_std = head.chunk(2, 1)
        log_std = log_std.clamp(*LOG_STD_BOUNDS)
        action = torch.tanh(mean + log_std.exp() * noise)
        density = 0.5 * noise.square() + log_std + HALF_LOG_TWO_PI
        density = density + torch.log(1.0 - action.square() + TANH_EPSILON)
        return action, -density.sum(1)

    def _adam(self, stack: _Stack, gradients: list[Tensor]) -> None:
        with torch.no_grad():
            stack.steps += self._active
            # expm1, since 1 - 0.999^t has few digits left in single precision.
            first_bias = -torch.expm1(stack.steps * math.log(_FIRST))
            root = torch.sqrt(-torch.expm1(stack.steps * math.log(_SECOND)))
            size = self._settings[0] / first_bias.clamp_min(_EPSILON)
            kinds = (stack.tensors[kind] for kind in _MOMENTS)
            for number, first, second, gradient in zip(*kinds, gradients, strict=True):
                active, rate, bias = (
                    t.view(-1, *[1] * (number.dim() - 1)) for t in (self._active, size, root)
                )
                new_first = first.lerp(gradient, 1.0 - _FIRST)
                new_second = second * _SECOND + (1.0 - _SECOND) * gradient.square()
                denominator = new_second.sqrt() / bias.clamp_min(_EPSILON) + _EPSILON
                moved = number - rate * new_first / denominator
                for place, new in ((first, new_first), (second, new_second), (number, moved)):
                    place.copy_(torch.where(active, new, place))

    def _follow(self) -> None:
        with torch.no_grad():
            for target, number in zip(
                self._targets, self.critics.tensors["parameters"], strict=True
            ):
                tau = (self._settings[2] * self._active).view(-1, 1, 1, 1)
                target.copy_(target * (1.0 - tau) + tau * number)


class Slot:
    """One slot of a stack, as the update of one learner."""

    def __init__(self, stack: StackedUpdate, slot: int, **settings: float) -> None:
        """Take a slot; the settings are those of `StackedUpdate.set_settings`."""
        self.shape, self.stack, self.slot = stack.shape, stack, slot
        self._losses = Losses(0.0, 0.0, 0.0, 0.0)
        stack.clear(slot)
        stack.set_settings(slot, **settings)

    def act(self, observation: Array, noise: Array, action: Array) -> None:
        """Fill the exploring action at one observation."""
        observations = np.zeros((self.stack.slots, len(observation)), np.float32)
        numbers = np.zeros((self.stack.slots, len(noise)), np.float32)
        observations[self.slot], numbers[self.slot] = observation, noise
        action[:] = self.stack.act(observations, numbers)[self.slot]

    def step(self, store: Array, samples: Array, noise: Array) -> None:
        """Take gradient steps in this slot alone; the arguments are those of `SacUpdate.step`."""
        found = []
        for chosen, numbers in zip(samples, noise, strict=True):
            rows = {self.slot: rows_of(store, chosen)}
            found.append(self.stack.step(rows, {self.slot: numbers})[self.slot])
        self.set_losses(found)

    def set_losses(self, found: list[Losses]) -> None:
        """Remember the mean of some steps' losses."""
        self._losses = Losses(*(sum(kind) / len(found) for kind in zip(*found, strict=True)))

    def losses(self) -> Losses:
        """Return the mean losses of the last steps."""
        return self._losses

    def state(self) -> State:
        """Return copies of all that is learned."""
        return self.stack.read(self.slot)

    def restore(self, state: State) -> None:
        """Take back what `state` returned."""
        self.stack.write(self.slot, state)


def rows_of(store: Array, chosen: Array) -> Array:
    """Return the rows of transitions: all first ones, then all second ones."""
    rows: Array = store[np.concatenate([2 * chosen, 2 * chosen + 1])]
    return rows


def _forward(parameters: list[Tensor], inputs: Tensor) -> Tensor:
    """Return outputs (slots, networks, rows, outputs) for inputs (slots, 1, rows, inputs)."""
    for number in range(0, len(parameters), 2):
        inputs = torch.matmul(inputs, parameters[number].mT) + parameters[number + 1]
        if number < len(parameters) - 2:
            inputs = inputs.relu()
    return inputs


def _values(parameters: list[Tensor], pairs: Tensor) -> Tensor:
    """Return values (slots, critics, rows)."""
    return _forward(parameters, pairs)[..., 0]
