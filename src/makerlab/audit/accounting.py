"""The books: every row of every stored episode adds up, by arithmetic written apart from the
kernel's, and the rows add up to what metrics.json says.
"""

import csv
from pathlib import Path

import numpy as np

from makerlab.audit.findings import Evidence, Skip, close
from makerlab.audit.stored_fills import taken_at_the_open
from makerlab.audit.subject import AuditedRun, EpisodeRows, Floats
from makerlab.config import EnvSettings
from makerlab.data.split import SEGMENT_NAMES

_TOLERANCE = 1e-9
"""Of the capital and the notional of the position limit: what sums in another order may differ."""

# Metrics that are means over episodes of sums over rows.
_SUMMED = ("fees", "spread_captured", "inventory_profit")


def accounts_balance(run: AuditedRun) -> Evidence:
    """Check cash, inventory, fees and equity row by row, and the position limit."""
    evidence = Evidence()
    for episode in run.episodes:
        _check_rows(run, episode, evidence)
    rows = sum(len(episode) for episode in run.episodes)
    evidence.fact(f"{rows} rows of {len(run.episodes)} stored episodes balance")
    return evidence


def rows_add_up_to_metrics(run: AuditedRun) -> Evidence:
    """Check metrics.json against the rows, where all episodes of a segment are stored.

    The equity curve of the test segment always holds all episodes, of every policy.
    """
    evidence = Evidence()
    for segment in SEGMENT_NAMES:
        stored = [episode for episode in run.episodes if episode.segment == segment]
        judged = run.metrics[segment].get("episodes")
        if len(stored) != judged:
            evidence.fact(f"{segment}: {len(stored)} of {judged} episodes stored, not added up")
            continue
        sums = {name: float(np.mean([e[name].sum() for e in stored])) for name in _SUMMED}
        capital = run.config.env.initial_cash
        sums["net_profit"] = float(np.mean([e["equity"][-1] - capital for e in stored]))
        for name, value in sums.items():
            _compare(run, segment, name, value, "the stored rows", evidence)
        evidence.fact(f"{segment}: {judged} of {judged} episodes stored, added up")
    _check_curve(run, evidence)
    return evidence


def _check_rows(run: AuditedRun, rows: EpisodeRows, evidence: Evidence) -> None:
    env = run.config.env
    mid, bought, sold = rows["mid"], rows["bid_filled"], rows["ask_filled"]
    flattened = rows["liquidated"]
    bid_paid, ask_paid = _paid(rows["bid"], bought), _paid(rows["ask"], sold)
    before = np.concatenate([[env.initial_cash], rows["equity"][:-1]])
    cash_before = np.concatenate([[env.initial_cash], rows["cash"][:-1]])
    held_before = np.concatenate([[0.0], rows["inventory"][:-1]])
    flattening = np.abs(flattened) * mid
    slippage = env.fill.liquidation_half_spread_bps / 1e4 * flattening
    taken = np.where(taken_at_the_open(run, rows, "bid"), bid_paid, 0.0)
    taken += np.where(taken_at_the_open(run, rows, "ask"), ask_paid, 0.0)
    fees = env.fee_rate * (bid_paid + ask_paid - taken) + env.taker_fee_rate * (taken + flattening)
    profit = rows["spread_captured"] + rows["inventory_profit"] - rows["fees"]
    money = _TOLERANCE * (env.initial_cash + env.max_inventory * float(np.max(mid)))
    units = _TOLERANCE * env.max_inventory
    identities = {
        "equity = cash + inventory * mid": (
            rows["equity"],
            rows["cash"] + rows["inventory"] * mid,
            money,
        ),
        "change of equity = spread captured + inventory profit - fees": (
            rows["equity"] - before,
            profit,
            money,
        ),
        "change of inventory = bought - sold + flattened": (
            rows["inventory"] - held_before,
            bought - sold + flattened,
            units,
        ),
        "change of cash = sold - bought - fees, at the quotes": (
            rows["cash"] - cash_before,
            ask_paid - bid_paid - fees - flattened * mid - slippage,
            money,
        ),
        "fees = maker rate * notional at the quotes + taker rate * notional taken or flattened": (
            rows["fees"],
            fees,
            money,
        ),
        "inventory profit = position * move of the mid": (
            rows["inventory_profit"][1:],
            (held_before + bought - sold)[1:] * np.diff(mid),
            money,
        ),
        "spread captured = fills against the mid of the decision, less the cost of flattening": (
            rows["spread_captured"][1:],
            (mid[:-1] * (bought - sold)[1:] - bid_paid[1:] + ask_paid[1:] - slippage[1:]),
            money,
        ),
    }
    for name, (found, expected, tolerance) in identities.items():
        _first_difference(rows, name, found, expected, tolerance, evidence)
    _check_limits(rows, env, units, evidence)


def _paid(quote: Floats, quantity: Floats) -> Floats:
    """Return the notional of fills; a side that was not quoted has an infinite price."""
    return np.where(quantity != 0.0, quote, 0.0) * quantity


def _first_difference(
    rows: EpisodeRows,
    name: str,
    found: Floats,
    expected: Floats,
    tolerance: float,
    evidence: Evidence,
) -> None:
    wrong = np.flatnonzero(~(np.abs(found - expected) <= tolerance))
    if len(wrong):
        # Identities over changes leave out the first row.
        row = int(wrong[0]) + len(rows) - len(found)
        evidence.fault(
            f"{rows.place(row)}: {name} does not hold: {found[wrong[0]]:.8g} is not "
            f"{expected[wrong[0]]:.8g}"
        )


def _check_limits(rows: EpisodeRows, env: EnvSettings, units: float, evidence: Evidence) -> None:
    held = np.abs(rows["inventory"])
    if (over := np.flatnonzero(held > env.max_inventory + units)).size:
        evidence.fault(
            f"{rows.place(int(over[0]))}: inventory {held[over[0]]:.6g} is beyond "
            f"env.max_inventory {env.max_inventory:g}"
        )
    for side in ("bid", "ask"):
        quantity = rows[f"{side}_filled"]
        too_much = (quantity > env.order_size + units) | (quantity < 0.0)
        unquoted = (quantity > 0.0) & ~np.isfinite(rows[side])
        for row in np.flatnonzero(too_much | unquoted)[:1]:
            evidence.fault(
                f"{rows.place(int(row))}: the {side} at {rows[side][row]:g} filled "
                f"{quantity[row]:.6g}, one order is {env.order_size:g}"
            )


def _check_curve(run: AuditedRun, evidence: Evidence) -> None:
    path = run.directory.evaluation.equity_curve
    if not path.is_file():
        evidence.fact(f"{path.name} is missing (policies ended at different times)")
        return
    last = _last_row(path)
    episodes = run.metrics["test"]["episodes"]
    for name, text in last.items():
        if name == "timestamp":
            continue
        profit = (float(text) - run.config.env.initial_cash) / episodes
        section = "" if name == run.workbench.learned else f"baselines.{name}."
        _compare(run, "test", f"{section}net_profit", profit, path.name, evidence)
    evidence.fact(f"{path.name}: {len(last) - 1} policies end where metrics.json says")


def _last_row(path: Path) -> dict[str, str]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise Skip(f"{path.name} holds no rows")
    return rows[-1]


def _compare(
    run: AuditedRun, segment: str, place: str, found: float, source: str, evidence: Evidence
) -> None:
    value = run.metrics[segment]
    for key in place.split("."):
        value = value.get(key) or {}
    stored = value.get("value")
    tolerance = _TOLERANCE * run.config.env.initial_cash
    if not close(stored, found, relative=1e-9, absolute=tolerance):
        evidence.fault(f"metrics.json {segment}.{place} is {stored}, {source} give {found:.10g}")
