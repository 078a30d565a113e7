"""How cost grows: with the members of a group, with steps, with the length of the data.

    python benchmarks/bench_linearity.py

Members: a turn of 1 to 64 trainings in one process, one step each. Steps: one training, section by
section, past the point where its replay store is full. Data: made-up candles of a minute, of one
month to five years: reading and checking the file, the features, a start from the cache that both
leave, and a step of training. Members and lengths of data take turns in short rounds of one
process with one thread; medians, of processor time. A worker on a year of minutes is a new process
each time: its start beyond imports, with a warm cache, and its memory with a full replay store.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from bench_learner import KINDS, Contestant, settings
from machine import machine

from makerlab.config import Config, SyntheticSettings
from makerlab.data.candles import load_candles
from makerlab.data.synthetic import generate_candles
from makerlab.envs.market_making import default_market
from makerlab.learning.training import Training
from makerlab.market.base import Market
from makerlab.market.features import market_features
from makerlab.market.layout import Prices
from makerlab.market.markets import load_markets

RESULTS = Path(__file__).parent / "results" / "linearity.json"
NETWORK = (64, 64)
MEMBERS = (1, 4, 16, 64)
SECTIONS = (3_000, 6_000, 12_000, 24_000)
FULL_AFTER = 8_000
"""Steps until the replay store of the long training is full."""
DAYS = {1: 30, 3: 91, 12: 365, 60: 1825}
"""Days of so many months."""

# A worker on candles: its start, part by part, then its memory with the replay store full.
WORKER = """
import json, sys, time
from pathlib import Path
import psutil, torch
from makerlab.config import Config, TrainSettings
from makerlab.learning.group import TrainingGroup
from makerlab.learning.training import Training
from makerlab.market.markets import load_markets
torch.set_num_threads(1)
clocks = [(time.perf_counter(), time.process_time())]
config = Config.model_validate({"env": {"csv_path": sys.argv[1], "base_spread_bps": 8}})
markets = load_markets(config, synthetic_folder=None, cache_folder=Path(sys.argv[2]))
clocks.append((time.perf_counter(), time.process_time()))
settings = TrainSettings(buffer_size=200_000, learning_starts=300)
training = Training(markets.train, settings, device="cpu")
while not training.losses:
    training.advance()
clocks.append((time.perf_counter(), time.process_time()))
training.learner.rows[:] = 1.0
names = ("imported", "markets", "first_update")
parts = {
    name: {"clock": here[0] - last[0], "processor": here[1] - last[1]}
    for name, last, here in zip(names[1:], clocks, clocks[1:])
}
print(json.dumps(parts | {"megabytes": psutil.Process().memory_info().rss / 1e6}))
"""


def main() -> None:
    """Measure, print, write results/linearity.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one round of a training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {"machine": machine(), "network": list(NETWORK)}
    print(json.dumps(report["machine"]))
    market = default_market(None, "train", {})
    report["milliseconds_per_member_and_turn"] = members(market, options)
    report["milliseconds_per_step_up_to"] = steps(market)
    with tempfile.TemporaryDirectory() as name:
        files = write_files(Path(name))
        report["months"] = data(files, options)
        report["worker"] = {
            months: worker(files[months], options.rounds if months == 12 else 1)
            for months in (12, 60)
        }
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def members(market: Market, options: argparse.Namespace) -> dict[int, float]:
    """Return milliseconds per member and turn, for growing groups."""
    kind = KINDS["float32"] | {"buffer_size": 10_000}
    groups = {count: Contestant(market, NETWORK, kind, members=count) for count in MEMBERS}
    found = in_turns(groups, options)
    for count, milliseconds in found.items():
        print(f"{count:3} members: {milliseconds:.3f} ms per member and turn")
    return found


def steps(market: Market) -> dict[int, float]:
    """Return milliseconds per step of one training, by the step at which each section ends."""
    wanted = settings(NETWORK, KINDS["float32"] | {"buffer_size": FULL_AFTER}, 0)
    training = Training(market, wanted, device="cpu")
    while training.step < 1_000:
        training.advance()
    found = {}
    for last in SECTIONS:
        first, begun = training.step, time.process_time()
        while training.step < last:
            training.advance()
        found[last] = round(1000.0 * (time.process_time() - begun) / (last - first), 3)
        print(f"steps {first:,} to {last:,}: {found[last]:.3f} ms each")
    return found


def write_files(folder: Path) -> dict[int, Path]:
    """Write candles of each length; the longer ones begin with the shorter."""
    frame = generate_candles(SyntheticSettings(days=max(DAYS.values()))).to_frame()
    files = {}
    for months, days in DAYS.items():
        files[months] = folder / f"{months}.csv"
        frame.head(days * 24 * 60).to_csv(files[months], index=False)
    return files


def data(files: dict[int, Path], options: argparse.Namespace) -> dict[int, dict[str, float]]:
    """Return seconds of each part of a start, and milliseconds of a step, by months of data."""
    found: dict[int, dict[str, float]] = {}
    learners = {}
    for months, path in files.items():
        read, candles = timed(lambda path=path: load_candles(path))
        columns = Prices(candles.open, candles.high, candles.low, candles.close, candles.volume)
        # Once before it is timed: the first call reads compiled code, or compiles.
        market_features(Prices(*(column[:1_000] for column in columns)))
        features, _ = timed(lambda columns=columns: market_features(columns))
        config = Config.model_validate({"env": {"csv_path": str(path), "base_spread_bps": 8}})
        cache = path.parent / "cache"

        def start(config: Config = config, cache: Path = cache) -> Any:
            return load_markets(config, synthetic_folder=None, cache_folder=cache)

        start()
        starts, markets = zip(*(timed(start) for _ in range(options.rounds)), strict=True)
        learners[months] = Contestant(markets[-1].train, NETWORK, KINDS["float32"])
        found[months] = {
            "candles": len(candles.close),
            "read_seconds": round(read, 3),
            "features_seconds": round(features, 3),
            "cached_start_seconds": round(statistics.median(starts), 3),
        }
    for months, milliseconds in in_turns(learners, options).items():
        found[months]["milliseconds_per_step"] = milliseconds
        print(f"{months:2} months: {json.dumps(found[months])}")
    return found


def worker(path: Path, count: int) -> dict[str, Any]:
    """Return what the start of a new process takes beyond its imports, and its memory."""
    command = [sys.executable, "-c", WORKER, str(path), str(path.parent / "cache")]
    runs = [json.loads(subprocess.check_output(command, text=True)) for _ in range(count)]
    found: dict[str, Any] = {"megabytes": round(max(run["megabytes"] for run in runs))}
    for part in ("markets", "first_update"):
        found[part] = {
            measured: round(statistics.median(run[part][measured] for run in runs), 3)
            for measured in ("clock", "processor")
        }
    print(f"a worker on {path.stem} months: {json.dumps(found)}")
    return found


def in_turns(contestants: dict[int, Contestant], options: argparse.Namespace) -> dict[int, float]:
    """Return each one's milliseconds of processor time per step."""
    speeds: dict[int, list[float]] = {name: [] for name in contestants}
    for _ in range(options.rounds):
        for name, contestant in contestants.items():
            speeds[name].append(contestant.round(options.seconds)[1])
    return {name: round(1000.0 / statistics.median(found), 3) for name, found in speeds.items()}


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of processor time of a call, and what it returns."""
    begun = time.process_time()
    result = call()
    return time.process_time() - begun, result


if __name__ == "__main__":
    main()
