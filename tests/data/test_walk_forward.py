"""Folds honour order and purge, tile the end of the data, and know nothing of what comes later."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.test_split import MINUTE, candles_at, minutes

from makerlab.config import DataSplitSettings, EnvSettings, WalkForwardSettings
from makerlab.data import Candles, split_candles
from makerlab.data.split import Split
from makerlab.errors import UserError
from makerlab.market.episodes import CandleMarket
from makerlab.market.features import WARM_UP_BARS

ENV = EnvSettings(base_spread_bps=8.0, episode_length=30)


def folds_of(candles: Candles, **plan: Any) -> list[Split]:
    walk = WalkForwardSettings(**plan)
    return [
        split_candles(candles, DataSplitSettings(walk_forward=walk, fold=fold))
        for fold in range(walk.folds)
    ]


def ends(split: Split) -> list[tuple[int, int]]:
    return [(segment.start, segment.stop) for segment in split.segments]


# --- what a plan promises ----------------------------------------------------------------------


def test_rolling_folds_move_by_the_length_of_a_test() -> None:
    plan = {"folds": 3, "train": 0.4, "valid": 0.1, "test": 0.1, "purge_bars": 7, "embargo_bars": 3}
    first, second, third = (ends(split) for split in folds_of(minutes(1000), **plan))
    # 20 % of the data are asked for by nobody; they lie before the first fold.
    assert first == [(200, 590), (600, 690), (700, 800)]
    assert second == [(300, 690), (700, 790), (800, 900)]
    assert third == [(400, 790), (800, 890), (900, 1000)]


def test_expanding_folds_keep_the_first_bar_of_training() -> None:
    plan = {"folds": 3, "mode": "expanding", "train": 0.4, "valid": 0.1, "test": 0.1}
    splits = folds_of(minutes(1000), **plan, purge_bars=7, embargo_bars=3)
    assert [ends(split)[0] for split in splits] == [(200, 590), (200, 690), (200, 790)]
    rolling = folds_of(minutes(1000), **(plan | {"mode": "rolling"}), purge_bars=7, embargo_bars=3)
    assert [ends(split)[1:] for split in splits] == [ends(split)[1:] for split in rolling]


def test_days_are_days_even_where_the_data_have_gaps() -> None:
    kept = np.ones(10 * 1440, np.bool_)
    kept[8 * 1440 + 100 : 8 * 1440 + 400] = False  # within the first of two tests
    candles = candles_at(minutes(10 * 1440).ts_ms[kept])
    plan = {"folds": 2, "train_days": 4, "valid_days": 1, "test_days": 1}
    first, second = folds_of(candles, **plan, purge_bars=0, embargo_bars=0)
    assert [len(segment) for segment in first.segments] == [4 * 1440, 1440, 1140]
    assert [len(segment) for segment in second.segments] == [4 * 1440, 1140, 1440]
    for split, day in ((first, 9), (second, 10)):
        stamp = candles.ts_ms[split.test.start].astype("datetime64[ms]")
        assert str(stamp) == f"2024-12-{day:02}T00:00:00.000"


PLANS = st.builds(
    dict,
    folds=st.integers(1, 6),
    mode=st.sampled_from(["rolling", "expanding"]),
    train=st.floats(0.2, 0.4),
    valid=st.floats(0.1, 0.2),
    test=st.floats(0.02, 0.06),
    purge_bars=st.integers(0, 80),
    embargo_bars=st.integers(0, 80),
)


@settings(max_examples=60, deadline=None)
@given(bars=st.integers(3_000, 6_000), plan=PLANS)
def test_every_plan_keeps_order_purge_and_contiguous_tests(bars: int, plan: dict[str, Any]) -> None:
    splits = folds_of(minutes(bars), **plan)
    gap = plan["purge_bars"] + plan["embargo_bars"]
    for split in splits:
        train, valid, test = split.segments
        assert 0 <= train.start < train.stop
        assert valid.start - train.stop == gap
        assert test.start - valid.stop == gap
        assert abs(len(test) - plan["test"] * bars) <= 1.0
        assert abs(len(valid) + gap - plan["valid"] * bars) <= 1.0
    for before, after in itertools.pairwise(splits):
        assert before.test.stop == after.test.start
        grown = after.train.start - before.train.start
        assert grown == 0 if plan["mode"] == "expanding" else abs(grown - len(before.test)) <= 1
    assert splits[-1].test.stop == bars


@settings(max_examples=8, deadline=None)
@given(purge=st.integers(0, 40), embargo=st.integers(0, 40), seed=st.integers(0, 99))
def test_no_episode_of_training_reaches_a_bar_that_a_later_segment_looks_at(
    purge: int, embargo: int, seed: int
) -> None:
    """Features look back WARM_UP_BARS, an episode ends episode_length bars after its start."""
    kept = np.random.default_rng(seed).random(4000) > 0.001  # gaps, as real data have them
    candles = candles_at(minutes(4000).ts_ms[kept])
    plan = {"folds": 2, "train": 0.3, "valid": 0.2, "test": 0.2}
    for split in folds_of(candles, **plan, purge_bars=purge, embargo_bars=embargo):
        markets = [CandleMarket(candles, segment, ENV) for segment in split.segments]
        for earlier, later in itertools.pairwise(markets):
            reached = earlier.segment.start + earlier.starts().max() + ENV.episode_length
            looked_at = later.segment.start + later.starts().min() - WARM_UP_BARS
            assert looked_at - reached > purge + embargo


def test_bars_after_a_segment_change_nothing_in_it() -> None:
    generator = np.random.default_rng(0)
    candles = minutes(2000)
    for split in folds_of(candles, folds=3, train=0.3, valid=0.2, test=0.1):
        for segment in split.segments:
            late = np.arange(2000) >= segment.stop
            noise = np.where(late, 1.0 + generator.random(2000), 1.0)
            other = candles_at(candles.ts_ms)
            for name in ("open", "high", "low", "close", "volume"):
                object.__setattr__(other, name, getattr(candles, name) * noise)
            same, changed = (CandleMarket(each, segment, ENV) for each in (candles, other))
            assert np.array_equal(same.features, changed.features, equal_nan=True)
            assert all(map(np.array_equal, same.prices, changed.prices))


# --- what is refused -----------------------------------------------------------------------------


def test_data_too_short_for_the_days_name_their_bars_and_the_need() -> None:
    plan = {"folds": 3, "train_days": 5, "valid_days": 1, "test_days": 2}
    with pytest.raises(UserError) as caught:
        folds_of(minutes(10 * 1440), **plan)
    assert str(caught.value) == (
        "candles.csv: data_split.walk_forward needs 17280 bars (train_days 5, valid_days 1 and "
        "3 x test_days 2), the data hold 14400 bars, 2024-12-01T00:00:00Z to 2024-12-11T00:00:00Z"
    )


def test_a_segment_that_the_purge_eats_up_is_refused() -> None:
    with pytest.raises(UserError, match=r"leaves 0 bars for the valid segment of fold 0 after"):
        folds_of(minutes(1000), folds=2, train=0.5, valid=0.1, test=0.1)


def test_exactly_enough_days_are_enough() -> None:
    plan = {"folds": 3, "train_days": 3, "valid_days": 1, "test_days": 2}
    splits = folds_of(minutes(10 * 1440), **plan)
    assert (splits[0].train.start, splits[-1].test.stop) == (0, 14400)


def test_a_plan_without_a_chosen_fold_cannot_be_cut() -> None:
    plan = WalkForwardSettings(folds=3, train=0.4, valid=0.1, test=0.1)
    with pytest.raises(UserError, match=r"3 folds and none is chosen; .* from 0 to 2"):
        split_candles(minutes(1000), DataSplitSettings(walk_forward=plan))


def test_the_manifest_says_which_fold_of_which_plan_it_is() -> None:
    candles = candles_at(1_733_011_200_000 + MINUTE * np.arange(1000))
    plan = {"folds": 2, "train": 0.4, "valid": 0.2, "test": 0.2, "purge_bars": 5}
    record = folds_of(candles, **plan, embargo_bars=6)[1].to_dict(candles)
    assert record["test"]["bars"] == 200
    walk = record["walk_forward"]
    assert (walk["fold"], walk["folds"], walk["mode"]) == (1, 2, "rolling")
    assert (walk["purge_bars"], walk["embargo_bars"], walk["test"]) == (5, 6, 0.2)
