"""Segments never share a bar, keep their last day, are UTC, and leave the embargo between them."""

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from makerlab.config import DataSplitSettings
from makerlab.data import Candles, candles_from_frame, contiguous_starts, split_candles
from makerlab.errors import UserError

MINUTE = 60_000
DAY = 1440 * MINUTE
START = 1_733_011_200_000  # 2024-12-01T00:00:00Z


def candles_at(ts_ms: "np.ndarray[Any, Any]") -> Candles:
    price = np.full(len(ts_ms), 100.0)
    names = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame({"timestamp": ts_ms} | dict.fromkeys(names, price))
    return candles_from_frame(frame, path="candles.csv", sha256="0" * 64)


def minutes(count: int, *, start_ms: int = START) -> Candles:
    return candles_at(start_ms + MINUTE * np.arange(count))


def by_date(*days: int, **others: Any) -> DataSplitSettings:
    keys = ("train_start", "train_end", "valid_start", "valid_end", "test_start", "test_end")
    dates = {key: datetime.date(2024, 12, day) for key, day in zip(keys, days, strict=True)}
    return DataSplitSettings(**dates, **others)


def day_of(candles: Candles, bar: int) -> tuple[int, str]:
    time = datetime.datetime.fromtimestamp(candles.ts_ms[bar] / 1000, tz=datetime.UTC)
    return time.day, time.strftime("%H:%M")


# --- by date ---------------------------------------------------------------------------------


def test_each_segment_keeps_its_last_day_to_the_last_minute() -> None:
    candles = minutes(10 * 1440)
    split = split_candles(candles, by_date(1, 5, 6, 7, 8, 10, embargo_bars=0))
    assert [day_of(candles, segment.start) for segment in split.segments] == [
        (1, "00:00"),
        (6, "00:00"),
        (8, "00:00"),
    ]
    assert [day_of(candles, segment.stop - 1) for segment in split.segments] == [
        (5, "23:59"),
        (7, "23:59"),
        (10, "23:59"),
    ]
    assert split.fallback is None


def test_a_one_day_segment_holds_that_day() -> None:
    split = split_candles(minutes(3 * 1440), by_date(1, 1, 2, 2, 3, 3, embargo_bars=0))
    assert [len(segment) for segment in split.segments] == [1440, 1440, 1440]


def test_dates_are_utc_whatever_the_local_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        split = split_candles(minutes(3 * 1440), by_date(1, 1, 2, 2, 3, 3, embargo_bars=0))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (split.valid.start, split.test.start) == (1440, 2880)


def test_the_embargo_is_taken_from_the_start_of_the_later_segment() -> None:
    split = split_candles(minutes(3 * 1440), by_date(1, 1, 2, 2, 3, 3, embargo_bars=60))
    assert (split.train.stop, split.valid.start) == (1440, 1500)
    assert (split.valid.stop, split.test.start) == (2880, 2940)


def test_dates_that_leave_room_lose_only_what_the_embargo_lacks() -> None:
    candles = minutes(6 * 1440)
    split = split_candles(candles, by_date(1, 1, 3, 3, 5, 5, embargo_bars=60))
    assert (split.valid.start, split.test.start) == (2 * 1440, 4 * 1440)
    split = split_candles(candles, by_date(1, 1, 3, 3, 5, 5, embargo_bars=1500))
    assert (split.valid.start, split.test.start) == (2 * 1440 + 60, 4 * 1440 + 60)


def test_a_first_and_a_last_day_that_the_data_hold_in_part_are_used_as_far_as_they_go() -> None:
    candles = minutes(2 * 1440, start_ms=START + DAY // 2)  # from 12:00 on the 1st to the 3rd
    split = split_candles(candles, by_date(1, 1, 2, 2, 3, 3, embargo_bars=0))
    assert [len(segment) for segment in split.segments] == [720, 1440, 720]


@pytest.mark.parametrize(
    ("days", "key"),
    [
        ((1, 2, 3, 4, 5, 6), "train_start 2024-12-01"),
        ((2, 3, 4, 5, 6, 7), "test_end 2024-12-07"),
        ((3, 4, 5, 6, 20, 21), "test_start 2024-12-20"),
    ],
)
def test_a_date_without_data_is_refused_with_key_date_and_span(
    days: tuple[int, ...], key: str
) -> None:
    candles = minutes(5 * 1440, start_ms=START + DAY)  # the 2nd to the 6th
    with pytest.raises(UserError) as caught:
        split_candles(candles, by_date(*days))
    assert str(caught.value) == (
        f"candles.csv: data_split.{key} lies outside the data, "
        "2024-12-02T00:00:00Z to 2024-12-07T00:00:00Z"
    )


def test_dates_outside_fall_back_to_fractions_and_say_so_where_that_is_asked_for() -> None:
    candles = minutes(1000)
    split = split_candles(
        candles, by_date(20, 21, 22, 23, 24, 25, outside="fractions", embargo_bars=0)
    )
    assert [(part.start, part.stop) for part in split.segments] == [
        (0, 700),
        (700, 850),
        (850, 1000),
    ]
    assert split.fallback is not None
    assert "train_start 2024-12-20 lies outside the data" in split.fallback
    assert split.fallback.endswith("split by fractions 70 / 15 / 15 instead")
    assert split.to_dict(candles)["fallback"] == split.fallback


def test_dates_inside_are_used_even_where_a_fallback_is_allowed() -> None:
    settings = by_date(1, 1, 2, 2, 3, 3, outside="fractions", embargo_bars=0)
    split = split_candles(minutes(3 * 1440), settings)
    assert (split.train.stop, split.fallback) == (1440, None)


# --- by fraction -----------------------------------------------------------------------------


def test_the_default_is_70_15_15_with_an_hour_of_embargo() -> None:
    split = split_candles(minutes(10_000), DataSplitSettings())
    assert [(part.name, part.start, part.stop) for part in split.segments] == [
        ("train", 0, 7000),
        ("valid", 7060, 8500),
        ("test", 8560, 10_000),
    ]


def test_fractions_that_leave_a_rest_leave_it_at_the_end() -> None:
    settings = DataSplitSettings(train=0.5, valid=0.1, test=0.1, embargo_bars=0)
    assert split_candles(minutes(1000), settings).test.stop == 700


# --- what holds for every split ----------------------------------------------------------------


@st.composite
def splits(draw: st.DrawFn) -> tuple[Candles, DataSplitSettings]:
    bars = draw(st.integers(3 * 96, 30 * 96))
    holes = draw(st.sets(st.integers(1, bars - 2), max_size=bars // 4))
    kept = np.setdiff1d(np.arange(bars), sorted(holes))
    candles = candles_at(START + draw(st.integers(0, 95)) * 15 * MINUTE + 15 * MINUTE * kept)
    assume(candles.bar_ms == 15 * MINUTE)
    embargo = draw(st.integers(0, 200))
    if draw(st.booleans()):
        shares = draw(st.tuples(*[st.floats(0.05, 0.9)] * 3).filter(lambda x: sum(x) <= 1))
        names = dict(zip(("train", "valid", "test"), shares, strict=True))
        return candles, DataSplitSettings(**names, embargo_bars=embargo)
    starts = sorted(draw(st.sets(st.integers(1, 30), min_size=6, max_size=6)))
    return candles, by_date(*starts, embargo_bars=embargo, outside="fractions")


@given(case=splits())
@settings(max_examples=150, deadline=None)
def test_no_bar_is_in_two_segments_and_the_embargo_holds(
    case: tuple[Candles, DataSplitSettings],
) -> None:
    candles, chosen = case
    try:
        split = split_candles(candles, chosen)
    except UserError as error:
        assert "segment after the embargo" in str(error)
        return
    train, valid, test = split.segments
    assert 0 <= train.start < train.stop
    assert test.stop <= len(candles)
    assert valid.start - train.stop >= chosen.embargo_bars
    assert test.start - valid.stop >= chosen.embargo_bars
    if chosen.by_date and split.fallback is None:
        for segment, first, last in zip(
            split.segments, chosen.dates[0::2], chosen.dates[1::2], strict=True
        ):
            times = pd.to_datetime(candles.ts_ms[segment.start : segment.stop], unit="ms")
            assert first is not None and last is not None
            assert first <= times[0].date() and times[-1].date() <= last


@pytest.mark.parametrize(
    ("bars", "settings", "named"),
    [
        (100, DataSplitSettings(), "70 bars for the train segment"),
        (1440, DataSplitSettings(embargo_bars=700), "0 bars for the valid segment"),
        (5 * 1440, by_date(1, 2, 3, 3, 4, 5, embargo_bars=1440), "0 bars for the valid segment"),
        (2000, DataSplitSettings(embargo_bars=250), "50 bars for the valid segment"),
    ],
)
def test_an_empty_or_too_short_segment_is_refused(
    bars: int, settings: DataSplitSettings, named: str
) -> None:
    with pytest.raises(UserError, match=named):
        split_candles(minutes(bars), settings, minimum_bars=100)


def test_the_manifest_record_gives_half_open_utc_ranges_and_counts() -> None:
    candles = minutes(3 * 1440)
    split = split_candles(candles, by_date(1, 1, 2, 2, 3, 3, embargo_bars=30))
    assert split.to_dict(candles) == {
        "train": {"start": "2024-12-01T00:00:00Z", "end": "2024-12-02T00:00:00Z", "bars": 1440},
        "valid": {"start": "2024-12-02T00:30:00Z", "end": "2024-12-03T00:00:00Z", "bars": 1410},
        "test": {"start": "2024-12-03T00:30:00Z", "end": "2024-12-04T00:00:00Z", "bars": 1410},
        "fallback": None,
        "walk_forward": None,
    }


# --- starts that span no gap -------------------------------------------------------------------


def test_starts_stop_short_of_a_gap_and_begin_again_behind_it() -> None:
    ts_ms = START + MINUTE * np.array([0, 1, 2, 3, 6, 7, 8])
    assert contiguous_starts(ts_ms, MINUTE, length=1).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert contiguous_starts(ts_ms, MINUTE, length=3).tolist() == [0, 1, 4]
    assert contiguous_starts(ts_ms, MINUTE, length=4).tolist() == [0]
    assert contiguous_starts(ts_ms, MINUTE, length=5).tolist() == []
    assert contiguous_starts(ts_ms, MINUTE, length=8).tolist() == []
    with pytest.raises(ValueError, match="length is 0"):
        contiguous_starts(ts_ms, MINUTE, length=0)


@given(
    kept=st.sets(st.integers(0, 60), min_size=1),
    length=st.integers(1, 12),
    bar=st.sampled_from([1, 5]),
)
@settings(max_examples=150, deadline=None)
def test_starts_are_exactly_those_that_a_plain_loop_finds(
    kept: set[int], length: int, bar: int
) -> None:
    ts_ms = START + bar * MINUTE * np.array(sorted(kept), dtype=np.int64)
    expected = [
        start
        for start in range(len(ts_ms) - length + 1)
        if ts_ms[start + length - 1] - ts_ms[start] == (length - 1) * bar * MINUTE
    ]
    starts = contiguous_starts(ts_ms, bar * MINUTE, length=length)
    assert starts.dtype == np.int64
    assert starts.tolist() == expected
