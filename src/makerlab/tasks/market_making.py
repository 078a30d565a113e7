"""The market-making task: candles or simulated orders, SAC, closed-form baselines, money."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.config import Config, EvaluateSettings, TrainSettings
from makerlab.data.split import SegmentName
from makerlab.evaluation.metrics import (
    Floats,
    Sums,
    difference_estimates,
    episode_sums,
    metric_estimates,
    point_value,
)
from makerlab.evaluation.objective import (
    OBJECTIVE,
    episode_objectives,
    headline_metric,
    objective_difference,
    objective_estimates,
    objective_value,
)
from makerlab.evaluation.periods import bar_gains, segment_profits
from makerlab.evaluation.rollout import Trajectories, evaluation_starts, rollout
from makerlab.learning.learner import Seats
from makerlab.learning.training import Training
from makerlab.market.markets import load_markets
from makerlab.policies import Policy, baseline_policies
from makerlab.policies.simulated import NOTHING, OPTIMUM
from makerlab.statistics.bootstrap import Estimate, resample_weights
from makerlab.tasks.base import Curve, SegmentResult

_EPISODE_COLUMNS = (
    "mid",
    "bid",
    "ask",
    "bid_filled",
    "ask_filled",
    "liquidated",
    "inventory",
    "cash",
    "fees",
    "equity",
    "spread_captured",
    "inventory_profit",
    "reward",
)

_DRAWN_EPISODES = 250
"""Curves of more are a blot; simulated markets are judged on thousands."""


class MarketMakingWorkbench:
    """Trains and judges market makers on one config's market."""

    learned = "policy"

    def __init__(
        self, config: Config, *, synthetic_folder: Path | None, cache_folder: Path | None = None
    ) -> None:
        """Load and split the market; raises UserError for what is wrong with its data."""
        self._config = config
        self._markets = load_markets(
            config, synthetic_folder=synthetic_folder, cache_folder=cache_folder
        )
        self.source = self._markets.source
        self.split_record = self._markets.split_record
        self.mean_price = self._markets.train.mean_price
        self.observation_size = len(self._markets.train.observation_names)
        self.action_size = self._markets.train.action_size
        length = config.tune.eval_episode_length or config.env.episode_length
        self._judged_length = length
        starts = evaluation_starts(
            self._markets.valid, episodes=config.tune.eval_episodes, episode_length=length
        )
        self._judged, self._fresh = starts, self._shifted(starts)
        # Found out now rather than after hours of training; only times are looked at.
        self._markets.test.starts()

    def _shifted(self, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Move episodes by half their length, where the later bars allow it.

        On candles the judged ones may fill the segment, so these share bars with them; what is
        wholly fresh in a second score is the seed of the training.
        """
        allowed = self._markets.valid.starts(self._judged_length)
        wanted = starts + max(1, self._markets.valid.stride(self._judged_length) // 2)
        places = np.searchsorted(allowed, wanted).clip(max=len(allowed) - 1)
        shifted: npt.NDArray[np.int64] = np.unique(allowed[places])
        return shifted

    def training(
        self, settings: TrainSettings, *, device: str, seats: Seats | None = None
    ) -> Training:
        """Return a new training on the training segment, in a seat of a group if there is one."""
        return Training(self._markets.train, settings, device=device, seats=seats)

    def score(self, policy: Policy, *, fresh: bool = False) -> float | None:
        """Return the tuning metric on fixed, side by side episodes of the validation segment."""
        market = self._markets.valid
        starts = self._fresh if fresh else self._judged
        played = rollout(market, policy, starts, episode_length=self._judged_length)
        sums = episode_sums(played)
        if self._config.tune.metric == OBJECTIVE:
            value = objective_value(sums, market.settings)
        else:
            value = point_value(sums, self._config.tune.metric, bar_ms=market.bar_ms)
        return value if np.isfinite(value) else None

    def baselines(self) -> dict[str, Policy]:
        """Return the baselines with scales fitted on the training segment."""
        return baseline_policies(self._markets.train, seed=self._config.evaluate.seed)

    def evaluate(
        self, policies: dict[str, Policy], segment: SegmentName, settings: EvaluateSettings
    ) -> SegmentResult:
        """Judge policies on the same episodes; differences are the first policy's to the others."""
        market = self._markets[segment]
        length = self._config.env.episode_length
        starts = evaluation_starts(market, episodes=settings.episodes, episode_length=length)
        weights = resample_weights(
            len(starts), samples=settings.bootstrap_samples, seed=settings.seed
        )
        drawn = min(len(starts), _DRAWN_EPISODES)
        sums: dict[str, Sums] = {}
        curves: dict[str, Curve] = {}
        tables: list[dict[str, list[Any]]] = []
        gains: dict[str, Floats] = {}
        for name, policy in policies.items():
            played = rollout(market, policy, starts)
            gains[name] = bar_gains(played)
            sums[name] = episode_sums(played)
            curves[name] = _curve(played, drawn)
            if not tables:
                kept = min(settings.episode_csvs, len(starts))
                tables = [episode_table(played, number) for number in range(kept)]
        learned, *others = sums
        chosen: dict[str, Any] = {"bar_ms": market.bar_ms, "confidence": settings.confidence}
        metrics: dict[str, dict[str, Estimate]] = {
            name: metric_estimates(values, weights, **chosen) for name, values in sums.items()
        }
        differences = {
            name: difference_estimates(sums[learned], sums[name], weights, **chosen)
            for name in others
        }
        objectives = None
        if market.settings.simulates:
            known = objective_estimates(
                sums,
                weights,
                market.settings,
                optimum=OPTIMUM,
                nothing=NOTHING,
                confidence=settings.confidence,
            )
            metrics = {name: {**known[name], **found} for name, found in metrics.items()}
            for name, found in differences.items():
                found[OBJECTIVE] = objective_difference(
                    sums[learned],
                    sums[name],
                    weights,
                    market.settings,
                    confidence=settings.confidence,
                )
            # Nobody is asked to beat the optimum.
            objectives = {
                name: episode_objectives(values, market.settings)
                for name, values in sums.items()
                if name != OPTIMUM
            }
        return SegmentResult(
            segment=segment,
            episodes=len(starts),
            drawn_episodes=drawn,
            episode_length=length,
            metrics=metrics,
            differences=differences,
            curves=curves,
            episode_tables=tables,
            profits=segment_profits(played, gains, objectives=objectives),
            headline=headline_metric(market.settings),
            not_to_beat=frozenset({OPTIMUM}) if market.settings.simulates else frozenset(),
        )


def _curve(played: Trajectories, episodes: int) -> Curve:
    """Chain the first episodes: each starts flat and adds its profit to that of those before."""
    capital = played.market.settings.initial_cash
    profit = played.equity[:episodes] - capital
    ended = [row[np.isfinite(row)][-1] for row in profit]
    before = np.concatenate([[0.0], np.cumsum(ended)[:-1]])
    equity = capital + before[:, None] + profit
    timestamps = np.stack([played.timestamps_ms(n) for n in range(episodes)])
    lived = np.isfinite(profit)
    return Curve(timestamps[lived], equity[lived], played.inventory[:episodes][lived])


def episode_table(played: Trajectories, episode: int) -> dict[str, list[Any]]:
    """Return one episode's columns; timestamps are the open of the bar the quotes lived in."""
    lived = np.isfinite(played.equity[episode])
    stamps = played.timestamps_ms(episode)[lived]
    table: dict[str, list[Any]] = {
        "step": list(range(1, int(lived.sum()) + 1)),
        "timestamp": [f"{stamp}Z" for stamp in stamps.astype("datetime64[ms]").astype(str)],
    }
    for name in _EPISODE_COLUMNS:
        table[name] = getattr(played, name)[episode][lived].tolist()
    return table
