"""Where the trainings of one process are computed: each by itself, or as members of a group."""

from collections.abc import Sequence

from makerlab.config import TrainSettings
from makerlab.errors import UserError
from makerlab.learning.fast_sac import FastSacLearner
from makerlab.learning.fast_update import Shape
from makerlab.learning.group import TrainingGroup, fitting, group_key
from makerlab.learning.stacked import Slot
from makerlab.learning.training import Training
from makerlab.runs.progress import Report
from makerlab.stages.devices import AUTO, DeviceChoice, Measure, decide_device
from makerlab.tasks import Workbench


class Seating:
    """Seats for the trainings of one process.

    On the CPU a member computes by itself, bit for bit as alone. Elsewhere members of one shape
    and batch share a batched step; `stacked` forces that on a CPU.
    """

    def __init__(
        self, size: int = 1, *, stacked: bool = False, measure: Measure | None = None
    ) -> None:
        self.size = size
        self._stacked, self._measure = stacked, measure
        self._groups: dict[object, TrainingGroup] = {}
        self._seated: list[tuple[Training, TrainingGroup]] = []
        self._auto: DeviceChoice | None = None
        self._limit: int | None = None

    def choose(
        self, wanted: str, workbench: Workbench, settings: TrainSettings, report: Report
    ) -> DeviceChoice:
        """Return the device for trainings; what `auto` measured for one holds for all."""
        if wanted == AUTO and self._auto is not None:
            return self._auto
        choice = decide_device(
            wanted, workbench, settings, report, members=self.size, measure=self._measure
        )
        if wanted == AUTO:
            self._auto = choice
        return choice

    def training(self, workbench: Workbench, settings: TrainSettings, *, device: str) -> Training:
        """Return a new training; raises UserError for a learner that can't share a process."""
        if self.size > 1 and settings.learner != "fast":
            raise UserError(
                f"train.learner: found '{settings.learner}', which draws from random generators of "
                "the whole process; only 'fast' can share one with others"
            )
        if self.size == 1 or (device == "cpu" and not self._stacked):
            return workbench.training(settings, device=device)
        seat = _Seat(self, device)
        training = workbench.training(settings, device=device, seats=seat)
        if seat.group is not None:
            self._seated.append((training, seat.group))
        return training

    def group(self, shape: Shape, settings: TrainSettings, device: str) -> TrainingGroup:
        """Return the group of trainings of this shape."""
        key = (device, shape, group_key(settings))
        if key not in self._groups:
            self._groups[key] = TrainingGroup(self.size, device=device, stacked=True)
        return self._groups[key]

    def leave(self, training: Training) -> None:
        """Free the seat of a training that is over."""
        for member in [each for each in self._seated if each[0] is training]:
            member[1].leave(training)
            self._seated.remove(member)

    def limit(self, trainings: Sequence[Training]) -> int:
        """Return how many members may be under way, by the memory that was free at first."""
        if self._limit is None and trainings:
            learner = trainings[0].learner
            if isinstance(learner, FastSacLearner):
                shape, settings = learner.engine.shape, trainings[0].settings
                self._limit = fitting(self.size, shape, settings, device=learner.device)
        return self.size if self._limit is None else self._limit

    def turn(self, trainings: Sequence[Training]) -> dict[int, Exception]:
        """Advance trainings by one turn; returns what went wrong, by place."""
        failed: dict[int, Exception] = {}
        places: dict[TrainingGroup, list[int]] = {}
        groups = {id(training): group for training, group in self._seated}
        for place, training in enumerate(trainings):
            group = groups.get(id(training))
            if group is not None:
                places.setdefault(group, []).append(place)
                continue
            try:
                training.advance()
            except Exception as error:  # noqa: BLE001 - handed to the course it belongs to
                failed[place] = error
        for group, members in places.items():
            found = group.turn([trainings[place] for place in members])
            failed |= {members[number]: error for number, error in found.items()}
        return failed


class _Seat:
    """Finds the group of a learner whose shape is known only once it is made."""

    def __init__(self, seating: Seating, device: str) -> None:
        self._seating, self._device = seating, device
        self.group: TrainingGroup | None = None

    def seat(self, shape: Shape, settings: TrainSettings) -> Slot | None:
        """Return a place in the group of this shape."""
        self.group = self._seating.group(shape, settings, self._device)
        return self.group.seat(shape, settings)
