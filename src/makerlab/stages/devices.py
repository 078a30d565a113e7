"""The device that trains fastest: measured where there is a choice, before the first step."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from makerlab.config import TrainSettings
from makerlab.learning.device import available_devices, check_device
from makerlab.learning.group import TrainingGroup
from makerlab.runs.progress import Report
from makerlab.tasks import Workbench

AUTO = "auto"

# The first turns compile, capture and fill caches.
_UNTIMED_TURNS, _TIMED_TURNS = 20, 60

Measure = Callable[[str, Workbench, TrainSettings, int], float]


@dataclasses.dataclass(frozen=True)
class DeviceChoice:
    """A device, what was asked for, and the seconds per step that decided, if any were measured."""

    device: str
    asked: str
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        rounded = {name: float(f"{value:.3g}") for name, value in self.seconds.items()}
        return {"asked": self.asked, "seconds_per_step": rounded}

    def __str__(self) -> str:
        times = ", ".join(f"{name} {1e3 * value:.3g} ms" for name, value in self.seconds.items())
        return f"--device {self.asked} takes {self.device}: a step takes {times}"


def decide_device(
    wanted: str,
    workbench: Workbench,
    settings: TrainSettings,
    report: Report,
    *,
    members: int = 1,
    measure: Measure | None = None,
    available: Sequence[str] | None = None,
) -> DeviceChoice:
    """Return the device asked for, or for `auto` the fastest that is there, and say which.

    With only a CPU nothing is measured. `members` is how many trainings will share the device.
    Raises UserError when the wanted device is not there.
    """
    if wanted != AUTO:
        return DeviceChoice(check_device(wanted), wanted)
    devices = available_devices() if available is None else available
    if len(devices) == 1:
        return DeviceChoice(devices[0], wanted)
    measured = seconds_per_step if measure is None else measure
    seconds = {name: measured(name, workbench, settings, members) for name in devices}
    choice = DeviceChoice(min(seconds, key=lambda name: seconds[name]), wanted, seconds)
    report(str(choice))
    return choice


def seconds_per_step(
    device: str,
    workbench: Workbench,
    settings: TrainSettings,
    members: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return how long a member's environment step takes, its share of updates included.

    The trainings are thrown away, and those that follow seed themselves anew.
    """
    brief = settings.model_copy(update={"learning_starts": 1, "buffer_size": 4096})
    members = members if settings.learner == "fast" and device != "cpu" else 1
    group = TrainingGroup(members, device=device, stacked=members > 1)
    trainings = [
        workbench.training(brief, device=device, seats=group if group.stacked else None)
        for _ in range(members)
    ]
    for _ in range(_UNTIMED_TURNS):
        _turn(group, trainings)
    began = clock()
    for _ in range(_TIMED_TURNS):
        _turn(group, trainings)
    return (clock() - began) / (_TIMED_TURNS * settings.train_freq * members)


def _turn(group: TrainingGroup, trainings: list[Any]) -> None:
    for error in group.turn(trainings).values():
        raise error
