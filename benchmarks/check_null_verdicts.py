"""Whether verdicts keep their level where no policy can win.

    python benchmarks/check_null_verdicts.py --groups 2000
    python benchmarks/check_null_verdicts.py --matrices 20

`--groups` judges made-up profits whose edge over the baseline is exactly zero. `--matrices` runs
the real stages, tune, train, evaluate and analyze, on Gaussian walks: two configs, three seeds,
each matrix on data of its own. Exits with 1 when wrong verdicts are more than their level allows.
"""

import argparse
import csv
import datetime
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from makerlab.report.null_verdicts import Noise, most_by_chance, wrong_verdicts
from makerlab.report.verdict import LEVEL
from makerlab.runs.directory import RunDirectory, tuning_directory
from makerlab.stages.analyze import BY_CONFIG, analyze
from makerlab.stages.evaluate import evaluate
from makerlab.stages.resolve import resolve_config
from makerlab.stages.train import train
from makerlab.stages.tune import tune

BARS = 12_000
SEEDS = (0, 1, 2)
CONFIGS = {"narrow": 4.0, "wide": 12.0}
CONFIG = """\
env: {{csv_path: {data}, base_spread_bps: {spread}, episode_length: 120, fee_rate: 0.0}}
data_split: {{train: 0.4, valid: 0.2, test: 0.4}}
train: {{learner: sb3, total_timesteps: 600, net_arch: [16, 16], learning_starts: 100,
  batch_size: 32, buffer_size: 2000, eval_freq: 200, log_interval: 50}}
tune: {{n_trials: 2, train_timesteps: 300, eval_episodes: 10, reports: 2, startup_trials: 1,
  rescore_seeds: 1, search_space: {{net_arch: [[16], [16, 16]], batch_size: [32]}}}}
evaluate: {{episodes: 40, bootstrap_samples: 500, episode_csvs: 1}}
run: {{short_name: {name}}}
"""
NOISES = {
    "seeds differ": Noise(1.0, 0.0, 0.0),
    "days differ": Noise(0.0, 1.0, 0.0),
    "both and single results": Noise(1.0, 1.0, 1.0),
    "seeds differ a little": Noise(0.3, 1.0, 1.0),
}


def main() -> int:
    """Run what was asked for, print it, say whether the level was kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", type=int, default=0, help="made-up groups of 4 configs each")
    parser.add_argument("--matrices", type=int, default=0, help="real matrices on null walks")
    parser.add_argument("--output", type=Path, help="write the matrices' verdicts here as JSON")
    options = parser.parse_args()
    kept = [made_up(options.groups)] if options.groups else []
    if options.matrices:
        kept.append(real(options.matrices, options.output))
    return 0 if all(kept) else 1


def made_up(groups: int) -> bool:
    """Judge made-up groups; returns whether every kind of noise kept the level."""
    allowed = most_by_chance(groups)
    print(f"level {LEVEL:.0%} per group, both directions; {groups} groups, at most {allowed} wrong")
    kept = True
    for seeds, days in ((2, 8), (3, 12), (5, 40)):
        for name, noise in NOISES.items():
            found = wrong_verdicts(groups, configs=4, seeds=seeds, days=days, noise=noise, seed=1)
            wrong = found.better + found.worse
            kept &= wrong <= allowed
            print(
                f"{seeds} seeds, {days} days, {name}: better {found.better / groups:.2%}, "
                f"worse {found.worse / groups:.2%}"
            )
    return kept


def real(matrices: int, output: Path | None) -> bool:
    """Run matrices on null walks; returns whether `better` kept the level."""
    began, better = time.perf_counter(), 0
    counts: Counter[str] = Counter()
    table = []
    for number in range(matrices):
        with tempfile.TemporaryDirectory() as folder:
            rows = matrix(Path(folder), number)
        outcomes = [row["verdict_on_test"] for row in rows]
        counts.update(outcomes)
        better += "better" in outcomes
        table += [{"matrix": number, **row} for row in rows]
        print(f"matrix {number}: {', '.join(outcomes)}", flush=True)
    allowed = most_by_chance(matrices)
    print(f"{matrices} matrices, {time.perf_counter() - began:.0f} s: {dict(counts)}")
    print(f"with a config called better: {better}; a level of {LEVEL:.0%} allows {allowed}")
    if output is not None:
        output.write_text(json.dumps(table, indent=1) + "\n")
    return better <= allowed


def matrix(folder: Path, number: int) -> list[dict[str, str]]:
    """Run one matrix on a walk of its own; returns what matters of runs_by_config.csv."""
    runs_dir, data = folder / "runs", folder / "walk.csv"
    write_walk(data, seed=1000 + number)
    for name, spread in CONFIGS.items():
        path = folder / f"{name}.yaml"
        path.write_text(CONFIG.format(data=data, spread=spread, name=name))
        one_config(path, runs_dir)
    analyze(
        runs_dir,
        plots_dir=None,
        sort_by=None,
        top_k=5,
        plot_param=None,
        plot_metric=None,
        spreadsheet=False,
        report=quiet,
    )
    kept = ("config_name", "test_net_profit", "test_difference_net_profit", "best_baseline")
    kept += ("verdict_on_test", "verdict_p", "test_deflated_sharpe", "trials_behind", "pbo")
    with (runs_dir / BY_CONFIG).open(newline="") as file:
        return [{name: row[name] for name in kept} for row in csv.DictReader(file)]


def one_config(path: Path, runs_dir: Path) -> None:
    """Tune a config, train its seeds, judge them."""
    resolved = resolve_config(path, runs_dir=runs_dir)
    tune(
        resolved,
        runs_dir=runs_dir,
        storage=str(runs_dir / "journal.log"),
        study_name=None,
        best_params=tuning_directory(runs_dir, "SAC", path.stem).best_params,
        device="cpu",
        report=quiet,
        now=now,
    )
    for seed in SEEDS:
        flags = {"train.seed": seed}
        chosen = resolve_config(path, flags=flags, runs_dir=runs_dir, params_path=None)
        run: RunDirectory = train(
            chosen, runs_dir=runs_dir, device="cpu", reuse=True, report=quiet, now=now
        )
        evaluate(
            run,
            model=run.best_model,
            config=chosen.config,
            cross_config=None,
            output=run.evaluation,
            device="cpu",
            report=quiet,
        )


def write_walk(path: Path, *, seed: int) -> None:
    """Write one-minute candles of a driftless Gaussian walk, 12 steps a bar, 10 bp a minute."""
    generator = np.random.default_rng(seed)
    steps = generator.normal(0.0, 1e-3 / np.sqrt(12), size=(BARS, 12))
    mids = np.log(1000.0) + np.cumsum(steps).reshape(BARS, 12)
    opening = np.concatenate([[np.log(1000.0)], mids[:-1, -1]])
    columns = {
        "timestamp": 1_733_011_200_000 + 60_000 * np.arange(BARS),
        "open": np.exp(opening),
        "high": np.exp(np.maximum(opening, mids.max(axis=1))),
        "low": np.exp(np.minimum(opening, mids.min(axis=1))),
        "close": np.exp(mids[:, -1]),
        "volume": generator.lognormal(2.0, 0.7, BARS),
    }
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*(values.tolist() for values in columns.values()), strict=True))


def quiet(line: str) -> None:
    """Say nothing: what matters is printed here."""


def now() -> datetime.datetime:
    """Return the time."""
    return datetime.datetime.now(datetime.UTC)


if __name__ == "__main__":
    sys.exit(main())
