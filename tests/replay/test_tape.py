"""Conversion: one clock, whole books, ticks and lots, and the library's own order of events."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from tests.made_up_captures import START_MS, Line, at, depth, small_capture, text_of, trade

from makerlab.data.capture import MarketKind
from makerlab.data.read_capture import read_capture
from makerlab.errors import UserError
from makerlab.replay.tape import AT_EXCHANGE, AT_LOCAL, BUY, CLEAR, DEPTH, SNAPSHOT, TRADE, Tape
from makerlab.replay.tape import make_tape as tape_of


def make_tape(folder: Path, lines: list[Line]) -> Tape:
    path = folder / "capture"
    path.write_text(text_of(lines))
    return tape_of(read_capture(path))


def by_clock(tape: Tape, flag: int) -> np.ndarray:
    return tape.events[(tape.events["ev"] & np.uint64(flag)) != 0]


def kinds(events: np.ndarray) -> list[int]:
    return (events["ev"] & np.uint64(0xFF)).tolist()


def test_a_clock_that_runs_behind_is_moved_until_the_fastest_message_takes_no_time(
    tmp_path: Path,
) -> None:
    right = make_tape(tmp_path, small_capture())
    assert right.facts["clock_correction_ms"] == 0.0
    late = make_tape(tmp_path, small_capture(behind_ms=1270.0))
    assert late.facts["clock_correction_ms"] == 1265.0
    assert (late.events["local_ts"] - late.events["exch_ts"]).min() == 0
    np.testing.assert_array_equal(late.events["exch_ts"], right.events["exch_ts"])


@pytest.mark.parametrize("market", ["usdm", "spot"])
def test_the_book_begins_with_the_snapshot_and_what_is_newer(
    tmp_path: Path, market: MarketKind
) -> None:
    tape = make_tape(tmp_path, small_capture(market))
    events = by_clock(tape, AT_EXCHANGE)
    book = events[(events["ev"] & np.uint64(0xFF)) != TRADE]
    assert kinds(book) == [CLEAR, SNAPSHOT, SNAPSHOT, CLEAR, SNAPSHOT, SNAPSHOT] + [DEPTH] * 3
    assert book["px"].tolist() == [99.8, 99.9, 99.8, 100.2, 100.1, 100.2, 99.9, 100.1, 100.3]
    is_bid = (book["ev"] & np.uint64(BUY)) != 0
    assert is_bid.tolist() == [True] * 3 + [False] * 3 + [True, False, False]
    assert tape.facts["depth_messages_before_the_snapshot"] == 1
    assert kinds(events).count(TRADE) == 2


def test_a_snapshot_that_arrives_after_newer_updates_goes_before_them(tmp_path: Path) -> None:
    lines = small_capture()
    lines[1] = (at(33), lines[1][1])
    local = by_clock(make_tape(tmp_path, sorted(lines, key=lambda line: line[0])), AT_LOCAL)
    book = local[(local["ev"] & np.uint64(0xFF)) != TRADE]
    assert kinds(book)[:6] == [CLEAR, SNAPSHOT, SNAPSHOT, CLEAR, SNAPSHOT, SNAPSHOT]
    assert kinds(book)[6:] == [DEPTH] * 3


def test_ticks_and_lots_are_read_off_prices_and_quantities(tmp_path: Path) -> None:
    lines = [*small_capture(), (at(85), trade(80, 3, "100.25", "0.004", sold=False))]
    tape = make_tape(tmp_path, lines)
    assert tape.tick == pytest.approx(0.05)
    assert tape.lot == pytest.approx(0.004)


def test_each_clock_has_every_event_once_and_in_order(tmp_path: Path) -> None:
    tape = make_tape(tmp_path, small_capture("spot"))
    exchange, local = by_clock(tape, AT_EXCHANGE), by_clock(tape, AT_LOCAL)
    assert len(exchange) == len(local) == len(tape.events) / 2
    assert (np.diff(exchange["exch_ts"]) >= 0).all()
    assert (np.diff(local["local_ts"]) >= 0).all()
    assert (local["local_ts"] >= local["exch_ts"]).all()


def test_the_order_of_events_is_that_of_the_librarys_own_converter(tmp_path: Path) -> None:
    library = pytest.importorskip("hftbacktest.data.utils.binancefutures")
    lines = small_capture(behind_ms=300.0)[1:]
    packed = tmp_path / "capture.gz"
    packed.write_bytes(gzip.compress(text_of(lines).replace(", ", ",").encode()))
    theirs = library.convert(str(packed), buffer_size=1_000)
    ours = make_tape(tmp_path, lines).events
    names = ["exch_ts", "local_ts", "px", "qty"]
    for flag in (AT_EXCHANGE, AT_LOCAL):
        one = ours[(ours["ev"] & np.uint64(flag)) != 0]
        other = theirs[(theirs["ev"] & np.uint64(flag)) != 0]
        for name in names:
            np.testing.assert_array_equal(one[name], other[name])
        plain = ~np.uint64(AT_EXCHANGE | AT_LOCAL)
        np.testing.assert_array_equal(one["ev"] & plain, other["ev"] & plain)


def test_a_capture_without_the_book_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no depth updates"):
        make_tape(tmp_path, [(at(5), trade(0, 1, "100", sold=True))])


def test_the_real_tapes_clock_is_off_by_1272_ms(shared_data: Path) -> None:
    tape = tape_of(read_capture(shared_data / "l2_binance_usdm_btcusdt_2024-08-08.gz"))
    assert tape.facts["clock_correction_ms"] == pytest.approx(1272.4, abs=0.05)
    assert 0.0 < tape.facts["feed_latency_ms"]["median"] < 10.0
    assert (tape.tick, tape.lot) == (pytest.approx(0.1), pytest.approx(0.001))


def test_exchange_times_survive_to_the_nanosecond(tmp_path: Path) -> None:
    lines = [*small_capture(), (at(95), depth(90, 16, 17, 15, bids=[("99.0", "1")]))]
    events = by_clock(make_tape(tmp_path, lines), AT_EXCHANGE)
    assert events["exch_ts"][-1] == (START_MS + 90) * 1_000_000
