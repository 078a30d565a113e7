"""Every stored fill against the candles: filled by the next bar, at a price that bar reached.

These are conditions that any honest fill meets, written apart from the kernel; they say nothing of
fills that should have happened and are not there (playing the episodes again does).
"""

from makerlab.audit.findings import Evidence
from makerlab.audit.subject import AuditedRun, EpisodeRows

_ROUNDING = 1e-9


def fills_belong_to_their_bar(run: AuditedRun) -> Evidence:
    """Check each stored row's mid and fills against the bar that its timestamp names."""
    evidence = Evidence()
    fills = 0
    for episode in run.episodes:
        fills += _check_episode(run, episode, evidence)
    evidence.fact(f"{fills} stored fills lie within the bar after their decision")
    return evidence


def _check_episode(run: AuditedRun, rows: EpisodeRows, evidence: Evidence) -> int:
    fills = 0
    for row, stamp in enumerate(rows.timestamps):
        bar = run.bar_of.get(stamp)
        if bar is None or bar == 0:
            evidence.fault(f"{rows.place(row)}: the candles have no such bar")
            return fills
        close = float(run.candles.close[bar])
        if abs(rows["mid"][row] - close) > _ROUNDING * close:
            evidence.fault(
                f"{rows.place(row)}: mid is {rows['mid'][row]:g}, the bar closed at {close:g}"
            )
        filled = [side for side in ("bid", "ask") if rows[f"{side}_filled"][row] > 0.0]
        fills += len(filled)
        for side in filled:
            _check_fill(run, rows, row, bar, side, evidence)
        if len(filled) == 2 and run.config.env.fill.both_touched == "worse_side":
            evidence.fault(f"{rows.place(row)}: both sides filled, one at most may (worse_side)")
    return fills


def _check_fill(
    run: AuditedRun, rows: EpisodeRows, row: int, bar: int, side: str, evidence: Evidence
) -> None:
    quote, quantity = float(rows[side][row]), float(rows[f"{side}_filled"][row])
    if not _traded_through(run, bar, side, quote):
        same = _traded_through(run, bar - 1, side, quote)
        blame = "; the bar on which it was decided did: a same-bar fill" if same else ""
        reached = run.candles.low[bar] if side == "bid" else run.candles.high[bar]
        evidence.fault(
            f"{rows.place(row)}: the {side} at {quote:.10g} was filled, but its bar reached only "
            f"{reached:.10g}{blame}"
        )
    opened = float(run.candles.open[bar])
    if (quote >= opened) if side == "bid" else (quote <= opened):
        evidence.fault(
            f"{rows.place(row)}: the {side} at {quote:.10g} crosses the open {opened:.10g} and "
            "should have been rejected (post-only)"
        )
    available = run.config.env.fill.volume_participation * float(run.candles.volume[bar])
    if quantity > available * (1.0 + _ROUNDING):
        evidence.fault(
            f"{rows.place(row)}: the {side} filled {quantity:g}, its share of the bar's volume "
            f"is {available:g}"
        )


def _traded_through(run: AuditedRun, bar: int, side: str, quote: float) -> bool:
    """Whether a bar trades strictly through a quote, by the penetration asked for at least."""
    beyond = run.config.env.fill.penetration_bps / 1e4
    if side == "bid":
        return bool(run.candles.low[bar] < quote * (1.0 - beyond))
    return bool(run.candles.high[bar] > quote * (1.0 + beyond))
