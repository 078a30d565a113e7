"""Learned policies beside the known optimum of their market: objectives, depths, one picture."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from makerlab.config import Config, EnvSettings
from makerlab.config.load import stored_config
from makerlab.errors import UserError
from makerlab.evaluation.metrics import episode_sums
from makerlab.evaluation.objective import objective_value
from makerlab.evaluation.rollout import rollout
from makerlab.files import write_csv, write_json
from makerlab.learning.actor import load_policy
from makerlab.learning.device import use_threads
from makerlab.market.base import Floats, Integers
from makerlab.market.markets import load_markets
from makerlab.market.simulated import SIMULATED_NAMES
from makerlab.market.simulated_kernel import inventory_scale
from makerlab.plotting import depth_plot
from makerlab.policies import Policy
from makerlab.policies.simulated import OPTIMUM, simulated_baselines
from makerlab.runs import keys
from makerlab.runs.directory import OptimumDirectory, RunDirectory
from makerlab.runs.owner import check_writable
from makerlab.statistics.bootstrap import mean_interval

MOMENTS = (0.0, 0.5, 0.9)
"""Shares of the horizon at which depths are shown."""
FURTHEST = 5
"""Largest inventory that is shown, in orders."""
Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Depths:
    """Quoted depths, (moments, inventories, sides), bid first; what is not quoted is NaN."""

    inventories: Integers
    values: Floats


def compare_with_optimum(
    runs: Sequence[RunDirectory], *, episodes: int, output: OptimumDirectory, report: Report
) -> dict[str, Any]:
    """Play runs and baselines on the same test episodes and write what came of it.

    Returns what optimum.json holds: each policy's objective, currency per episode, and the mean
    over runs with its t interval. Raises UserError for runs of candles or of unlike markets.
    """
    use_threads()
    configs = [stored_config(run.config) for run in runs]
    config = _common(runs, configs)
    market = load_markets(config, synthetic_folder=None).test
    starts = market.starts()
    if len(starts) < episodes:
        raise UserError(
            f"--episodes: found {episodes}, expected at most {len(starts)}, all of the test segment"
        )
    check_writable(output.path)

    def objective(policy: Policy) -> float:
        return objective_value(
            episode_sums(rollout(market, policy, starts[:episodes])), market.settings
        )

    learned: dict[str, Policy] = {
        run.name: load_policy(
            run.best_model,
            observations=len(SIMULATED_NAMES),
            deterministic=config.train.deterministic_eval,
            seed=config.evaluate.seed,
        )
        for run in runs
    }
    baselines = simulated_baselines(config.env, seed=config.evaluate.seed)
    objectives = {}
    for name, policy in (learned | baselines).items():
        objectives[name] = objective(policy)
        report(f"{name}: objective {objectives[name]:.4f}")
    record = _record(config, list(learned), objectives, episodes)
    depths = {name: quoted_depths(learned[name], config.env) for name in learned}
    _write(output, record, depths, quoted_depths(baselines[OPTIMUM], config.env), config)
    return record


def _common(runs: Sequence[RunDirectory], configs: Sequence[Config]) -> Config:
    for run, config in zip(runs, configs, strict=True):
        if not config.env.simulates:
            raise UserError(
                f"{run.path}: env.market is {config.env.market}, whose optimum nobody knows; "
                "expected cartea_jaimungal or avellaneda_stoikov"
            )
        if keys.environment_key(config) != keys.environment_key(configs[0]):
            raise UserError(f"{run.path}: its market is another than that of {runs[0].path}")
    return configs[0]


def quoted_depths(policy: Policy, env: EnvSettings) -> Depths:
    """Return the depths a policy quotes at MOMENTS of the horizon and inventories around zero."""
    cap = int(env.max_inventory / env.order_size)
    furthest = min(cap, FURTHEST)
    inventories = np.arange(-furthest, furthest + 1)
    values = [_depths_at(policy, env, moment, inventories) for moment in MOMENTS]
    return Depths(inventories, np.stack(values))


def _depths_at(policy: Policy, env: EnvSettings, moment: float, inventories: Integers) -> Floats:
    held = inventories * env.order_size
    seen = np.zeros((len(held), len(SIMULATED_NAMES)), np.float32)
    seen[:, 0] = held / env.max_inventory
    seen[:, 1] = np.clip(held / inventory_scale(env), -10.0, 10.0)
    seen[:, 2] = 1.0 - moment
    actions = np.asarray(policy.act(seen), dtype=np.float64)[:, :2]
    low, high = env.simulated.min_depth, env.simulated.max_depth
    depths = low + (np.clip(actions, -1.0, 1.0) + 1.0) / 2.0 * (high - low)
    depths[~np.isfinite(actions)] = np.nan
    depths[held + env.order_size > env.max_inventory, 0] = np.nan
    depths[held - env.order_size < -env.max_inventory, 1] = np.nan
    return depths


def _record(
    config: Config, learned: list[str], objectives: dict[str, float], episodes: int
) -> dict[str, Any]:
    over_runs = mean_interval([objectives[name] for name in learned])
    return {
        "data_source": "synthetic",
        "market": config.env.market,
        "environment_key": keys.environment_key(config),
        "segment": "test",
        "episodes": episodes,
        "objective_of_runs": {name: objectives.pop(name) for name in learned},
        "objective_of_baselines": objectives,
        "mean_over_runs": over_runs.to_dict(),
        "confidence": 0.95,
    }


def _write(
    output: OptimumDirectory,
    record: dict[str, Any],
    learned: dict[str, Depths],
    optimum: Depths,
    config: Config,
) -> None:
    horizon = config.env.simulated.horizon
    rows: list[list[Any]] = [["policy", "time", "inventory", "bid_depth", "ask_depth"]]
    for name, depths in {OPTIMUM: optimum, **learned}.items():
        for moment, table in zip(MOMENTS, depths.values, strict=True):
            for held, (bid, ask) in zip(depths.inventories, table.tolist(), strict=True):
                rows.append([name, moment * horizon, int(held), _known(bid), _known(ask)])
    write_csv(output.depths, rows)
    mean = record["mean_over_runs"]["value"]
    best = record["objective_of_baselines"][OPTIMUM]
    depth_plot(
        output.picture,
        optimum.inventories,
        np.stack([depths.values for depths in learned.values()]),
        optimum.values,
        times=[moment * horizon for moment in MOMENTS],
        title=f"Quoted depths on {config.env.market}: {len(learned)} learned, and the optimum",
        note=f"SYNTHETIC MARKET. Objective on {record['episodes']:,} test episodes: learned "
        f"{mean:.3f} (mean of {len(learned)} runs), optimum {best:.3f}. Band: least to largest "
        "of the runs.",
    )
    write_json(output.record, record)


def _known(value: float) -> float | str:
    return "" if np.isnan(value) else value
