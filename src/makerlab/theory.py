"""Closed-form market making: quotes whose optimality is proved under stated assumptions.

Symbols: mid s and inventory q (in orders), volatility sigma per root of time, risk aversion gamma,
fills of a quote at distance d arrive at intensity A exp(-k d) (A `intensity`, k `decay`).
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.linalg import expm

Numbers = float | npt.NDArray[np.float64]


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
    gamma/k). Not clipped: far from flat a quote can lie beyond the mid.
    Source: Avellaneda and Stoikov, Quantitative Finance 8(3), 2008.
    """
    variance_left = risk_aversion * np.square(volatility) * time_left
    reservation = mid - inventory * variance_left
    half = variance_left / 2.0 + np.log1p(risk_aversion / decay) / risk_aversion
    return reservation - half, reservation + half


def glft_distances(
    *,
    inventory: Numbers,
    volatility: Numbers,
    risk_aversion: float,
    decay: float,
    intensity: float,
    horizon: float,
    inventory_cap: int,
    method: Literal["exact", "asymptotic"] = "asymptotic",
) -> tuple[Numbers, Numbers]:
    """Return (bid, ask) distances from the mid at time zero.

    asymptotic: c1 + (2q+1)/2 c2 and c1 - (2q-1)/2 c2 with c1 = ln(1 + gamma/k)/gamma and
    c2 = sqrt(sigma^2 gamma/(2 k A) (1 + gamma/k)^(1 + k/gamma)); it holds far from the horizon
    and the cap, which it ignores. exact: from v = exp(-M T) 1, M tridiagonal over |q| <= Q,
    infinite where the cap forbids; raises ValueError for inventories not whole or beyond the cap.
    Source: Guéant, Lehalle and Fernandez-Tapia, Dealing with the inventory risk, 2013.
    """
    premium = np.log1p(risk_aversion / decay) / risk_aversion
    if method == "asymptotic":
        growth = (1.0 + risk_aversion / decay) ** (1.0 + decay / risk_aversion)
        slope = np.sqrt(np.square(volatility) * risk_aversion / (2.0 * decay * intensity) * growth)
        bid = premium + (2.0 * np.asarray(inventory) + 1.0) / 2.0 * slope
        ask = premium - (2.0 * np.asarray(inventory) - 1.0) / 2.0 * slope
        return _as_given(bid), _as_given(ask)
    if np.any(np.abs(inventory) > inventory_cap) or np.any(np.mod(inventory, 1) != 0):
        raise ValueError(f"inventory {inventory} is not whole or beyond the cap {inventory_cap}")
    positions = np.arange(-inventory_cap, inventory_cap + 1)
    alpha = decay / 2.0 * risk_aversion * float(np.square(volatility))
    eta = intensity * (1.0 + risk_aversion / decay) ** -(1.0 + decay / risk_aversion)
    generator = np.diag(alpha * positions.astype(float) ** 2)
    generator -= eta * (np.eye(len(positions), k=1) + np.eye(len(positions), k=-1))
    log_value = np.log(expm(-generator * horizon) @ np.ones(len(positions)))
    bid = np.full(len(positions), np.inf)
    ask = np.full(len(positions), np.inf)
    bid[:-1] = -np.diff(log_value) / decay + premium
    ask[1:] = np.diff(log_value) / decay + premium
    place = np.asarray(inventory, dtype=np.int64) + inventory_cap
    return _as_given(bid[place]), _as_given(ask[place])


def _as_given(values: npt.NDArray[np.float64]) -> Numbers:
    return float(values) if values.ndim == 0 else values
