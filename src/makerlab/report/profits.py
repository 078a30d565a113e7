"""Profits per period that an evaluation left, as far as reports need them."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from makerlab.report.stored import Stored, read_stored

Floats = npt.NDArray[np.float64]

DAY_MS = 86_400_000
DAYS_PER_YEAR = 365.0
"""As evaluations count them: markets that never close."""
FEWEST_DAYS = 5
"""Episodes are taken together by day when there are so many days, else each is on its own."""


class StoredPeriods(Stored):
    """Profit of each policy in each period; the learned policy comes first."""

    period: str
    per_year: float
    starts_ms: tuple[int, ...]
    profits: dict[str, tuple[float, ...]]
    objectives: dict[str, tuple[float, ...]] | None = None
    """What the market's theory maximises, where that is not the profit; not of its optimum."""

    @property
    def learned(self) -> Floats:
        """Profits of the learned policy."""
        return np.array(next(iter(self.profits.values())), dtype=np.float64)

    @property
    def judged_by_objective(self) -> bool:
        """Whether it is not the profit by which policies are judged."""
        return self.objectives is not None

    @property
    def judged(self) -> Floats:
        """What the learned policy is judged by in each period: its profits, or its objectives."""
        return np.array(next(iter(self._judged.values())), dtype=np.float64)

    @property
    def _judged(self) -> dict[str, tuple[float, ...]]:
        return self.profits if self.objectives is None else self.objectives

    @property
    def baselines(self) -> list[str]:
        """Names of those that a learned policy is asked to beat."""
        return list(self._judged)[1:]

    @property
    def over_baselines(self) -> Floats:
        """The learned policy's profits, or objectives, minus each baseline's: (baselines, periods).

        In the order of `baselines`.
        """
        judged = np.array(list(self._judged.values()), dtype=np.float64)
        return judged[:1] - judged[1:]


class StoredProfits(Stored):
    """Profits by episode, and by day where the episodes make days."""

    episodes: StoredPeriods
    days: StoredPeriods | None = None

    @property
    def periods(self) -> StoredPeriods:
        """The periods a Sharpe ratio is made of: days where there are some."""
        return self.days or self.episodes


class StoredSegments(Stored):
    """An evaluation's profits.json, of which the test segment is kept."""

    test: StoredProfits


class StoredValidation(Stored):
    """An evaluation's profits.json, of which the validation segment is kept."""

    valid: StoredProfits


def read_profits(path: Path) -> StoredProfits | None:
    """Read the test segment's profits, None when there are none; UserError when damaged."""
    return read_stored(path, StoredSegments).test if path.exists() else None


def read_validation_profits(path: Path) -> StoredProfits | None:
    """Read the validation segment's profits, None when there are none; UserError when damaged."""
    return read_stored(path, StoredValidation).valid if path.exists() else None


def joined(found: Sequence[StoredProfits]) -> StoredProfits:
    """Return the profits of one candidate in several stretches of time as one record."""
    if len(found) == 1:
        return found[0]
    days = [profits.days for profits in found if profits.days is not None]
    return StoredProfits(
        episodes=_joined([profits.episodes for profits in found]),
        days=_joined(days) if len(days) == len(found) else None,
    )


def _joined(found: Sequence[StoredPeriods]) -> StoredPeriods:
    """A day that one stretch ends in and the next begins in is one period."""
    starts = np.concatenate([each.starts_ms for each in found])
    distinct, place = np.unique(starts, return_inverse=True)
    names = [name for name in found[0].profits if all(name in each.profits for each in found)]
    sums = {
        name: np.bincount(place, np.concatenate([each.profits[name] for each in found]))
        for name in names
    }
    return StoredPeriods(
        period=found[0].period,
        per_year=found[0].per_year,
        starts_ms=tuple(distinct.tolist()),
        profits={name: tuple(values.tolist()) for name, values in sums.items()},
    )


def by_day(values: Floats, starts_ms: tuple[int, ...]) -> Floats:
    """Return values (..., episodes) taken together by the day they began in, (..., days).

    Sums are scaled so that their mean is the mean of all values. Neighbouring episodes may hang
    together, days much less. Of fewer than FEWEST_DAYS days the values come back as they are.
    """
    place = _places_of_days(starts_ms)
    if place is None:
        return values
    rows = values.reshape(-1, len(starts_ms))
    sums = np.stack([np.bincount(place, weights=row) for row in rows])
    return (sums * sums.shape[1] / len(starts_ms)).reshape(*values.shape[:-1], -1)


# All runs of a ranking were judged on the same episodes.
@functools.lru_cache(maxsize=64)
def _places_of_days(starts_ms: tuple[int, ...]) -> npt.NDArray[np.int64] | None:
    """Return the place of each episode's day among all days, None when each stays on its own."""
    days, place = np.unique(np.array(starts_ms, dtype=np.int64) // DAY_MS, return_inverse=True)
    one_a_day = np.array_equal(place, np.arange(len(days)))
    return None if one_a_day or len(days) < FEWEST_DAYS else place.astype(np.int64)


def same_periods(found: list[StoredPeriods]) -> list[tuple[StoredPeriods, npt.NDArray[np.int64]]]:
    """Return each with the places of the periods that all have in common, in order of time."""
    common = set(found[0].starts_ms).intersection(*(each.starts_ms for each in found[1:]))
    return [
        (each, np.array([n for n, stamp in enumerate(each.starts_ms) if stamp in common], np.int64))
        for each in found
    ]
