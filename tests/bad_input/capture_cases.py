"""Captures of an exchange, what is calibrated on them, and replays."""

from tests.bad_input.case import Case, writes
from tests.bad_input.lab import RUN
from tests.made_up_captures import at, small_capture, text_of, trade, walking_capture

TAPE = text_of(small_capture())
TWO = text_of([*small_capture(), (at(95), trade(90, 1, "5.0", sold=True, symbol="OTHERUSDT"))])
LONG = text_of(walking_capture(160, seed=3))
TRADES = text_of([(at(5), trade(0, 1, "100", sold=True))])
TO = "--output c.yaml"
KEPT = (r"runs/replay_cache(/.*)?",)


def _tape(did: str, says: str, text: str = TAPE, flags: str = "") -> Case:
    arguments = f"--tape tape {flags} {TO}"
    return Case(did, "calibrate", arguments, says, writes("tape", text))


CALIBRATIONS = [
    Case("calibrates on nothing", "calibrate", TO, "exactly one of --tape and --candles"),
    Case(
        "calibrates on two things",
        "calibrate",
        f"--tape a --candles b {TO}",
        "exactly one of --tape and --candles",
    ),
    Case("names a capture that is not there", "calibrate", f"--tape a.gz {TO}", "no such capture"),
    Case("gives a folder as capture", "calibrate", f"--tape runs {TO}", "found a directory"),
    _tape("gives an empty capture", "the file is empty", ""),
    _tape("gives candles as capture", "line 1: found", "timestamp,open\n1,2\n"),
    _tape("gives a capture of times with few digits", "line 1: found time", f"12345 {{}}\n{TAPE}"),
    _tape("gives a capture of two symbols", "choose one with --symbol", TWO),
    _tape("asks for another symbol", "did you mean 'TESTUSDT'?", flags="--symbol TESTUSD"),
    _tape("asks for another market", "--market says spot", flags="--market spot"),
    _tape("gives a capture that is too short", "take a shorter --window_seconds"),
    _tape("gives a window of no length", "expected a number above 0", flags="--window_seconds 0"),
    Case(
        "swaps the distances",
        "calibrate",
        f"--candles candles.csv --nearest_bps 3 --farthest_bps 2 {TO}",
        "expected one beyond",
    ),
    Case(
        "gives windows to candles",
        "calibrate",
        f"--candles candles.csv --window_seconds 1 {TO}",
        "candles have their bars",
    ),
    Case(
        "looks where no bar reaches",
        "calibrate",
        f"--candles candles.csv --nearest_bps 900 --farthest_bps 1000 {TO}",
        "bid side: 0 of",
    ),
    Case(
        "writes settings into a table",
        "calibrate",
        "--candles candles.csv --output c.csv",
        "expected a .yaml file",
    ),
]


def _replay(did: str, says: str, flags: str, text: str = LONG) -> Case:
    arguments = f"--model_path {RUN} --tape tape {flags}"
    return Case(did, "replay", arguments, says, writes("tape", text), adds=KEPT)


REPLAYS = [
    Case(
        "replays a capture that is not there",
        "replay",
        f"--model_path {RUN} --tape a.gz",
        "no such capture",
    ),
    Case(
        "replays a run that is not there",
        "replay",
        "--model_path runs/SAC/none --tape a.gz",
        "no such run directory",
    ),
    _replay("misspells a queue model", "did you mean 'power_prob'?", "--queue powerprob"),
    _replay("misspells a policy", "did you mean 'fixed_symmetric'?", "--policy fixed_symetric"),
    _replay("gives a latency below zero", "expected 0 to 60000 ms", "--latency_ms=-1"),
    _replay("steps longer than the run's bars", "at most the run's own", "--step_seconds 90"),
    _replay("steps too long for the capture", "take a shorter --step_seconds", "--step_seconds 5"),
    _replay("replays a capture of trades alone", "holds no depth updates", "", TRADES),
    _replay(
        "replays orders below a lot",
        "set a larger one",
        "--lot_size 1",
    ),
]
