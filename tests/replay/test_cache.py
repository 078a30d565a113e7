"""A conversion is kept under the hash of its bytes; a damaged one is made again."""

from pathlib import Path

import numpy as np
from tests.made_up_captures import small_capture, text_of

from makerlab.replay.cache import Converted, load_or_convert
from makerlab.replay.tape import Tape


def load(folder: Path) -> Converted:
    capture = folder / "capture"
    return load_or_convert(
        capture, market=None, symbol=None, folder=lambda key: folder / "kept" / f"{key}.npz"
    )


def same(one: Tape, other: Tape) -> bool:
    arrays = all(
        np.array_equal(getattr(one, name), getattr(other, name))
        and getattr(one, name).dtype == getattr(other, name).dtype
        for name in ("events", "trade_price", "trade_sold", "mid_ns", "mid")
    )
    return arrays and (one.tick, one.lot, one.facts) == (other.tick, other.lot, other.facts)


def test_what_is_kept_is_what_was_converted(tmp_path: Path) -> None:
    (tmp_path / "capture").write_text(text_of(small_capture()))
    first = load(tmp_path)
    (kept,) = (tmp_path / "kept").iterdir()
    before = kept.stat().st_mtime_ns
    second = load(tmp_path)
    assert kept.stat().st_mtime_ns == before
    assert same(first.tape, second.tape)
    assert (first.checks, first.sha256) == (second.checks, second.sha256)


def test_a_damaged_file_is_made_again_and_other_bytes_get_their_own(tmp_path: Path) -> None:
    (tmp_path / "capture").write_text(text_of(small_capture()))
    first = load(tmp_path)
    (kept,) = (tmp_path / "kept").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:700])
    assert same(load(tmp_path).tape, first.tape)
    assert len(kept.read_bytes()) > 700
    (tmp_path / "capture").write_text(text_of(small_capture(behind_ms=9.0)))
    assert load(tmp_path).tape.facts["clock_correction_ms"] == 4.0
    assert len(list((tmp_path / "kept").iterdir())) == 2
