"""Config against config: what one earned more than the other, paired by seed and by day.

Two configs that were judged on the same episodes share every accident of the market, so their
difference is much surer than two means side by side. The unit of time is what the verdicts take:
a day where the episodes began on enough of them, an episode otherwise.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from makerlab.report.by_config import ConfigSummary
from makerlab.report.profits import (
    DAY_MS,
    DAYS_PER_YEAR,
    FEWEST_DAYS,
    StoredPeriods,
    StoredProfits,
    by_day,
    same_periods,
)
from makerlab.report.verdict import LEVEL
from makerlab.statistics.bootstrap import UNDEFINED, Estimate, mean_above, mean_interval
from makerlab.statistics.multiple import holm_adjusted
from makerlab.statistics.two_way import two_way_mean

FEWEST_CONFIGS, MOST_CONFIGS = 2, 12
"""So many configs are set against each other in tables; of more nobody reads all pairs."""

Relation = Literal["better", "not distinguishable", "worse", "unknown"]
Results = Mapping[tuple[int | None, int | None], StoredProfits | None]
"""Profits on a segment by (fold, seed)."""
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PairedDifference:
    """The mean of one config's headline metric minus another's.

    `difference` is per `unit` ("episode" or "day"), with an interval at 1 - LEVEL over `seeds` and
    `periods` together (`period`: "day" or "episode"); over folds where `folds` is given. `p` is the
    two-sided p-value of no difference. `notes` say what was left out, `reason` why there is none.
    """

    difference: Estimate = UNDEFINED
    p: float | None = None
    seeds: int = 0
    periods: int = 0
    period: str = "day"
    unit: str = "episode"
    folds: int | None = None
    notes: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def relation(self) -> Relation:
        """What the first config is beside the second, by the p-value."""
        if self.p is None or self.difference.value is None:
            return "unknown"
        if self.p > LEVEL:
            return "not distinguishable"
        return "better" if self.difference.value > 0.0 else "worse"


class _Table(NamedTuple):
    """Differences, (seeds, days or episodes), and what was left out of them."""

    values: Floats
    period: str
    unit: str
    notes: tuple[str, ...]


class _NotComparable(Exception):
    """Why two configs can't be set against each other."""


def results_of(config: ConfigSummary) -> Results:
    """Return a config's profits on the test segment."""
    return {(run.fold, run.seed): run.profits for run in config.runs}


def paired_difference(first: Results, second: Results) -> PairedDifference:
    """Return first minus second, over the folds, seeds and episodes that both have.

    Both seeds and days are uncertain, as in the verdicts; of a walk-forward the folds are.
    """
    folds = [fold for fold in _folds(first) if fold in _folds(second)]
    if not folds:
        return PairedDifference(reason="they have no fold in common")
    try:
        tables = [_table(_of_fold(first, fold), _of_fold(second, fold)) for fold in folds]
    except _NotComparable as why:
        return PairedDifference(reason=str(why))
    if folds == [None]:
        return _over_seeds_and_periods(tables[0])
    return _over_folds(tables, left_out=len({*_folds(first), *_folds(second)}) - len(folds))


def _folds(results: Results) -> list[int | None]:
    return list(dict.fromkeys(fold for fold, _ in results))


def _of_fold(results: Results, fold: int | None) -> dict[int | None, StoredProfits | None]:
    return {seed: profits for (each, seed), profits in results.items() if each == fold}


def _over_seeds_and_periods(table: _Table) -> PairedDifference:
    mean = two_way_mean(table.values)
    reason = None
    if mean.seeds < 2:
        reason = "a single seed in common, another may differ"
    elif mean.periods < 2:
        reason = f"a single {table.period} in common, others may differ"
    return PairedDifference(
        difference=mean.interval(1.0 - LEVEL),
        p=_two_sided(mean.p_above, mean.p_below),
        seeds=mean.seeds,
        periods=mean.periods,
        period=table.period,
        unit=table.unit,
        notes=table.notes,
        reason=reason,
    )


def _over_folds(tables: Sequence[_Table], *, left_out: int) -> PairedDifference:
    """Other times are uncertain on top of seeds and days: see `verdict.compare_folds`."""
    if len({table.unit for table in tables}) > 1:
        return PairedDifference(reason="some folds can be compared by episode, others by day only")
    means = [float(table.values.mean()) for table in tables]
    notes = tuple(dict.fromkeys(note for table in tables for note in table.notes))
    if left_out:
        notes += (f"{_lonely('fold', left_out)} left out",)
    return PairedDifference(
        difference=mean_interval(means, confidence=1.0 - LEVEL),
        p=_two_sided(mean_above(means), mean_above([-mean for mean in means])),
        seeds=min(len(table.values) for table in tables),
        periods=sum(table.values.shape[1] for table in tables),
        period=tables[0].period,
        unit=tables[0].unit,
        folds=len(tables),
        notes=notes,
        reason="a single fold in common, other times may differ" if len(tables) < 2 else None,
    )


def _two_sided(above: float, below: float) -> float | None:
    return None if math.isnan(above) or math.isnan(below) else min(1.0, 2.0 * min(above, below))


def _table(
    first: Mapping[int | None, StoredProfits | None],
    second: Mapping[int | None, StoredProfits | None],
) -> _Table:
    """Return the differences of the seeds that both have; raises _NotComparable."""
    if None in first.values() or None in second.values():
        raise _NotComparable("profits per period are not stored, evaluate again")
    seeds = [seed for seed in first if seed in second]
    if not seeds:
        raise _NotComparable("they have no seed in common")
    pairs = [(one, other) for seed in seeds if (one := first[seed]) and (other := second[seed])]
    table = _paired(pairs)
    lonely = len({*first, *second}) - len(seeds)
    if lonely:
        table = table._replace(notes=(f"{_lonely('seed', lonely)} left out", *table.notes))
    return table


def _lonely(noun: str, count: int) -> str:
    return (
        f"1 {noun} that only one of them has is"
        if count == 1
        else (f"{count} {noun}s that only one of them has are")
    )


def _paired(pairs: Sequence[tuple[StoredProfits, StoredProfits]]) -> _Table:
    """Return the differences by episode where lengths agree, else by day."""
    episodes = [(one.episodes, other.episodes) for one, other in pairs]
    together = list(itertools.chain.from_iterable(episodes))
    if len({each.judged_by_objective for each in together}) > 1:
        raise _NotComparable("one is judged by net profit, the other by an objective")
    alike = len({each.per_year for each in together}) == 1
    if alike and _count_shared(together):
        values, starts, notes = _differences(episodes, "test episodes")
        daily = by_day(values, starts)
        grouped = len({start // DAY_MS for start in starts}) >= FEWEST_DAYS
        return _Table(daily, "day" if grouped else "episode", "episode", notes)
    why = "no episode in common" if alike else "episodes of different length"
    if together[0].judged_by_objective:
        raise _NotComparable(f"{why}, whose objectives are not the same thing")
    days = [(one.days, other.days) for one, other in pairs if one.days and other.days]
    if len(days) == len(pairs) and _count_shared(list(itertools.chain.from_iterable(days))):
        values, _, notes = _differences(days, "whole days")
        return _Table(
            values, "day", "day", (f"{why}, so profits of whole days are compared", *notes)
        )
    return _rates(episodes, why)


def _rates(pairs: Sequence[tuple[StoredPeriods, StoredPeriods]], why: str) -> _Table:
    """Return differences of what was earned per 24 hours played, on the days that all began on.

    The configs did not play the same bars of a day. What that adds is noise between days, and
    counted as such: all seeds of a config share their bars.
    """
    together = list(itertools.chain.from_iterable(pairs))
    begun = [np.array(each.starts_ms) // DAY_MS for each in together]
    days = functools.reduce(np.intersect1d, begun)
    if len(days) < FEWEST_DAYS:
        raise _NotComparable(
            f"{why}, and {len(days)} days on which both began some; {FEWEST_DAYS} are needed"
        )
    rates = [_rate(each, begun_on, days) for each, begun_on in zip(together, begun, strict=True)]
    values = np.stack([one - other for one, other in zip(rates[::2], rates[1::2], strict=True)])
    note = (
        f"{why}, so what was earned per 24 hours played is compared, on the {len(days)} days on "
        "which both began some; they did not play the same bars"
    )
    return _Table(values, "day", "day", (note,))


def _rate(played: StoredPeriods, begun: Integers, days: Integers) -> Floats:
    """Return the profit per 24 hours of the episodes begun on each of the days, (days,)."""
    kept = np.isin(begun, days)
    place = np.searchsorted(days, begun[kept])
    counts = np.bincount(place, minlength=len(days))
    sums = np.bincount(place, weights=played.judged[kept], minlength=len(days))
    per_day: Floats = sums / counts * (played.per_year / DAYS_PER_YEAR)
    return per_day


def _count_shared(found: Sequence[StoredPeriods]) -> int:
    return len(same_periods(list(found))[0][1])


def _differences(
    pairs: Sequence[tuple[StoredPeriods, StoredPeriods]], named: str
) -> tuple[Floats, tuple[int, ...], tuple[str, ...]]:
    """Return differences (seeds, shared periods), where those begin, and what was left out."""
    together = list(itertools.chain.from_iterable(pairs))
    shared = same_periods(together)
    values = [each.judged[places] for each, places in shared]
    starts = np.array(shared[0][0].starts_ms)[shared[0][1]]
    every = len(set(itertools.chain.from_iterable(each.starts_ms for each in together)))
    more = every - len(starts)
    notes = (f"{more} of {every} {named} were not played by all of them",) if more else ()
    table = np.stack([one - other for one, other in zip(values[::2], values[1::2], strict=True)])
    return table, tuple(starts.tolist()), notes


@dataclass(frozen=True)
class Pair:
    """Two configs of one ranking and the first's metric minus the second's."""

    first: ConfigSummary
    second: ConfigSummary
    found: PairedDifference


def all_pairs(configs: Sequence[ConfigSummary]) -> list[Pair]:
    """Return every pair of a ranking's configs, p-values corrected for all of them (Holm).

    Nothing where there are too few configs or too many to set against each other.
    """
    if not FEWEST_CONFIGS <= len(configs) <= MOST_CONFIGS:
        return []
    results = [results_of(config) for config in configs]
    places = list(itertools.combinations(range(len(configs)), 2))
    found = [paired_difference(results[one], results[other]) for one, other in places]
    known = [number for number, each in enumerate(found) if each.p is not None]
    adjusted = holm_adjusted([found[number].p or 0.0 for number in known])
    for number, p in zip(known, adjusted.tolist(), strict=True):
        found[number] = dataclasses.replace(found[number], p=p)
    return [
        Pair(configs[one], configs[other], each)
        for (one, other), each in zip(places, found, strict=True)
    ]
