"""Nobody sees the future: change it, and nothing before it may change."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.audit.findings import Evidence
from makerlab.audit.subject import AuditedRun, candle_market
from makerlab.data.candles import Candles
from makerlab.data.rows import iso
from makerlab.data.split import SEGMENT_NAMES, SegmentName
from makerlab.evaluation.rollout import RECORDED, Trajectories, evaluation_starts, rollout
from makerlab.market.base import Observations
from makerlab.market.episodes import OBSERVATION_NAMES, CandleMarket
from makerlab.market.features import FEATURE_NAMES
from makerlab.market.markets import Markets, cut_markets
from makerlab.policies import Policy, baseline_policies
from makerlab.policies.base import Actions

Table = npt.NDArray[np.floating[Any]]

CUTS_PER_SEGMENT = 3

_DECIDED = ("bid", "ask")
_HAPPENED = (*RECORDED, "inventory", "cash", "equity")


@dataclasses.dataclass(frozen=True)
class Cut:
    """A bar of a segment, in the middle of an episode, after which the future is another one."""

    segment: SegmentName
    start: int
    bar: int

    def in_file(self, market: CandleMarket) -> int:
        """Return the bar's index in the whole file."""
        return market.segment.start + self.bar


def features_see_no_future(run: AuditedRun) -> Evidence:
    """Change all bars after a cut: no feature of any segment may change at or before it."""
    evidence = Evidence()
    candles = run.candles
    cuts = list(_cuts(run.markets))
    for number, cut in enumerate(cuts):
        last = cut.in_file(candle_market(run.markets, cut.segment))
        changed = cut_markets(another_future(candles, after=last, seed=number), run.config)
        for segment in SEGMENT_NAMES:
            _compare_features(
                candle_market(run.markets, segment), candle_market(changed, segment), last, evidence
            )
    evidence.fact(f"{len(FEATURE_NAMES)} features the same before {len(cuts)} changed futures")
    return evidence


def episodes_see_no_future(run: AuditedRun) -> Evidence:
    """Change all bars after a cut: what policies saw, quoted and earned before it must stay.

    Played by the learned policy and by every baseline, through the same kernel as any result.
    """
    evidence = Evidence()
    candles = run.candles
    cuts = list(_cuts(run.markets))
    learned = run.policy(run.directory.best_model)
    for number, cut in enumerate(cuts):
        last = cut.in_file(candle_market(run.markets, cut.segment))
        changed = cut_markets(another_future(candles, after=last, seed=number), run.config)
        # A cut within the training segment changes what baselines are fitted on, rightly.
        fitted_on = run.markets if cut.segment == "train" else changed
        before = _policies(learned, run.markets, seed=run.config.evaluate.seed)
        after = _policies(learned, fitted_on, seed=run.config.evaluate.seed)
        for name in before:
            markets = (
                candle_market(run.markets, cut.segment),
                candle_market(changed, cut.segment),
            )
            _compare_play(name, cut, markets, (before[name], after[name]), evidence)
    evidence.fact(
        f"observations, quotes, fills and money of {len(before)} policies the same before "
        f"{len(cuts)} changed futures"
    )
    return evidence


def another_future(candles: Candles, *, after: int, seed: int) -> Candles:
    """Return candles whose bars after one are others in every column, and in their shape."""
    generator = np.random.default_rng(seed)
    later = slice(after + 1, None)
    count = len(candles) - after - 1
    columns = {name: getattr(candles, name).copy() for name in ("open", "close", "volume")}
    for values in columns.values():
        values[later] *= np.exp(generator.normal(0.0, 0.05, count))
    high = np.maximum(columns["open"], columns["close"])
    low = np.minimum(columns["open"], columns["close"])
    high[later] *= np.exp(np.abs(generator.normal(0.0, 0.02, count)))
    low[later] *= np.exp(-np.abs(generator.normal(0.0, 0.02, count)))
    high[: after + 1], low[: after + 1] = candles.high[: after + 1], candles.low[: after + 1]
    return dataclasses.replace(candles, high=high, low=low, **columns)


class _Recorder:
    """A policy that remembers what it was shown."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.seen: list[Observations] = []

    def act(self, observation: Observations) -> Actions:
        self.seen.append(observation.copy())
        return self._policy.act(observation)


def _cuts(markets: Markets) -> Iterator[Cut]:
    for segment in SEGMENT_NAMES:
        market = markets[segment]
        length = market.settings.episode_length
        for start in evaluation_starts(market, episodes=CUTS_PER_SEGMENT, episode_length=length):
            yield Cut(segment, int(start), int(start) + length // 2)


def _policies(learned: Policy, markets: Markets, *, seed: int) -> dict[str, Policy]:
    return {"the learned policy": learned, **baseline_policies(markets.train, seed=seed)}


def _compare_features(
    before: CandleMarket, after: CandleMarket, last: int, evidence: Evidence
) -> None:
    kept = max(0, min(len(before.ts_ms), last + 1 - before.segment.start))
    found = _first_change(before.features[:kept], after.features[:kept])
    if found is not None:
        row, column = found
        evidence.fault(
            f"feature '{FEATURE_NAMES[column]}' of bar {iso(before.ts_ms[row])} "
            f"({before.segment.name} row {row}) changes with bars after "
            f"{iso(before.ts_ms[0] + (last - before.segment.start) * before.bar_ms)}"
        )


def _compare_play(
    name: str,
    cut: Cut,
    markets: tuple[CandleMarket, CandleMarket],
    policies: tuple[Policy, Policy],
    evidence: Evidence,
) -> None:
    recorders = [_Recorder(policy) for policy in policies]
    played = [
        rollout(market, recorder, np.array([cut.start]))
        for market, recorder in zip(markets, recorders, strict=True)
    ]
    # Steps 0 to decided - 1 have happened by the close of the cut; step `decided` is quoted there.
    decided = cut.bar - cut.start
    seen = [np.concatenate(recorder.seen)[: decided + 1] for recorder in recorders]
    happened = [_columns(one, _HAPPENED, decided) for one in played]
    # A quote that may take shows the price at which the next open executed it.
    known = decided + 1 if markets[0].settings.fill.post_only else decided
    quoted = [_columns(one, _DECIDED, known) for one in played]
    changes = [
        (*place, names)
        for names, (one, other) in (
            (OBSERVATION_NAMES, seen),
            (_DECIDED, quoted),
            (_HAPPENED, happened),
        )
        if (place := _first_change(one, other)) is not None
    ]
    if changes:
        row, column, names = min(changes, key=lambda change: change[0])
        evidence.fault(
            f"{name}, {cut.segment}: '{names[column]}' of step {row + 1}, decided at the close "
            f"of bar {iso(markets[0].ts_ms[cut.start + row])}, changes with bars after "
            f"{iso(markets[0].ts_ms[cut.bar])}"
        )
        return
    if np.array_equal(played[0].mid[0, decided], played[1].mid[0, decided]):
        evidence.fault(f"{cut.segment}: the changed bars were not played, the check is blind")


def _columns(played: Trajectories, names: tuple[str, ...], steps: int) -> Table:
    return np.stack([getattr(played, name)[0, :steps] for name in names], axis=1)


def _first_change(before: Table, after: Table) -> tuple[int, int] | None:
    """Return (row, column) of the first difference, earliest row first; NaN equals NaN."""
    if before.shape != after.shape:
        return min(len(before), len(after)), 0
    differs = ~((before == after) | (np.isnan(before) & np.isnan(after)))
    places = np.argwhere(differs)
    return None if len(places) == 0 else (int(places[0][0]), int(places[0][1]))
