"""What is kept for the next process: the same bits, or made again."""

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.made_up_candles import random_walk

from makerlab.config import Config
from makerlab.data.array_cache import Arrays, Facts, kept_arrays
from makerlab.data.candles import load_candles, write_candles
from makerlab.errors import UserError
from makerlab.market.markets import Markets, load_markets

ARRAYS: Arrays = {
    "whole": np.arange(7, dtype=np.int64),
    "table": np.array([[1.5, -np.inf, np.nan], [0.1, 2.0, 3.0]]),
    "small": np.array([[1, 2]], np.float32),
    "none": np.zeros((0, 3)),
}
FACTS: Facts = {"rows": 7, "gaps": [[1, 2, 3]]}


class Maker:
    """Makes the arrays and counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> tuple[Facts, Arrays]:
        self.calls += 1
        return FACTS, {name: array.copy() for name, array in ARRAYS.items()}


def assert_same(found: tuple[Facts, Arrays]) -> None:
    facts, arrays = found
    assert facts == FACTS and list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_arrays_are_made_once_and_come_back_to_the_bit(tmp_path: Path) -> None:
    make = Maker()
    for _ in range(3):
        assert_same(kept_arrays(tmp_path / "cache", "key", make))
    assert make.calls == 1
    kept_arrays(tmp_path / "cache", "another key", make)
    assert make.calls == 2


def test_without_a_folder_nothing_is_kept() -> None:
    make = Maker()
    for _ in range(2):
        assert_same(kept_arrays(None, "key", make))
    assert make.calls == 2


def test_writing_to_arrays_changes_neither_the_file_nor_what_others_see(tmp_path: Path) -> None:
    make = Maker()
    kept_arrays(tmp_path, "key", make)
    kept_arrays(tmp_path, "key", make)[1]["table"][:] = 9.0
    assert_same(kept_arrays(tmp_path, "key", make))
    assert make.calls == 1


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_an_entry_cut_short_is_made_again(tmp_path: Path, keep: float) -> None:
    make = Maker()
    kept_arrays(tmp_path, "key", make)
    (entry,) = tmp_path.iterdir()
    content = entry.read_bytes()
    entry.write_bytes(content[: int(keep * len(content))])
    assert_same(kept_arrays(tmp_path, "key", make))
    assert make.calls == 2 and entry.read_bytes() == content


def test_a_flipped_bit_anywhere_is_noticed_or_harmless(tmp_path: Path) -> None:
    """What comes back is right whichever byte of the file was damaged."""
    kept_arrays(tmp_path, "key", Maker())
    (entry,) = tmp_path.iterdir()
    content = entry.read_bytes()
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 0x04
        entry.unlink()
        entry.write_bytes(bytes(damaged))
        found = kept_arrays(tmp_path, "key", Maker())[1]
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(found[name], array)


def test_a_folder_that_can_not_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert_same(kept_arrays(tmp_path / "cache", "key", Maker()))


def _open(folder: Path) -> bool:
    assert_same(kept_arrays(folder, "key", Maker()))
    return True


def test_many_processes_may_ask_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert all(pool.map(_open, [tmp_path] * 12))
    assert [path.name for path in tmp_path.iterdir()] == ["key.arrays"]


# --- candles and their features ------------------------------------------------------------------


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "candles.csv"
    write_candles(path, random_walk(700, seed=3))
    return path


def markets(csv: Path, cache: Path | None, **env: Any) -> Markets:
    content = {"env": {"csv_path": str(csv), "base_spread_bps": 8, "episode_length": 20, **env}}
    config = Config.model_validate(content | {"data_split": {"embargo_bars": 5}})
    return load_markets(config, synthetic_folder=None, cache_folder=cache)


def test_markets_from_the_cache_are_those_from_the_file(csv: Path, tmp_path: Path) -> None:
    fresh = markets(csv, None)
    for _ in range(2):
        kept = markets(csv, tmp_path / "cache")
        assert kept.source == fresh.source and kept.split_record == fresh.split_record
        for segment in ("train", "valid", "test"):
            here, there = kept[segment], fresh[segment]
            for name in ("ts_ms", "bars", "features", "draws"):
                np.testing.assert_array_equal(getattr(here, name), getattr(there, name))
    assert list(csv.parent.iterdir()) == [csv]


def test_a_file_that_changed_is_another_entry(csv: Path, tmp_path: Path) -> None:
    before = load_candles(csv, cache_folder=tmp_path / "cache")
    write_candles(csv, random_walk(700, seed=4))
    after = load_candles(csv, cache_folder=tmp_path / "cache")
    assert not np.array_equal(before.close, after.close)
    np.testing.assert_array_equal(after.close, load_candles(csv).close)


def test_a_copy_of_the_file_shares_the_entry_and_keeps_its_own_name(
    csv: Path, tmp_path: Path
) -> None:
    load_candles(csv, cache_folder=tmp_path / "cache")
    copy = tmp_path / "copy.csv"
    copy.write_bytes(csv.read_bytes())
    assert load_candles(copy, cache_folder=tmp_path / "cache").source.path == str(copy)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_candles_from_the_cache_can_not_be_written_to(csv: Path, tmp_path: Path) -> None:
    for _ in range(2):
        candles = load_candles(csv, cache_folder=tmp_path / "cache")
        with pytest.raises(ValueError, match="read-only"):
            candles.close[0] = 1.0


def test_bad_candles_are_refused_and_leave_no_entry(csv: Path, tmp_path: Path) -> None:
    csv.write_text(csv.read_text().replace("close", "colse"))
    for _ in range(2):
        with pytest.raises(UserError, match="close"):
            load_candles(csv, cache_folder=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
