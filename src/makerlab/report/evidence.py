"""What the profits per period of runs say: Sharpe ratios and what choosing leaves of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.report.behind import Behind
from makerlab.report.profits import StoredPeriods, StoredProfits, joined, same_periods
from makerlab.report.ranking import RankingGroup
from makerlab.report.records import RunRecord
from makerlab.statistics.deflated import deflated_sharpe_ratio, expected_maximum_sharpe
from makerlab.statistics.overfitting import probability_of_backtest_overfitting
from makerlab.statistics.sharpe import (
    Moments,
    minimum_track_record_length,
    moments,
    probabilistic_sharpe_ratio,
)

TRACK_RECORD_CONFIDENCE = 0.95
FEWEST_PERIODS = 8
"""Fewer make no four blocks of two."""
MOST_BLOCKS = 16


@dataclass(frozen=True)
class Evidence:
    """A Sharpe ratio of profits per period on the test segment, and how far to believe it.

    None where it is not defined, as for a policy that never trades. `hurdle` is the Sharpe ratio
    per period that the best of `trials` worthless ones is expected to show; a track record is in
    periods, infinite when the ratio is not above zero.
    """

    period: str | None = None
    periods: int | None = None
    sharpe: float | None = None
    sharpe_annualised: float | None = None
    psr: float | None = None
    deflated_sharpe: float | None = None
    hurdle: float | None = None
    trials: int | None = None
    track_record: float | None = None


NO_EVIDENCE = Evidence()


@dataclass(frozen=True)
class Overfitting:
    """The probability of backtest overfitting over a group, or why there is none."""

    probability: float | None
    candidates: int
    periods: int
    blocks: int
    period: str
    reason: str | None


@dataclass(frozen=True)
class GroupEvidence:
    """What is known of a ranking group as a whole, and of each of its runs by path."""

    behind: Behind
    runs: Mapping[str, Evidence]
    overfitting: Overfitting
    variance: float | None

    def of(self, runs: Sequence[RunRecord]) -> Evidence:
        """Return the evidence of a config: the mean over its seeds of what each one's says.

        The seeds share their periods, so more of them make no longer record; the folds of a
        walk-forward follow one another and do.
        """
        if not runs or any(run.profits is None for run in runs):
            return NO_EVIDENCE
        found = _candidates(runs)
        if len({(each.periods.period, each.periods.per_year) for each in found}) > 1:
            return NO_EVIDENCE
        each = list(map(_moments, found))
        together = Moments(
            observations=min(one.observations for one in each),
            mean=float(np.mean([one.mean for one in each])),
            sharpe=float(np.mean([one.sharpe for one in each])),
            skewness=float(np.mean([one.skewness for one in each])),
            raw_kurtosis=float(np.mean([one.raw_kurtosis for one in each])),
        )
        (evidence,) = _evidence([(together, found[0].periods)], self.behind, self.variance)
        return evidence


def group_evidence(group: RankingGroup, behind: Behind) -> GroupEvidence:
    """Return what the stored profits of a group's runs say; `behind` counts what was tried."""
    found = {run.path: run.profits for run in group.records if run.profits is not None}
    known = {path: _moments(profits) for path, profits in found.items()}
    candidates = _candidates(_distinct(group.records))
    tried = map(_moments, candidates) if group.walk_forward else known.values()
    variance = _variance_between_trials(list(tried))
    records = [(known[path], profits.periods) for path, profits in found.items()]
    return GroupEvidence(
        behind=behind,
        runs=dict(zip(found, _evidence(records, behind, variance), strict=True)),
        overfitting=_overfitting(_distinct(group.records), candidates),
        variance=variance,
    )


def _moments(profits: StoredProfits) -> Moments:
    return moments(profits.periods.learned)


def _variance_between_trials(known: Sequence[Moments]) -> float | None:
    """Return the variance of Sharpe ratios between trials, as the runs of a group show it.

    Trials leave no profits of the test segment, runs do. A few alike runs differ by less than
    worthless strategies do by chance, 1 / (T - 1), so it is never taken to be less than that.
    """
    defined = [one for one in known if math.isfinite(one.sharpe)]
    if not defined:
        return None
    chance = 1.0 / (min(one.observations for one in defined) - 1)
    ratios = [one.sharpe for one in defined]
    return max(chance, float(np.var(ratios, ddof=1))) if len(ratios) > 1 else chance


def _evidence(
    records: Sequence[tuple[Moments, StoredPeriods]], behind: Behind, variance: float | None
) -> list[Evidence]:
    """Return what each of several records says, by one computation for all: they are thousands."""
    named: list[dict[str, Any]] = [
        {"period": periods.period, "periods": known.observations, "trials": behind.total}
        for known, periods in records
    ]
    if variance is None:
        return [Evidence(**each) for each in named]
    columns = np.array([known for known, _ in records], dtype=np.float64).reshape(-1, 5).T
    observations, _, sharpe, skewness, raw_kurtosis = columns
    shape = {"skewness": skewness, "raw_kurtosis": raw_kurtosis}
    # One fold is a shorter record than that of the candidates the variance is of.
    between = np.maximum(variance, 1.0 / np.maximum(observations - 1.0, 1.0))
    luck: dict[str, Any] = {"trials": max(behind.total, 1), "variance": between}
    psr = probabilistic_sharpe_ratio(sharpe, observations=observations, **shape)
    deflated = deflated_sharpe_ratio(sharpe, observations=observations, **shape, **luck)
    length = minimum_track_record_length(
        sharpe, benchmark=0.0, confidence=TRACK_RECORD_CONFIDENCE, **shape
    )
    annual = sharpe * np.sqrt([periods.per_year for _, periods in records])
    hurdle = expected_maximum_sharpe(**luck)
    rows = np.column_stack([sharpe, annual, psr, deflated, hurdle, length]).tolist()
    names = ("sharpe", "sharpe_annualised", "psr", "deflated_sharpe", "hurdle", "track_record")
    told: list[dict[str, Any]] = [
        dict(zip(names, map(_known, row), strict=True)) if math.isfinite(row[0]) else {}
        for row in rows
    ]
    return [Evidence(**each, **more) for each, more in zip(named, told, strict=True)]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _distinct(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Leave out older runs of the same settings and seed: they are the same candidate."""
    newest = {
        (run.algo, run.config_name, run.variant, run.fold, run.seed): run
        for run in _by_time(records)
    }
    return list(newest.values())


def _candidates(runs: Sequence[RunRecord]) -> list[StoredProfits]:
    """Return what can be chosen: a run, or the runs of one config and seed in every fold."""
    members: dict[tuple[str, str, str | None, int | None], list[RunRecord]] = {}
    for run in runs:
        if run.profits is not None:
            key = (run.algo, run.config_name, run.variant, run.seed)
            members.setdefault(key, []).append(run)
    return [
        joined([run.profits for run in sorted(found, key=_fold) if run.profits is not None])
        for found in members.values()
    ]


def _fold(run: RunRecord) -> int:
    return -1 if run.fold is None else run.fold


def _by_time(records: Sequence[RunRecord]) -> list[RunRecord]:
    return sorted(records, key=lambda run: run.name)


def _overfitting(runs: Sequence[RunRecord], found: Sequence[StoredProfits]) -> Overfitting:
    """Return the probability over the profits of all candidates in the periods they share."""
    if len(found) < 2 or any(run.profits is None for run in runs):
        few = "needs two runs at least" if len(runs) < 2 else "a run's profits are not stored"
        return Overfitting(None, len(found), 0, 0, "", few)
    table, period = _shared(found)
    count = len(table)
    if count < FEWEST_PERIODS:
        why = f"the runs share {count} periods on test, {FEWEST_PERIODS} are needed"
        return Overfitting(None, len(found), count, 0, period, why)
    if (table == table[:, :1]).all():
        # Equal ranks all lie on the median, which would count as certain overfitting.
        why = "all runs earned the same in every period"
        return Overfitting(None, len(found), count, 0, period, why)
    blocks = min(MOST_BLOCKS, count // 2 - count // 2 % 2)
    probability = probability_of_backtest_overfitting(table, blocks=blocks)
    return Overfitting(probability, len(found), count, blocks, period, None)


def _shared(found: Sequence[StoredProfits]) -> tuple[npt.NDArray[np.float64], str]:
    """Return profits (periods, candidates) of the periods all candidates played, and their name.

    Days where every candidate has days; episodes only where all have the same length.
    """
    days = [profits.days for profits in found if profits.days is not None]
    episodes = [profits.episodes for profits in found]
    chosen = days if len(days) == len(found) else episodes
    if len({each.per_year for each in chosen}) > 1:
        return np.empty((0, len(found))), "episode"
    columns = [each.learned[places] for each, places in same_periods(chosen)]
    return np.stack(columns, axis=1), chosen[0].period
