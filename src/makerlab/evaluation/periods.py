"""Profits per period, for inference: whole days where the episodes make days, else episodes.

Profits of neighbouring bars hang together, so a Sharpe ratio of bars takes itself for surer than
it is; a day is long enough to forget. Days (UTC) are used where episodes lie side by side; where
they are spread over the segment, or a bar has no time of day, an episode is the period.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.evaluation.metrics import MILLISECONDS_PER_YEAR
from makerlab.evaluation.rollout import Trajectories

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

DAY_MS = 86_400_000
WHOLE_DAY = 0.95
"""Share of a day's bars that must have been played."""
SHARE_IN_DAYS = 0.7
"""Share of all bars played that must lie in such days; what days leave out is not judged."""
FEWEST_DAYS = 5


@dataclass(frozen=True)
class Periods:
    """Profit of each policy in each period, currency; all policies played the same periods.

    `objectives` has what the market's theory maximises instead, where it is not the profit, of the
    policies that may be judged by it.
    """

    name: str
    starts_ms: Integers
    per_year: float
    profits: Mapping[str, Floats]
    objectives: Mapping[str, Floats] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what a file holds."""
        content: dict[str, Any] = {
            "period": self.name,
            "per_year": self.per_year,
            "starts_ms": self.starts_ms.tolist(),
            "profits": {name: profits.tolist() for name, profits in self.profits.items()},
        }
        if self.objectives is not None:
            content["objectives"] = {name: one.tolist() for name, one in self.objectives.items()}
        return content


@dataclass(frozen=True)
class SegmentProfits:
    """Profits of a segment by episode, and by day where the episodes make days."""

    episodes: Periods
    days: Periods | None

    def to_dict(self) -> dict[str, Any]:
        """Return what a file holds."""
        days = None if self.days is None else self.days.to_dict()
        return {"episodes": self.episodes.to_dict(), "days": days}


def bar_gains(trajectories: Trajectories) -> Floats:
    """Return the profit of every bar, (episodes, steps), currency; zero after an early end."""
    capital = trajectories.market.settings.initial_cash
    opening = np.full((len(trajectories.starts), 1), capital)
    equity = np.concatenate([opening, trajectories.equity], axis=1)
    return np.nan_to_num(np.diff(equity, axis=1))


def segment_profits(
    played: Trajectories,
    gains: Mapping[str, Floats],
    *,
    objectives: Mapping[str, Floats] | None = None,
) -> SegmentProfits:
    """Return profits per period from `bar_gains` of each policy, all on the episodes played.

    `objectives` are those of each episode, where the market has them.
    """
    bar_ms = played.market.bar_ms
    stamps = np.stack([played.timestamps_ms(number) for number in range(len(played.starts))])
    episodes = Periods(
        name="episode",
        starts_ms=stamps[:, 0],
        per_year=MILLISECONDS_PER_YEAR / (bar_ms * played.steps),
        profits={name: gain.sum(axis=1) for name, gain in gains.items()},
        objectives=objectives,
    )
    return SegmentProfits(episodes, _days(stamps, gains, bar_ms))


def _days(stamps: Integers, gains: Mapping[str, Floats], bar_ms: int) -> Periods | None:
    days, place = np.unique(stamps // DAY_MS, return_inverse=True)
    place = place.ravel()
    bars = np.bincount(place)
    whole = bars >= WHOLE_DAY * DAY_MS / bar_ms
    # A bar of a day or more is a period of its own already.
    fits = bar_ms < DAY_MS and whole.sum() >= FEWEST_DAYS
    if not fits or bars[whole].sum() < SHARE_IN_DAYS * bars.sum():
        return None
    return Periods(
        name="day",
        starts_ms=(days * DAY_MS)[whole],
        per_year=MILLISECONDS_PER_YEAR / DAY_MS,
        profits={
            name: np.bincount(place, weights=gain.ravel()).astype(np.float64)[whole]
            for name, gain in gains.items()
        },
    )
