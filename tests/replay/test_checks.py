"""Every kind of fault in a capture is counted, and a clean one shows none."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.made_up_captures import Line, at, depth, small_capture, text_of, trade, walking_capture

from makerlab.data.capture import MarketKind
from makerlab.data.read_capture import read_capture
from makerlab.replay.checks import check_capture, faults


def checked(folder: Path, lines: list[Line]) -> dict[str, int]:
    path = folder / "capture"
    path.write_text(text_of(lines))
    checks = check_capture(read_capture(path))
    return {name: count for name, count in checks.items() if name != "messages" and count}


@pytest.mark.parametrize("market", ["usdm", "spot"])
def test_a_clean_capture_has_no_faults(tmp_path: Path, market: MarketKind) -> None:
    assert checked(tmp_path, small_capture(market)) == {}
    assert checked(tmp_path, walking_capture(60, seed=1, market=market)) == {}


def _without_an_update(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line[1].get("data", {}).get("u") != 12]


def _crossed(lines: list[Line]) -> list[Line]:
    market = "usdm" if "pu" in lines[0][1]["data"] else "spot"
    return [*lines, (at(80), depth(75, 16, 17, 15, bids=[("100.4", "1")], market=market))]


def _trade_skipped(lines: list[Line]) -> list[Line]:
    return [*lines, (at(90), trade(85, 6, "100.2", sold=False))]


def _old_snapshot(lines: list[Line]) -> list[Line]:
    lines[1][1]["lastUpdateId"] = -5
    return lines


def _clock_jumps(lines: list[Line]) -> list[Line]:
    return [*lines, (at(50), trade(80, 3, "100.2", sold=False))]


def _exchange_clock_jumps(lines: list[Line]) -> list[Line]:
    return [*lines, (at(90), trade(60, 3, "100.2", sold=False))]


@pytest.mark.parametrize("market", ["usdm", "spot"])
@pytest.mark.parametrize(
    ("spoil", "fault", "count"),
    [
        (_without_an_update, "sequence_gaps", 1),
        (_crossed, "crossed_books", 1),
        (_trade_skipped, "missing_trades", 3),
        (_old_snapshot, "snapshot_gaps", 1),
        (_clock_jumps, "local_time_backwards", 1),
        (_exchange_clock_jumps, "exchange_time_backwards", 1),
    ],
)
def test_each_fault_is_counted(
    tmp_path: Path,
    spoil: Callable[[list[Line]], list[Line]],
    fault: str,
    count: int,
    market: MarketKind,
) -> None:
    found = checked(tmp_path, spoil(small_capture(market)))
    assert found.get(fault) == count
    assert faults({"messages": {}, **found})[0].startswith(str(next(iter(found.values()))))


def test_the_real_tape_is_clean(shared_data: Path) -> None:
    checks = check_capture(read_capture(shared_data / "l2_binance_usdm_btcusdt_2024-08-08.gz"))
    assert faults(checks) == []
    assert checks["messages"]["snapshots"] == 1
