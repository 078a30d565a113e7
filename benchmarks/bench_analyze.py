"""How long the analysis of many runs takes, with and without plots.

    python benchmarks/bench_analyze.py --runs 10000

Makes finished runs in a temporary folder (3 segments x 7 policies x 25 metrics each), then times
reading, ranking and writing the tables, the same again, when all that was read is kept, and the
same with every plot. Files are in the system's cache, since they were just written.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from machine import processor_seconds

from makerlab.stages.analyze import analyze

REPOSITORY = Path(__file__).parents[1]
METRICS = 25
SEEDS = 5


def main() -> None:
    """Make runs, analyze them, print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="make the runs here and leave them there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs_dir = (options.keep or Path(folder)) / "runs"
        if not runs_dir.exists():
            make_runs(runs_dir, options.runs)
        plots = Path(folder) / "plots"
        for name, plots_dir in (("tables", None), ("again", None), ("tables and plots", plots)):
            clock, processor = timed_analysis(runs_dir, plots_dir)
            print(
                f"{options.runs:,} runs, {name}: {clock:.2f} s by the clock, {processor:.2f} s of "
                f"processor time (load of the machine {os.getloadavg()[0]:.1f})"
            )


def timed_analysis(runs_dir: Path, plots_dir: Path | None) -> tuple[float, float]:
    """Return the seconds of an analysis, by the clock and of the processor, workers included."""
    clock, processor = time.perf_counter(), processor_seconds()
    analyze(
        runs_dir,
        plots_dir=plots_dir,
        sort_by=None,
        top_k=10,
        plot_param=None,
        plot_metric=None,
        spreadsheet=False,
        report=lambda line: None,
    )
    return time.perf_counter() - clock, processor_seconds() - processor


def make_runs(runs_dir: Path, count: int) -> None:
    """Write runs of many configs, a few seeds each, with settings as a wide search leaves them."""
    sys.path.insert(0, str(REPOSITORY))
    from tests.made_up_runs import (
        METRIC_NAMES,
        MadeUpRun,
        made_up_manifest,
        made_up_metrics,
        made_up_profits,
    )

    extra = tuple(f"metric_{number}" for number in range(len(METRIC_NAMES), METRICS))
    generator = np.random.default_rng(0)
    for number, values in enumerate(itertools.islice(_settings(), -(-count // SEEDS))):
        for seed in range(min(SEEDS, count - number * SEEDS)):
            middle = float(generator.normal())
            run = MadeUpRun(
                config_name=f"config_{number:04d}",
                seed=seed,
                values=values,
                valid=(middle, middle - 1.0, middle + 1.0),
                test=(middle / 2, middle / 2 - 1.0, middle / 2 + 1.0),
                difference=(middle / 2 - 2.0, middle / 2 - 3.0, middle / 2 - 1.0),
                metric_names=METRIC_NAMES + extra,
            )
            directory = runs_dir / "SAC" / run.name
            (directory / "evaluation").mkdir(parents=True)
            _write(directory / "manifest.json", made_up_manifest(run), indent=2)
            _write(directory / "evaluation" / "metrics.json", made_up_metrics(run))
            _write(directory / "evaluation" / "profits.json", made_up_profits(run))


def _settings() -> Iterator[dict[str, Any]]:
    generator = np.random.default_rng(1)
    while True:
        yield {
            "env.fee_rate": float(generator.choice([-0.0001, 0.0, 0.0002])),
            "env.base_spread_bps": float(generator.choice([4.0, 8.0, 12.0])),
            "env.alpha": float(generator.choice([0.4, 0.5, 0.6])),
            "env.max_inventory": float(generator.choice([1.0, 2.0, 5.0])),
            "train.learning_rate": float(10 ** generator.uniform(-5, -2.5)),
            "train.gamma": float(generator.uniform(0.98, 0.999)),
            "train.tau": float(10 ** generator.uniform(-2, 0)),
            "train.batch_size": int(generator.choice([64, 128, 256])),
            "train.net_arch": [int(generator.choice([64, 128, 256]))] * 2,
        }


def _write(path: Path, content: Any, indent: int | None = None) -> None:
    separators = None if indent else (",", ":")
    path.write_text(json.dumps(content, indent=indent, separators=separators))


if __name__ == "__main__":
    main()
