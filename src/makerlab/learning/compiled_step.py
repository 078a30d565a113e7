"""One gradient step of SAC as one compiled function: no Python and no library in between.

It computes what `fast_update.SacUpdate` states in torch, on numbers in panels, with two savings:
the policy's gradient goes back, row by row, through the smaller critic only, and each layer's
bias, rectifier or mask is applied before its results leave the registers.
"""

import math
from typing import NamedTuple

import numpy as np

from makerlab.compiling import kept, part
from makerlab.learning.fast_update import (
    CRITICS,
    HALF_LOG_TWO_PI,
    LOG_STD_BOUNDS,
    TANH_EPSILON,
)
from makerlab.learning.panels import (
    INPUTS,
    LINES,
    WEIGHTS,
    WIDE,
    Array,
    Plan,
    backward,
    deltas_of_first,
    dots,
    forward,
    turn,
)
from makerlab.learning.smooth import exp, log, tanh
from makerlab.learning.tiles import COLUMNS, ROWS

_LOWEST, _HIGHEST = LOG_STD_BOUNDS


class Moving(NamedTuple):
    """Parameters moved by one Adam (Kingma and Ba 2015, torch's defaults), in panels."""

    parameters: Array
    gradients: Array
    first_moment: Array
    second_moment: Array
    steps: Array  # (1,), double precision
    turned: Array  # weights between hidden layers the other way round


class Networks(NamedTuple):
    """All that a learner learns. The actor's last number is log of the entropy coefficient."""

    actor: Moving
    critics: Moving
    targets: Array
    actor_plan: Plan
    critic_plan: Plan


class Room(NamedTuple):
    """Buffers of a gradient step; `half` is the batch rounded up to whole blocks."""

    inputs: Array  # panels of 2 * half rows: observation and action, then those that follow
    reward: Array  # (half,)
    continues: Array  # (half,), 0 where the episode ended
    policy: Array  # (2 * actions * half,): means, then log deviations
    values: Array  # (critics * half,)
    units: Array  # hidden layers of both critics
    policy_units: Array
    deltas: Array
    head: Array  # one panel: gradients of a network's outputs
    action: Array  # (actions * half,)
    deviation: Array  # (actions * half,): std * noise
    log_prob: Array  # (half,)
    goal: Array  # (half,)
    action_gradients: Array  # (actions * half,)
    part: Array  # (half,): the same for one action and some rows
    everyone: Plan  # (half,): 0, 1, 2, ...
    chosen: Plan  # (half,)
    report: Array  # (4,), double precision


@kept
def gradient_steps(
    networks: Networks,
    room: Room,
    store: Array,
    samples: Plan,
    noise: Array,
    learning_rate: float,
    gamma: float,
    tau: float,
) -> None:
    """Take a gradient step for each row of samples (steps, batch); the report gets mean losses.

    `noise` has shape (steps, 2, actions, batch): for the observations, and for the next ones. The
    store has two rows per transition.
    """
    actor, critics, targets = networks.actor, networks.critics, networks.targets
    inputs, policy, values, report = room.inputs, room.policy, room.values, room.report
    action, log_prob = room.action, room.log_prob
    steps, batch = samples.shape
    actions, half = noise.shape[2], len(room.goal)
    size, unit = len(targets) // CRITICS, len(room.units) // CRITICS
    back, across = len(critics.turned) // CRITICS, half * COLUMNS
    plan, actor_plan = networks.critic_plan, networks.actor_plan
    # Places of the two halves of the inputs, and the distance of their panels
    # (a literal zero would make the compiler write a variant for it).
    here, there, panel = np.int64(0), half * COLUMNS, 2 * half * COLUMNS
    column = plan[0, INPUTS] - actions
    report[:] = 0.0
    for number in range(steps):
        log_ent_coef = actor.parameters[-1]
        ent_coef = math.exp(log_ent_coef)
        _gather(store, samples[number], inputs, half, room.reward, room.continues)

        # What follows: actions and values of the next observations.
        parameters, units = actor.parameters, room.policy_units
        forward(inputs, there, panel, half, parameters, here, actor_plan, units, policy)
        _squash(policy, half, noise[number, 1], room.deviation, action, log_prob)
        _place_actions(action, half, inputs, there, panel, column, actions, batch)
        for critic in range(CRITICS):
            units = room.units[critic * unit : (critic + 1) * unit]
            value = values[critic * half : (critic + 1) * half]
            forward(inputs, there, panel, half, targets, critic * size, plan, units, value)
        _set_goal(values, log_prob, room.reward, room.continues, room.goal, ent_coef, gamma)

        # The critics.
        parameters = critics.parameters
        squares = 0.0
        for critic in range(CRITICS):
            units = room.units[critic * unit : (critic + 1) * unit]
            value = values[critic * half : (critic + 1) * half]
            forward(inputs, here, panel, half, parameters, critic * size, plan, units, value)
            squares += _value_errors(value, room.goal, room.head, batch)
            backward(
                inputs,
                here,
                panel,
                half,
                batch,
                parameters,
                critic * size,
                critics.turned,
                critic * back,
                plan,
                units,
                room.head,
                room.deltas,
                room.everyone,
                critics.gradients,
            )
        _adam(critics, learning_rate)
        _follow(targets, parameters, tau)
        for critic in range(CRITICS):
            turn(parameters, critic * size, plan, critics.turned, critic * back)

        # The actor, by the critics after their step.
        parameters, units = actor.parameters, room.policy_units
        forward(inputs, here, panel, half, parameters, here, actor_plan, units, policy)
        mean_log_prob = _squash(policy, half, noise[number, 0], room.deviation, action, log_prob)
        _place_actions(action, half, inputs, here, panel, column, actions, batch)
        parameters = critics.parameters
        for critic in range(CRITICS):
            units = room.units[critic * unit : (critic + 1) * unit]
            value = values[critic * half : (critic + 1) * half]
            forward(inputs, here, panel, half, parameters, critic * size, plan, units, value)
        mean_value = _mean_of_smaller(values, half, batch)
        for critic in range(CRITICS):
            units = room.units[critic * unit : (critic + 1) * unit]
            rows = _choose(values, half, batch, critic, room.chosen)
            _fill_column(room.head, rows, -1.0 / batch)
            deltas_of_first(
                room.head,
                across,
                rows,
                parameters,
                critic * size,
                critics.turned,
                critic * back,
                plan,
                units,
                room.chosen,
                room.deltas,
            )
            for a in range(actions):
                row = critic * size + plan[0, WEIGHTS] + (column + a) * COLUMNS
                lines, wide = plan[0, LINES], plan[0, WIDE]
                dots(room.deltas, 0, rows, parameters, row, lines, wide, room.part)
                for i in range(rows):
                    room.action_gradients[a * half + room.chosen[i]] = room.part[i]
        _head_gradients(
            policy,
            action,
            room.deviation,
            room.action_gradients,
            half,
            actions,
            batch,
            ent_coef,
            room.head,
        )
        backward(
            inputs,
            here,
            panel,
            half,
            batch,
            actor.parameters,
            here,
            actor.turned,
            here,
            actor_plan,
            room.policy_units,
            room.head,
            room.deltas,
            room.everyone,
            actor.gradients,
        )
        actor.gradients[-1] = actions - mean_log_prob
        _adam(actor, learning_rate)
        turn(actor.parameters, here, actor_plan, actor.turned, here)

        report[0] += (ent_coef * mean_log_prob - mean_value) / steps
        report[1] += 0.5 * squares / batch / steps
        report[2] += ent_coef / steps
        report[3] += -log_ent_coef * (mean_log_prob - actions) / steps


@part()
def _gather(
    store: Array, samples: Plan, inputs: Array, half: int, reward: Array, continues: Array
) -> None:
    """Copy transitions into the panels: all first rows, then all second ones."""
    width = store.shape[1] - 1
    across = 2 * half * COLUMNS
    for i in range(len(samples)):
        here, there = store[2 * samples[i]], store[2 * samples[i] + 1]
        for c in range(width):
            place = (c // COLUMNS) * across + i * COLUMNS + c % COLUMNS
            inputs[place] = here[c]
            inputs[place + half * COLUMNS] = there[c]
        reward[i] = here[width]
        continues[i] = there[width]


@part(fast=("reassoc", "contract"))
def _squash(
    policy: Array, half: int, noise: Array, deviations: Array, played: Array, log_prob: Array
) -> float:
    """Fill actions, std * noise and log probabilities; returns the mean of these."""
    actions, batch = noise.shape
    number_of = log_prob.dtype.type
    lowest, highest = number_of(_LOWEST), number_of(_HIGHEST)
    one, one_half, epsilon = number_of(1.0), number_of(0.5), number_of(TANH_EPSILON)
    constant = number_of(-actions * HALF_LOG_TWO_PI)
    for i in range(batch):
        log_prob[i] = constant
    for a in range(actions):
        means = policy[a * half : (a + 1) * half]
        log_stds = policy[(actions + a) * half : (actions + a + 1) * half]
        deviation = deviations[a * half : (a + 1) * half]
        action = played[a * half : (a + 1) * half]
        numbers = noise[a]
        for i in range(batch):
            # A NaN passes and will be noticed.
            log_std, number = log_stds[i], numbers[i]
            log_std = lowest if log_std < lowest else log_std
            log_std = highest if log_std > highest else log_std
            distance = exp(log_std) * number
            result = tanh(means[i] + distance)
            deviation[i] = distance
            action[i] = result
            slope = one - result * result + epsilon
            log_prob[i] -= one_half * number * number + log_std + log(slope)
    total = 0.0
    for i in range(batch):
        total += log_prob[i]
    return total / batch


@part()
def _place_actions(
    action: Array,
    half: int,
    inputs: Array,
    first: int,
    panel: int,
    column: int,
    actions: int,
    batch: int,
) -> None:
    """Put the actions beside the observations."""
    for a in range(actions):
        c = column + a
        place = first + (c // COLUMNS) * panel + c % COLUMNS
        for i in range(batch):
            inputs[place + i * COLUMNS] = action[a * half + i]


@part(fast=("contract",))
def _set_goal(
    values: Array,
    log_prob: Array,
    reward: Array,
    continues: Array,
    goal: Array,
    ent_coef: float,
    gamma: float,
) -> None:
    """Reward plus discounted min(q) - ent_coef * log_prob of the next step, unless ended."""
    number_of = goal.dtype.type
    coefficient, discount = number_of(ent_coef), number_of(gamma)
    one, other = values[: len(goal)], values[len(goal) :]
    for i in range(len(goal)):
        smaller = one[i] if one[i] <= other[i] else other[i]
        goal[i] = reward[i] + continues[i] * discount * (smaller - coefficient * log_prob[i])


@part()
def _value_errors(value: Array, goal: Array, head: Array, batch: int) -> float:
    """Fill the gradients of 0.5 * mean((q - goal)^2); returns the sum of squares."""
    head[:] = 0.0
    share = goal.dtype.type(1.0 / batch)
    squares = 0.0
    for i in range(batch):
        error = value[i] - goal[i]
        squares += error * error
        head[i * COLUMNS] = error * share
    return squares


@part()
def _mean_of_smaller(values: Array, half: int, batch: int) -> float:
    total = 0.0
    for i in range(batch):
        one, other = values[i], values[half + i]
        total += one if one <= other else other
    return total / batch


@part()
def _choose(values: Array, half: int, batch: int, critic: int, chosen: Plan) -> int:
    """List the rows whose smaller value is this critic's; returns how many, in whole blocks.

    The last block is filled up with its own first row, whose result is the same again.
    """
    count = 0
    for i in range(batch):
        if (values[i] <= values[half + i]) == (critic == 0):
            chosen[count] = i
            count += 1
    rows = (count + ROWS - 1) // ROWS * ROWS
    for i in range(count, rows):
        chosen[i] = chosen[rows - ROWS]
    return rows


@part()
def _fill_column(head: Array, rows: int, value: float) -> None:
    for i in range(rows):
        head[i * COLUMNS] = value


@part()
def _head_gradients(
    policy: Array,
    action: Array,
    deviation: Array,
    action_gradients: Array,
    half: int,
    actions: int,
    batch: int,
    ent_coef: float,
    head: Array,
) -> None:
    """Fill the gradients of the actor's outputs; the formula stands in `SacUpdate`."""
    number_of = head.dtype.type
    share, one, two = number_of(ent_coef / batch), number_of(1.0), number_of(2.0)
    lowest, highest = number_of(_LOWEST), number_of(_HIGHEST)
    epsilon, zero = number_of(TANH_EPSILON), number_of(0.0)
    head[:] = zero
    for a in range(actions):
        for i in range(batch):
            played = action[a * half + i]
            slope = one - played * played
            push = two * share * played / (slope + epsilon) + action_gradients[a * half + i]
            log_std = policy[(actions + a) * half + i]
            inside = log_std >= lowest and log_std <= highest
            head[i * COLUMNS + a] = push * slope
            further = push * slope * deviation[a * half + i] - share
            head[i * COLUMNS + actions + a] = further if inside else zero


@part(fast=("contract",))
def _adam(moving: Moving, learning_rate: float) -> None:
    """Move parameters against their gradients."""
    moving.steps[0] += 1.0
    steps = moving.steps[0]
    number_of = moving.parameters.dtype.type
    first_bias, second_bias = 1.0 - 0.9**steps, 1.0 - 0.999**steps
    size, root = number_of(learning_rate / first_bias), number_of(math.sqrt(second_bias))
    fresh, kept, new = number_of(1.0 - 0.9), number_of(0.999), number_of(1.0 - 0.999)
    epsilon = number_of(1e-8)
    parameters, gradients = moving.parameters, moving.gradients
    first_moment, second_moment = moving.first_moment, moving.second_moment
    for i in range(len(parameters)):
        gradient = gradients[i]
        first = first_moment[i] + fresh * (gradient - first_moment[i])
        second = kept * second_moment[i] + new * gradient * gradient
        first_moment[i] = first
        second_moment[i] = second
        parameters[i] -= size * first / (np.sqrt(second) / root + epsilon)


@part(fast=("contract",))
def _follow(targets: Array, parameters: Array, tau: float) -> None:
    """Move a share of the critics into the targets."""
    kept, share = targets.dtype.type(1.0 - tau), targets.dtype.type(tau)
    for i in range(len(targets)):
        targets[i] = kept * targets[i] + share * parameters[i]


@kept
def turn_all(networks: Networks) -> None:
    """Bring the weights for the way back up to date, after parameters were put in."""
    actor, critics = networks.actor, networks.critics
    turn(actor.parameters, 0, networks.actor_plan, actor.turned, 0)
    size, back = len(networks.targets) // CRITICS, len(critics.turned) // CRITICS
    for critic in range(CRITICS):
        place, beside = critic * size, critic * back
        turn(critics.parameters, place, networks.critic_plan, critics.turned, beside)


@kept
def act(
    networks: Networks,
    observation: Array,
    noise: Array,
    inputs: Array,
    units: Array,
    results: Array,
    action: Array,
) -> None:
    """Fill the exploring action at one observation; the rest is room for four rows."""
    for c in range(len(observation)):
        inputs[(c // COLUMNS) * ROWS * COLUMNS + c % COLUMNS] = observation[c]
    parameters, plan = networks.actor.parameters, networks.actor_plan
    forward(inputs, 0, ROWS * COLUMNS, ROWS, parameters, 0, plan, units, results)
    actions = len(action)
    for a in range(actions):
        log_std = min(max(results[(actions + a) * ROWS], _LOWEST), _HIGHEST)
        action[a] = np.tanh(results[a * ROWS] + np.exp(log_std) * noise[a])
