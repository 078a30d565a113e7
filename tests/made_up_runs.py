"""Made-up run directories, laid out as the train and evaluate stages write them.

Their numbers come from a seed and from what a test asks for; nothing was trained. Values are
(value, low, high); a metric that is not asked for is drawn around one of its usual size.
"""

import json
import platform
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from makerlab.config import Config

Triple = tuple[float | None, float | None, float | None]

# The first names are those that the evaluate stage writes for market making.
METRIC_NAMES = (
    "net_profit",
    "return_on_capital",
    "sharpe",
    "sortino",
    "max_drawdown_pct",
    "max_drawdown",
    "turnover",
    "fees",
    "bid_fills",
    "ask_fills",
    "spread_captured",
    "inventory_profit",
    "mean_abs_inventory",
    "max_abs_inventory",
    "time_at_cap",
    "markout_1_bps",
    "markout_5_bps",
    "markout_15_bps",
    "profit_per_turnover_bps",
    "episode_reward",
)
BASELINE_NAMES = (
    "no_quote",
    "random",
    "fixed_symmetric",
    "inventory_skew",
    "avellaneda_stoikov",
    "gueant_lehalle_fernandez_tapia",
)
BASELINE_PROFITS: Mapping[str, Triple] = {
    "no_quote": (0.0, 0.0, 0.0),
    "random": (-9.0, -12.0, -6.0),
    "fixed_symmetric": (2.0, -1.0, 5.0),
    "inventory_skew": (1.0, -1.5, 3.5),
    "avellaneda_stoikov": (1.5, -1.0, 4.0),
    "gueant_lehalle_fernandez_tapia": (1.2, -1.1, 3.4),
}
EPISODES = 20
PLAN = {"folds": 3, "train": 0.4, "valid": 0.1, "test": 0.1}
REAL_DATA = {"kind": "file", "path": "data/btcusdt_1m.csv", "sha256": "ab" * 32}
SYNTHETIC_DATA = {"kind": "synthetic", "path": "runs/synthetic/7.parquet", "sha256": "cd" * 32}
DEAD_OWNER = {"host": platform.node(), "boot_id": "none", "pid": 1, "started": 0.0}


@dataclass(frozen=True)
class MadeUpRun:
    """What a test wants to be different from the usual finished run."""

    config_name: str = "env_baseline"
    seed: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)
    valid: Triple = (5.0, 2.0, 8.0)
    test: Triple = (4.0, 1.0, 7.0)
    difference: Triple = (2.0, 0.5, 3.5)
    baselines: Mapping[str, Triple] = field(default_factory=lambda: dict(BASELINE_PROFITS))
    best_baseline: str = "fixed_symmetric"
    data: Mapping[str, Any] = field(default_factory=lambda: dict(REAL_DATA))
    profile: str = "day"
    state: str = "complete"
    evaluated: bool = True
    n_trials: int | None = 25
    started: str = "20261101_120000"
    metric_names: tuple[str, ...] = METRIC_NAMES
    manifest: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    fold: int | None = None

    @property
    def name(self) -> str:
        """The run directory's name."""
        fold = "" if self.fold is None else f"_fold{self.fold}"
        return f"{self.started}_{self.config_name}{fold}_seed{self.seed}"


def write_run(runs_dir: Path, run: MadeUpRun | None = None, *, algo: str = "SAC") -> Path:
    """Write a run's manifest.json and, when it is evaluated, its metrics.json."""
    run = run or MadeUpRun()
    directory = runs_dir / algo / run.name
    (directory / "evaluation").mkdir(parents=True)
    manifest = made_up_manifest(run) | dict(run.manifest)
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    if run.evaluated:
        metrics = made_up_metrics(run) | dict(run.metrics)
        (directory / "evaluation" / "metrics.json").write_text(json.dumps(metrics))
        profits = made_up_profits(run)
        if profits is not None:
            (directory / "evaluation" / "profits.json").write_text(json.dumps(profits))
    return directory


def write_runs(runs_dir: Path, *runs: MadeUpRun) -> Path:
    """Write several runs; returns the directory of runs."""
    for run in runs:
        write_run(runs_dir, run)
    return runs_dir


def made_up_config(run: MadeUpRun) -> dict[str, Any]:
    """Return the effective config of a run."""
    config = Config.model_validate({"env": {"base_spread_bps": 8.0}})
    values = {
        "train.seed": run.seed,
        "run.short_name": run.config_name,
        "run.profile": run.profile,
        "env.csv_path": run.data["path"] if run.data["kind"] == "file" else "synthetic",
    }
    if run.fold is not None:
        plan = {f"data_split.walk_forward.{name}": value for name, value in PLAN.items()}
        values |= plan | {"data_split.fold": run.fold}
    return config.with_values(values | dict(run.values)).to_dict()


def made_up_manifest(run: MadeUpRun) -> dict[str, Any]:
    """Return what the train stage writes."""
    config = made_up_config(run)
    key = _key(run)
    ended = run.state == "complete"
    return {
        "state": run.state,
        "task": "market_making",
        "algo": "SAC",
        "config_name": run.config_name,
        "config_path": f"configs/{run.config_name}.yaml",
        "short_name": run.config_name,
        "profile": run.profile,
        "notes": config["run"]["notes"],
        "seed": run.seed,
        "fold": run.fold,
        "command": ["train_mm_sac.py", "--config", f"configs/{run.config_name}.yaml"],
        "started": "2026-11-01T12:00:00+00:00",
        "ended": "2026-11-01T12:30:00+00:00" if ended else None,
        "error": None,
        "owner": None if ended else dict(DEAD_OWNER),
        "train_key": f"train-{key}",
        "config_hash": f"config-{key}",
        "environment_key": "environment-0",
        "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        "versions": {"python": "3.11.7", "torch": "2.13.0", "numpy": "2.2.6"},
        "device": "cpu",
        "threads": 1,
        "data_source": run.data["kind"],
        "data": {
            "path": run.data["path"],
            "sha256": run.data["sha256"],
            "rows": 43_200,
            "bar_ms": 60_000,
            "start": "2026-09-01T00:00:00Z",
            "end": "2026-10-01T00:00:00Z",
            "gaps": [],
        },
        "split": run.data.get("split", made_up_split()) | _walked(config, run.fold),
        "tuned_params": None if run.n_trials is None else _tuned(config, run.n_trials),
        "fill_model": {
            "model": "next bar, strict trade-through",
            "fee_rate": config["env"]["fee_rate"],
            **config["env"]["fill"],
        },
        "steps": config["train"]["total_timesteps"],
        "best": {"step": 20_000, "score": 3.0, "metric": "net_profit"},
        "config": config,
    }


def _walked(config: Mapping[str, Any], fold: int | None) -> dict[str, Any]:
    if fold is None:
        return {"walk_forward": None}
    days = {"start": f"2026-09-{10 + fold}T00:00:00Z", "end": f"2026-09-{11 + fold}T00:00:00Z"}
    plan = {"fold": fold, **config["data_split"]["walk_forward"]}
    return {"test": days | {"bars": 1440}, "walk_forward": plan}


def _key(run: MadeUpRun) -> str:
    return f"{zlib.crc32(repr(run).encode()):08x}"


def made_up_split(test_end: str = "2026-10-01T00:00:00Z") -> dict[str, Any]:
    """Return the manifest's record of the three segments."""
    return {
        "train": {"start": "2026-09-01T00:00:00Z", "end": "2026-09-22T00:00:00Z", "bars": 30240},
        "valid": {"start": "2026-09-22T01:00:00Z", "end": "2026-09-26T12:00:00Z", "bars": 6420},
        "test": {"start": "2026-09-26T13:00:00Z", "end": test_end, "bars": 6420},
        "fallback": None,
    }


def _tuned(config: Mapping[str, Any], n_trials: int) -> dict[str, Any]:
    names = ("net_arch", "learning_rate", "gamma", "batch_size", "tau")
    return {
        "source": "runs/SAC/env_baseline/best_params.json",
        "study": "env_baseline-0123456789ab",
        "storage": "sqlite:///runs/optuna.sqlite3",
        "trial": 7,
        "score": 6.5,
        "rescored": {"value": 4.5, "low": 1.5, "high": 7.5, "scores": [4, 5], "seeds": [1, 2]},
        "n_trials": n_trials,
        "params": {name: config["train"][name] for name in names},
    }


def made_up_metrics(run: MadeUpRun) -> dict[str, Any]:
    """Return what the evaluate stage writes."""
    generator = np.random.default_rng([zlib.crc32(run.config_name.encode()), run.seed])
    segments = {"train": run.valid, "valid": run.valid, "test": run.test}
    return {
        "evaluate_key": "evaluate-0",
        "train_key": f"train-{_key(run)}",
        "model": "best_model.zip",
        "model_sha256": "ef" * 32,
        "cross_env": None,
        "data_source": run.data["kind"],
        "data_sha256": run.data["sha256"],
        "environment_key": "environment-0",
        "fill_model": {"model": "next bar, strict trade-through"},
        "confidence": 0.95,
        "bootstrap_samples": 2000,
        "bar_ms": 60_000,
        **{name: _segment(run, profit, generator) for name, profit in segments.items()},
    }


def made_up_profits(run: MadeUpRun) -> dict[str, Any] | None:
    """Return the profits of 20 episodes, one a day, beside baselines that never vary.

    The learned policy's mean and its t interval over episodes are those of `run.difference` from
    the best baseline. Without a difference nothing is returned.
    """
    value, low, high = run.difference
    best = run.baselines[run.best_baseline][0]
    if value is None or best is None:
        return None
    # Even, mean zero, deviation one; the same for all seeds, since they share their episodes.
    pattern = stats.norm.ppf((np.arange(EPISODES) + 0.5) / EPISODES)
    pattern = np.random.default_rng(0).permutation(pattern / pattern.std(ddof=1))
    half = 0.0 if low is None or high is None else (high - low) / 2.0
    noise = half / stats.t.ppf(0.975, EPISODES - 1) * np.sqrt(EPISODES) * pattern
    profits = {"policy": (best + value + noise).tolist()}
    profits |= {name: [triple[0]] * EPISODES for name, triple in run.baselines.items()}
    first = 1_790_000_000_000 + 86_400_000 * EPISODES * (run.fold or 0)
    starts = (first + 86_400_000 * np.arange(EPISODES)).tolist()
    episodes = {"period": "episode", "per_year": 365.0 * 1440.0 / 240.0, "starts_ms": starts}
    segment = {"episodes": episodes | {"profits": profits}, "days": None}
    return {"train": segment, "valid": segment, "test": segment}


def _segment(run: MadeUpRun, profit: Triple, generator: np.random.Generator) -> dict[str, Any]:
    baselines = {name: _metrics(run, value, generator) for name, value in run.baselines.items()}
    return {
        **_metrics(run, profit, generator),
        "episodes": EPISODES,
        "episodes_asked": EPISODES,
        "episode_length": 240,
        "baselines": baselines,
        "best_baseline": run.best_baseline,
        "difference_to_best_baseline": _metrics(run, run.difference, generator),
    }


def _metrics(
    run: MadeUpRun, profit: Triple, generator: np.random.Generator
) -> dict[str, dict[str, float | None]]:
    values = generator.normal(size=(len(run.metric_names), 2)).tolist()
    drawn = {
        name: _triple((middle, middle - abs(half), middle + abs(half)))
        for name, (middle, half) in zip(run.metric_names, values, strict=True)
    }
    return drawn | {"net_profit": _triple(profit)}


def _triple(values: Triple) -> dict[str, float | None]:
    return dict(zip(("value", "low", "high"), values, strict=True))
