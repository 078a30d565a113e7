"""What a candle file may hold, and what the one line says when it holds anything else."""

import datetime
import decimal
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makerlab.data import Candles, Gap, candles_from_frame, load_candles, refuse_gaps, write_candles
from makerlab.errors import UserError

MINUTE = 60_000
START = 1_733_011_200_000  # 2024-12-01T00:00:00Z

HEADER = "timestamp,open,high,low,close,volume"


def bars(count: int, *, start_ms: int = START, bar_ms: int = MINUTE, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    close = 100.0 + generator.normal(size=count).cumsum() * 0.1
    opened = np.concatenate([[100.0], close[:-1]])
    return pd.DataFrame(
        {
            "timestamp": start_ms + bar_ms * np.arange(count),
            "open": opened,
            "high": np.maximum(opened, close) + 0.05,
            "low": np.minimum(opened, close) - 0.05,
            "close": close,
            "volume": generator.exponential(size=count),
        }
    )


def load(frame: pd.DataFrame, folder: Path, name: str = "candles.csv") -> Candles:
    path = folder / name
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return load_candles(path)


def message(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_candles(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def message_of_text(text: str, folder: Path) -> str:
    path = folder / "candles.csv"
    path.write_text(text)
    return message(path)


def same_bars(left: Candles, right: Candles) -> bool:
    names = ("ts_ms", "open", "high", "low", "close", "volume")
    return all(getattr(left, name).tobytes() == getattr(right, name).tobytes() for name in names)


# --- what loads ------------------------------------------------------------------------------


def test_the_real_minutes_load_whole_and_without_a_gap(shared_data: Path) -> None:
    path = shared_data / "btcusdt_1m_2024-12.csv"
    candles = load_candles(path)
    assert len(candles) == candles.source.rows == 41_761
    assert candles.source.gaps == ()
    assert candles.source.kind == "file"
    assert candles.source.bar_ms == MINUTE
    assert candles.source.to_dict()["start"] == "2024-11-30T23:00:00Z"
    assert candles.source.to_dict()["end"] == "2024-12-29T23:01:00Z"
    assert candles.source.sha256 == (
        "0f053a39e6edb91c9e3bc1ceb2713e53abccd67702b0cd93f3c68baff242404d"
    )
    assert (candles.open[0], candles.volume[1]) == (96_466.11, 7.0222)


def test_the_real_quarter_hours_load(shared_data: Path) -> None:
    candles = load_candles(shared_data / "btcusdt_15m_2024.csv")
    assert (len(candles), candles.bar_ms, candles.source.gaps) == (34_945, 15 * MINUTE, ())


def _berlin(ts_ms: int) -> str:
    berlin = datetime.timezone(datetime.timedelta(hours=1))
    return datetime.datetime.fromtimestamp(ts_ms / 1000, tz=berlin).isoformat()


def _naive(ts_ms: int) -> str:
    utc = datetime.datetime.fromtimestamp(ts_ms / 1000, tz=datetime.UTC)
    return utc.strftime("%Y-%m-%d %H:%M:%S")


def _mixed_offsets(ts_ms: int) -> str:
    return _berlin(ts_ms) if ts_ms // MINUTE % 2 else _naive(ts_ms) + "Z"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    "write",
    [
        lambda ts: ts,
        float,
        lambda ts: ts // 1000,
        lambda ts: ts / 1000,
        lambda ts: ts * 1000,
        lambda ts: ts * 1_000_000,
        str,
        _naive,
        lambda ts: _naive(ts).replace(" ", "T") + "Z",
        _berlin,
        _mixed_offsets,
        lambda ts: pd.Timestamp(ts, unit="ms"),
        lambda ts: pd.Timestamp(ts, unit="ms", tz="America/New_York"),
    ],
)
def test_every_way_of_writing_a_time_gives_the_same_utc_milliseconds(
    write: Callable[[int], Any], suffix: str, tmp_path: Path
) -> None:
    frame = bars(5)
    expected = frame["timestamp"].to_numpy()
    frame["timestamp"] = pd.Series([write(int(ts)) for ts in expected])
    candles = load(frame, tmp_path, f"candles{suffix}")
    assert candles.ts_ms.dtype == np.int64
    assert candles.ts_ms.tolist() == expected.tolist()


def test_days_without_a_clock_are_midnight_utc(tmp_path: Path) -> None:
    frame = bars(3, bar_ms=1440 * MINUTE)
    expected = frame["timestamp"].tolist()
    days = [datetime.date(2024, 12, day) for day in (1, 2, 3)]
    frame["timestamp"] = days
    assert load(frame, tmp_path).ts_ms.tolist() == expected
    assert load(frame, tmp_path, "candles.parquet").ts_ms.tolist() == expected


@pytest.mark.parametrize("name", ["ts", "time", "Date", "datetime", "Open time", "TIMESTAMP"])
def test_aliases_case_order_and_extra_columns_do_not_matter(name: str, tmp_path: Path) -> None:
    frame = bars(4)
    plain = load(frame, tmp_path, "plain.csv")
    frame["note"] = ["", "x,y", 'say "hi"', None]
    frame = frame[["volume", "close", "note", "timestamp", "low", "high", "open"]]
    frame.columns = pd.Index(["VOLUME", "Close", "note", name, "Low", " High", "Open"])
    assert same_bars(load(frame, tmp_path), plain)


def test_a_time_kept_as_the_index_of_a_parquet_file_is_found(tmp_path: Path) -> None:
    frame = bars(4)
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], unit="ms")
    path = tmp_path / "indexed.parquet"
    frame.set_index("timestamp").to_parquet(path)
    assert load_candles(path).ts_ms[0] == START


def test_byte_order_mark_blank_lines_and_windows_line_ends_are_harmless(tmp_path: Path) -> None:
    frame = bars(4)
    plain = load(frame, tmp_path, "plain.csv")
    text = "\n" + (tmp_path / "plain.csv").read_text() + "\n\n"
    path = tmp_path / "windows.csv"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert same_bars(load_candles(path), plain)


def test_a_year_of_minutes_loads_in_about_a_second(tmp_path: Path) -> None:
    path = tmp_path / "year.csv"
    bars(525_600).round(2).to_csv(path, index=False)
    started = time.process_time()
    candles = load_candles(path)
    # About 1 s on one core of 2023; the bound leaves room for a busy machine, not for a loop.
    assert time.process_time() - started < 5.0
    assert len(candles) == 525_600


# --- what loading promises -------------------------------------------------------------------


def test_the_source_holds_the_hash_of_the_bytes_that_were_read(tmp_path: Path) -> None:
    candles = load(bars(3), tmp_path)
    content = (tmp_path / "candles.csv").read_bytes()
    assert candles.source.sha256 == hashlib.sha256(content).hexdigest()
    assert candles.source.path == str(tmp_path / "candles.csv")


def test_arrays_cannot_be_written_to(tmp_path: Path) -> None:
    candles = load(bars(3), tmp_path)
    for array in (candles.ts_ms, candles.close, candles.slice(0, 2).close):
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_table_changed_later_does_not_change_the_candles() -> None:
    frame = bars(3)
    candles = candles_from_frame(frame, path="made", sha256="0" * 64)
    frame.loc[0, "close"] = 7.0
    frame.loc[0, "timestamp"] = 7
    assert candles.close[0] != 7.0
    assert candles.ts_ms[0] == START


def test_a_slice_holds_its_bars_and_the_source_of_the_whole(tmp_path: Path) -> None:
    candles = load(bars(10), tmp_path)
    part = candles.slice(3, 7)
    assert part.ts_ms.tolist() == candles.ts_ms[3:7].tolist()
    assert part.close.tolist() == candles.close[3:7].tolist()
    assert part.source is candles.source
    for start, stop in [(-1, 3), (5, 4), (0, 11)]:
        with pytest.raises(IndexError):
            candles.slice(start, stop)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 50))
@settings(max_examples=15, deadline=None)
def test_written_candles_load_to_the_same_bits(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, seed: int, count: int
) -> None:
    folder = tmp_path_factory.mktemp("round_trip")
    candles = candles_from_frame(bars(count, seed=seed), path="made", sha256="0" * 64)
    write_candles(folder / f"a{suffix}", candles)
    write_candles(folder / f"b{suffix}", candles)
    assert same_bars(load_candles(folder / f"a{suffix}"), candles)
    assert (folder / f"a{suffix}").read_bytes() == (folder / f"b{suffix}").read_bytes()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    candles = candles_from_frame(bars(3), path="made", sha256="0" * 64)
    path = tmp_path / "candles.txt"
    path.write_text("old")
    with pytest.raises(UserError, match=r"unknown kind of file '.txt'"):
        write_candles(path, candles)
    assert [entry.name for entry in tmp_path.iterdir()] == ["candles.txt"]
    assert path.read_text() == "old"


# --- synthetic data never pass for real --------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_synthetic_candles_written_where_real_ones_live_stay_synthetic(
    suffix: str, tmp_path: Path
) -> None:
    made = candles_from_frame(bars(5).assign(synthetic=1), path="synthetic", sha256="0" * 64)
    assert made.source.kind == "synthetic"
    path = tmp_path / f"btcusdt_1m_2024-12{suffix}"
    write_candles(path, made)
    loaded = load_candles(path)
    assert loaded.source.kind == "synthetic"
    assert loaded.source.to_dict()["data_source"] == "synthetic"
    assert same_bars(loaded, made)


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ([0, 0, 0], "file"),
        (["", "", ""], "file"),
        ([False, False, False], "file"),
        ([0, 0, 1], "synthetic"),
        ([True, True, True], "synthetic"),
        (["yes", "yes", "yes"], "synthetic"),
        (["1", "0", "0"], "synthetic"),
        ([0.5, 0.0, 0.0], "synthetic"),
    ],
)
def test_any_set_flag_makes_a_file_synthetic(flags: list[Any], kind: str, tmp_path: Path) -> None:
    frame = bars(3).assign(synthetic=flags)
    assert load(frame, tmp_path).source.kind == kind
    assert load(frame, tmp_path, "candles.parquet").source.kind == kind


# --- gaps ------------------------------------------------------------------------------------


@given(
    count=st.integers(3, 60), dropped=st.sets(st.integers(1, 58), max_size=20), step=st.just(MINUTE)
)
@settings(max_examples=60, deadline=None)
def test_gaps_are_recorded_and_never_filled(count: int, dropped: set[int], step: int) -> None:
    full = bars(count)
    dropped = {row for row in dropped if row < count - 1}
    frame = full.drop(index=sorted(dropped)).reset_index(drop=True)
    spacings = np.diff(frame["timestamp"])
    if np.bincount(spacings // step).argmax() != 1:
        return  # so many bars are gone that another spacing is the common one
    candles = candles_from_frame(frame, path="made", sha256="0" * 64)
    assert candles.ts_ms.tolist() == frame["timestamp"].tolist()
    assert sum(gap.missing_bars for gap in candles.source.gaps) == len(dropped)
    missing = [
        ts
        for gap in candles.source.gaps
        for ts in range(gap.after_ms + step, gap.before_ms, candles.bar_ms)
    ]
    assert missing == [START + step * row for row in sorted(dropped)]


def test_a_gap_is_in_the_manifest_and_can_be_refused(tmp_path: Path) -> None:
    candles = load(bars(10).drop(index=[4, 5]), tmp_path)
    assert candles.source.gaps == (Gap(START + 3 * MINUTE, START + 6 * MINUTE, 2),)
    record = candles.source.to_dict()
    assert record["missing_bars"] == 2
    assert record["gaps"] == [
        {"after": "2024-12-01T00:03:00Z", "before": "2024-12-01T00:06:00Z", "missing_bars": 2}
    ]
    with pytest.raises(UserError, match="2 bars are missing after 2024-12-01T00:03:00Z"):
        refuse_gaps(candles)
    refuse_gaps(load(bars(10), tmp_path))


# --- what is refused, with its row -------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("close", "n/a!", "close is 'n/a!', expected a number"),
        ("open", "1,5", "open is '1,5', expected a number"),
        ("volume", "", "volume is missing (NaN or empty), expected a number"),
        ("high", "NaN", "high is missing (NaN or empty), expected a number"),
        ("high", "inf", "high is infinite, expected a finite number"),
        ("low", "-inf", "low is infinite, expected a finite number"),
        ("low", "0", "low is 0, expected a positive price"),
        ("open", "-3.5", "open is -3.5, expected a positive price"),
        ("volume", "-1", "volume is -1, expected zero or more"),
        ("high", "50", "high 50 is below low 9"),
        ("close", "200", "close 200 lies outside the bar's range, low 9"),
        ("open", "50", "open 50 lies outside the bar's range, low 9"),
        ("timestamp", "", "timestamp is missing"),
        ("timestamp", "soon", "timestamp 'soon' is unreadable; expected ISO 8601 text such as"),
        ("timestamp", "01.12.2024", "timestamp '01.12.2024' is unreadable"),
        ("timestamp", "2024-12-01T00:02", "is of another kind than the first, '1733011200000'"),
        ("timestamp", str(START * 1000), "looks like us where the first looks like ms"),
        ("timestamp", str(START // 1000), "looks like s where the first looks like ms"),
        ("timestamp", "1733011320000.5", "timestamp 1733011320000.5 (ms) is not a whole milli"),
        ("timestamp", str(START + MINUTE), "duplicate timestamp 2024-12-01T00:01:00Z, the same as"),
        ("timestamp", str(START), "duplicate timestamp 2024-12-01T00:00:00Z, found earlier"),
        ("timestamp", str(START - 1), "comes after 2024-12-01T00:01:00Z"),
        ("timestamp", str(START + 90_000), "off the bar grid: 30 s after the row before, expected"),
    ],
)
def test_the_first_bad_row_is_named_with_line_and_value(
    column: str, value: str, expected: str, tmp_path: Path
) -> None:
    frame = bars(6).astype(object)
    frame.loc[2, column] = value
    path = tmp_path / "candles.csv"
    frame.to_csv(path, index=False)
    quoted = '"' in path.read_text()
    text = message(path)
    assert text.startswith("row 3: " if quoted else "row 3 (line 4): ")
    assert expected in text


def test_the_line_counts_blank_lines_and_the_row_does_not(tmp_path: Path) -> None:
    rows = [f"{START + MINUTE * row},10,11,9,10,1" for row in range(3)]
    rows[2] = rows[2].replace(",9,", ",12,")
    text = message_of_text("\n".join([HEADER, rows[0], "", "", rows[1], rows[2], ""]), tmp_path)
    assert text == "row 3 (line 6): high 11 is below low 12"


def test_a_parquet_row_is_named_without_a_line(tmp_path: Path) -> None:
    frame = bars(5)
    frame.loc[3, "close"] = np.nan
    frame.to_parquet(tmp_path / "candles.parquet")
    assert message(tmp_path / "candles.parquet").startswith("row 4: close is missing")


def test_a_date_written_as_one_number_is_not_read_as_seconds_of_1970(tmp_path: Path) -> None:
    frame = bars(3).assign(timestamp=[20241201, 20241202, 20241203])
    frame.to_csv(tmp_path / "candles.csv", index=False)
    assert "timestamp 20241201 is no time since 1973" in message(tmp_path / "candles.csv")


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_a_missing_column_names_the_nearest(column: str, tmp_path: Path) -> None:
    frame = bars(3).rename(columns={column: column + "s"})
    frame.to_csv(tmp_path / "candles.csv", index=False)
    text = message(tmp_path / "candles.csv")
    assert text == f"column '{column}' is missing; did you mean '{column}s'?"


def test_a_missing_time_column_lists_the_accepted_names(tmp_path: Path) -> None:
    text = message_of_text(HEADER.replace("timestamp", "when") + "\n1,1,1,1,1,1\n", tmp_path)
    assert text.startswith("column 'timestamp' is missing (or ts, open_time, datetime, time, date)")
    assert "found: when, open" in text


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    text = message_of_text(f"{HEADER},Close\n1,1,1,1,1,1,1\n", tmp_path)
    assert text.startswith("column 'close' is there twice, expected once")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the file is empty, expected candles"),
        ("\n\n", "not a valid CSV file: only blank lines"),
        (f"{HEADER}\n", "found 0 rows of candles, expected at least 2"),
        (f"{HEADER}\n{START},10,11,9,10,1\n", "found 1 rows of candles, expected at least 2"),
        (f"{HEADER}\n{START},10,11,9,10,1,7\n", "the rows hold more fields than the header's 6"),
        (
            f"{HEADER}\n{START},10,11,9,10,1\n{START + MINUTE},1,0,11,9,10,1\n",
            "not a valid CSV file: Expected 6 fields in line 3, saw 7",
        ),
        (f"{HEADER}\n{START},10,11,9,10,1\n{START + MINUTE},10,11\n", "row 2 (line 3): low is"),
        (f'{HEADER}\n{START},10,11,9,10,1\n"{START},10', "not a valid CSV file: EOF inside str"),
        (f"{HEADER}\n{START},10,\0\0\0\n", "line 2 holds zero bytes, expected text"),
        (f"{START},10.5,11,9,10,1\n", "the first line is a row of numbers, expected the names of"),
        (HEADER.replace(",", ";") + "\n1;1;1;1;1;1\n", "found: timestamp;open;high"),
    ],
)
def test_a_file_that_is_no_table_of_candles_is_refused(
    text: str, expected: str, tmp_path: Path
) -> None:
    found = message_of_text(text, tmp_path)
    assert expected in found


def test_text_in_another_encoding_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    path.write_bytes(f"{HEADER},note\n{START},1,1,1,1,1,caf".encode() + b"\xe9\n")
    assert message(path) == "line 2 is not UTF-8 text, expected a CSV file"


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_parquet_file_is_refused(keep: float, tmp_path: Path) -> None:
    path = tmp_path / "candles.parquet"
    bars(500).to_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    text = message(path)
    assert text.startswith("the file is empty" if keep == 0.0 else "not a valid Parquet file: ")


@given(damage=st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=8)), min_size=1))
@settings(max_examples=150, deadline=None)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_damaged_file_loads_as_valid_candles_or_is_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, damage: list[tuple[int, bytes]]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    write_candles(path, candles_from_frame(bars(12), path="made", sha256="0" * 64))
    content = bytearray(path.read_bytes())
    for place, new in damage:
        at = place % len(content)
        content[at : at + len(new)] = new or b"\n"
    path.write_bytes(content)
    try:
        candles = load_candles(path)
    except UserError as error:
        assert str(error).startswith(str(path))
        assert "\n" not in str(error)
        return
    assert (np.diff(candles.ts_ms) > 0).all()
    assert (candles.low > 0).all() and (candles.low <= candles.close).all()
    assert np.isfinite(candles.volume).all()


def test_a_flipped_bit_in_a_written_parquet_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "candles.parquet"
    write_candles(path, candles_from_frame(bars(500), path="made", sha256="0" * 64))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert message(path).startswith("not a valid Parquet file: ")


def test_a_parquet_column_of_lists_is_no_column_of_numbers(tmp_path: Path) -> None:
    frame = bars(2)
    columns = {name: frame[name] for name in frame.columns} | {"close": [[1.0], [2.0]]}
    pq.write_table(pa.table(columns), tmp_path / "candles.parquet")
    assert "row 1: close is " in message(tmp_path / "candles.parquet")


def test_decimal_numbers_in_a_parquet_file_are_numbers(tmp_path: Path) -> None:
    frame = bars(2).round(2)
    expected = frame["close"].tolist()
    frame["close"] = pd.Series([decimal.Decimal(str(value)) for value in expected])
    assert load(frame, tmp_path, "candles.parquet").close.tolist() == expected


def test_a_missing_file_names_the_two_ways_out(tmp_path: Path) -> None:
    text = message(tmp_path / "nowhere" / "candles.csv")
    assert "scripts/fetch_candles.py" in text
    assert "csv_path: synthetic" in text


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert message(tmp_path) == "found a directory, expected a CSV or Parquet file"


def test_an_unknown_suffix_lists_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "candles.json"
    path.write_text("{}")
    assert message(path) == "unknown kind of file '.json'; expected one of: .csv, .parquet"
