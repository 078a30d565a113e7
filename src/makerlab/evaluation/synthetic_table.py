"""What known makers earn on the synthetic market: proof that it tells policies apart."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from makerlab.config import Config, EnvSettings, SyntheticSettings
from makerlab.data.split import Segment
from makerlab.data.synthetic import generate_candles
from makerlab.evaluation.metrics import episode_sums
from makerlab.evaluation.rollout import evaluation_starts, rollout
from makerlab.market.base import Observations
from makerlab.market.episodes import CandleMarket
from makerlab.policies.base import Actions, Policy, observed
from makerlab.policies.baselines import FixedSymmetric, InventorySkew

BASE_SPREADS_BPS = (5.0, 8.0, 10.0, 15.0)
SKILLED_SPREAD_BPS = 8.0
MAKER_FEE_RATE = 1e-4
BETA = 0.6


class DeviationSkew:
    """A skilled maker of the synthetic market: a linear function of past closes and inventory.

    It leans against the deviation of the close from its short average, a little with that from
    its long average (order flow lasts), and against its inventory; it widens with volatility.
    """

    def act(self, observation: Observations) -> Actions:
        """Return the spread and skew actions."""
        skew = (
            -1.2 * observed(observation, "ema_deviation_5")
            + 0.45 * observed(observation, "ema_deviation_20")
            - 2.0 * observed(observation, "inventory_share")
        )
        width = 1.1 + 1.3 * observed(observation, "log_volatility")
        return np.clip(np.stack([width, skew], axis=1), -1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Earnings:
    """What a policy earned: basis points of the notional traded, and profit per episode.

    `profits` has shape (episodes,), currency. Gross leaves out all fees; net is after maker fees
    and after flattening the last position as a taker.
    """

    fills_per_bar: float
    gross_bps: float
    net_bps: float
    profits: npt.NDArray[np.float64]

    def t_statistic(self, episodes: int) -> float:
        """Return the t-statistic that this many episodes give on average."""
        deviation = float(self.profits.std(ddof=1))
        return float(self.profits.mean()) / deviation * float(np.sqrt(episodes))


def synthetic_market(settings: SyntheticSettings, *, base_spread_bps: float) -> CandleMarket:
    """Return the whole synthetic market under the default environment with a 1 bp maker fee."""
    candles = generate_candles(settings)
    env = EnvSettings(base_spread_bps=base_spread_bps, fee_rate=MAKER_FEE_RATE, beta=BETA)
    return CandleMarket(candles, Segment("train", 0, len(candles)), env)


def earnings(market: CandleMarket, policy: Policy) -> Earnings:
    """Play a policy over all episodes that fit side by side."""
    length = market.settings.episode_length
    starts = evaluation_starts(market, episodes=len(market.ts_ms), episode_length=length)
    sums = episode_sums(rollout(market, policy, starts))
    total = {name: float(values.sum()) for name, values in sums.items()}
    return Earnings(
        fills_per_bar=(total["bid_fills"] + total["ask_fills"]) / total["bars"],
        gross_bps=1e4 * (total["profit"] + total["fees"]) / total["turnover"],
        net_bps=1e4 * total["profit"] / total["turnover"],
        profits=sums["profit"],
    )


def synthetic_rows(
    values: Mapping[str, float], *, seeds: Sequence[int]
) -> list[dict[str, str | float]]:
    """Return a row per seed and maker: fixed symmetric, inventory skew and skilled.

    `values` are keys of `data.synthetic` over the defaults. Raises UserError for an invalid one.
    """
    rows: list[dict[str, str | float]] = []
    for seeded in [_settings({**values, "seed": seed}) for seed in seeds]:
        for base_spread_bps in BASE_SPREADS_BPS:
            market = synthetic_market(seeded, base_spread_bps=base_spread_bps)
            makers: dict[str, Policy] = {
                "fixed symmetric": FixedSymmetric(),
                "inventory skew": InventorySkew(),
            }
            if base_spread_bps == SKILLED_SPREAD_BPS:
                makers["skilled"] = DeviationSkew()
            for name, policy in makers.items():
                rows.append(_row(seeded.seed, name, base_spread_bps, earnings(market, policy)))
    return rows


def _settings(values: Mapping[str, float]) -> SyntheticSettings:
    config = Config(env=EnvSettings(base_spread_bps=SKILLED_SPREAD_BPS))
    changed = config.with_values({f"data.synthetic.{key}": value for key, value in values.items()})
    return changed.data.synthetic


def _row(seed: int, maker: str, base_spread_bps: float, earned: Earnings) -> dict[str, str | float]:
    return {
        "seed": seed,
        "maker": maker,
        "half-spread (bp)": base_spread_bps,
        "fills per bar": earned.fills_per_bar,
        "gross (bp)": earned.gross_bps,
        "net (bp)": earned.net_bps,
        "profit per episode": float(earned.profits.mean()),
        "t of 25 episodes": earned.t_statistic(25),
        "episodes": len(earned.profits),
    }
