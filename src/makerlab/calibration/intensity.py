"""Maximum likelihood for the intensity A exp(-k d) with which trades reach a distance d.

Time is cut into windows. In each the deepest trade beyond the mid at the window's start is seen:
with h(d) = W A exp(-k d) for windows of W seconds, a quote at distance d is reached with
probability 1 - exp(-h(d)) (rule `exact`: fills are a Poisson process) or h(d) (rule `literal`: one
trial per window, as Avellaneda and Stoikov simulate). Distances are looked at between `nearest` and
`farthest` only: below, the market's own spread decides; beyond, single jumps do.
"""

import dataclasses
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.stats import norm

Floats = npt.NDArray[np.float64]
FillRule = Literal["exact", "literal"]
FILL_RULES: tuple[FillRule, ...] = ("exact", "literal")
FEWEST_DEEPEST = 10


class Interval(NamedTuple):
    """A value with its interval."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Return plain numbers for a record."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclasses.dataclass(frozen=True)
class Intensity:
    """A in fills per second at the mid, k per basis point, and the windows behind them."""

    intensity: Interval
    decay: Interval
    windows: int
    reached: int
    """Windows whose deepest trade lies beyond the nearest distance looked at."""


class TooFewTrades(ValueError):
    """So few windows were reached beyond the nearest distance that no slope can be told."""


def fit_intensity(
    deepest_bps: Floats,
    *,
    window_seconds: float,
    nearest_bps: float,
    farthest_bps: float,
    rule: FillRule,
    confidence: float,
) -> Intensity:
    """Return the maximum likelihood of A and k with intervals.

    `deepest_bps`: (windows,), how far beyond the mid each window's deepest trade lies; -inf where
    none was. Trades between the two distances count with their place, those beyond the farther one
    with their number, the rest as windows in which the nearer distance was not reached. Intervals
    are of the Hessian in ln A and ln k and take windows as independent, which those of a real
    market are not: read them as the least that chance does. Raises TooFewTrades.
    """
    inside = deepest_bps[(deepest_bps > nearest_bps) & (deepest_bps <= farthest_bps)] - nearest_bps
    beyond = int(np.sum(deepest_bps > farthest_bps))
    counts = _Counts(len(deepest_bps), len(inside) + beyond, beyond, farthest_bps - nearest_bps)
    if len(inside) < FEWEST_DEEPEST or counts.reached == counts.windows:
        raise TooFewTrades(
            f"{len(inside)} of {len(deepest_bps)} windows have their deepest trade "
            f"{nearest_bps:.3g} to {farthest_bps:.3g} bp from the mid, expected at least "
            f"{FEWEST_DEEPEST} and not all windows reached"
        )
    log_rate, log_decay, covariance = (_literal if rule == "literal" else _exact)(inside, counts)
    decay = float(np.exp(log_decay))
    # ln A = ln h(nearest) + k * nearest - ln W, so its variance is that of the sum's gradient.
    gradient = np.array([1.0, decay * nearest_bps])
    log_intensity = log_rate + decay * nearest_bps - np.log(window_seconds)
    deviations = np.sqrt([gradient @ covariance @ gradient, covariance[1, 1]])
    reach = float(norm.ppf(0.5 + confidence / 2.0)) * deviations
    return Intensity(
        intensity=_interval(log_intensity, reach[0]),
        decay=_interval(log_decay, reach[1]),
        windows=counts.windows,
        reached=counts.reached,
    )


class _Counts(NamedTuple):
    windows: int
    reached: int
    beyond: int
    span: float


def _interval(log_value: float, reach: float) -> Interval:
    low, value, high = np.exp([log_value - reach, log_value, log_value + reach])
    return Interval(float(value), float(low), float(high))


def _literal(inside: Floats, counts: _Counts) -> tuple[float, float, Floats]:
    """A share of reached windows and an exponential cut at the span: two separate likelihoods."""
    share = counts.reached / counts.windows
    decay = len(inside) / float(inside.sum() + counts.beyond * counts.span)
    variances = [(1.0 - share) / counts.reached, 1.0 / len(inside)]
    return float(np.log(share)), float(np.log(decay)), np.diag(variances)


def _exact(inside: Floats, counts: _Counts) -> tuple[float, float, Floats]:
    """The deepest point of a Poisson process: density k h(x) exp(-h(x)) between the distances."""

    def loss(point: Floats) -> float:
        rate, decay = np.exp(point)
        hazards = rate * np.exp(-decay * inside)
        seen = np.sum(np.log(decay * hazards) - hazards)
        farther = rate * np.exp(-decay * counts.span)
        passed = counts.beyond * np.log(-np.expm1(-farther)) if counts.beyond else 0.0
        return float((counts.windows - counts.reached) * rate - seen - passed)

    start_rate, start_decay, _ = _literal(inside, counts)
    found = minimize(
        loss, [start_rate, start_decay], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 0}
    ).x
    covariance: Floats = np.asarray(np.linalg.inv(_hessian(loss, found)), np.float64)
    return float(found[0]), float(found[1]), covariance


def _hessian(loss: Callable[[Floats], float], point: Floats) -> Floats:
    """Second derivatives by central differences; both coordinates are logs, so of order one."""
    step = 1e-4
    result = np.empty((2, 2))
    for i in range(2):
        for j in range(2):
            ei, ej = step * np.eye(2)[i], step * np.eye(2)[j]
            ends = [point + ei + ej, point + ei - ej, point - ei + ej, point - ei - ej]
            values = [loss(end) for end in ends]
            result[i, j] = (values[0] - values[1] - values[2] + values[3]) / (4.0 * step**2)
    return result
