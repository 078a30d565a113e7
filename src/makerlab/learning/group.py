"""Several trainings of one shape in one process, none of which notices the others.

They share the market's data, the compiled code and the interpreter. On the CPU each computes what
it would compute alone, bit for bit, one after the other: a core has no more arithmetic to give to
four small networks at once than to each in turn. On a GPU their steps are one batched step; a
member's numbers then differ from those it would have had alone by rounding.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import psutil
import torch

from makerlab.config import TrainSettings
from makerlab.learning.fast_networks import parameter_count
from makerlab.learning.fast_sac import FastSacLearner
from makerlab.learning.fast_update import CRITICS, Losses, Shape
from makerlab.learning.stacked import Slot, StackedUpdate, rows_of
from makerlab.learning.training import Diverged, Training

Act = Callable[[], None]

_SHARE_OF_MEMORY = 0.5
_BYTES = 4
# Parameters, gradients, two moments, targets, and what a step computes on the way.
_COPIES_OF_PARAMETERS = 8
# Activations and their gradients, for all passes of a step that are alive at once.
_COPIES_OF_UNITS = 16


def group_key(settings: TrainSettings) -> tuple[object, ...]:
    """Return what members of one group must have in common, beside their market's sizes."""
    s = settings
    return (s.learner, s.precision, s.net_arch, s.batch_size, s.train_freq, s.gradient_steps)


def member_bytes(shape: Shape, settings: TrainSettings) -> tuple[int, int]:
    """Return the memory of a member: on the host, its replay store full, and on its device."""
    parameters = parameter_count(1, shape.actor) + CRITICS * parameter_count(1, shape.critic)
    units = 2 * settings.batch_size * sum(settings.net_arch) * (1 + CRITICS)
    device = _COPIES_OF_PARAMETERS * parameters + _COPIES_OF_UNITS * units
    return _BYTES * 2 * settings.buffer_size * shape.row, _BYTES * device


def fitting(wanted: int, shape: Shape, settings: TrainSettings, *, device: str) -> int:
    """Return how many members of this shape fit into half of the free memory, at least one."""
    host, there = member_bytes(shape, settings)
    free = psutil.virtual_memory().available
    if torch.device(device).type == "cuda":
        limit = min(free / host, torch.cuda.mem_get_info(device)[0] / there)
    else:
        limit = free / (host + there)
    return max(1, min(wanted, int(_SHARE_OF_MEMORY * limit)))


class TrainingGroup:
    """Seats for trainings; members come and go, finish, fail and resume on their own.

    A training is made with the group as its `seats`, and moved by `turn`. `stacked` forces the
    batched step, which a CPU is otherwise spared.
    """

    def __init__(self, size: int, *, device: str, stacked: bool | None = None) -> None:
        """Make a group with so many seats."""
        self.size = size
        self._device = device
        self.stacked = torch.device(device).type != "cpu" if stacked is None else stacked
        self._stack: StackedUpdate | None = None
        self._free = list(range(size))

    def seat(self, shape: Shape, settings: TrainSettings) -> Slot | None:
        """Return a place in the batched update, None where each member has its own.

        Raises ValueError when all seats are taken or the shape is not the group's.
        """
        if not self.stacked:
            return None
        if self._stack is None:
            self._stack = StackedUpdate(
                shape, slots=self.size, batch_size=settings.batch_size, device=self._device
            )
        if (shape, settings.batch_size) != (self._stack.shape, self._stack.batch_size):
            raise ValueError(f"found a learner of {shape}, expected {self._stack.shape}")
        if not self._free:
            raise ValueError(f"all {self.size} seats are taken")
        return Slot(
            self._stack,
            self._free.pop(0),
            learning_rate=settings.learning_rate,
            gamma=settings.gamma,
            tau=settings.tau,
        )

    def leave(self, training: Training) -> None:
        """Free a member's seat."""
        slot = _slot(training)
        if slot is not None:
            self._free.append(slot.slot)

    def turn(self, trainings: Sequence[Training]) -> dict[int, Diverged]:
        """Advance trainings by `train_freq` steps and an update; returns what failed, by place.

        A failure stops that member alone.
        """
        failed: dict[int, Diverged] = {}
        if not self.stacked or any(_slot(training) is None for training in trainings):
            for place, training in enumerate(trainings):
                try:
                    training.advance()
                except Diverged as error:
                    failed[place] = error
            return failed
        members = dict(enumerate(trainings))
        for _ in range(trainings[0].settings.train_freq if trainings else 0):
            if members:
                self._play(members, failed)
        self._update(members, failed)
        return failed

    def _play(self, members: dict[int, Training], failed: dict[int, Diverged]) -> None:
        """Take one environment step with each member; all actions come from one call."""
        stack = _seated(next(iter(members.values())))[0].stack
        observations = np.zeros((stack.slots, stack.shape.observations), np.float32)
        numbers = np.zeros((stack.slots, stack.shape.actions), np.float32)
        drawn = {}
        for place, training in members.items():
            slot, learner = _seated(training)
            action, noise = learner.draw_action()
            drawn[place] = (action, noise)
            observations[slot.slot] = training.observation
            if noise is not None:
                numbers[slot.slot] = noise
        actions = (
            stack.act(observations, numbers)
            if any(noise is not None for _, noise in drawn.values())
            else None
        )
        for place, training in list(members.items()):
            action, noise = drawn[place]
            if noise is not None and actions is not None:
                action = actions[_seated(training)[0].slot]
            self._try(place, members, failed, partial(training.play, action[None], action[None]))

    def _update(self, members: dict[int, Training], failed: dict[int, Diverged]) -> None:
        """Take the gradient steps of one update with each member that is past its warm-up."""
        batches = {}
        for place, training in members.items():
            drawn = _seated(training)[1].draw_batches()
            if drawn is not None:
                batches[place] = drawn
        if not batches:
            return
        losses: dict[int, list[Losses]] = {place: [] for place in batches}
        for number in range(len(next(iter(batches.values()))[0])):
            rows, noise = {}, {}
            for place, (samples, numbers) in batches.items():
                slot, learner = _seated(members[place])
                rows[slot.slot] = rows_of(learner.rows, samples[number])
                noise[slot.slot] = numbers[number]
            found = _seated(members[next(iter(batches))])[0].stack.step(rows, noise)
            for place in batches:
                losses[place].append(found[_seated(members[place])[0].slot])
        for place, values in losses.items():
            training = members[place]
            slot, learner = _seated(training)
            slot.set_losses(values)
            means = slot.losses()._asdict()
            self._try(place, members, failed, partial(training.take_losses, means))

    @staticmethod
    def _try(
        place: int, members: dict[int, Training], failed: dict[int, Diverged], act: Act
    ) -> None:
        """Do something with a member, which leaves this turn when it fails."""
        try:
            with members[place].divergence():
                act()
        except Diverged as error:
            failed[place] = error
            del members[place]


def _slot(training: Training) -> Slot | None:
    learner = training.learner
    if isinstance(learner, FastSacLearner) and isinstance(learner.engine, Slot):
        return learner.engine
    return None


def _seated(training: Training) -> tuple[Slot, FastSacLearner]:
    slot = _slot(training)
    if slot is None or not isinstance(training.learner, FastSacLearner):
        raise TypeError("this training has no seat in the group")
    return slot, training.learner
