"""Every stored fill against the candles: filled by the next bar, at a price that bar reached.

These are conditions that any honest fill meets, written apart from the kernel; they say nothing of
fills that should have happened and are not there (playing the episodes again does).
"""

import numpy as np
import numpy.typing as npt

from makerlab.audit.findings import Evidence
from makerlab.audit.subject import AuditedRun, EpisodeRows

_ROUNDING = 1e-9
_BY_CHANCE = "calibrated_intensity"
_ONE_SIDE = ("worse_side", "seeded_random")


def fills_belong_to_their_bar(run: AuditedRun) -> Evidence:
    """Check each stored row's mid and fills against the bar that its timestamp names."""
    evidence = Evidence()
    fills = 0
    for episode in run.episodes:
        fills += _check_episode(run, episode, evidence)
    if run.config.env.fill.rule == _BY_CHANCE:
        evidence.fact(f"{fills} stored fills came by chance ({_BY_CHANCE}): bars can't deny them")
    else:
        evidence.fact(f"{fills} stored fills lie within the bar that their quotes lived in")
    return evidence


def taken_at_the_open(run: AuditedRun, rows: EpisodeRows, side: str) -> npt.NDArray[np.bool_]:
    """Return in which rows a side was executed as a taker, (rows,): at the open's other side."""
    fill = run.config.env.fill
    if fill.post_only:
        return np.zeros(len(rows), np.bool_)
    opened = np.array([run.candles.open[run.bar_of.get(stamp, 0)] for stamp in rows.timestamps])
    half = fill.liquidation_half_spread_bps / 1e4
    price = opened * (1.0 + half if side == "bid" else 1.0 - half)
    filled = rows[f"{side}_filled"] > 0.0
    return np.asarray(filled & np.isclose(rows[side], price, rtol=_ROUNDING, atol=0.0))


def _check_episode(run: AuditedRun, rows: EpisodeRows, evidence: Evidence) -> int:
    fills = 0
    fill = run.config.env.fill
    taken = {side: taken_at_the_open(run, rows, side) for side in ("bid", "ask")}
    for row, stamp in enumerate(rows.timestamps):
        bar = run.bar_of.get(stamp)
        if bar is None or bar == 0:
            evidence.fault(f"{rows.place(row)}: the candles have no such bar")
            return fills
        _check_bar(run, rows, row, bar, evidence)
        filled = [side for side in ("bid", "ask") if rows[f"{side}_filled"][row] > 0.0]
        fills += len(filled)
        for side in filled:
            if not taken[side][row]:
                _check_resting(run, rows, row, bar, side, evidence)
        if len(filled) == 2 and fill.post_only and fill.both_touched in _ONE_SIDE:
            evidence.fault(f"{rows.place(row)}: both sides filled, {fill.both_touched} keeps one")
    return fills


def _check_bar(run: AuditedRun, rows: EpisodeRows, row: int, bar: int, evidence: Evidence) -> None:
    """Check what a row says of its bar whether or not anything was filled in it."""
    close = float(run.candles.close[bar])
    if abs(rows["mid"][row] - close) > _ROUNDING * close:
        evidence.fault(
            f"{rows.place(row)}: mid is {rows['mid'][row]:g}, the bar closed at {close:g}"
        )
    quantity = float(rows["bid_filled"][row] + rows["ask_filled"][row])
    available = run.config.env.fill.volume_participation * float(run.candles.volume[bar])
    if quantity > available * (1.0 + _ROUNDING):
        evidence.fault(
            f"{rows.place(row)}: {quantity:g} filled, the share of the bar's volume is "
            f"{available:g}"
        )


def _check_resting(
    run: AuditedRun, rows: EpisodeRows, row: int, bar: int, side: str, evidence: Evidence
) -> None:
    quote = float(rows[side][row])
    if not _reached(run, bar, side, quote):
        same = _reached(run, bar - 1, side, quote)
        blame = "; the bar before it did: a same-bar fill" if same else ""
        extreme = run.candles.low[bar] if side == "bid" else run.candles.high[bar]
        evidence.fault(
            f"{rows.place(row)}: the {side} at {quote:.10g} was filled, but its bar reached only "
            f"{extreme:.10g}{blame}"
        )
    opened = float(run.candles.open[bar])
    crosses = (quote >= opened) if side == "bid" else (quote <= opened)
    if crosses and run.config.env.fill.post_only:
        evidence.fault(
            f"{rows.place(row)}: the {side} at {quote:.10g} crosses the open {opened:.10g} and "
            "should have been rejected (post-only)"
        )


def _reached(run: AuditedRun, bar: int, side: str, quote: float) -> bool:
    """Whether a bar can have filled a resting quote under the config's rule."""
    fill = run.config.env.fill
    if fill.rule == _BY_CHANCE:
        return True
    beyond = fill.penetration_bps / 1e4
    if side == "bid":
        extreme, price = float(run.candles.low[bar]), quote * (1.0 - beyond)
        through = price - extreme
    else:
        extreme, price = float(run.candles.high[bar]), quote * (1.0 + beyond)
        through = extreme - price
    return through > 0.0 or (through == 0.0 and fill.rule == "touch")
