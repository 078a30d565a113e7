"""The one place that decides what happens to a quote.

Time runs in bars. An episode decides at the close of bar t; its quotes live in bar t+1 only and
are marked at that bar's close. `step` advances N independent episodes by one bar.
"""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from makerlab.config import EnvSettings

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

UNQUOTED = np.inf
NO_QUOTE_THRESHOLD = 1.0 / 3.0
BASIS_POINTS = 1e4


class Prices(NamedTuple):
    """Candles as arrays of shape (bars,); prices in currency, volume in base units."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


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
    keep_worse_side: bool
    penetration: float
    volume_participation: float
    liquidate_at_end: bool
    liquidation_half_spread: float


class EpisodeState(NamedTuple):
    """Where N episodes stand; arrays of shape (episodes,)."""

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


class StepOutcome(NamedTuple):
    """What the last step did; arrays of shape (episodes,), money in currency."""

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
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]


def market_parameters(settings: EnvSettings) -> MarketParameters:
    """Translate settings: basis points become fractions, the absent spread unit becomes zero."""
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
        keep_worse_side=fill.both_touched == "worse_side",
        penetration=fill.penetration_bps / BASIS_POINTS,
        volume_participation=fill.volume_participation,
        liquidate_at_end=fill.liquidate_at_end,
        liquidation_half_spread=fill.liquidation_half_spread_bps / BASIS_POINTS,
    )


def new_state(episodes: int) -> EpisodeState:
    """Return the zero state of N episodes; `start` makes it meaningful."""
    kinds = [np.int64 if name in {"bar", "step"} else np.float64 for name in EpisodeState._fields]
    return EpisodeState._make(np.zeros(episodes, kind) for kind in kinds)


def new_outcome(episodes: int) -> StepOutcome:
    """Return the zero outcome of N episodes."""
    flags = {"terminated", "truncated"}
    kinds = [np.bool_ if name in flags else np.float64 for name in StepOutcome._fields]
    return StepOutcome._make(np.zeros(episodes, kind) for kind in kinds)


@numba.njit(cache=True)
def start(
    prices: Prices,
    parameters: MarketParameters,
    state: EpisodeState,
    episode: int,
    bar: int,
) -> None:
    """Put one episode at the close of a bar with the initial cash and no inventory."""
    state.bar[episode] = bar
    state.step[episode] = 0
    state.cash[episode] = parameters.initial_cash
    state.inventory[episode] = 0.0
    state.equity[episode] = parameters.initial_cash
    state.start_mid[episode] = prices.close[bar]
    state.bid_distance[episode] = 0.0
    state.ask_distance[episode] = 0.0
    state.bid_filled[episode] = 0.0
    state.ask_filled[episode] = 0.0


@numba.njit(cache=True)
def base_half_spread(parameters: MarketParameters, mid: float) -> float:
    """Return the base half-spread in price units at this mid."""
    return parameters.base_spread + parameters.base_spread_fraction * mid


@numba.njit(cache=True)
def quotes(
    parameters: MarketParameters, mid: float, action: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """Return (bid, ask); an infinite spread action leaves both sides unquoted.

    half = base * (1 + alpha * a0), skew = beta * a1, bid = mid - half * (1 - skew) and
    ask = mid + half * (1 + skew), so a positive skew moves both quotes up and buys more.
    """
    if not np.isfinite(action[0]):
        return -UNQUOTED, UNQUOTED
    spread_action = min(1.0, max(-1.0, action[0]))
    skew_action = min(1.0, max(-1.0, action[1]))
    half = base_half_spread(parameters, mid) * (1.0 + parameters.alpha * spread_action)
    skew = parameters.beta * skew_action
    bid = mid - half * (1.0 - skew)
    ask = mid + half * (1.0 + skew)
    if action.shape[0] > 2:
        if action[2] < -NO_QUOTE_THRESHOLD:
            bid = -UNQUOTED
        elif action[2] > NO_QUOTE_THRESHOLD:
            ask = UNQUOTED
    return bid, ask


@numba.njit(cache=True)
def fills(
    prices: Prices,
    parameters: MarketParameters,
    bar: int,
    bid: float,
    ask: float,
    inventory: float,
) -> tuple[float, float]:
    """Return the quantities (bought, sold) that this bar gives to two resting quotes.

    A quote that would cross the bar's open is rejected as post-only. A quote fills at its own
    price when the bar trades strictly through it, within a share of the bar's volume and the
    room below the position limit.
    """
    available = parameters.volume_participation * prices.volume[bar]
    buy_room = min(parameters.order_size, parameters.max_inventory - inventory)
    sell_room = min(parameters.order_size, parameters.max_inventory + inventory)
    bought = sold = 0.0
    if bid < prices.open[bar] and prices.low[bar] < bid * (1.0 - parameters.penetration):
        bought = max(0.0, min(buy_room, available))
    if ask > prices.open[bar] and prices.high[bar] > ask * (1.0 + parameters.penetration):
        sold = max(0.0, min(sell_room, available))
    if bought > 0.0 and sold > 0.0:
        if parameters.keep_worse_side:
            # Whole fills are compared: at the position limit one side may be a sliver, and the
            # smaller gain must be kept whatever its price.
            close = prices.close[bar]
            if (close - bid) * bought <= (ask - close) * sold:
                sold = 0.0
            else:
                bought = 0.0
        else:
            bought = min(bought, 0.5 * available)
            sold = min(sold, 0.5 * available)
    return bought, sold


@numba.njit(cache=True)
def step(
    prices: Prices,
    parameters: MarketParameters,
    state: EpisodeState,
    actions: npt.NDArray[np.float64],
    outcome: StepOutcome,
) -> None:
    """Advance every episode by one bar, in place.

    Change of equity = spread captured + inventory profit - fees, where spread is captured against
    the mid of the decision and inventory profit is the new position times the move of the mid.
    The reward is that change less the penalties, in basis points of the notional of the position
    limit at the episode's first mid, so it does not depend on the price level.
    """
    for i in range(actions.shape[0]):
        mid = prices.close[state.bar[i]]
        bid, ask = quotes(parameters, mid, actions[i])
        bar = state.bar[i] + 1
        bought, sold = fills(prices, parameters, bar, bid, ask, state.inventory[i])
        turnover = spread = 0.0
        if bought > 0.0:
            turnover += bid * bought
            spread += (mid - bid) * bought
            state.cash[i] -= bid * bought
        if sold > 0.0:
            turnover += ask * sold
            spread += (ask - mid) * sold
            state.cash[i] += ask * sold
        fees = parameters.fee_rate * turnover
        inventory = state.inventory[i] + bought - sold
        if abs(inventory) < 1e-12 * parameters.max_inventory:
            inventory = 0.0
        close = prices.close[bar]
        held = inventory
        inventory_profit = held * (close - mid)
        state.cash[i] -= fees
        terminated = state.cash[i] + inventory * close <= 0.0
        truncated = state.step[i] + 1 >= parameters.episode_length
        liquidated = 0.0
        if parameters.liquidate_at_end and inventory != 0.0 and (terminated or truncated):
            liquidated = -inventory
            notional = abs(inventory) * close
            slippage = parameters.liquidation_half_spread * notional
            taker_fee = parameters.taker_fee_rate * notional
            state.cash[i] += inventory * close - slippage - taker_fee
            spread -= slippage
            fees += taker_fee
            turnover += notional
            inventory = 0.0
        equity = state.cash[i] + inventory * close
        # The costs of flattening can be what ruins.
        terminated = terminated or equity <= 0.0
        change = spread + inventory_profit - fees
        penalty = parameters.lambda_inv * abs(held) * close + parameters.lambda_turnover * turnover
        scale = BASIS_POINTS / (parameters.max_inventory * state.start_mid[i])

        half = base_half_spread(parameters, mid)
        state.bar[i] = bar
        state.step[i] += 1
        state.inventory[i] = inventory
        state.equity[i] = equity
        state.bid_distance[i] = (mid - bid) / half
        state.ask_distance[i] = (ask - mid) / half
        state.bid_filled[i] = bought
        state.ask_filled[i] = sold
        outcome.mid[i] = close
        outcome.bid[i] = bid
        outcome.ask[i] = ask
        outcome.bid_filled[i] = bought
        outcome.ask_filled[i] = sold
        outcome.liquidated[i] = liquidated
        outcome.fees[i] = fees
        outcome.turnover[i] = turnover
        outcome.spread_captured[i] = spread
        outcome.inventory_profit[i] = inventory_profit
        outcome.reward[i] = (change - penalty) * scale
        outcome.terminated[i] = terminated
        outcome.truncated[i] = truncated and not terminated
