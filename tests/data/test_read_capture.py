"""Raw captures: both markets' shapes are read; what is no message is named with its line."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from tests.made_up_captures import START_MS, at, small_capture, snapshot, text_of, trade

from makerlab.data.capture import UNKNOWN, MarketKind
from makerlab.data.read_capture import read_capture
from makerlab.errors import UserError
from makerlab.files import file_hash


def written(folder: Path, text: str) -> Path:
    path = folder / "capture.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize("market", ["usdm", "spot"])
def test_both_markets_are_told_apart_and_read_alike(tmp_path: Path, market: MarketKind) -> None:
    capture = read_capture(written(tmp_path, text_of(small_capture(market))))
    assert (capture.market, capture.symbol) == (market, "TESTUSDT")
    assert capture.trades.price.tolist() == [99.9, 100.2]
    assert capture.trades.sold.tolist() == [True, False]
    assert capture.trades.exchange_ns.tolist() == [(START_MS + ms) * 10**6 for ms in (40, 70)]
    assert capture.quotes.bid.tolist() == [99.9, 99.9]
    depth = capture.depth
    assert depth.is_snapshot.tolist() == [False, True, False, False]
    assert depth.last.tolist() == [10, 10, 12, 15]
    assert depth.previous.tolist() == ([0, UNKNOWN, 10, 12] if market == "usdm" else [UNKNOWN] * 4)
    assert depth.stop.tolist() == [1, 5, 6, 8]
    assert depth.price[6:].tolist() == [100.1, 100.3]
    assert not depth.is_bid[6:].any()


def test_spot_quotes_and_snapshots_carry_no_time(tmp_path: Path) -> None:
    capture = read_capture(written(tmp_path, text_of(small_capture("spot"))))
    assert (capture.quotes.exchange_ns == UNKNOWN).all()
    assert (capture.depth.exchange_ns == UNKNOWN).tolist() == [False, True, False, False]


def test_gzip_and_messages_outside_a_combined_stream_read_the_same(tmp_path: Path) -> None:
    plain = read_capture(written(tmp_path, text_of(small_capture())))
    bare = [(local, message.get("data", message)) for local, message in small_capture()]
    packed = tmp_path / "capture.gz"
    packed.write_bytes(gzip.compress(text_of(bare).encode()))
    other = read_capture(packed)
    assert other.sha256 == file_hash(packed)
    for part in ("trades", "quotes", "depth"):
        for name, values in vars(getattr(plain, part)).items():
            np.testing.assert_array_equal(values, getattr(getattr(other, part), name))


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000], ids=["ns", "us", "ms"])
def test_local_times_are_told_apart_by_their_digits(tmp_path: Path, unit: int) -> None:
    lines = [(local // unit, message) for local, message in small_capture()]
    capture = read_capture(written(tmp_path, text_of(lines)))
    assert capture.trades.local_ns.tolist() == [at(45), at(75)]


def test_a_snapshot_before_the_first_message_belongs_to_the_only_symbol(tmp_path: Path) -> None:
    first = (at(0), snapshot(0, 9, bids=[("99.9", "1")], asks=[("100.1", "1")]))
    capture = read_capture(written(tmp_path, text_of([first, *small_capture()])))
    assert capture.depth.is_snapshot.tolist() == [True, False, True, False, False]


def test_what_meets_no_quote_is_left_out_and_counted(tmp_path: Path) -> None:
    extra = [
        (at(80), trade(80, 3, "95.0", sold=True, kind="INSURANCE_FUND")),
        (at(81), {"code": -1003, "msg": "Too many requests"}),
        (at(82), {"stream": "x", "data": {"e": "markPriceUpdate"}}),
    ]
    text = text_of([*small_capture(), *extra]) + '17000000 {"e": "tra'
    capture = read_capture(written(tmp_path, text))
    assert len(capture.trades.price) == 2
    assert capture.left_out == {
        "cut last line": 1,
        "error answer": 1,
        "markPriceUpdate": 1,
        "trade of kind INSURANCE_FUND": 1,
    }


def two_symbols() -> str:
    other = trade(90, 1, "5.0", sold=True, symbol="OTHERUSDT")
    return text_of([*small_capture(), (at(95), other)])


def test_of_several_symbols_one_is_chosen(tmp_path: Path) -> None:
    capture = read_capture(written(tmp_path, two_symbols()), symbol="OTHERUSDT")
    assert capture.trades.price.tolist() == [5.0]
    assert len(capture.depth.last) == 0


def cut_gzip() -> bytes:
    return gzip.compress(text_of(small_capture()).encode())[:-20]


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        (b"", {}, "the file is empty"),
        (cut_gzip(), {}, "gzip stream is cut"),
        (b"timestamp,open\n1,2\n", {}, "line 1: found 'timestamp,open', expected a local time"),
        (b"12345 {}\n" + text_of(small_capture()).encode(), {}, "line 1: found time 12345"),
        (
            text_of([(at(0), {"e": "trade", "s": "A", "T": START_MS}), *small_capture()]).encode(),
            {},
            "line 1: the message has no field 't'",
        ),
        (two_symbols().encode(), {}, "holds OTHERUSDT, TESTUSDT; choose one with --symbol"),
        (two_symbols().encode(), {"symbol": "TESTUSD"}, "did you mean 'TESTUSDT'?"),
        (text_of(small_capture()).encode(), {"market": "spot"}, "--market says spot"),
        (text_of(small_capture()[:4]).encode(), {}, "holds no trades of TESTUSDT"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_captures_are_refused_in_one_line(
    tmp_path: Path, content: bytes, options: dict[str, str], says: str
) -> None:
    path = tmp_path / "capture"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_capture(path, **options)  # type: ignore[arg-type]
    assert says in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_the_real_tape_reads_whole(shared_data: Path) -> None:
    capture = read_capture(shared_data / "l2_binance_usdm_btcusdt_2024-08-08.gz")
    messages = (capture.trades.price, capture.quotes.bid, capture.depth.last)
    assert [len(part) for part in messages] == [21_313, 66_089, 6_552]
    assert capture.left_out == {}
