"""A quote lives in a later bar than the one it was decided on: a market made to catch the rest."""

import numpy as np

from makerlab.audit.findings import Evidence, Skip
from makerlab.audit.subject import AuditedRun
from makerlab.data.candles import Candles
from makerlab.data.split import Segment
from makerlab.evaluation.rollout import rollout
from makerlab.market.episodes import CandleMarket
from makerlab.market.features import WARM_UP_BARS
from makerlab.policies import Policy
from makerlab.policies.baselines import FixedSymmetric
from makerlab.policies.simple import RandomQuotes

_CALM_BARS = 12


def quotes_live_in_a_later_bar(run: AuditedRun) -> Evidence:
    """Play dead calm bars with two wild ones: only quotes that rest before a wild bar may fill.

    The first wild bar is the one on which the first quotes are decided, the second comes in the
    middle. Nothing may fill but in the second one, and there a quote around the mid must.
    """
    fill = run.config.env.fill
    if fill.rule == "calibrated_intensity":
        raise Skip("rule calibrated_intensity fills by chance, whatever the bars do")
    evidence = Evidence()
    wild = fill.latency_bars + _CALM_BARS
    market = _market_of_two_wild_bars(run, wild_step=wild)
    policies: dict[str, Policy] = {"a fixed symmetric quoter": FixedSymmetric()}
    if fill.post_only:
        # Skewed quotes that may take would be executed by calm bars too, rightly.
        actions = 3 if run.config.env.allow_no_quote else 2
        policies["random quotes"] = RandomQuotes(seed=0, actions=actions)
    for name, policy in policies.items():
        played = rollout(market, policy, np.array([WARM_UP_BARS]))
        filled = (played.bid_filled[0] > 0.0) | (played.ask_filled[0] > 0.0)
        for step in np.flatnonzero(filled):
            if step != wild:
                evidence.fault(
                    f"{name}: filled in step {step + 1}, by a bar without any range; wild are "
                    f"only the bar of the first decision and that of step {wild + 1}"
                )
    fixed = rollout(market, FixedSymmetric(), np.array([WARM_UP_BARS]))
    if fixed.bid_filled[0, wild] + fixed.ask_filled[0, wild] <= 0.0:
        evidence.fault("resting quotes were not filled by a bar that trades far through both")
    evidence.fact("wild bars fill what rested before them, never what was decided on them")
    return evidence


def _market_of_two_wild_bars(run: AuditedRun, *, wild_step: int) -> CandleMarket:
    source = run.candles
    price = float(np.median(source.close))
    length = wild_step + _CALM_BARS
    bars = WARM_UP_BARS + length + 2
    calm = np.full(bars, price)
    high, low = calm.copy(), calm.copy()
    for wild in (WARM_UP_BARS, WARM_UP_BARS + wild_step + 1):
        high[wild], low[wild] = 100.0 * price, 0.01 * price
    candles = Candles(
        ts_ms=source.ts_ms[0] + source.bar_ms * np.arange(bars, dtype=np.int64),
        open=calm.copy(),
        high=high,
        low=low,
        close=calm.copy(),
        volume=np.full(bars, run.config.env.order_size / run.config.env.fill.volume_participation),
        source=source.source,
    )
    settings = run.config.env.model_copy(update={"episode_length": length})
    return CandleMarket(candles, Segment("test", 0, bars), settings)
