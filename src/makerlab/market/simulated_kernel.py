"""What happens to a quote in a simulated market: orders of one unit arrive as in the theory.

A step has three parts, in this order: both quotes around the mid are filled or not, independently;
the mid moves by drift dt and plus or minus volatility sqrt(dt); what is held then is charged.
Random numbers depend on the market's seed, the episode's number and the step alone.
"""

import math
from typing import NamedTuple

import numba
import numpy as np

from makerlab.config import EnvSettings
from makerlab.market.layout import UNQUOTED, Floats, Integers, StepOutcome
from makerlab.market.philox import philox

_UNIT = 2.0**-32
# Counts no step: the draw that an episode's first signal is made of.
_BEFORE = np.uint64(0xFFFFFFFF)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ZERO = np.uint64(0)
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
    )


def new_simulated_state(episodes: int) -> SimulatedState:
    """Return the zero state of N episodes; `begin` makes it meaningful."""
    whole = {"episode", "step"}
    kinds = [np.int64 if name in whole else np.float64 for name in SimulatedState._fields]
    return SimulatedState._make(np.zeros(episodes, kind) for kind in kinds)


@numba.njit(cache=True)
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
        up = drawn[0] * _UNIT < 0.5
        state.signal[i] = (1.0 if up else -1.0) if parameters.shows_signal else 0.0


@numba.njit(cache=True, inline="always")
def fill_probability(rate: float, exact: bool) -> float:
    """Return the probability of a fill at `rate` orders per step."""
    return 1.0 - math.exp(-rate) if exact else min(rate, 1.0)


@numba.njit(cache=True)
def advance(
    parameters: SimulatedParameters, state: SimulatedState, actions: Floats, outcome: StepOutcome
) -> None:
    """Advance every episode by one step, in place, with actions of shape (episodes, 2).

    An action of -1 to 1 is a depth from min_depth to max_depth, of bid and of ask. Change of
    equity = spread captured + inventory profit - fees, as on candles. The reward is that change
    less the penalties, times the reward scale. The horizon is an end, not a limit of time: what is
    held then is charged, and nothing comes after it.
    """
    for i in range(actions.shape[0]):
        number, step = np.uint64(state.episode[i]), np.uint64(state.step[i])
        drawn = philox(
            step, number & _LOW, number >> _HALF, _ZERO, np.uint64(parameters.seed), _ZERO
        )
        mid, inventory, signal = state.mid[i], state.inventory[i], state.signal[i]
        bid_action, ask_action = actions[i, 0], actions[i, 1]
        bid_depth = parameters.min_depth + parameters.depth_range * 0.5 * (
            1.0 + min(1.0, max(-1.0, bid_action))
        )
        ask_depth = parameters.min_depth + parameters.depth_range * 0.5 * (
            1.0 + min(1.0, max(-1.0, ask_action))
        )
        bid_open = inventory < parameters.cap and bid_action <= parameters.no_quote_action
        ask_open = inventory > -parameters.cap and ask_action <= parameters.no_quote_action
        bid_open &= np.isfinite(bid_action)
        ask_open &= np.isfinite(ask_action)
        bid_chance = fill_probability(
            parameters.sells * math.exp(-parameters.decay * bid_depth), parameters.exact
        )
        ask_chance = fill_probability(
            parameters.buys * math.exp(-parameters.decay * ask_depth), parameters.exact
        )
        bought = 1.0 if bid_open and drawn[0] * _UNIT < bid_chance else 0.0
        sold = 1.0 if ask_open and drawn[1] * _UNIT < ask_chance else 0.0
        bid, ask = mid - bid_depth, mid + ask_depth
        turnover = bought * bid + sold * ask
        fees = parameters.fee_rate * turnover
        spread = bought * bid_depth + sold * ask_depth
        cash = state.cash[i] + sold * ask - bought * bid - fees
        inventory += bought - sold
        moved = parameters.drift * signal + (
            parameters.move if drawn[2] * _UNIT < 0.5 else -parameters.move
        )
        mid += moved
        last = state.step[i] + 1 >= parameters.episode_length
        penalty = parameters.running_penalty + (parameters.terminal_penalty if last else 0.0)
        change = spread + inventory * moved - fees

        state.step[i] += 1
        state.mid[i] = mid
        state.signal[i] = -signal if drawn[3] * _UNIT < parameters.switching else signal
        state.cash[i] = cash
        state.inventory[i] = inventory
        state.equity[i] = cash + inventory * mid
        outcome.mid[i] = mid
        outcome.bid[i] = bid if bid_open else -UNQUOTED
        outcome.ask[i] = ask if ask_open else UNQUOTED
        outcome.bid_filled[i] = bought
        outcome.ask_filled[i] = sold
        outcome.fees[i] = fees
        outcome.turnover[i] = turnover
        outcome.spread_captured[i] = spread
        outcome.inventory_profit[i] = inventory * moved
        outcome.reward[i] = (change - penalty * inventory * inventory) * parameters.reward_scale
        outcome.terminated[i] = last
