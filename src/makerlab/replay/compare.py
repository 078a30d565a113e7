"""What the candle model says of the same quotes on bars of the same tape."""

from typing import Any

import numpy as np

from makerlab.evaluation.metrics import Sums, episode_sums, metric_estimates
from makerlab.evaluation.rollout import Trajectories, rollout
from makerlab.market.base import Observations
from makerlab.policies.base import Actions
from makerlab.replay.fills import MARKOUT_SECONDS, REASONS
from makerlab.replay.session import Floats, Played, Stage
from makerlab.statistics.bootstrap import Estimate


class Repeated:
    """Acts as it was recorded to have acted, whatever it sees."""

    def __init__(self, actions: Floats) -> None:
        """Take actions of shape (steps, actions)."""
        self._actions = iter(actions)

    def act(self, observation: Observations) -> Actions:
        """Return the next recorded action."""
        return np.asarray(next(self._actions), np.float64)[None, :]


def on_candles(stage: Stage, played: Played) -> Trajectories:
    """Give the quotes of a replay, decision by decision, to the candle kernel."""
    return rollout(stage.market, Repeated(played.actions), stage.starts, episode_length=stage.steps)


def metrics_of(trajectories: Trajectories, *, confidence: float) -> dict[str, Estimate]:
    """Return every metric of the one episode; a single episode gives no interval."""
    sums: Sums = episode_sums(trajectories)
    market = trajectories.market
    return metric_estimates(sums, np.ones((1, 1)), bar_ms=market.bar_ms, confidence=confidence)


def differences(book: dict[str, Estimate], candles: dict[str, Estimate]) -> dict[str, float | None]:
    """Return each metric on the recorded book minus that on candles, None where one has none."""
    result: dict[str, float | None] = {}
    for name, estimate in book.items():
        other = candles[name].value
        both = estimate.value is not None and other is not None
        result[name] = estimate.value - other if both else None  # type: ignore[operator]
    return result


def fill_summary(played: Played) -> dict[str, Any]:
    """Return counts of fills by reason, their place in the queue and what they were worth."""
    made = [fill for fill in played.fills if fill.reason != "taken"]
    queued = [fill for fill in made if fill.reason == "queue_reached"]
    return {
        "fills": len(made),
        "quantity": float(sum(fill.quantity for fill in made)),
        "reasons": {reason: played.reasons.get(reason, 0) for reason in REASONS},
        "orders": played.orders,
        "rejected_as_post_only": played.rejected,
        "median_waited_ms": _median([fill.waited_ms for fill in made]),
        "median_queue_ahead_at_arrival": _median([fill.queue_ahead for fill in made]),
        "median_traded_ahead_when_queue_reached": _median([fill.traded_ahead for fill in queued]),
        "median_still_ahead_when_queue_reached": _median([fill.still_ahead for fill in queued]),
        "markout_bps_per_unit": {
            f"{seconds}s": _weighted(
                [fill.markouts[place] for fill in made], [fill.quantity for fill in made]
            )
            for place, seconds in enumerate(MARKOUT_SECONDS)
        },
    }


def _median(values: list[float]) -> float | None:
    known = [value for value in values if value == value]
    return float(np.median(known)) if known else None


def _weighted(values: list[float], weights: list[float]) -> float | None:
    """Return the mean over filled quantity, of those whose later mid the tape still has."""
    pairs = [
        (value, weight) for value, weight in zip(values, weights, strict=True) if value == value
    ]
    total = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / total if total else None
