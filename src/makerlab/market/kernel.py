"""The one place that decides what happens to a quote.

Time runs in bars. An episode decides at the close of bar t; its quotes live in bar t+1 only (with
a latency, that many bars later) and are marked at that bar's close. `advance` moves N independent
episodes by one bar. docs/fills.md explains the rules.

Everything is compiled and checks no bounds: `market.episodes` is the way in.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.compiling import kept, part
from makerlab.market.base import OBSERVATION_LIMIT
from makerlab.market.draws import ASK, BID, SIDE
from makerlab.market.layout import (
    BASIS_POINTS,
    BOTH,
    CLOSE,
    HIGH,
    LOW,
    OPEN,
    PATH,
    SEEDED_RANDOM,
    TOUCH,
    TRADE_THROUGH,
    UNQUOTED,
    VOLUME,
    Floats,
    Integers,
    Table,
)

# A row of layout.PARAMETERS or layout.EPISODE; numba sees its type when it compiles.
Row = Any
Observed = npt.NDArray[np.float32]

inlined = part(forceinline=True)

NO_QUOTE_THRESHOLD = 1.0 / 3.0

DONE, NOT_A_NUMBER, NO_BAR_LEFT = range(3)


@kept
def begin(
    bars: Floats, p: Table, episodes: Table, waiting: Floats, which: Integers, starts: Integers
) -> None:
    """Put episodes at the closes of bars with the initial cash and no inventory."""
    for episode, bar in zip(which, starts):  # noqa: B905 - numba knows no strict
        row = episodes[episode]
        row.bar = bar
        row.step = 0
        row.cash = p[0].initial_cash
        row.inventory = 0.0
        row.equity = p[0].initial_cash
        row.start_mid = bars[bar, CLOSE]
        row.bid_distance = 0.0
        row.ask_distance = 0.0
        row.bid_filled = 0.0
        row.ask_filled = 0.0
        waiting[episode, :, 0] = -UNQUOTED
        waiting[episode, :, 1] = UNQUOTED


@inlined
def base_half_spread(p: Row, mid: float) -> float:
    """Return the base half-spread in price units at this mid."""
    half: float = p.base_spread + p.base_spread_fraction * mid
    return half


@inlined
def quotes(p: Row, mid: float, actions: Floats, i: int) -> tuple[float, float]:
    """Return one episode's (bid, ask); an infinite spread action leaves both sides unquoted.

    half = base * (1 + alpha * a0), skew = beta * a1, bid = mid - half * (1 - skew) and
    ask = mid + half * (1 + skew), so a positive skew moves both quotes up and buys more.
    """
    if not np.isfinite(actions[i, 0]):
        return -UNQUOTED, UNQUOTED
    spread_action = min(1.0, max(-1.0, actions[i, 0]))
    skew_action = min(1.0, max(-1.0, actions[i, 1]))
    half = base_half_spread(p, mid) * (1.0 + p.alpha * spread_action)
    skew = p.beta * skew_action
    bid = mid - half * (1.0 - skew)
    ask = mid + half * (1.0 + skew)
    if actions.shape[1] > 2:
        if actions[i, 2] < -NO_QUOTE_THRESHOLD:
            bid = -UNQUOTED
        elif actions[i, 2] > NO_QUOTE_THRESHOLD:
            ask = UNQUOTED
    return bid, ask


@inlined
def _up_to(size: float, room: float, available: float) -> float:
    """Return how much of an order is filled: at most its room and what is available."""
    return max(0.0, min(size, room, available))


@inlined
def _reached(
    bars: Floats, draws: Floats, p: Row, bar: int, bid: float, ask: float
) -> tuple[bool, bool]:
    """Return whether the bar fills a resting (bid, ask), by the rule, volume aside."""
    if p.rule == TRADE_THROUGH:
        return (
            bars[bar, LOW] < bid * (1.0 - p.penetration),
            bars[bar, HIGH] > ask * (1.0 + p.penetration),
        )
    if p.rule == TOUCH:
        return (
            bars[bar, LOW] <= bid * (1.0 - p.penetration),
            bars[bar, HIGH] >= ask * (1.0 + p.penetration),
        )
    mid = bars[bar - 1, CLOSE]
    bid_distance, ask_distance = max(0.0, 1.0 - bid / mid), max(0.0, ask / mid - 1.0)
    bids = p.bid_intensity * np.exp(-p.bid_decay * bid_distance)
    asks = p.ask_intensity * np.exp(-p.ask_decay * ask_distance)
    return draws[bar, BID] < 1.0 - np.exp(-bids), draws[bar, ASK] < 1.0 - np.exp(-asks)


@kept
def _in_order(p: Row, inventory: float, available: float, bid_first: bool) -> tuple[float, float]:
    """Return (bought, sold) when one side follows the other: it has the room and volume left."""
    limit, size = p.max_inventory, p.order_size
    if bid_first:
        bought = _up_to(size, limit - inventory, available)
        sold = _up_to(size, limit + inventory + bought, available - bought)
    else:
        sold = _up_to(size, limit + inventory, available)
        bought = _up_to(size, limit - inventory + sold, available - sold)
    return bought, sold


@kept
def _both(
    bars: Floats, draws: Floats, p: Row, bar: int, bid: float, ask: float, inventory: float
) -> tuple[float, float]:
    """Return (bought, sold) when the bar reached both quotes and nobody knows in which order."""
    available = p.volume_participation * bars[bar, VOLUME]
    if p.both_touched == PATH:
        down, up = bars[bar, OPEN] - bars[bar, LOW], bars[bar, HIGH] - bars[bar, OPEN]
        filled: tuple[float, float] = _in_order(p, inventory, available, down <= up)
        return filled
    bought = _up_to(p.order_size, p.max_inventory - inventory, available)
    sold = _up_to(p.order_size, p.max_inventory + inventory, available)
    if bought == 0.0 or sold == 0.0:
        return bought, sold
    if p.both_touched == BOTH:
        return min(bought, 0.5 * available), min(sold, 0.5 * available)
    if p.both_touched == SEEDED_RANDOM:
        keep_bid = draws[bar, SIDE] < 0.5
    else:
        # Whole fills are compared: at the position limit one side may be a sliver, and the
        # smaller gain must be kept whatever its price.
        close = bars[bar, CLOSE]
        keep_bid = (close - bid) * bought <= (ask - close) * sold
    return (bought, 0.0) if keep_bid else (0.0, sold)


@kept
def _taken(
    bars: Floats, draws: Floats, p: Row, bar: int, bid: float, ask: float, inventory: float
) -> tuple[float, float, float, float, float]:
    """Return what `fills` does when a quote crosses the market's spread and may take.

    The order of events is known: what is executed on arrival comes first.
    """
    opening = bars[bar, OPEN]
    offered = opening * (1.0 + p.liquidation_half_spread)
    wanted = opening * (1.0 - p.liquidation_half_spread)
    buys = bid >= offered
    available = p.volume_participation * bars[bar, VOLUME]
    bought, sold = _in_order(p, inventory, available, buys)
    bid_reached, ask_reached = _reached(bars, draws, p, bar, bid, ask)
    if buys:
        return offered, ask, bought, sold if ask_reached else 0.0, offered * bought
    return bid, wanted, bought if bid_reached else 0.0, sold, wanted * sold


@inlined
def fills(
    bars: Floats, draws: Floats, p: Row, bar: int, bid: float, ask: float, inventory: float
) -> tuple[float, float, float, float, float]:
    """Return (bid, ask, bought, sold, taken): what this bar does to two quotes that live in it.

    A quote that would cross the bar's open is rejected as post-only. Any other fills as the rule
    says, at its own price, within a share of the bar's volume and the room below the position
    limit. Without post-only, a quote beyond the market's own spread is executed at the open, at
    the price that comes back in its place; `taken` is that notional, zero otherwise.
    """
    opening = bars[bar, OPEN]
    if not p.post_only:
        spread = p.liquidation_half_spread
        if bid >= opening * (1.0 + spread) or ask <= opening * (1.0 - spread):
            taken: tuple[float, float, float, float, float] = _taken(
                bars, draws, p, bar, bid, ask, inventory
            )
            return taken
    bid_reached, ask_reached = _reached(bars, draws, p, bar, bid, ask)
    # No branch on what chance decides: only the rare bar that reaches both sides takes another way.
    bid_reached &= (bid < opening) | (not p.post_only)
    ask_reached &= (ask > opening) | (not p.post_only)
    if bid_reached & ask_reached:
        bought, sold = _both(bars, draws, p, bar, bid, ask, inventory)
    else:
        available = p.volume_participation * bars[bar, VOLUME]
        bought = _up_to(p.order_size, p.max_inventory - inventory, available) * bid_reached
        sold = _up_to(p.order_size, p.max_inventory + inventory, available) * ask_reached
    return bid, ask, bought, sold, 0.0


@inlined
def _live_quotes(
    p: Row, waiting: Floats, i: int, step: int, bid: float, ask: float
) -> tuple[float, float]:
    """Put new quotes behind those under way; return those whose latency has passed."""
    if p.latency == 0:
        return bid, ask
    decided, live = step % (p.latency + 1), (step + 1) % (p.latency + 1)
    waiting[i, decided, 0], waiting[i, decided, 1] = bid, ask
    return waiting[i, live, 0], waiting[i, live, 1]


@inlined
def _step(
    bars: Floats, draws: Floats, p: Row, row: Row, waiting: Floats, actions: Floats, i: int
) -> None:
    """Move one episode by a bar, in place.

    Change of equity = spread captured + inventory profit - fees, where spread is captured against
    the close before the bar and inventory profit is the new position times the move of the mid.
    The reward is that change less the penalties, in basis points of the notional of the position
    limit at the episode's first mid, so it does not depend on the price level.
    """
    bar, cash = row.bar + 1, row.cash
    mid, close = bars[bar - 1, CLOSE], bars[bar, CLOSE]
    bid, ask = quotes(p, mid, actions, i)
    quoted_bid, quoted_ask = _live_quotes(p, waiting, i, row.step, bid, ask)
    bid, ask, bought, sold, taken = fills(
        bars, draws, p, bar, quoted_bid, quoted_ask, row.inventory
    )
    # No branch on what chance decides; an unquoted side is infinite and must not meet a zero.
    buy_price = bid if bought > 0.0 else 0.0
    sell_price = ask if sold > 0.0 else 0.0
    turnover = buy_price * bought + sell_price * sold
    spread = (mid - buy_price) * bought + (sell_price - mid) * sold
    cash += sell_price * sold - buy_price * bought
    fees = p.fee_rate * (turnover - taken) + p.taker_fee_rate * taken
    inventory = row.inventory + bought - sold
    if abs(inventory) < 1e-12 * p.max_inventory:
        inventory = 0.0
    held = inventory
    inventory_profit = held * (close - mid)
    cash -= fees
    terminated = cash + inventory * close <= 0.0
    truncated = row.step + 1 >= p.episode_length
    liquidated = 0.0
    if p.liquidate_at_end and inventory != 0.0 and (terminated or truncated):
        liquidated = -inventory
        notional = abs(inventory) * close
        slippage = p.liquidation_half_spread * notional
        taker_fee = p.taker_fee_rate * notional
        cash += inventory * close - slippage - taker_fee
        spread -= slippage
        fees += taker_fee
        turnover += notional
        inventory = 0.0
    equity = cash + inventory * close
    # The costs of flattening can be what ruins.
    terminated = terminated or equity <= 0.0
    change = spread + inventory_profit - fees
    penalty = p.lambda_inv * abs(held) * close + p.lambda_turnover * turnover

    half = base_half_spread(p, mid)
    row.bar = bar
    row.step += 1
    row.cash = cash
    row.inventory = inventory
    row.equity = equity
    row.bid_distance = (mid - quoted_bid) / half
    row.ask_distance = (quoted_ask - mid) / half
    row.mid = close
    row.bid = bid
    row.ask = ask
    row.bid_filled = bought
    row.ask_filled = sold
    row.liquidated = liquidated
    row.fees = fees
    row.turnover = turnover
    row.spread_captured = spread
    row.inventory_profit = inventory_profit
    row.reward = (change - penalty) * (BASIS_POINTS / (p.max_inventory * row.start_mid))
    row.terminated = terminated
    row.truncated = truncated and not terminated


@inlined
def _observe(features: Observed, p: Row, row: Row, seen: Observed, i: int) -> None:
    """Write one episode's observation: the market's features, then its own part."""
    shared = features.shape[1]
    bar = row.bar
    for column in range(shared):
        seen[i, column] = features[bar, column]
    limit = OBSERVATION_LIMIT
    seen[i, shared] = row.inventory / p.max_inventory
    seen[i, shared + 1] = 1.0 - row.step / p.episode_length
    seen[i, shared + 2] = min(limit, max(-limit, row.bid_distance))
    seen[i, shared + 3] = min(limit, max(-limit, row.ask_distance))
    seen[i, shared + 4] = row.bid_filled / p.order_size
    seen[i, shared + 5] = row.ask_filled / p.order_size


@kept
def observe(features: Observed, p: Table, episodes: Table, observation: Observed) -> None:
    """Write the observations of all episodes."""
    for i in range(episodes.shape[0]):
        _observe(features, p[0], episodes[i], observation, i)


@kept
def advance(
    bars: Floats,
    features: Observed,
    draws: Floats,
    p: Table,
    episodes: Table,
    waiting: Floats,
    actions: Floats,
    observation: Observed,
) -> int:
    """Move every episode by one bar and write what is seen then, in place.

    Returns DONE, or what is wrong with the actions (NOT_A_NUMBER) or the time (NO_BAR_LEFT):
    nothing has moved then.
    """
    for i in range(episodes.shape[0]):
        for column in range(actions.shape[1]):
            if np.isnan(actions[i, column]):
                return NOT_A_NUMBER
        if episodes[i].bar + 1 >= bars.shape[0]:
            return NO_BAR_LEFT
    for i in range(episodes.shape[0]):
        row = episodes[i]
        _step(bars, draws, p[0], row, waiting, actions, i)
        _observe(features, p[0], row, observation, i)
    return DONE
