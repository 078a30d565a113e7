"""Closed-form market making: quotes whose optimality is proved under stated assumptions.

Symbols: mid s and inventory q (in orders), volatility sigma per root of time, risk aversion gamma,
fills of a quote at distance d arrive at intensity A exp(-k d) (A `intensity`, k `decay`).
"""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Numbers = float | Floats


def avellaneda_stoikov_quotes(
    *,
    mid: Numbers,
    inventory: Numbers,
    time_left: Numbers,
    volatility: Numbers,
    risk_aversion: float,
    decay: Numbers,
) -> tuple[Numbers, Numbers]:
    """Return (bid, ask) around the reservation price.

    r = s - q gamma sigma^2 (T - t), total spread = gamma sigma^2 (T - t) + (2/gamma) ln(1 +
    gamma/k), which is 2/k for gamma = 0. Not clipped: far from flat a quote can lie beyond the
    mid. Source: Avellaneda and Stoikov, Quantitative Finance 8(3), 2008.
    """
    variance_left = risk_aversion * np.square(volatility) * time_left
    reservation = mid - inventory * variance_left
    half = variance_left / 2.0 + _premium(risk_aversion, decay)
    return reservation - half, reservation + half


def glft_distances(
    *,
    inventory: Numbers,
    volatility: Numbers,
    risk_aversion: float,
    decay: float,
    intensity: float,
    horizon: Numbers,
    inventory_cap: int,
    method: Literal["exact", "asymptotic"] = "asymptotic",
) -> tuple[Numbers, Numbers]:
    """Return (bid, ask) distances from the mid with `horizon` left to trade.

    asymptotic: c1 + (2q+1)/2 c2 and c1 - (2q-1)/2 c2 with c1 = ln(1 + gamma/k)/gamma and
    c2 = sqrt(sigma^2 gamma/(2 k A) (1 + gamma/k)^(1 + k/gamma)); it holds far from the horizon
    and the cap, which it ignores. exact: from v = exp(-M T) 1, M tridiagonal over |q| <= Q,
    infinite where the cap forbids; inventory and horizon broadcast, volatility is one number.
    Raises ValueError for inventories not whole or beyond the cap.
    Source: Guéant, Lehalle and Fernandez-Tapia, Dealing with the inventory risk, 2013.
    """
    premium = _premium(risk_aversion, decay)
    # (1 + gamma/k)^(1 + k/gamma), which is e for gamma = 0.
    growth = np.exp((decay + risk_aversion) * premium)
    if method == "asymptotic":
        slope = np.sqrt(np.square(volatility) * risk_aversion / (2.0 * decay * intensity) * growth)
        bid = premium + (2.0 * np.asarray(inventory) + 1.0) / 2.0 * slope
        ask = premium - (2.0 * np.asarray(inventory) - 1.0) / 2.0 * slope
        return _as_given(bid), _as_given(ask)
    positions = _positions(inventory_cap)
    alpha = decay / 2.0 * risk_aversion * float(np.square(volatility))
    rate = float(intensity / growth)
    lattice = _Lattice(losses=alpha * np.square(positions), up=rate, down=rate)
    logs = lattice.grow(np.zeros(len(positions)), np.asarray(horizon, np.float64))
    bids, asks = _differences(logs, inventory, inventory_cap)
    return _as_given(bids / decay + premium), _as_given(asks / decay + premium)


class CarteaJaimungal:
    """The maker who maximises E[X_T + q_T (S_T - alpha q_T) - phi integral of q^2 dt].

    Buy orders come at `buy_intensity` (lambda+) and hit the ask, sell orders at `sell_intensity`
    (lambda-) and hit the bid; one at distance d fills with probability exp(-kappa d) (kappa
    `decay`). Horizon T, running penalty phi per unit of time, terminal penalty alpha,
    |q| <= Q. The volatility of the mid does not matter.

    omega(t) = exp(M (T - t)) z with z_q = exp(-alpha kappa q^2), M_qq = -phi kappa q^2,
    M_q,q+1 = lambda-/e and M_q,q-1 = lambda+/e; h = ln(omega)/kappa.
    Source: Cartea, Jaimungal and Penalva, Algorithmic and High-Frequency Trading, 2015, ch. 10.
    """

    def __init__(
        self,
        *,
        buy_intensity: float,
        sell_intensity: float,
        decay: float,
        horizon: float,
        running_penalty: float,
        terminal_penalty: float,
        inventory_cap: int,
    ) -> None:
        """Raises ValueError for a cap that is not a whole number of at least 1."""
        positions = _positions(inventory_cap)
        self._cap = inventory_cap
        self._decay = decay
        self._horizon = horizon
        self._terminal = -terminal_penalty * decay * np.square(positions)
        self._lattice = _Lattice(
            losses=running_penalty * decay * np.square(positions),
            up=sell_intensity / math.e,
            down=buy_intensity / math.e,
        )

    def value(self, time: Numbers, inventory: Numbers) -> Numbers:
        """Return h(t, q): the best objective is cash + q mid + h. Arguments broadcast.

        Raises ValueError for a time outside [0, T] and for inventories not whole or beyond Q.
        """
        logs = self._logs(time)
        place = _places(inventory, self._cap)
        return _as_given(_picked(logs, place) / self._decay)

    def depths(self, time: Numbers, inventory: Numbers) -> tuple[Numbers, Numbers]:
        """Return (bid, ask) distances from the mid: 1/kappa + h(q) - h(q+1) and - h(q-1).

        Infinite on the side that the cap forbids; arguments broadcast. Raises ValueError as
        `value` does.
        """
        bids, asks = _differences(self._logs(time), inventory, self._cap)
        return _as_given((1.0 + bids) / self._decay), _as_given((1.0 + asks) / self._decay)

    def _logs(self, time: Numbers) -> Floats:
        times = np.asarray(time, np.float64)
        if np.any(times < 0.0) or np.any(times > self._horizon) or np.isnan(times).any():
            raise ValueError(f"time {time} is outside 0 to the horizon {self._horizon}")
        return self._lattice.grow(self._terminal, self._horizon - times)


class _Lattice:
    """dw/ds = (N - diag(losses)) w over |q| <= Q, N `up` above and `down` below the diagonal.

    Solved for ln w: positions far out weigh less than the smallest double, and their ratios are
    what quotes are made of.
    """

    def __init__(self, *, losses: Floats, up: float, down: float) -> None:
        self._losses = losses
        self._rate = up + down
        with np.errstate(divide="ignore"):
            self._up, self._down = np.log(up), np.log(down)

    def grow(self, start: Floats, spans: Floats) -> Floats:
        """Return ln w after each span of time, shape spans.shape + (positions,)."""
        result = np.empty((*spans.shape, len(start)))
        logs, reached = start, 0.0
        for span in np.unique(spans):
            logs, reached = self._step(logs, float(span) - reached), float(span)
            result[spans == span] = logs
        return result

    def _step(self, start: Floats, span: float) -> Floats:
        """Sum the series of exp(A s) = exp(-c s) exp((A + c) s), every term of which is positive.

        Nothing cancels, so each position is right to many digits however little it weighs. Terms
        are added until a bound on all that follow, from the monotony of A + c, is negligible.
        """
        if span <= 0.0:
            return start
        shift = float(self._losses.max()) + max(self._rate, 1.0 / span)
        stay = np.log(shift - self._losses)
        term = total = start
        count = 0
        while True:
            grown = np.logaddexp(stay + term, self._moved(term))
            largest_growth = float(np.max(grown - term))
            count += 1
            term = grown + math.log(span / count)
            total = np.logaddexp(total, term)
            # What follows adds up to less than the term itself.
            vanishing = largest_growth + math.log(span / (count + 1)) < -math.log(2.0)
            if vanishing and float(np.max(term - total)) < -40.0:
                return total - shift * span

    def _moved(self, logs: Floats) -> Floats:
        result = np.full_like(logs, -np.inf)
        result[:-1] = self._up + logs[1:]
        result[1:] = np.logaddexp(result[1:], self._down + logs[:-1])
        return result


def _premium(risk_aversion: float, decay: Numbers) -> Numbers:
    """Return ln(1 + gamma/k)/gamma, which is 1/k for gamma = 0."""
    if risk_aversion == 0.0:
        return 1.0 / decay
    return _as_given(np.asarray(np.log1p(risk_aversion / decay) / risk_aversion))


def _positions(inventory_cap: int) -> Floats:
    if inventory_cap < 1 or inventory_cap % 1:
        raise ValueError(f"inventory_cap is {inventory_cap}, expected a whole number above 0")
    return np.arange(-inventory_cap, inventory_cap + 1, dtype=np.float64)


def _places(inventory: Numbers, inventory_cap: int) -> npt.NDArray[np.int64]:
    given = np.asarray(inventory)
    if not np.all((np.abs(given) <= inventory_cap) & (np.mod(given, 1) == 0)):
        raise ValueError(f"inventory {inventory} is not whole or beyond the cap {inventory_cap}")
    return given.astype(np.int64) + inventory_cap


def _differences(logs: Floats, inventory: Numbers, inventory_cap: int) -> tuple[Floats, Floats]:
    """Return ln w_q - ln w_q+1 and ln w_q - ln w_q-1, infinite beyond the cap."""
    place = _places(inventory, inventory_cap)
    beyond = np.pad(logs, [(0, 0)] * (logs.ndim - 1) + [(1, 1)], constant_values=-np.inf)
    here = _picked(logs, place)
    return here - _picked(beyond, place + 2), here - _picked(beyond, place)


def _picked(logs: Floats, place: npt.NDArray[np.int64]) -> Floats:
    """Return logs[..., place] with the times and the places broadcast against each other."""
    times, place = np.broadcast_arrays(np.arange(logs[..., 0].size).reshape(logs.shape[:-1]), place)
    return np.asarray(logs.reshape(-1, logs.shape[-1])[times, place])


def _as_given(values: npt.NDArray[np.float64]) -> Numbers:
    return float(values) if values.ndim == 0 else values
