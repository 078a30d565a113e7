"""One gradient step of SAC without autograd, equal to Stable-Baselines3's to float32 rounding.

The order is that of `stable_baselines3.sac.SAC.train`: entropy coefficient, critics, actor,
targets; the coefficient used is the one before its own step. Formulas: Haarnoja et al. (2018),
arXiv:1812.05905, with the tanh correction log(1 - a^2 + 1e-6) and log standard deviations within
[-20, 2] of that implementation.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from makerlab.learning.fast_networks import (
    Activations,
    Layer,
    Sizes,
    backward,
    backward_to_inputs,
    forward,
    layers_of,
    parameter_count,
)

Array = npt.NDArray[Any]

LOG_STD_BOUNDS = (-20.0, 2.0)
TANH_EPSILON = 1e-6
CRITICS = 2
State = dict[str, Any]
"""All that is learned, as nested dictionaries of tensors in the order of `layers_of`."""

HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Shape:
    """Sizes of a learner's networks and of a row of its batches."""

    observations: int
    actions: int
    hidden: tuple[int, ...]

    @property
    def actor(self) -> Sizes:
        """Layer sizes of the actor; its outputs are the means, then the log deviations."""
        return (self.observations, *self.hidden, 2 * self.actions)

    @property
    def critic(self) -> Sizes:
        """Layer sizes of one critic."""
        return (self.observations + self.actions, *self.hidden, 1)

    @property
    def row(self) -> int:
        """Numbers in a row: an observation, an action and one more."""
        return self.observations + self.actions + 1


class FlatAdam:
    """Adam (Kingma and Ba 2015, torch's defaults) on one flat tensor."""

    def __init__(self, like: Tensor, size: int, *, learning_rate: float) -> None:
        """Start at zero parameters and moments, on the device and with the precision of `like`."""
        self.parameters = like.new_zeros(size)
        self.gradients = like.new_zeros(size)
        self.first_moment = like.new_zeros(size)
        self.second_moment = like.new_zeros(size)
        self.steps = torch.zeros((), device=like.device)
        self._learning_rate = learning_rate

    def step(self) -> None:
        """Move the parameters against the gradients."""
        self.steps.add_(1.0)
        torch._fused_adam_(
            [self.parameters],
            [self.gradients],
            [self.first_moment],
            [self.second_moment],
            [],
            [self.steps],
            lr=self._learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """Return copies of parameters, moments and step count."""
        return {name: tensor.cpu().clone() for name, tensor in self._tensors().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned."""
        for name, tensor in self._tensors().items():
            tensor.copy_(state[name])

    def _tensors(self) -> dict[str, Tensor]:
        return {
            "parameters": self.parameters,
            "first_moment": self.first_moment,
            "second_moment": self.second_moment,
            "steps": self.steps,
        }


class Losses(NamedTuple):
    """What a gradient step reports."""

    actor_loss: float
    critic_loss: float
    ent_coef: float
    ent_coef_loss: float


class Update(Protocol):
    """What is learned, and how a step changes it; the methods are described in `SacUpdate`."""

    shape: Shape

    def act(self, observation: Array, noise: Array, action: Array) -> None: ...

    def step(self, store: Array, samples: Array, noise: Array) -> None: ...

    def losses(self) -> Losses: ...

    def state(self) -> State: ...

    def restore(self, state: State) -> None: ...


class SacUpdate:
    """Parameters, optimizers and buffers of one learner, on any device.

    The actor's flat tensor ends with the logarithm of the entropy coefficient: both have the same
    learning rate and number of steps, so one Adam moves them.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        batch_size: int,
        learning_rate: float,
        gamma: float,
        tau: float,
        device: str,
        dtype: torch.dtype = torch.float32,
        rounded: bool = False,
    ) -> None:
        """Allocate everything, all parameters zero; `rounded` as in `layers_of`."""
        self.shape = shape
        like = torch.empty(0, device=device, dtype=dtype)
        self._batch_size, self._gamma, self._tau = batch_size, gamma, tau
        actor_size = parameter_count(1, shape.actor)
        self.actor = FlatAdam(like, actor_size + 1, learning_rate=learning_rate)
        critics_size = parameter_count(CRITICS, shape.critic)
        self.critics = FlatAdam(like, critics_size, learning_rate=learning_rate)
        self.targets = like.new_zeros(critics_size)
        self.log_ent_coef = self.actor.parameters[-1:]
        # Rows 0 to B: observation, action, reward; rows B to 2B: next observation, room for the
        # next action, 1 unless the episode ended there.
        self.rows = like.new_zeros(2 * batch_size, shape.row)
        # One standard normal number per action of either half.
        self.noise = like.new_zeros(shape.actions, 2 * batch_size)
        self._view_parameters(actor_size, rounded)
        self._view_rows()
        self._allocate(like)

    def _view_parameters(self, actor_size: int, rounded: bool) -> None:
        shape, actor, critics = self.shape, self.actor, self.critics

        def actor_layers(flat: Tensor) -> list[Layer]:
            return layers_of(flat[:actor_size], 1, shape.actor, rounded=rounded)

        def critic_layers(flat: Tensor) -> list[Layer]:
            return layers_of(flat, CRITICS, shape.critic, rounded=rounded)

        self.actor_layers = actor_layers(actor.parameters)
        self.actor_gradients = actor_layers(actor.gradients)
        self.critic_layers = critic_layers(critics.parameters)
        self.critic_gradients = critic_layers(critics.gradients)
        self.target_layers = critic_layers(self.targets)
        self._log_ent_gradient = actor.gradients[-1:]
        self._action_weights = self.critic_layers[0].weight_transposed[:, shape.observations :]
        self._action_columns = torch.zeros_like(self._action_weights.contiguous())

    def _view_rows(self) -> None:
        shape, batch, rows = self.shape, self._batch_size, self.rows
        inputs = shape.observations + shape.actions
        self._states = rows[None, :, : shape.observations]
        self._first_states = self._states[:, :batch]
        self._pairs = rows[:batch, :inputs].expand(CRITICS, -1, -1)
        self._next_pairs = rows[batch:, :inputs].expand(CRITICS, -1, -1)
        self._actions = rows[:batch, shape.observations : inputs]
        self._next_actions = rows[batch:, shape.observations : inputs]
        self._rewards, self._continues = rows[:batch, -1], rows[batch:, -1]

    def _allocate(self, like: Tensor) -> None:
        shape, batch = self.shape, self._batch_size
        empty = like.new_zeros

        self._policy = Activations.empty(1, shape.actor, 2 * batch, like)
        self._policy_here = self._policy.first(batch)
        self._policy_deltas = Activations.empty(1, shape.actor, batch, like)
        self._values = Activations.empty(CRITICS, shape.critic, batch, like)
        self._value_deltas = Activations.empty(CRITICS, shape.critic, batch, like)
        both = (shape.actions, 2 * batch)
        self._log_std, self._deviation = empty(*both), empty(*both)
        self._action, self._slope = empty(*both), empty(*both)
        self._soft_slope, self._density = empty(*both), empty(*both)
        self._log_prob = empty(2 * batch)
        self._smaller, self._goal = empty(batch), empty(batch)
        self._is_first = torch.zeros(batch, dtype=torch.bool, device=like.device)
        self._action_gradients = empty(CRITICS, shape.actions, batch)
        self._push, self._within = empty(shape.actions, batch), empty(shape.actions, batch)
        self._ent_coef = empty(1)
        self._one, self._zero = like.new_ones(()), empty(())
        self._share = like.new_full((), -1.0 / batch)
        self._report = empty(5)
        self._mean_losses = Losses(0.0, 0.0, 0.0, 0.0)

    def act(self, observation: Array, noise: Array, action: Array) -> None:
        """Fill the exploring action at one observation, by one standard normal number each."""
        hidden = self.rows.new_tensor(observation[None, None])
        *layers, last = self.actor_layers
        for layer in layers:
            hidden = torch.matmul(hidden, layer.weight_transposed).add_(layer.bias).relu_()
        mean, log_std = (torch.matmul(last.weight, hidden.mT) + last.bias).view(2, -1)
        deviation = log_std.clamp(*LOG_STD_BOUNDS).exp() * self.rows.new_tensor(noise)
        action[:] = torch.tanh(mean + deviation).cpu().numpy()

    def step(self, store: Array, samples: Array, noise: Array) -> None:
        """Take a gradient step for each row of samples.

        `samples`, shape (steps, batch), are transitions of the store, which has two rows for each
        (see `Replay`); `noise`, shape (steps, 2, actions, batch), is standard normal: for the
        observations, then for the next ones.
        """
        losses = []
        for chosen, numbers in zip(samples, noise, strict=True):
            both = np.concatenate([2 * chosen, 2 * chosen + 1])
            self.rows.copy_(torch.from_numpy(store[both]))
            self.noise.copy_(torch.from_numpy(np.concatenate(tuple(numbers), 1)))
            losses.append(self._gradient_step())
        self._mean_losses = Losses(*(sum(kind) / len(losses) for kind in zip(*losses, strict=True)))

    def losses(self) -> Losses:
        """Return the mean losses of the last call of `step`."""
        return self._mean_losses

    def state(self) -> State:
        """Return copies of all that is learned, in the order of `layers_of`."""
        targets = self.targets.cpu().clone()
        return {"actor": self.actor.state(), "critics": self.critics.state(), "targets": targets}

    def restore(self, state: State) -> None:
        """Take back what `state` returned."""
        self.actor.restore(state["actor"])
        self.critics.restore(state["critics"])
        self.targets.copy_(state["targets"])

    def gradients(self) -> dict[str, Tensor]:
        """Return the gradients of the last step in the order of `layers_of`."""
        return {"actor": self.actor.gradients.clone(), "critics": self.critics.gradients.clone()}

    def _gradient_step(self) -> Losses:
        """Take one gradient step on the transitions in `rows` with the numbers in `noise`."""
        self._start()
        forward(self.actor_layers, self._states, self._policy)
        self._squash()
        self._critic_gradients()
        self.critics.step()
        self._actor_gradients()
        self.actor.step()
        self.targets.lerp_(self.critics.parameters, self._tau)
        return self._losses()

    def _start(self) -> None:
        torch.exp(self.log_ent_coef, out=self._ent_coef)
        self._report[3:4].copy_(self.log_ent_coef)

    def _squash(self) -> None:
        """Act at observations and next observations, with the actor before its step.

        The entropy coefficient's loss is -log(ent_coef) * mean(log_prob + target entropy), with
        the target entropy -actions.
        """
        actions, batch = self.shape.actions, self._batch_size
        mean, log_std = self._policy.output[0, :actions], self._policy.output[0, actions:]
        torch.clamp(log_std, *LOG_STD_BOUNDS, out=self._log_std)
        torch.exp(self._log_std, out=self._deviation)
        self._deviation.mul_(self.noise)
        torch.add(mean, self._deviation, out=self._action)
        self._action.tanh_()
        torch.addcmul(self._one, self._action, self._action, value=-1.0, out=self._slope)
        torch.add(self._slope, TANH_EPSILON, out=self._soft_slope)
        torch.log(self._soft_slope, out=self._density)
        self._density.add_(self._log_std).addcmul_(self.noise, self.noise, value=0.5)
        torch.sum(self._density, 0, out=self._log_prob)
        self._log_prob.add_(actions * HALF_LOG_TWO_PI).neg_()
        here = self._log_prob[:batch]
        torch.mean(here, 0, keepdim=True, out=self._report[0:1])
        torch.sub(actions, self._report[0:1], out=self._log_ent_gradient)
        self._next_actions.copy_(self._action[:, batch:].T)

    def _critic_gradients(self) -> None:
        """Loss 0.5 * sum over critics of mean((q - goal)^2)."""
        forward(self.target_layers, self._next_pairs, self._values)
        self._set_goal()
        forward(self.critic_layers, self._pairs, self._values)
        self._value_errors()
        backward(
            self.critic_layers, self._pairs, self._values, self._value_deltas, self.critic_gradients
        )

    def _set_goal(self) -> None:
        """Reward plus discounted min(q) - ent_coef * log_prob of the next step, unless ended."""
        batch, values = self._batch_size, self._values.output
        torch.minimum(values[0, 0], values[1, 0], out=self._smaller)
        self._smaller.addcmul_(self._log_prob[batch:], self._ent_coef, value=-1.0)
        torch.addcmul(
            self._rewards, self._continues, self._smaller, value=self._gamma, out=self._goal
        )

    def _value_errors(self) -> None:
        error = self._value_deltas.output
        torch.sub(self._values.output, self._goal, out=error)
        flat = error.view(-1)
        torch.dot(flat, flat, out=self._report[1])
        error.mul_(1.0 / self._batch_size)

    def _actor_gradients(self) -> None:
        """Loss mean(ent_coef * log_prob - min(q)), by the updated critics."""
        self._actions.copy_(self._action[:, : self._batch_size].T)
        forward(self.critic_layers, self._pairs, self._values)
        self._smaller_value()
        self._action_columns.copy_(self._action_weights)
        backward_to_inputs(
            self.critic_layers,
            self._action_columns,
            self._values,
            self._value_deltas,
            self._action_gradients,
        )
        self._head_gradients()
        backward(
            self.actor_layers,
            self._first_states,
            self._policy_here,
            self._policy_deltas,
            self.actor_gradients,
        )

    def _smaller_value(self) -> None:
        first, second = self._values.output[0, 0], self._values.output[1, 0]
        torch.minimum(first, second, out=self._smaller)
        torch.mean(self._smaller, 0, out=self._report[2])
        delta = self._value_deltas.output
        torch.le(first, second, out=self._is_first)
        torch.where(self._is_first, self._share, self._zero, out=delta[0, 0])
        torch.sub(self._share, delta[0, 0], out=delta[1, 0])

    def _head_gradients(self) -> None:
        """From the actions a = tanh(mean + std * noise) back to mean and log_std.

        With s = 1 - a^2: d log_prob / d mean = 2 a s / (s + epsilon), and the same times
        std * noise, less one, for log_std.
        """
        batch, actions = self._batch_size, self.shape.actions
        push = self._push
        torch.div(self._action[:, :batch], self._soft_slope[:, :batch], out=push)
        push.mul_(self._ent_coef).mul_(2.0 / batch)
        push.add_(self._action_gradients[0]).add_(self._action_gradients[1])
        delta = self._policy_deltas.output[0]
        torch.mul(push, self._slope[:, :batch], out=delta[:actions])
        torch.mul(delta[:actions], self._deviation[:, :batch], out=push)
        push.add_(self._ent_coef, alpha=-1.0 / batch)
        log_std = self._policy.output[0, actions:, :batch]
        torch.eq(log_std, self._log_std[:, :batch], out=self._within)
        torch.mul(push, self._within, out=delta[actions:])

    def _losses(self) -> Losses:
        self._report[4:5].copy_(self._ent_coef)
        log_prob, squares, value, log_ent_coef, ent_coef = self._report.tolist()
        return Losses(
            actor_loss=ent_coef * log_prob - value,
            critic_loss=0.5 * squares / self._batch_size,
            ent_coef=ent_coef,
            ent_coef_loss=-log_ent_coef * (log_prob - self.shape.actions),
        )
