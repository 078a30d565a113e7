"""The small sums of the fast learner, compiled for the CPU.

Between two large matrix products SAC does dozens of operations on a few hundred numbers. Each is a
call into torch that costs more than its arithmetic, most of all when the processor's caches are
cold; here they are four calls. `fast_update.SacUpdate` states the same in torch.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.compiling import kept
from makerlab.learning.fast_update import (
    HALF_LOG_TWO_PI,
    LOG_STD_BOUNDS,
    TANH_EPSILON,
    Losses,
    SacUpdate,
)

Array = npt.NDArray[Any]
_LOWEST, _HIGHEST = LOG_STD_BOUNDS


class CpuSacUpdate(SacUpdate):
    """The update for the CPU."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take what SacUpdate takes."""
        super().__init__(*arguments, **options)
        self._head = self._policy.output[0].numpy()
        self._noise_array = self.noise.numpy()
        self._rows_array = self.rows.numpy()
        self._values_array = self._values.output[:, 0].numpy()
        self._value_deltas_array = self._value_deltas.output[:, 0].numpy()
        self._action_gradients_array = self._action_gradients.numpy()
        self._head_deltas = self._policy_deltas.output[0].numpy()
        self._log_prob_array = self._log_prob.numpy()
        self._action_array = self._action.numpy()
        self._deviation_array = self._deviation.numpy()
        self._goal_array = self._goal.numpy()
        self._log_ent_array = self.log_ent_coef.numpy()
        self._log_ent_gradient_array = self._log_ent_gradient.numpy()
        self._coefficient = 0.0
        self._mean_log_prob = self._mean_value = self._squares = self._log_coefficient = 0.0

    def _start(self) -> None:
        self._log_coefficient = float(self._log_ent_array[0])
        self._coefficient = math.exp(self._log_coefficient)

    def _squash(self) -> None:
        self._mean_log_prob = squash(
            self._head,
            self._noise_array,
            self._rows_array,
            self._deviation_array,
            self._action_array,
            self._log_prob_array,
        )
        self._log_ent_gradient_array[0] = self.shape.actions - self._mean_log_prob

    def _set_goal(self) -> None:
        set_goal(
            self._values_array,
            self._log_prob_array,
            self._rows_array,
            self._coefficient,
            self._gamma,
            self._goal_array,
        )

    def _value_errors(self) -> None:
        self._squares = value_errors(self._values_array, self._goal_array, self._value_deltas_array)

    def _smaller_value(self) -> None:
        self._mean_value = smaller_value(self._values_array, self._value_deltas_array)

    def _head_gradients(self) -> None:
        head_gradients(
            self._head,
            self._action_array,
            self._deviation_array,
            self._action_gradients_array,
            self._coefficient,
            self._head_deltas,
        )

    def _losses(self) -> Losses:
        return Losses(
            actor_loss=self._coefficient * self._mean_log_prob - self._mean_value,
            critic_loss=0.5 * self._squares / self._batch_size,
            ent_coef=self._coefficient,
            ent_coef_loss=-self._log_coefficient * (self._mean_log_prob - self.shape.actions),
        )


@kept
def squash(
    head: Array, noise: Array, rows: Array, deviation: Array, action: Array, log_prob: Array
) -> float:
    """Fill actions, std * noise and log probabilities; returns the first half's mean of these.

    The second half's actions also go into the rows, beside the next observations.
    """
    actions, count = noise.shape
    batch = count // 2
    column = rows.shape[1] - 1 - actions
    log_prob[:] = -actions * HALF_LOG_TWO_PI
    for a in range(actions):
        for i in range(count):
            # By way of an array, which keeps the precision; a NaN passes and will be noticed.
            deviation[a, i] = head[actions + a, i]
            if deviation[a, i] < _LOWEST:
                deviation[a, i] = _LOWEST
            elif deviation[a, i] > _HIGHEST:
                deviation[a, i] = _HIGHEST
            log_std, number = deviation[a, i], noise[a, i]
            deviation[a, i] = np.exp(log_std) * number
            action[a, i] = np.tanh(head[a, i] + deviation[a, i])
            soft_slope = 1.0 - action[a, i] * action[a, i] + TANH_EPSILON
            log_prob[i] -= 0.5 * number * number + log_std + np.log(soft_slope)
        for i in range(batch):
            rows[batch + i, column + a] = action[a, batch + i]
    total = 0.0
    for i in range(batch):
        total += log_prob[i]
    return total / batch


@kept
def set_goal(
    values: Array, log_prob: Array, rows: Array, ent_coef: float, gamma: float, goal: Array
) -> None:
    """Fill the critics' targets from the target networks' values, shape (2, batch)."""
    batch = len(goal)
    for i in range(batch):
        smaller = values[0, i] if values[0, i] <= values[1, i] else values[1, i]
        following = smaller - ent_coef * log_prob[batch + i]
        goal[i] = rows[i, -1] + rows[batch + i, -1] * gamma * following


@kept
def value_errors(values: Array, goal: Array, deltas: Array) -> float:
    """Fill the gradients of the critics' loss; returns the sum of squared errors."""
    batch = len(goal)
    squares = 0.0
    for critic in range(values.shape[0]):
        for i in range(batch):
            error = values[critic, i] - goal[i]
            squares += error * error
            deltas[critic, i] = error / batch
    return squares


@kept
def smaller_value(values: Array, deltas: Array) -> float:
    """Fill the gradients of -mean(min(q)); returns that mean."""
    batch = values.shape[1]
    share = -1.0 / batch
    total = 0.0
    for i in range(batch):
        first = values[0, i] <= values[1, i]
        deltas[0, i] = share if first else 0.0
        deltas[1, i] = 0.0 if first else share
        total += values[0, i] if first else values[1, i]
    return total / batch


@kept
def head_gradients(
    head: Array,
    action: Array,
    deviation: Array,
    action_gradients: Array,
    ent_coef: float,
    deltas: Array,
) -> None:
    """Fill the gradients of the actor's outputs; the formula stands in `SacUpdate`."""
    actions, batch = action_gradients.shape[1:]
    share = ent_coef / batch
    for a in range(actions):
        for i in range(batch):
            slope = 1.0 - action[a, i] * action[a, i]
            push = 2.0 * share * action[a, i] / (slope + TANH_EPSILON)
            push += action_gradients[0, a, i] + action_gradients[1, a, i]
            deltas[a, i] = push * slope
            log_std = head[actions + a, i]
            inside = log_std >= _LOWEST and log_std <= _HIGHEST
            deltas[actions + a, i] = push * slope * deviation[a, i] - share if inside else 0.0
