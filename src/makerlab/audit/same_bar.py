"""A quote lives in a later bar than the one it was decided on: a market made to catch the rest."""

import numpy as np

from makerlab.audit.findings import Evidence
from makerlab.audit.subject import AuditedRun
from makerlab.data.candles import Candles
from makerlab.data.split import Segment
from makerlab.evaluation.rollout import rollout
from makerlab.market.episodes import Market
from makerlab.market.features import WARM_UP_BARS
from makerlab.policies import Policy
from makerlab.policies.baselines import FixedSymmetric, RandomQuotes

_LENGTH = 24
_WILD_STEP = 12


def quotes_live_in_a_later_bar(run: AuditedRun) -> Evidence:
    """Play dead calm bars with two wild ones: only quotes that rest before a wild bar may fill.

    The first wild bar is the one on which the first quotes are decided, the second comes in the
    middle. Nothing may fill but in the second one, and there a quote around the mid must.
    """
    evidence = Evidence()
    market = _market_of_two_wild_bars(run)
    actions = 3 if run.config.env.allow_no_quote else 2
    policies: dict[str, Policy] = {
        "a fixed symmetric quoter": FixedSymmetric(),
        "random quotes": RandomQuotes(seed=0, actions=actions),
    }
    for name, policy in policies.items():
        played = rollout(market, policy, np.array([WARM_UP_BARS]))
        filled = (played.bid_filled[0] > 0.0) | (played.ask_filled[0] > 0.0)
        for step in np.flatnonzero(filled):
            if step != _WILD_STEP:
                decided = "the wild bar" if step in {0, _WILD_STEP + 1} else "a calm bar"
                evidence.fault(
                    f"{name}: quotes decided at the close of {decided} were filled in step "
                    f"{step + 1}, a bar without any range"
                )
    fixed = rollout(market, FixedSymmetric(), np.array([WARM_UP_BARS]))
    if fixed.bid_filled[0, _WILD_STEP] + fixed.ask_filled[0, _WILD_STEP] <= 0.0:
        evidence.fault("resting quotes were not filled by a bar that trades far through both")
    evidence.fact("wild bars fill what rested before them, never what was decided on them")
    return evidence


def _market_of_two_wild_bars(run: AuditedRun) -> Market:
    source = run.candles
    price = float(np.median(source.close))
    bars = WARM_UP_BARS + _LENGTH + 2
    calm = np.full(bars, price)
    high, low = calm.copy(), calm.copy()
    for wild in (WARM_UP_BARS, WARM_UP_BARS + _WILD_STEP + 1):
        high[wild], low[wild] = 100.0 * price, 0.01 * price
    candles = Candles(
        ts_ms=source.ts_ms[0] + source.bar_ms * np.arange(bars, dtype=np.int64),
        open=calm.copy(),
        high=high,
        low=low,
        close=calm.copy(),
        volume=np.full(bars, 1e3 * run.config.env.order_size),
        source=source.source,
    )
    settings = run.config.env.model_copy(update={"episode_length": _LENGTH})
    return Market(candles, Segment("test", 0, bars), settings)
