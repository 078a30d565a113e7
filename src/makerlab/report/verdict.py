"""Whether a config beat the best baseline on the test segment, as far as its runs can tell."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from makerlab.report.profits import StoredProfits, by_day
from makerlab.report.stored import StoredSegment
from makerlab.statistics.bootstrap import UNDEFINED, Estimate, mean_above, mean_interval
from makerlab.statistics.multiple import holm_adjusted
from makerlab.statistics.two_way import largest_p_above, two_way_means

LEVEL = 0.05
"""Chance of any wrong "better" or "worse" among all configs judged together, at most."""

Outcome = Literal["better", "not distinguishable", "worse", "unknown"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """What the paired differences to the baselines say.

    `difference` is to the best baseline, chosen on validation: mean per episode, with an interval
    at 1 - LEVEL over seeds and days together, not corrected for other configs. `over_episodes` is
    the bootstrap interval over episodes alone. `p_better` is the largest p-value against any
    baseline, `p_worse` that against the best one; `p_adjusted` is the smaller of both after Holm's
    correction for `questions` of them, by which the outcome is told. `reason` says why it can't be.
    """

    outcome: Outcome
    seeds: int
    periods: int
    difference: Estimate
    over_episodes: Estimate
    p_better: float | None
    p_worse: float | None
    p_adjusted: float | None
    questions: int
    earned_more: tuple[str, ...]
    reason: str | None
    level: float = LEVEL
    folds: int | None = None


Results = tuple[Sequence[StoredSegment], Sequence[StoredProfits | None]]
"""Each seed's results on the test segment and its profits there."""


def compare_folds(folds: Sequence[Results]) -> Verdict:
    """Compare a config with the baselines over the folds of a walk-forward.

    What other times would bring is uncertain on top of seeds and days. A fold's mean over its seeds
    and days holds a draw of each, so the t interval over the folds' means covers all three, however
    few the folds are (two give a very wide one). A fold's best baseline is the one that its own
    validation chose. `over_episodes` is the interval of a mean of independent strata.
    """
    each = [compare(segments, profits) for segments, profits in folds]
    verdict = dataclasses.replace(
        each[0],
        outcome="unknown",
        seeds=min(one.seeds for one in each),
        periods=sum(one.periods for one in each),
        difference=UNDEFINED,
        over_episodes=_mean_of_strata([one.over_episodes for one in each]),
        p_better=None,
        p_worse=None,
        earned_more=(),
        folds=len(folds),
    )
    reasons = [_why_not(kept, _best(segments)) for segments, kept in folds]
    reason = next((one for one in reasons if one is not None), None)
    if reason is not None:
        return dataclasses.replace(verdict, reason=reason)
    means = []
    for kept in (_stored(profits) for _, profits in folds):
        each_mean = [float(table.mean()) for table in _tables(kept)]
        means.append(dict(zip(kept[0].episodes.baselines, each_mean, strict=True)))
    if len({tuple(found) for found in means}) > 1:
        return dataclasses.replace(verdict, reason="its folds have different baselines")
    to_best = [
        found[_best(segments).pop() or ""]
        for found, (segments, _) in zip(means, folds, strict=True)
    ]
    over = {name: [found[name] for found in means] for name in means[0]}
    return dataclasses.replace(
        verdict,
        difference=mean_interval(to_best, confidence=1.0 - LEVEL),
        p_better=_known(max(mean_above(values) for values in over.values())),
        p_worse=_known(mean_above([-value for value in to_best])),
        earned_more=tuple(name for name, values in over.items() if np.mean(values) < 0.0),
        reason="a single fold, other times may differ" if len(folds) < 2 else None,
    )


def _mean_of_strata(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of independent estimates; their half widths add up in squares.

    Source: Cochran, Sampling Techniques, 3rd edition, 1977, section 5.3, for strata of equal
    weight, with half widths upwards and downwards in place of standard errors.
    """
    if any(each.value is None for each in estimates):
        return UNDEFINED
    value = float(np.mean([each.value for each in estimates]))
    if any(each.low is None or each.high is None for each in estimates):
        return Estimate(value, None, None)
    bounds = np.array(estimates, dtype=np.float64)
    down, up = (
        float(np.sqrt(np.square(bounds[:, side] - bounds[:, 0]).sum())) / len(estimates)
        for side in (1, 2)
    )
    return Estimate(value, value - down, value + up)


def _best(segments: Sequence[StoredSegment]) -> set[str | None]:
    return {segment.best_baseline for segment in segments}


def _stored(profits: Sequence[StoredProfits | None]) -> list[StoredProfits]:
    return [found for found in profits if found is not None]


def compare(segments: Sequence[StoredSegment], profits: Sequence[StoredProfits | None]) -> Verdict:
    """Compare a config's seeds with the baselines; the outcome waits for `judge_together`.

    Two things are uncertain: what another seed would have learned, and what other days would have
    brought. All seeds are judged on the same episodes, so agreement of seeds says nothing about
    the second; `statistics.two_way` counts both.
    """
    verdict = Verdict(
        outcome="unknown",
        seeds=len(segments),
        periods=0,
        difference=UNDEFINED,
        over_episodes=_over_episodes([segment.difference() for segment in segments]),
        p_better=None,
        p_worse=None,
        p_adjusted=None,
        questions=0,
        earned_more=_earned_more(segments),
        reason=None,
    )
    best = _best(segments)
    reason = _why_not(profits, best)
    if reason is not None:
        return dataclasses.replace(verdict, reason=reason)
    kept = _stored(profits)
    means = two_way_means(_tables(kept))
    to_best = means[kept[0].episodes.baselines.index(best.pop() or "")]
    return dataclasses.replace(
        verdict,
        periods=to_best.periods,
        difference=to_best.interval(1.0 - LEVEL),
        p_better=_known(largest_p_above(means)),
        p_worse=_known(to_best.p_below),
        reason=_too_few(to_best.seeds, to_best.periods),
    )


def _why_not(profits: Sequence[StoredProfits | None], best: set[str | None]) -> str | None:
    """Return why differences can't be taken, None when they can."""
    kept = _stored(profits)
    if not kept or len(kept) < len(profits):
        return "profits per period are not stored, evaluate again"
    if len({found.episodes.starts_ms for found in kept}) > 1:
        return "its seeds were judged on different episodes"
    if len(best) > 1 or not best <= set(kept[0].episodes.baselines):
        return "its seeds have no best baseline in common"
    if len({tuple(found.episodes.baselines) for found in kept}) > 1:
        return "its seeds were judged beside different baselines"
    return None


def _too_few(seeds: int, periods: int) -> str | None:
    if seeds < 2:
        return "a single seed, another may differ"
    return "a single episode, others may differ" if periods < 2 else None


def _tables(profits: Sequence[StoredProfits]) -> Floats:
    """Return the differences to each baseline, (baselines, seeds, days or episodes)."""
    seeds = [by_day(found.episodes.over_baselines, found.episodes.starts_ms) for found in profits]
    return np.stack(seeds, axis=1)


def judge_together(verdicts: Sequence[Verdict], *, variants: int) -> list[Verdict]:
    """Return the verdicts with outcomes that hold at LEVEL for all of them together.

    Every config asks two questions, better and worse, and so did every variant ever run on these
    data (`variants`), whether or not it is still there: Holm's correction is for all of them.
    """
    configs = max(len(verdicts), variants)
    raw = [[verdict.p_better, verdict.p_worse] for verdict in verdicts]
    p_values = np.array(raw, dtype=np.float64).ravel()
    adjusted = holm_adjusted(p_values, family=2 * configs).reshape(-1, 2)
    return [
        dataclasses.replace(
            verdict,
            outcome=_outcome(better, worse),
            p_adjusted=_known(min(better, worse)),
            questions=2 * configs,
        )
        for verdict, (better, worse) in zip(verdicts, adjusted.tolist(), strict=True)
    ]


def _outcome(better: float, worse: float) -> Outcome:
    if math.isnan(better) or math.isnan(worse):
        return "unknown"
    if better <= LEVEL:
        return "better"
    return "worse" if worse <= LEVEL else "not distinguishable"


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _over_episodes(differences: Sequence[Estimate]) -> Estimate:
    """Return the mean over seeds of value and bounds.

    The seeds share their episodes, so averaging them does not narrow this interval.
    """
    bounds = np.array([[np.nan if x is None else x for x in each] for each in differences])
    if len(bounds) == 0 or np.isnan(bounds[:, 0]).any():
        return UNDEFINED
    value, low, high = bounds.mean(axis=0).tolist()
    return Estimate(value, *(None if np.isnan(bound) else bound for bound in (low, high)))


def _earned_more(segments: Sequence[StoredSegment]) -> tuple[str, ...]:
    """Return the baselines whose mean of the headline metric is above the policy's."""

    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known and len(known) == len(values) else None

    own = mean([_value(segment.metrics.get(segment.headline)) for segment in segments])
    if own is None:
        return ()
    names = dict.fromkeys(name for segment in segments for name in segment.baselines)
    others = {name: mean([s.baseline(name).value for s in segments]) for name in names}
    return tuple(name for name, value in others.items() if value is not None and value > own)


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value
