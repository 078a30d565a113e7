"""Whether a config beat the best baseline on the test segment, as far as its runs can tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from makerlab.report.stored import HEADLINE, StoredSegment
from makerlab.statistics.bootstrap import UNDEFINED, Estimate, mean_interval

ENOUGH_SEEDS = 3

Outcome = Literal["better", "not distinguishable", "worse", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """What the paired differences to the best baseline say.

    `difference` is what a table shows: mean and t interval over seeds where there are three or
    more, else mean and bootstrap interval over episodes. `over_episodes` is the latter in any case.
    """

    outcome: Outcome
    seeds: int
    difference: Estimate
    over_episodes: Estimate
    earned_more: tuple[str, ...]

    @property
    def over_seeds(self) -> bool:
        """Whether the shown interval is one over seeds."""
        return self.seeds >= ENOUGH_SEEDS


def verdict_on(segments: Sequence[StoredSegment]) -> Verdict:
    """Judge a config by its seeds' results on one segment.

    Two things are uncertain: what another seed would have learned (t interval over seeds) and
    what other episodes would have brought (bootstrap). All seeds are judged on the same episodes,
    so agreement of seeds says nothing about the second. Better or worse is said only when every
    interval at hand leaves out zero.
    """
    differences = [segment.difference for segment in segments]
    over_episodes = _over_episodes(differences)
    seeds = len(differences)
    shown = over_episodes
    if seeds >= ENOUGH_SEEDS and over_episodes.value is not None:
        shown = mean_interval([difference.value or 0.0 for difference in differences])
    return Verdict(
        outcome=_outcome([shown, over_episodes]),
        seeds=seeds,
        difference=shown,
        over_episodes=over_episodes,
        earned_more=_earned_more(segments),
    )


def _over_episodes(differences: Sequence[Estimate]) -> Estimate:
    """Return the mean over seeds of value and bounds.

    The seeds share their episodes, so averaging them does not narrow this interval.
    """
    bounds = np.array([[np.nan if x is None else x for x in each] for each in differences])
    if len(bounds) == 0 or np.isnan(bounds[:, 0]).any():
        return UNDEFINED
    value, low, high = bounds.mean(axis=0).tolist()
    return Estimate(value, *(None if np.isnan(bound) else bound for bound in (low, high)))


def _outcome(intervals: Sequence[Estimate]) -> Outcome:
    if any(interval.value is None for interval in intervals):
        return "unknown"
    lows = [interval.low for interval in intervals if interval.low is not None]
    highs = [interval.high for interval in intervals if interval.high is not None]
    if len(lows) < len(intervals) or len(highs) < len(intervals):
        return "unknown"
    if min(lows) > 0.0:
        return "better"
    return "worse" if max(highs) < 0.0 else "not distinguishable"


def _earned_more(segments: Sequence[StoredSegment]) -> tuple[str, ...]:
    """Return the baselines whose mean of the headline metric is above the policy's."""

    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known and len(known) == len(values) else None

    own = mean([_value(segment.metrics.get(HEADLINE)) for segment in segments])
    if own is None:
        return ()
    names = dict.fromkeys(name for segment in segments for name in segment.baselines)
    others = {name: mean([s.baseline(name).value for s in segments]) for name in names}
    return tuple(name for name, value in others.items() if value is not None and value > own)


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value
