"""Bars as whoever sat at the recorder saw them: closed by the local clock, filled where quiet."""

from pathlib import Path

from tests.made_up_captures import START_MS, at, depth, text_of, trade

from makerlab.data.read_capture import read_capture
from makerlab.replay.bars import bars_of_tape
from makerlab.replay.tape import make_tape


def test_bars_hold_what_was_known_at_their_close(tmp_path: Path) -> None:
    trades = [(100, "10", 1), (1100, "11", 2), (1900, "9", 3), (2000, "12", 4), (4500, "13", 5)]
    lines = [(at(0), depth(0, 1, 1, 0, bids=[("8", "1")], asks=[("20", "1")]))]
    lines += [(at(ms), trade(ms, n, price, "0.5", sold=True)) for ms, price, n in trades]
    path = tmp_path / "capture"
    path.write_text(text_of(lines))
    tape = make_tape(read_capture(path))
    bars = bars_of_tape(tape, step_ns=10**9, delay_ns=0, path="x", sha256="y")
    assert (bars.ts_ms - START_MS).tolist() == [1000, 2000, 3000]
    # The trade at 2 s sharp is known at 2 s and belongs to the first bar; the others are quiet.
    assert bars.open.tolist() == [11.0, 12.0, 12.0]
    assert bars.high.tolist() == [12.0, 12.0, 12.0]
    assert bars.low.tolist() == [9.0, 12.0, 12.0]
    assert bars.close.tolist() == [12.0, 12.0, 12.0]
    assert bars.volume.tolist() == [1.5, 0.0, 0.0]
    late = bars_of_tape(tape, step_ns=10**9, delay_ns=50_000_000, path="x", sha256="y")
    assert late.close.tolist() == [9.0, 12.0, 12.0]
