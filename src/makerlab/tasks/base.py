"""What a task offers to the stages."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from makerlab.config import EvaluateSettings, TrainSettings
from makerlab.data.candles import DataSource
from makerlab.data.split import SegmentName
from makerlab.evaluation.periods import SegmentProfits
from makerlab.learning.learner import Seats
from makerlab.learning.training import Training
from makerlab.policies import Policy
from makerlab.statistics.bootstrap import Estimate


@dataclass(frozen=True)
class Curve:
    """Equity and position of one policy over a segment's episodes, played one after another."""

    timestamps_ms: npt.NDArray[np.int64]
    equity: npt.NDArray[np.float64]
    position: npt.NDArray[np.float64]


@dataclass(frozen=True)
class SegmentResult:
    """All policies on the same episodes of one segment; curves show the first of them only.

    `headline` is the metric that ranks them; `not_to_beat` names those that know what no learner
    can.
    """

    segment: SegmentName
    episodes: int
    drawn_episodes: int
    episode_length: int
    metrics: dict[str, dict[str, Estimate]]
    differences: dict[str, dict[str, Estimate]]
    curves: dict[str, Curve]
    episode_tables: list[dict[str, list[Any]]]
    profits: SegmentProfits
    headline: str
    not_to_beat: frozenset[str] = frozenset()


class Workbench(Protocol):
    """One effective config with its data: where policies are trained and judged.

    Nothing here touches the test segment but `evaluate`, when it is asked for that segment.
    """

    learned: str
    source: DataSource
    split_record: dict[str, Any]
    mean_price: float
    observation_size: int
    action_size: int

    def training(
        self, settings: TrainSettings, *, device: str, seats: Seats | None = None
    ) -> Training:
        """Return a new training on the training segment, in a seat of a group if there is one."""
        ...

    def score(self, policy: Policy, *, fresh: bool = False) -> float | None:
        """Return the tuning metric on the validation segment, always on the same episodes.

        `fresh` asks for other episodes of that segment; None means that it is not defined.
        """
        ...

    def baselines(self) -> dict[str, Policy]:
        """Return the policies to compare with, by name, new on each call."""
        ...

    def evaluate(
        self, policies: dict[str, Policy], segment: SegmentName, settings: EvaluateSettings
    ) -> SegmentResult:
        """Judge policies on the same episodes of one segment; the learned one comes first."""
        ...
