"""How often the candidate that looks best on one half of a record disappoints on the other.

Source: Bailey, Borwein, López de Prado and Zhu, The Probability of Backtest Overfitting, Journal of
Computational Finance 20(4), 2017: combinatorially symmetric cross-validation (CSCV).
"""

import itertools

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]

_MOST_BLOCKS = 20
"""Of 20 blocks there are 184,756 halves; of 24, 2.7 million."""
_AT_ONCE = 512


def probability_of_backtest_overfitting(performance: npt.ArrayLike, *, blocks: int) -> float:
    """Return the share of halves whose best candidate is at or below the median on the other half.

    `performance`: returns per period, (observations, candidates), compared by Sharpe ratio. Pure
    noise gives about one half with a wide spread from record to record; a candidate that is truly
    the best gives near zero. Errors are those of `overfitting_logits`.
    """
    logits, shares = _logits(performance, blocks=blocks)
    return float(np.sum(shares * (logits <= 0.0)) / np.sum(shares))


def overfitting_logits(performance: npt.ArrayLike, *, blocks: int) -> Floats:
    """Return ln(w / (1 - w)) of each half's best candidate, w its relative rank on the other half.

    The record is cut into `blocks` stretches of equal length (where observations don't divide, the
    first ones have one more), and each of the C(S, S/2) choices of half of them is in-sample once.
    w = rank / (candidates + 1), equal Sharpe ratios sharing their mean rank. Candidates that tie
    for best in-sample each have an entry. A candidate that never varies has the Sharpe ratio zero
    at mean zero (it did nothing), else plus or minus infinity.
    Raises ValueError for fewer than two candidates, an odd number of blocks or one outside
    2...20, fewer observations than blocks or than four, and anything not finite.
    """
    return _logits(performance, blocks=blocks)[0]


def _logits(performance: npt.ArrayLike, *, blocks: int) -> tuple[Floats, Floats]:
    """Return logits and, of each, its share in its half: ties for best divide a half."""
    returns = _checked(performance, blocks)
    # Sharpe ratios have no unit; a common scale keeps squares of large currencies in range.
    returns = returns / (np.max(np.abs(returns)) or 1.0)
    count, first, second = _block_sums(returns, blocks)
    halves = np.array(list(itertools.combinations(range(blocks), blocks // 2)))
    logits: list[Floats] = []
    shares: list[Floats] = []
    for start in range(0, len(halves), _AT_ONCE):
        chosen = halves[start : start + _AT_ONCE]
        inside = (count[chosen].sum(1), first[chosen].sum(1), second[chosen].sum(1))
        # Halves come in pairs: the complement of the n-th is the n-th from the end.
        others = halves[::-1][start : start + _AT_ONCE]
        outside = (count[others].sum(1), first[others].sum(1), second[others].sum(1))
        ratios = _sharpe(*inside, offset=returns[0])
        best = ratios == ratios.max(axis=1, keepdims=True)
        relative = _ranks(_sharpe(*outside, offset=returns[0]), best) / (returns.shape[1] + 1)
        logits.append(np.log(relative / (1.0 - relative)))
        shares.append((best / best.sum(axis=1, keepdims=True))[best])
    return np.concatenate(logits), np.concatenate(shares)


def _ranks(ratios: Floats, wanted: npt.NDArray[np.bool_]) -> Floats:
    """Return the ranks of the wanted entries among their rows', equal ones sharing their mean."""
    half, candidate = np.nonzero(wanted)
    if len(half) > 2 * len(wanted):
        return np.asarray(rankdata(ratios, axis=1)[wanted])
    # To count what is smaller takes a tenth of the time of sorting.
    rows, own = ratios[half], ratios[half, candidate, None]
    return np.asarray((rows < own).sum(axis=1) + ((rows == own).sum(axis=1) + 1) / 2)


def _checked(performance: npt.ArrayLike, blocks: int) -> Floats:
    returns = np.asarray(performance, dtype=np.float64)
    if returns.ndim != 2 or returns.shape[1] < 2:
        raise ValueError(
            f"performance: found shape {returns.shape}, expected (observations, candidates) with "
            "at least two candidates"
        )
    if blocks % 2 or not 2 <= blocks <= _MOST_BLOCKS:
        raise ValueError(f"blocks: found {blocks}, expected an even number, 2 to {_MOST_BLOCKS}")
    if len(returns) < max(blocks, 4):
        raise ValueError(
            f"performance: found {len(returns)} observations, expected at least one per block and "
            f"four in all, {max(blocks, 4)}"
        )
    if not np.isfinite(returns).all():
        raise ValueError("performance: found NaN or infinity, expected finite returns")
    return returns


def _block_sums(returns: Floats, blocks: int) -> tuple[Floats, Floats, Floats]:
    """Return length (blocks, 1), sums and sums of squares (blocks, candidates), first row off."""
    parts = np.array_split(returns - returns[0], blocks)
    count = np.array([[float(len(part))] for part in parts])
    first = np.array([part.sum(axis=0) for part in parts])
    second = np.array([np.square(part).sum(axis=0) for part in parts])
    return count, first, second


def _sharpe(count: Floats, first: Floats, second: Floats, *, offset: Floats) -> Floats:
    """Return Sharpe ratios (halves, candidates) from sums of the returns minus an offset."""
    mean = first / count
    variance = (second - count * np.square(mean)) / (count - 1.0)
    varies = variance > 1e-12 * second / count
    mean = mean + offset
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = mean / np.sqrt(np.where(varies, variance, 0.0))
    return np.where(varies | (mean != 0.0), ratio, 0.0)
