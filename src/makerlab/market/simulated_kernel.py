"""What happens to a quote in a simulated market: orders of one unit arrive as in the theory.

A step has three parts, in this order: both quotes around the mid are filled or not, independently;
the mid moves by drift dt and plus or minus volatility sqrt(dt); what is held then is charged.
Random numbers depend on the market's seed, the episode's number and the step alone.
"""

import math
from typing import NamedTuple

import numpy as np

from makerlab.compiling import kept, part
from makerlab.config import EnvSettings
from makerlab.market.base import OBSERVATION_LIMIT, Observations
from makerlab.market.exponential import exponential
from makerlab.market.layout import UNQUOTED, Floats, Integers, StepOutcome
from makerlab.market.philox import philox

# Counts no step: the draw that an episode's first signal is made of.
_BEFORE = np.uint64(0xFFFFFFFF)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ZERO = np.uint64(0)
_ONE, _TO_FRACTION = np.uint64(0x3FF0000000000000), np.uint64(20)
BLOCK = 512
"""Episodes that are taken through a whole step before the next ones."""
NO_QUOTE_ACTION = 0.9


class SimulatedParameters(NamedTuple):
    """The market's numbers in the form the kernel wants them; rates are per step."""

    episode_length: int
    seed: int
    mid: float
    initial_cash: float
    cap: float
    fee_rate: float
    move: float
    shows_signal: bool
    drift: float
    switching: float
    buys: float
    sells: float
    decay: float
    exact: bool
    min_depth: float
    depth_range: float
    no_quote_action: float
    running_penalty: float
    terminal_penalty: float
    reward_scale: float
    inventory_scale: float


class SimulatedState(NamedTuple):
    """Where N episodes stand; arrays of shape (episodes,)."""

    episode: Integers
    step: Integers
    mid: Floats
    signal: Floats
    cash: Floats
    inventory: Floats
    equity: Floats
    start_mid: Floats


class Work(NamedTuple):
    """What the passes of a step hand on; arrays of a block's shape.

    Depths are in currency, infinite where a side is left out; drawn numbers are uniform.
    """

    bid_drawn: Floats
    ask_drawn: Floats
    move_drawn: Floats
    switch_drawn: Floats
    bid_depth: Floats
    ask_depth: Floats
    bid_chance: Floats
    ask_chance: Floats


def simulated_parameters(settings: EnvSettings, episode_length: int) -> SimulatedParameters:
    """Translate settings; the horizon has `episode_length` steps.

    On avellaneda_stoikov the running penalty is gamma sigma^2 / 2, which is what an exponential
    utility charges for holding a unit, to second order.
    """
    market = settings.simulated
    dt = market.horizon / episode_length
    running, terminal = market.running_penalty, market.terminal_penalty
    if settings.market == "avellaneda_stoikov":
        running, terminal = 0.5 * market.risk_aversion * market.volatility**2, 0.0
    return SimulatedParameters(
        episode_length=episode_length,
        seed=market.seed,
        mid=market.mid,
        initial_cash=settings.initial_cash,
        cap=settings.max_inventory,
        fee_rate=settings.fee_rate,
        move=market.volatility * math.sqrt(dt),
        shows_signal=market.signal_strength is not None,
        drift=(market.signal_strength or 0.0) * dt,
        switching=-math.expm1(-2.0 * market.signal_switching * dt) / 2.0,
        buys=market.buy_intensity * dt,
        sells=market.sell_intensity * dt,
        decay=market.decay,
        exact=market.fill_rule == "exact",
        min_depth=market.min_depth,
        depth_range=market.max_depth - market.min_depth,
        no_quote_action=NO_QUOTE_ACTION if settings.allow_no_quote else np.inf,
        running_penalty=running * dt,
        terminal_penalty=terminal,
        reward_scale=market.reward_scale,
        inventory_scale=inventory_scale(settings),
    )


def inventory_scale(settings: EnvSettings) -> float:
    """Return the standard deviation of the inventory that quotes at 1/decay end with, at least 1.

    The position limit is no scale: it can lie far beyond what is ever held.
    """
    market = settings.simulated
    fills = (market.buy_intensity + market.sell_intensity) * market.horizon / math.e
    return min(max(1.0, math.sqrt(fills)), settings.max_inventory)


def new_simulated_state(episodes: int) -> SimulatedState:
    """Return the zero state of N episodes; `begin` makes it meaningful."""
    whole = {"episode", "step"}
    kinds = [np.int64 if name in whole else np.float64 for name in SimulatedState._fields]
    return SimulatedState._make(np.zeros(episodes, kind) for kind in kinds)


@kept
def begin(
    parameters: SimulatedParameters, state: SimulatedState, places: Integers, numbers: Integers
) -> None:
    """Start the episodes of the given numbers in the given places."""
    for j in range(places.shape[0]):
        i = places[j]
        state.episode[i] = numbers[j]
        state.step[i] = 0
        state.mid[i] = parameters.mid
        state.cash[i] = parameters.initial_cash
        state.inventory[i] = 0.0
        state.equity[i] = parameters.initial_cash
        state.start_mid[i] = parameters.mid
        number = np.uint64(numbers[j])
        drawn = philox(
            _BEFORE, number & _LOW, number >> _HALF, _ZERO, np.uint64(parameters.seed), _ZERO
        )
        up = unit(drawn[0]) < 0.5
        state.signal[i] = (1.0 if up else -1.0) if parameters.shows_signal else 0.0


@kept
def advance(
    parameters: SimulatedParameters,
    state: SimulatedState,
    actions: Floats,
    outcome: StepOutcome,
    observations: Observations,
) -> None:
    """Advance every episode by one step, in place, with actions of shape (episodes, 2).

    An action of -1 to 1 is a depth from min_depth to max_depth, of bid and of ask. Change of
    equity = spread captured + inventory profit - fees, as on candles. The reward is that change
    less the penalties, times the reward scale. The horizon is an end, not a limit of time: what is
    held then is charged, and nothing comes after it.
    `observations`, (episodes, 4), are written too.

    Each pass is plain arithmetic over few enough arrays that the compiler tells them apart and
    takes several episodes to an instruction; blocks keep what passes share in the nearest cache.
    No pass reorders arithmetic, so a result does not depend on an episode's place in the batch.
    """
    rows = np.empty((8, BLOCK))
    work = Work(rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6], rows[7])
    for first in range(0, actions.shape[0], BLOCK):
        last = min(first + BLOCK, actions.shape[0])
        for i in range(last - first):
            work.bid_depth[i] = actions[first + i, 0]
            work.ask_depth[i] = actions[first + i, 1]
        _draw(parameters, state, work, first, last)
        _place(parameters, state, work, first, last)
        _fill(state, work, outcome, first, last)
        _account(parameters, state, work, outcome, first, last)
    observe(parameters, state, observations)


@part()
def _draw(
    parameters: SimulatedParameters, state: SimulatedState, work: Work, first: int, last: int
) -> None:
    """Draw the uniform numbers of this step."""
    episode, steps = state.episode[first:last], state.step[first:last]
    for i in range(last - first):
        number = np.uint64(episode[i])
        words = philox(
            np.uint64(steps[i]) & _LOW,
            number & _LOW,
            number >> _HALF,
            _ZERO,
            np.uint64(parameters.seed),
            _ZERO,
        )
        work.bid_drawn[i] = unit(words[0])
        work.ask_drawn[i] = unit(words[1])
        work.move_drawn[i] = unit(words[2])
        work.switch_drawn[i] = unit(words[3])


@part(inline="always")
def unit(word: np.uint64) -> float:
    """Return a word of 32 bits as a number of [0, 1): its bits behind the point of 1.0, less 1."""
    return np.uint64((word << _TO_FRACTION) | _ONE).view(np.float64) - 1.0


@part()
def _place(
    parameters: SimulatedParameters, state: SimulatedState, work: Work, first: int, last: int
) -> None:
    """Turn actions into depths, infinite ones on a side left out, and chances of a fill."""
    inventories = state.inventory[first:last]
    bid_depths, ask_depths = work.bid_depth, work.ask_depth
    bid_chances, ask_chances = work.bid_chance, work.ask_chance
    half_range, least = parameters.depth_range * 0.5, parameters.min_depth
    for i in range(last - first):
        bid_action, ask_action = bid_depths[i], ask_depths[i]
        bid_depth = least + half_range * (1.0 + min(1.0, max(-1.0, bid_action)))
        ask_depth = least + half_range * (1.0 + min(1.0, max(-1.0, ask_action)))
        bid_open = (
            (inventories[i] < parameters.cap)
            & (bid_action <= parameters.no_quote_action)
            & (abs(bid_action) < np.inf)
        )
        ask_open = (
            (inventories[i] > -parameters.cap)
            & (ask_action <= parameters.no_quote_action)
            & (abs(ask_action) < np.inf)
        )
        bid_depths[i] = bid_depth if bid_open else UNQUOTED
        ask_depths[i] = ask_depth if ask_open else UNQUOTED
        bid_rate = parameters.sells * exponential(-parameters.decay * bid_depth)
        ask_rate = parameters.buys * exponential(-parameters.decay * ask_depth)
        bid_chances[i] = bid_rate if bid_open else 0.0
        ask_chances[i] = ask_rate if ask_open else 0.0
    if parameters.exact:
        for i in range(last - first):
            bid_chances[i] = 1.0 - exponential(-bid_chances[i])
            ask_chances[i] = 1.0 - exponential(-ask_chances[i])


@part()
def _fill(state: SimulatedState, work: Work, outcome: StepOutcome, first: int, last: int) -> None:
    """Fill quotes or not, by their chances; one above 1 is certain."""
    mids = state.mid[first:last]
    bid_depths, ask_depths = work.bid_depth, work.ask_depth
    bids, asks = outcome.bid[first:last], outcome.ask[first:last]
    bid_filled, ask_filled = outcome.bid_filled[first:last], outcome.ask_filled[first:last]
    turnovers, spreads = outcome.turnover[first:last], outcome.spread_captured[first:last]
    for i in range(last - first):
        bought = work.bid_drawn[i] < work.bid_chance[i]
        sold = work.ask_drawn[i] < work.ask_chance[i]
        bid, ask = mids[i] - bid_depths[i], mids[i] + ask_depths[i]
        bids[i] = bid
        asks[i] = ask
        bid_filled[i] = 1.0 if bought else 0.0
        ask_filled[i] = 1.0 if sold else 0.0
        # Not a product: what is not quoted is infinitely far.
        turnovers[i] = (bid if bought else 0.0) + (ask if sold else 0.0)
        spreads[i] = (bid_depths[i] if bought else 0.0) + (ask_depths[i] if sold else 0.0)


@part()
def _account(
    parameters: SimulatedParameters,
    state: SimulatedState,
    work: Work,
    outcome: StepOutcome,
    first: int,
    last: int,
) -> None:
    """Move the mid, book the fills, charge what is held."""
    move_drawn, switch_drawn = work.move_drawn, work.switch_drawn
    steps, mids, signals = state.step[first:last], state.mid[first:last], state.signal[first:last]
    cash, inventories = state.cash[first:last], state.inventory[first:last]
    equity, new_mids = state.equity[first:last], outcome.mid[first:last]
    bid_filled, ask_filled = outcome.bid_filled[first:last], outcome.ask_filled[first:last]
    turnovers, spreads = outcome.turnover[first:last], outcome.spread_captured[first:last]
    all_fees, profits = outcome.fees[first:last], outcome.inventory_profit[first:last]
    rewards, terminated = outcome.reward[first:last], outcome.terminated[first:last]
    for i in range(last - first):
        step, signal = steps[i] + 1, signals[i]
        fees = parameters.fee_rate * turnovers[i]
        traded = bid_filled[i] - ask_filled[i]
        # What the fills paid: their price is the mid less, or plus, the spread captured.
        received = spreads[i] - traded * mids[i]
        inventory = inventories[i] + traded
        moved = parameters.drift * signal + (
            parameters.move if move_drawn[i] < 0.5 else -parameters.move
        )
        mid = mids[i] + moved
        ended = step >= parameters.episode_length
        penalty = parameters.running_penalty + (parameters.terminal_penalty if ended else 0.0)
        change = spreads[i] + inventory * moved - fees
        cash[i] += received - fees
        steps[i] = step
        mids[i] = mid
        new_mids[i] = mid
        signals[i] = -signal if switch_drawn[i] < parameters.switching else signal
        inventories[i] = inventory
        equity[i] = cash[i] + inventory * mid
        all_fees[i] = fees
        profits[i] = inventory * moved
        rewards[i] = (change - penalty * inventory * inventory) * parameters.reward_scale
        terminated[i] = ended


@kept
def observe(
    parameters: SimulatedParameters, state: SimulatedState, observations: Observations
) -> None:
    """Write what is seen of every episode, (episodes, 4), in the order of the names."""
    # Divisions take longer than all the rest; what they round off float32 does not hold.
    per_cap, per_scale = 1.0 / parameters.cap, 1.0 / parameters.inventory_scale
    per_step = 1.0 / parameters.episode_length
    for i in range(observations.shape[0]):
        inventory, left = state.inventory[i], parameters.episode_length - state.step[i]
        scaled = min(OBSERVATION_LIMIT, max(-OBSERVATION_LIMIT, inventory * per_scale))
        observations[i, 0] = np.float32(inventory * per_cap)
        observations[i, 1] = np.float32(scaled)
        observations[i, 2] = np.float32(left * per_step)
        observations[i, 3] = np.float32(state.signal[i])
