"""How episodes and parameters lie in memory: a row each, so that a compiled call takes few arrays.

A row per episode keeps all its numbers in two or three cache lines, and passing one array instead
of thirty is what makes a call for a single episode cost a microsecond. Python sees columns of it.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from makerlab.config import EnvSettings

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Table = npt.NDArray[np.void]

RULES = ("trade_through", "touch", "calibrated_intensity")
TRADE_THROUGH, TOUCH, CALIBRATED_INTENSITY = range(3)
BOTH_TOUCHED = ("worse_side", "both", "path", "seeded_random")
WORSE_SIDE, BOTH, PATH, SEEDED_RANDOM = range(4)

UNQUOTED = np.inf
BASIS_POINTS = 1e4


class Prices(NamedTuple):
    """Candles as arrays of shape (bars,); prices in currency, volume in base units."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


OPEN, HIGH, LOW, CLOSE, VOLUME = range(5)


class MarketParameters(NamedTuple):
    """The environment's numbers in the form the kernel wants them."""

    episode_length: int
    base_spread: float
    base_spread_fraction: float
    alpha: float
    beta: float
    fee_rate: float
    taker_fee_rate: float
    lambda_inv: float
    lambda_turnover: float
    max_inventory: float
    order_size: float
    initial_cash: float
    rule: int
    both_touched: int
    penetration: float
    volume_participation: float
    latency: int
    post_only: bool
    bid_intensity: float
    bid_decay: float
    ask_intensity: float
    ask_decay: float
    liquidate_at_end: bool
    liquidation_half_spread: float


class EpisodeState(NamedTuple):
    """Where N episodes stand; arrays of shape (episodes,).

    `waiting_bid` and `waiting_ask`, (episodes, latency + 1), hold the prices of quotes from their
    decision to the bar they live in; the distances and fills are of the quotes that lived last.
    """

    bar: Integers
    step: Integers
    cash: Floats
    inventory: Floats
    equity: Floats
    start_mid: Floats
    bid_distance: Floats
    ask_distance: Floats
    bid_filled: Floats
    ask_filled: Floats
    waiting_bid: Floats
    waiting_ask: Floats


class StepOutcome(NamedTuple):
    """What the last step did; arrays of shape (episodes,), money in currency.

    `bid` and `ask` are the quotes that lived in the bar; of one executed as a taker, its price.
    """

    mid: Floats
    bid: Floats
    ask: Floats
    bid_filled: Floats
    ask_filled: Floats
    liquidated: Floats
    fees: Floats
    turnover: Floats
    spread_captured: Floats
    inventory_profit: Floats
    reward: Floats
    terminated: Flags
    truncated: Flags


_KINDS: dict[str, Any] = {
    **dict.fromkeys(("bar", "step"), np.int64),
    **dict.fromkeys(("terminated", "truncated"), np.bool_),
}
_WAITING = ("waiting_bid", "waiting_ask")
EPISODE = np.dtype(
    [
        (name, _KINDS.get(name, np.float64))
        for name in dict.fromkeys(EpisodeState._fields + StepOutcome._fields)
        if name not in _WAITING
    ],
    align=True,
)
PARAMETERS = np.dtype(list(MarketParameters.__annotations__.items()), align=True)


def market_parameters(settings: EnvSettings, *, bar_seconds: float) -> MarketParameters:
    """Translate settings: intensities become fills per bar, basis points become fractions.

    What is absent (the other spread unit, intensities) becomes zero.
    """
    fill = settings.fill
    return MarketParameters(
        episode_length=settings.episode_length,
        base_spread=settings.base_spread or 0.0,
        base_spread_fraction=(settings.base_spread_bps or 0.0) / BASIS_POINTS,
        alpha=settings.alpha,
        beta=settings.beta,
        fee_rate=settings.fee_rate,
        taker_fee_rate=settings.taker_fee_rate,
        lambda_inv=settings.lambda_inv,
        lambda_turnover=settings.lambda_turnover,
        max_inventory=settings.max_inventory,
        order_size=settings.order_size,
        initial_cash=settings.initial_cash,
        rule=RULES.index(fill.rule),
        both_touched=BOTH_TOUCHED.index(fill.both_touched),
        penetration=fill.penetration_bps / BASIS_POINTS,
        volume_participation=fill.volume_participation,
        latency=fill.latency_bars,
        post_only=fill.post_only,
        bid_intensity=(fill.bid_intensity or 0.0) * bar_seconds,
        bid_decay=(fill.bid_decay or 0.0) * BASIS_POINTS,
        ask_intensity=(fill.ask_intensity or 0.0) * bar_seconds,
        ask_decay=(fill.ask_decay or 0.0) * BASIS_POINTS,
        liquidate_at_end=fill.liquidate_at_end,
        liquidation_half_spread=fill.liquidation_half_spread_bps / BASIS_POINTS,
    )


def parameter_row(parameters: MarketParameters) -> Table:
    """Return parameters as the one row that the kernel reads."""
    return np.array([tuple(parameters)], PARAMETERS)


def state_of(table: Table, waiting: Floats) -> EpisodeState:
    """Return columns of a table of episodes; writing to them writes to it."""
    columns = {name: table[name] for name in EpisodeState._fields if name not in _WAITING}
    return EpisodeState(**columns, waiting_bid=waiting[:, :, 0], waiting_ask=waiting[:, :, 1])


def outcome_of(table: Table) -> StepOutcome:
    """Return columns of a table of episodes; the next step overwrites them."""
    return StepOutcome._make(table[name] for name in StepOutcome._fields)


def new_outcome(episodes: int) -> StepOutcome:
    """Return the zero outcome of N episodes, each column an array of its own."""
    return StepOutcome._make(
        np.zeros(episodes, _KINDS.get(name, np.float64)) for name in StepOutcome._fields
    )
