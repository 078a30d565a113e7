"""The one place that decides what happens to a quote.

Time runs in bars. An episode decides at the close of bar t; its quotes live in bar t+1 only (with
a latency, that many bars later) and are marked at that bar's close. `step` advances N independent
episodes by one bar. docs/fills.md explains the rules.
"""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from makerlab.config import EnvSettings
from makerlab.market.draws import Draws

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

RULES = ("trade_through", "touch", "calibrated_intensity")
TRADE_THROUGH, TOUCH, CALIBRATED_INTENSITY = range(3)
BOTH_TOUCHED = ("worse_side", "both", "path", "seeded_random")
WORSE_SIDE, BOTH, PATH, SEEDED_RANDOM = range(4)

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
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]


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


def new_state(episodes: int, *, latency: int) -> EpisodeState:
    """Return the zero state of N episodes; `start` makes it meaningful."""
    whole, waiting = {"bar", "step"}, {"waiting_bid", "waiting_ask"}
    return EpisodeState._make(
        np.zeros(
            (episodes, latency + 1) if name in waiting else episodes,
            np.int64 if name in whole else np.float64,
        )
        for name in EpisodeState._fields
    )


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
    state.waiting_bid[episode] = -UNQUOTED
    state.waiting_ask[episode] = UNQUOTED


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
def _reached(
    prices: Prices, draws: Draws, parameters: MarketParameters, bar: int, bid: float, ask: float
) -> tuple[bool, bool]:
    """Return whether the bar fills a resting (bid, ask), by the rule, volume aside."""
    low, high = prices.low[bar], prices.high[bar]
    if parameters.rule == TRADE_THROUGH:
        return (
            low < bid * (1.0 - parameters.penetration),
            high > ask * (1.0 + parameters.penetration),
        )
    if parameters.rule == TOUCH:
        return (
            low <= bid * (1.0 - parameters.penetration),
            high >= ask * (1.0 + parameters.penetration),
        )
    mid = prices.close[bar - 1]
    bid_distance, ask_distance = max(0.0, 1.0 - bid / mid), max(0.0, ask / mid - 1.0)
    bids = parameters.bid_intensity * np.exp(-parameters.bid_decay * bid_distance)
    asks = parameters.ask_intensity * np.exp(-parameters.ask_decay * ask_distance)
    return draws.bid[bar] < 1.0 - np.exp(-bids), draws.ask[bar] < 1.0 - np.exp(-asks)


@numba.njit(cache=True)
def _in_order(
    parameters: MarketParameters, inventory: float, available: float, bid_first: bool
) -> tuple[float, float]:
    """Return (bought, sold) when one side follows the other: it has the room and volume left."""
    limit, size = parameters.max_inventory, parameters.order_size
    if bid_first:
        bought = max(0.0, min(size, limit - inventory, available))
        sold = max(0.0, min(size, limit + inventory + bought, available - bought))
    else:
        sold = max(0.0, min(size, limit + inventory, available))
        bought = max(0.0, min(size, limit - inventory + sold, available - sold))
    return bought, sold


@numba.njit(cache=True)
def _both(
    prices: Prices,
    draws: Draws,
    parameters: MarketParameters,
    bar: int,
    bid: float,
    ask: float,
    inventory: float,
) -> tuple[float, float]:
    """Return (bought, sold) when the bar reached both quotes and nobody knows in which order."""
    available = parameters.volume_participation * prices.volume[bar]
    if parameters.both_touched == PATH:
        down = prices.open[bar] - prices.low[bar]
        return _in_order(
            parameters, inventory, available, down <= prices.high[bar] - prices.open[bar]
        )
    limit, size = parameters.max_inventory, parameters.order_size
    bought = max(0.0, min(size, limit - inventory, available))
    sold = max(0.0, min(size, limit + inventory, available))
    if bought == 0.0 or sold == 0.0:
        return bought, sold
    if parameters.both_touched == BOTH:
        return min(bought, 0.5 * available), min(sold, 0.5 * available)
    if parameters.both_touched == SEEDED_RANDOM:
        keep_bid = draws.side[bar] < 0.5
    else:
        # Whole fills are compared: at the position limit one side may be a sliver, and the
        # smaller gain must be kept whatever its price.
        close = prices.close[bar]
        keep_bid = (close - bid) * bought <= (ask - close) * sold
    return (bought, 0.0) if keep_bid else (0.0, sold)


@numba.njit(cache=True)
def fills(
    prices: Prices,
    draws: Draws,
    parameters: MarketParameters,
    bar: int,
    bid: float,
    ask: float,
    inventory: float,
) -> tuple[float, float, float, float, float]:
    """Return (bid, ask, bought, sold, taken): what this bar does to two quotes that live in it.

    A quote that would cross the bar's open is rejected as post-only. Any other fills as the rule
    says, at its own price, within a share of the bar's volume and the room below the position
    limit. Without post-only, a quote beyond the market's own spread is executed at the open, at
    the price that comes back in its place; `taken` is that notional, zero otherwise.
    """
    opening = prices.open[bar]
    available = parameters.volume_participation * prices.volume[bar]
    if not parameters.post_only:
        offered = opening * (1.0 + parameters.liquidation_half_spread)
        wanted = opening * (1.0 - parameters.liquidation_half_spread)
        if bid >= offered or ask <= wanted:
            # What is executed on arrival comes first; the other side has what it leaves.
            buys = bid >= offered
            bought, sold = _in_order(parameters, inventory, available, buys)
            bid_reached, ask_reached = _reached(prices, draws, parameters, bar, bid, ask)
            if buys:
                return offered, ask, bought, sold if ask_reached else 0.0, offered * bought
            return bid, wanted, bought if bid_reached else 0.0, sold, wanted * sold
    bid_reached, ask_reached = _reached(prices, draws, parameters, bar, bid, ask)
    bid_reached = bid_reached and not (parameters.post_only and bid >= opening)
    ask_reached = ask_reached and not (parameters.post_only and ask <= opening)
    if bid_reached and ask_reached:
        bought, sold = _both(prices, draws, parameters, bar, bid, ask, inventory)
    else:
        limit, size = parameters.max_inventory, parameters.order_size
        bought = max(0.0, min(size, limit - inventory, available)) if bid_reached else 0.0
        sold = max(0.0, min(size, limit + inventory, available)) if ask_reached else 0.0
    return bid, ask, bought, sold, 0.0


@numba.njit(cache=True)
def step(
    prices: Prices,
    draws: Draws,
    parameters: MarketParameters,
    state: EpisodeState,
    actions: npt.NDArray[np.float64],
    outcome: StepOutcome,
) -> None:
    """Advance every episode by one bar, in place.

    Change of equity = spread captured + inventory profit - fees, where spread is captured against
    the close before the bar and inventory profit is the new position times the move of the mid.
    The reward is that change less the penalties, in basis points of the notional of the position
    limit at the episode's first mid, so it does not depend on the price level.
    """
    for i in range(actions.shape[0]):
        mid = prices.close[state.bar[i]]
        decided = state.step[i] % (parameters.latency + 1)
        state.waiting_bid[i, decided], state.waiting_ask[i, decided] = quotes(
            parameters, mid, actions[i]
        )
        live = (state.step[i] + 1) % (parameters.latency + 1)
        quoted_bid, quoted_ask = state.waiting_bid[i, live], state.waiting_ask[i, live]
        bar = state.bar[i] + 1
        bid, ask, bought, sold, taken = fills(
            prices, draws, parameters, bar, quoted_bid, quoted_ask, state.inventory[i]
        )
        turnover = spread = 0.0
        if bought > 0.0:
            turnover += bid * bought
            spread += (mid - bid) * bought
            state.cash[i] -= bid * bought
        if sold > 0.0:
            turnover += ask * sold
            spread += (ask - mid) * sold
            state.cash[i] += ask * sold
        fees = parameters.fee_rate * (turnover - taken) + parameters.taker_fee_rate * taken
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
        state.bid_distance[i] = (mid - quoted_bid) / half
        state.ask_distance[i] = (quoted_ask - mid) / half
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
