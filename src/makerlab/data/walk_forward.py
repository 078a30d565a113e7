"""The folds of a walk-forward: train, validate and test again and again along the data.

The blocks are laid from the end of the data backwards, so that the tests of the folds lie side by
side, each as long as asked for, and the last one ends with the last bar. What separates segments is
taken from the end of the earlier one.
"""

import math
from collections.abc import Callable

import numpy as np

from makerlab.config.segments import DataSplitSettings, WalkForwardSettings
from makerlab.data.candles import Candles
from makerlab.data.rows import iso
from makerlab.errors import UserError

_DAY_MS = 86_400_000

Bounds = list[tuple[int, int]]
"""(start, stop) of train, validation and test, in bars."""


def fold_bounds(candles: Candles, settings: DataSplitSettings) -> Bounds:
    """Return the bars of a fold's three segments.

    Fold k of K tests the block that ends (K - 1 - k) test lengths before the end of the data;
    before it lie its validation and its training. Rolling training has one length, expanding
    training begins where that of fold 0 does. The last purge_bars + embargo_bars of training and
    of validation are dropped. Raises UserError when no fold is chosen, or when the data are too
    short.
    """
    plan, fold = settings.walk_forward, settings.fold
    if fold is None:
        raise UserError(
            f"data_split.walk_forward has {plan.folds} folds and none is chosen; "
            f"give data_split.fold, a number from 0 to {plan.folds - 1}"
        )
    train, valid, test = _lengths(plan)
    _check_span(candles, plan)
    bar_before_end = _ruler(candles, plan)
    tests_left = (plan.folds - fold) * test
    trained_before = tests_left if plan.mode == "rolling" else plan.folds * test
    test_start = bar_before_end(tests_left)
    valid_start = bar_before_end(tests_left + valid)
    train_start = bar_before_end(trained_before + valid + train)
    # The same product as the next fold's start, so that rounding leaves no bar between them.
    test_stop = bar_before_end((plan.folds - fold - 1) * test)
    gap = plan.purge_bars + plan.embargo_bars
    return [
        (train_start, max(train_start, valid_start - gap)),
        (valid_start, max(valid_start, test_start - gap)),
        (test_start, test_stop),
    ]


def _lengths(plan: WalkForwardSettings) -> tuple[float, float, float]:
    """Return train, validation and test as shares or as days, whichever is given."""
    train, valid, test = plan.shares if plan.train is not None else plan.days
    assert train is not None and valid is not None and test is not None
    return train, valid, test


def _ruler(candles: Candles, plan: WalkForwardSettings) -> Callable[[float], int]:
    """Return what turns a length before the end of the data into the bar that lies there."""
    bars = len(candles)
    if plan.train is not None:
        # Shares that should add up to 1 miss it by a hair; no bar is lost or invented for that.
        return lambda share: max(0, bars - math.floor(share * bars + 1e-6))
    end = int(candles.ts_ms[-1]) + candles.bar_ms
    # By time and not by counting bars, so that a gap in the data makes no day longer.
    return lambda days: int(np.searchsorted(candles.ts_ms, end - round(days * _DAY_MS)))


def _check_span(candles: Candles, plan: WalkForwardSettings) -> None:
    """Refuse data shorter than the days asked for; shares fit by themselves."""
    if plan.train is not None:
        return
    train, valid, test = _lengths(plan)
    needed_ms = round((train + valid + plan.folds * test) * _DAY_MS)
    start, end = int(candles.ts_ms[0]), int(candles.ts_ms[-1]) + candles.bar_ms
    if needed_ms > end - start:
        needed = -(-needed_ms // candles.bar_ms)
        raise UserError(
            f"{candles.source.path}: data_split.walk_forward needs {needed} bars (train_days "
            f"{train:g}, valid_days {valid:g} and {plan.folds} x test_days {test:g}), the data "
            f"hold {len(candles)} bars, {iso(start)} to {iso(end)}"
        )
