"""The table that a replay ends with."""

from typing import Any

from tabulate import tabulate

_METRICS = (
    ("net_profit", "profit"),
    ("spread_captured", "spread"),
    ("inventory_profit", "inventory"),
    ("fees", "fees"),
    ("markout_1_bps", "markout 1 bar, bp"),
    ("markout_5_bps", "5 bars"),
    ("markout_15_bps", "15 bars"),
)


def table(record: dict[str, Any]) -> str:
    """Return policies by engine: on the book, on candles, and the difference; then the reasons."""
    rows = []
    for name, result in record["policies"].items():
        fills, other = result["fills"], result["candle_fills"]
        quantity = (fills["quantity"], other["quantity"])
        rows.append([name, "book", fills["fills"], f"{quantity[0]:.3f}", *_values(result["l2"])])
        rows.append(
            ["", "candles", other["fills"], f"{quantity[1]:.3f}", *_values(result["candles"])]
        )
        change = [_number(result["l2_minus_candles"][metric]) for metric, _ in _METRICS]
        more = fills["fills"] - other["fills"]
        rows.append(["", "difference", more, f"{quantity[0] - quantity[1]:+.3f}", *change])
    headers = ["policy", "on", "fills", "quantity", *(title for _, title in _METRICS)]
    lines = [
        _head(record),
        tabulate(rows, headers=headers, disable_numparse=True, stralign="right"),
    ]
    return "\n".join([*lines, *(_reasons(n, r) for n, r in record["policies"].items())])


def _head(record: dict[str, Any]) -> str:
    engine = record["engine"]
    return (
        f"{record['tape']['symbol']}, {record['first_quote']} to {record['last_close']}, "
        f"{record['steps']} steps of {record['step_seconds']:g} s; book: {engine['library']} "
        f"{engine['version']}, queue {engine['queue_model']}, {engine['exchange_model']}, "
        f"{engine['order_latency_ms']:g} ms each way; fees {1e4 * engine['maker_fee_rate']:g} bp "
        f"maker, {1e4 * engine['taker_fee_rate']:g} bp taker; candles: "
        f"{record['candle_model']['model']}"
    )


def _reasons(name: str, result: dict[str, Any]) -> str:
    fills = result["fills"]
    reasons = ", ".join(
        f"{count} {reason.replace('_', ' ')}" for reason, count in fills["reasons"].items() if count
    )
    markouts = ", ".join(
        f"{_number(value)} bp after {after}"
        for after, value in fills["markout_bps_per_unit"].items()
        if value is not None
    )
    return (
        f"{name}: {reasons or 'no fills'}; {fills['orders']} orders, "
        f"{fills['rejected_as_post_only']} rejected as post-only"
        + (f"; per unit filled against the mid {markouts}" if markouts else "")
    )


def _values(metrics: dict[str, Any]) -> list[str]:
    return [_number(metrics[metric]["value"], sign=False) for metric, _ in _METRICS]


def _number(value: float | None, *, sign: bool = True) -> str:
    if value is None:
        return "-"
    return f"{value:+.4g}" if sign else f"{value:.4g}"
