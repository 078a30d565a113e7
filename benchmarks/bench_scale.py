"""What the driver of a matrix costs beside its stages, as the number of runs grows.

    python benchmarks/bench_scale.py                        # 1,000 runs, a minute
    python benchmarks/bench_scale.py --runs 1000 3000 10000 # writes results/scale.json

A matrix of trivial stages: each job does at once what a real one does in hours, with files of the
real size, so that what is left is the driver's own work. Times are of the processor, so that other
work on the machine does not count; calls of the file system are counted by the interpreter's own
audit of them. `status` is the same command as `make status`, in a process of its own. Of several
sizes the results are kept, with the slope between the last two and what it says of more runs.
"""

import argparse
import contextlib
import dataclasses
import datetime
import gc
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import bench_analyze
import psutil
from machine import machine

from makerlab.files import write_json
from makerlab.launchers.base import Job, Outcome
from makerlab.launchers.settings import load_launcher
from makerlab.matrix.display import PlainDisplay
from makerlab.matrix.grouping import GroupLauncher
from makerlab.matrix.jobs import StageWorkshop
from makerlab.matrix.ledger import Ledger
from makerlab.matrix.options import MatrixOptions
from makerlab.matrix.plan import Node, Work, build_graph, load_experiments, weight_of
from makerlab.matrix.progress import take_snapshot
from makerlab.matrix.record import COMPLETE, MatrixRecord
from makerlab.matrix.scheduler import DONE, Result, Scheduler
from makerlab.matrix.watch import Watcher
from makerlab.runs import keys
from makerlab.runs.directory import (
    RegistryDirectory,
    RunDirectory,
    create_run_directory,
    groups_directory,
)
from makerlab.runs.registry import Registry, Tried

REPOSITORY = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "scale.json"
SEEDS = 100
MORE = (100_000, 1_000_000)
DATA = "ab" * 32
CONFIG = "env: {{csv_path: synthetic, base_spread_bps: {spread}}}\nrun: {{short_name: v{number}}}\n"
GROWS = (
    "planning_s",
    "nothing_to_do_s",
    "status_s",
    "analysis_s",
    "analysis_again_s",
    "refresh_ms",
    "snapshot_ms",
    "registry_ms",
    "memory_mb",
)
_CALLS: Counter[str] = Counter()


def main() -> None:
    """Run matrices of several sizes and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[1_000])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="runs of each config")
    parser.add_argument("--jobs", type=int, default=100, help="jobs under way at once")
    options = parser.parse_args()
    sys.addaudithook(lambda event, _: _count(event))
    report: dict[str, Any] = {"machine": machine(), "seeds": options.seeds, "jobs": options.jobs}
    rows = {}
    for runs in options.runs:
        alone = len(options.runs) == 1
        rows[runs] = measure(runs, options.seeds, options.jobs) if alone else _apart(runs, options)
        print(json.dumps({"runs": runs} | rows[runs]), flush=True)
    if len(rows) > 1:
        few, many = sorted(rows)[-2:]
        slopes = {name: (rows[many][name] - rows[few][name]) / (many - few) for name in GROWS}
        report |= {
            "runs": rows,
            "per_1000_runs": {name: round(1000 * slope, 4) for name, slope in slopes.items()},
            "expected": {
                more: {
                    name: round(rows[many][name] + slope * (more - many), 1)
                    for name, slope in slopes.items()
                }
                for more in MORE
            },
        }
        if (options.seeds, options.jobs) == (SEEDS, 100):
            RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def _apart(runs: int, options: argparse.Namespace) -> dict[str, Any]:
    """Measure in a process of its own, whose memory holds nothing of other sizes."""
    command = [sys.executable, __file__, "--runs", str(runs)]
    command += ["--seeds", str(options.seeds), "--jobs", str(options.jobs)]
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    row: dict[str, Any] = json.loads(shown)
    del row["runs"]
    return row


def measure(runs: int, seeds: int, jobs: int) -> dict[str, Any]:
    """Return what a matrix of so many runs costs."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        options = lab(runs // seeds, seeds=seeds, jobs=jobs)
        row = drive(options) | again(options) | status(folder) | looks(options) | registry(runs)
    return row | analysis_of(runs)


def lab(configs: int, *, seeds: int, jobs: int) -> MatrixOptions:
    """Write configs and their list in the working directory."""
    Path("configs").mkdir()
    names = []
    for number in range(configs):
        path = Path("configs") / f"v{number}.yaml"
        path.write_text(CONFIG.format(number=number, spread=5 + number / 100))
        names.append(str(path))
    targets = Path("targets.txt")
    targets.write_text("\n".join(names) + "\n")
    return MatrixOptions(targets=targets, seeds=tuple(range(seeds)), profile="", jobs=jobs)


def drive(options: MatrixOptions) -> dict[str, Any]:
    """Bring a new matrix to its end."""
    gc.collect()
    before = memory()
    began = time.process_time()
    experiments = load_experiments(options)
    ledger = Ledger(options, experiments)
    graph = graph_of(options)
    planned = time.process_time() - began
    launcher = Trivial(ledger, graph)
    _CALLS.clear()
    began = time.process_time()
    schedule(graph, ledger, launcher, options)
    seconds = time.process_time() - began - launcher.seconds
    runs = len(options.seeds) * len(experiments)
    return {
        "planning_s": round(planned, 2),
        "driver_ms_per_run": round(1000 * seconds / runs, 3),
        "lists_per_run": round((_CALLS["os.listdir"] - launcher.calls["os.listdir"]) / runs, 3),
        "opens_per_run": round((_CALLS["open"] - launcher.calls["open"]) / runs, 2),
        "memory_mb": round(memory() - before, 1),
    }


def again(options: MatrixOptions) -> dict[str, Any]:
    """Start the same matrix once more, with all its work done."""
    began = time.process_time()
    ledger = Ledger(options, load_experiments(options))
    graph = graph_of(options)
    results = schedule(graph, ledger, Trivial(ledger, graph), options)
    assert all(result.state == "present" for result in results.values())
    return {"nothing_to_do_s": round(time.process_time() - began, 2)}


def status(folder: str) -> dict[str, Any]:
    """Ask how the matrix stands, as a user does."""
    command = [sys.executable, str(REPOSITORY / "scripts" / "show_status.py")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "pending" in output and " 1 pending" in output, output[:400]
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"status_s": round(seconds, 2)}


def looks(options: MatrixOptions) -> dict[str, Any]:
    """Time what is done now and then: looking for new runs, and at the whole matrix."""
    experiments = {each.name: each.config for each in load_experiments(options)}
    ledger = Ledger(options, load_experiments(options))
    graph = graph_of(options)
    results = {work: Result(DONE, 1.0) for work in list(graph)[: len(graph) // 2]}

    def weight(work: Work) -> float:
        return weight_of(work, experiments[work.config_name])

    def snapshot() -> None:
        take_snapshot(graph, results, [], weight=weight, jobs=options.jobs)

    return {"refresh_ms": _milliseconds(ledger.refresh), "snapshot_ms": _milliseconds(snapshot)}


def registry(runs: int) -> dict[str, Any]:
    """Time one more entry in a registry of as many."""
    entry = Tried(
        kind="run",
        key="ab" * 32,
        task="market_making",
        config_name="v0",
        variant="v" * 64,
        seed=0,
        study=None,
        profile="",
        started="2026-01-01T00:00:00+00:00",
    )
    path = RegistryDirectory(Path("runs")).file(DATA)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (
        json.dumps(dataclasses.asdict(dataclasses.replace(entry, key=f"{number:064x}")))
        for number in range(runs)
    )
    path.write_text("\n".join(lines) + "\n")
    numbers = iter(range(1000))

    def add() -> None:
        key = f"more {next(numbers)}"
        assert Registry(Path("runs")).add(DATA, dataclasses.replace(entry, key=key))

    return {"registry_ms": _milliseconds(add)}


def _milliseconds(what: Any, times: int = 10) -> float:
    """Return the processor time of a call, after a first one."""
    what()
    began = time.process_time()
    for _ in range(times):
        what()
    return round(1000 * (time.process_time() - began) / times, 3)


def analysis_of(runs: int) -> dict[str, Any]:
    """Time tables of as many runs, with metrics of the real size, twice; imports aside."""
    if runs > SEEDS:
        analysis_of(SEEDS)
    with tempfile.TemporaryDirectory() as folder:
        bench_analyze.make_runs(Path(folder) / "runs", runs)
        clock, seconds = bench_analyze.timed_analysis(Path(folder) / "runs", None)
        again_clock, again = bench_analyze.timed_analysis(Path(folder) / "runs", None)
    return {
        "analysis_s": round(seconds, 2),
        "analysis_clock_s": round(clock, 2),
        "analysis_again_s": round(again, 2),
        "analysis_again_clock_s": round(again_clock, 2),
    }


def graph_of(options: MatrixOptions) -> dict[Work, Node]:
    """Return all work but the analysis."""
    names = [Path(line).stem for line in options.targets.read_text().split()]
    return build_graph(names, options.seeds, options.stages)


def schedule(
    graph: dict[Work, Node], ledger: Ledger, launcher: "Trivial", options: MatrixOptions
) -> dict[Work, Any]:
    """Do what the matrix does between its beginning and its analysis."""
    record = MatrixRecord(options)
    display = PlainDisplay(io.StringIO())
    watcher = Watcher(graph, ledger, record, display, lambda _: None, options.jobs)
    workshop = StageWorkshop(ledger, REPOSITORY, load_launcher("local"))
    stop = argparse.Namespace(requested=False)
    places = GroupLauncher(launcher, workshop.group, groups_directory(options.runs_dir))
    results = Scheduler(graph, workshop, places, watcher, stop, options.jobs).run()
    assert all(result.good for result in results.values())
    record.close(COMPLETE)
    return results


class Trivial:
    """Does a job when it is submitted; its own time is told apart."""

    def __init__(self, ledger: Ledger, graph: dict[Work, Node]) -> None:
        self._ledger = ledger
        self._works = {str(work): work for work in graph}
        self._clock = iter(range(10**9))
        self.seconds, self.calls = 0.0, Counter[str]()

    def submit(self, job: Job) -> str:
        """Write what the stage would."""
        with self._apart():
            words = job.command
            flags = dict(zip(words[2::2], words[3::2], strict=False))
            if "--model_path" in flags:
                self._evaluate(RunDirectory(Path(flags["--model_path"])), self._works[job.name])
            elif "--seed" in flags:
                self._train(Work("train", Path(flags["--config"]).stem, int(flags["--seed"])))
            else:
                self._tune(Work("tune", Path(flags["--config"]).stem))
        return job.name

    def poll(self, handle: str) -> Outcome:
        """Every job has ended well."""
        return Outcome(0)

    def cancel(self, handle: str, *, kill: bool = False) -> None:
        """Nothing is ever under way."""

    def waits(self, handle: str) -> bool:
        """Nothing is queued."""
        return False

    def logs(self, handle: str) -> tuple[Path, ...]:
        """Nothing is told."""
        return ()

    def close(self) -> None:
        """Nothing stays behind."""

    @contextlib.contextmanager
    def _apart(self) -> Iterator[None]:
        began, before = time.process_time(), Counter(_CALLS)
        yield
        self.seconds += time.process_time() - began
        self.calls += _CALLS - before

    def _tune(self, work: Work) -> None:
        config = self._ledger.experiments[work.config_name].config
        write_json(
            self._ledger.tuning(work).best_params,
            {
                "tune_key": keys.tune_key(config),
                "environment_key": keys.environment_key(config),
                "params": {"learning_rate": 0.001},
                "study": "study",
                "storage": "sqlite:///runs/optuna.db",
                "trial": 0,
                "score": 1.0,
                "n_trials": config.tune.n_trials,
                "rescored": {"value": 0.5, "low": None, "high": None},
            },
        )

    def _train(self, work: Work) -> None:
        config, seed = self._ledger.config_of(work), work.seed or 0
        settings = config.to_dict()
        settings["train"]["seed"] = seed
        # A clock of its own: names of a second each, however fast runs are made.
        now = datetime.datetime(2026, 1, 1) + datetime.timedelta(seconds=next(self._clock))
        run = create_run_directory(
            Path("runs"),
            algo="SAC",
            short_name=config.run.short_name,
            seed=seed,
            now=lambda: now,
        )
        content = {
            "state": "complete",
            "train_key": self._ledger.train_key(work),
            "config_name": work.config_name,
            "owner": None,
            "error": None,
            "config": settings,
            # About as long as all that a real one tells beside.
            "versions": {f"package_{number}": "1.2.3" for number in range(60)},
        }
        _write(run.manifest, json.dumps(content, indent=2))
        status = {"done": 1, "total": 1, "unit": "steps", "per_second": 1.0, "updated": 0.0}
        _write(run.status, json.dumps(status | {"last_metric": 0.5}))

    def _evaluate(self, run: RunDirectory, work: Work) -> None:
        run.evaluation.path.mkdir()
        content: dict[str, Any] = {"evaluate_key": self._ledger.evaluate_key(work)}
        content |= {f"metric_{number}": [0.1, 0.2, 0.3] for number in range(500)}
        _write(run.evaluation.metrics, json.dumps(content, indent=2))


def _write(path: Path, text: str) -> None:
    """Write without waiting for the disk, which is no part of what is measured."""
    path.write_text(text)


def _count(event: str) -> None:
    if event in {"open", "os.listdir", "os.scandir"}:
        _CALLS[event] += 1


def memory() -> float:
    """Return this process's resident memory in MB."""
    return float(psutil.Process().memory_info().rss / 1e6)


if __name__ == "__main__":
    main()
