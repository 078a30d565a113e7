"""Made-up curves, episodes and studies of made-up runs, laid out as the stages write them."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from tests.made_up_runs import BASELINE_NAMES, MadeUpRun, write_run

STARTED_MS = 1_790_000_000_000
MINUTE_MS = 60_000


def write_everything(
    runs_dir: Path, run: MadeUpRun, *, bars: int = 720, episodes: int = 3, steps: int = 8
) -> Path:
    """Write a run with its learning curve, test curves and episodes; returns its directory."""
    directory = write_run(runs_dir, run)
    generator = np.random.default_rng(run.seed)
    evaluation = directory / "evaluation"
    _write(directory / "progress.csv", _progress(generator, steps))
    _write(evaluation / "test_equity_curve.csv", _curves(generator, bars, start=100_000.0))
    _write(evaluation / "test_inventory_curve.csv", _curves(generator, bars, start=0.0))
    for segment in ("train", "valid", "test"):
        for number in range(episodes):
            table = made_up_episode(generator, bars // episodes)
            _write(evaluation / f"{segment}_episode_{number:02d}.csv", table)
    return directory


def _write(path: Path, columns: dict[str, Any]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _stamps(bars: int) -> list[str]:
    stamps = np.arange(bars) * MINUTE_MS + STARTED_MS
    return [f"{stamp}Z" for stamp in stamps.astype("datetime64[ms]").astype(str)]


def _progress(generator: np.random.Generator, steps: int) -> dict[str, Any]:
    scores = generator.normal(size=steps).cumsum().tolist()
    return {
        "step": [2_500 * (i + 1) for i in range(steps)],
        "episodes": [10 * (i + 1) for i in range(steps)],
        "episode_reward": scores,
        "valid_score": [score if i % 2 else "" for i, score in enumerate(scores)],
    }


def _curves(generator: np.random.Generator, bars: int, *, start: float) -> dict[str, Any]:
    names = ("policy", *BASELINE_NAMES)
    walks = {name: start + generator.normal(size=bars).cumsum() for name in names}
    return {"timestamp": _stamps(bars), **{name: walk.tolist() for name, walk in walks.items()}}


def made_up_episode(generator: np.random.Generator, bars: int) -> dict[str, Any]:
    """Return an episode whose bids fill in one bar of five, asks in another."""
    mid = 27_000.0 + generator.normal(size=bars).cumsum()
    chance = generator.random(bars)
    bid_filled, ask_filled = 0.25 * (chance < 0.2), 0.25 * (chance > 0.8)
    return {
        "step": list(range(1, bars + 1)),
        "timestamp": _stamps(bars),
        "mid": mid.tolist(),
        "bid": (mid - 5.0).tolist(),
        "ask": (mid + 5.0).tolist(),
        "bid_filled": bid_filled.tolist(),
        "ask_filled": ask_filled.tolist(),
        "liquidated": [0.0] * bars,
        "inventory": (bid_filled - ask_filled).cumsum().tolist(),
        "equity": (100_000.0 + generator.normal(size=bars).cumsum()).tolist(),
    }


def write_study(runs_dir: Path, name: str, *, trials: int) -> str:
    """Write a study of made-up trials beside the runs; returns its storage."""
    storage = f"sqlite:///{runs_dir / 'optuna.db'}"
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=1),
    )

    def score(trial: optuna.Trial) -> float:
        gamma = trial.suggest_float("gamma", 0.9, 0.999)
        trial.suggest_float("tau", 0.01, 0.1, log=True)
        trial.suggest_categorical("batch_size", [64, 128])
        if trial.number % 5 == 4:
            trial.report(-1.0, 100)
            raise optuna.TrialPruned
        return -1e3 * (gamma - 0.95) ** 2

    study.optimize(score, n_trials=trials)
    return storage
