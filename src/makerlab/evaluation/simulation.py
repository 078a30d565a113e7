"""Many paths of one policy on a simulated market, summed up with standard errors."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError
from tabulate import tabulate

from makerlab.config import EnvSettings
from makerlab.config.problems import first_problem
from makerlab.data.split import Segment
from makerlab.errors import UserError
from makerlab.evaluation.metrics import Floats, episode_sums
from makerlab.evaluation.objective import objective_values
from makerlab.evaluation.rollout import Trajectories, rollout
from makerlab.market.simulated import SimulatedMarket
from makerlab.policies import Policy
from makerlab.policies.simulated import SIMULATED_POLICIES, constant_depth

BATCH_PATHS = 2000
"""Paths whose every step is held in memory at once."""


@dataclass(frozen=True)
class Simulated:
    """What a policy earned over many paths; money in currency, inventory in orders.

    Errors are standard errors of the means. The spread is the mean distance between bid and ask
    over the steps with both, None without any.
    """

    paths: int
    mean_profit: float
    mean_profit_error: float
    sd_profit: float
    mean_final_inventory: float
    mean_final_inventory_error: float
    sd_final_inventory: float
    average_spread: float | None
    objective: float
    objective_error: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain names and numbers."""
        return asdict(self)


def simulate(settings: EnvSettings, policy: Policy, *, paths: int) -> Simulated:
    """Play a policy over the first `paths` episodes of a simulated market (at least 2)."""
    market = SimulatedMarket(Segment("test", 0, paths), settings)
    parts: list[dict[str, Floats]] = []
    for first in range(0, paths, BATCH_PATHS):
        numbers = np.arange(first, min(first + BATCH_PATHS, paths), dtype=np.int64)
        played = rollout(market, policy, numbers)
        parts.append(episode_sums(played) | _more(played))
    sums = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    quoted = float(sums["quoted"].sum())
    objective, error = _objective(sums, settings)
    return Simulated(
        paths=paths,
        mean_profit=float(sums["profit"].mean()),
        mean_profit_error=_error(sums["profit"]),
        sd_profit=float(sums["profit"].std(ddof=1)),
        mean_final_inventory=float(sums["final_inventory"].mean()),
        mean_final_inventory_error=_error(sums["final_inventory"]),
        sd_final_inventory=float(sums["final_inventory"].std(ddof=1)),
        average_spread=float(sums["spread"].sum()) / quoted if quoted else None,
        objective=objective,
        objective_error=error,
    )


def _more(played: Trajectories) -> dict[str, Floats]:
    spread = played.ask - played.bid
    both = np.isfinite(spread)
    return {
        "final_inventory": played.inventory[:, -1],
        "quoted": both.sum(axis=1).astype(np.float64),
        "spread": np.where(both, spread, 0.0).sum(axis=1),
    }


def _objective(sums: dict[str, Floats], settings: EnvSettings) -> tuple[float, float]:
    """Return the objective and its standard error, by the delta method for a utility."""
    paths = len(sums["profit"])
    value = float(objective_values(sums, np.ones((1, paths)), settings)[0])
    if settings.market == "cartea_jaimungal":
        return value, _error(sums["reward"]) / settings.simulated.reward_scale
    gamma = settings.simulated.risk_aversion
    if gamma == 0.0:
        return value, _error(sums["profit"])
    utility = np.exp(-gamma * (sums["profit"] - value))
    return value, _error(utility) / gamma


def _error(values: Floats) -> float:
    return float(values.std(ddof=1)) / float(np.sqrt(len(values)))


# Far enough for any policy of a paper; a random one wants the bounds of a market it could learn in.
_DEPTHS = {"min_depth": -100.0, "max_depth": 100.0}


def simulated_settings(
    name: str,
    *,
    steps: int,
    inventory_cap: int,
    fee_rate: float,
    market: Mapping[str, Any],
) -> EnvSettings:
    """Return the settings of a simulated market; raises UserError for bad values.

    Without bounds of their own depths may be anything up to 100.
    """
    content = {
        "market": name,
        "episode_length": steps,
        "order_size": 1.0,
        "max_inventory": float(inventory_cap),
        "fee_rate": fee_rate,
        "simulated": {**_DEPTHS, **market},
    }
    try:
        return EnvSettings.model_validate(content)
    except ValidationError as error:
        raise UserError(first_problem(error)[1]) from None


def simulation_report(
    settings: EnvSettings, policy: str, *, paths: int, depth: float | None, as_json: bool
) -> str:
    """Simulate a policy by name and return what it earned, as JSON or as a table.

    Raises UserError for a depth given to a policy that has none.
    """
    if depth is not None and policy != "constant_depth":
        raise UserError(f"--depth is for --policy constant_depth, found --policy {policy}")
    if depth is not None:
        chosen: Policy = constant_depth(settings, depth)
    else:
        chosen = SIMULATED_POLICIES[policy](settings, seed=settings.simulated.seed)
    found = simulate(settings, chosen, paths=paths).to_dict()
    record = {
        "market": settings.market,
        "policy": policy,
        "data_source": "synthetic",
        **found,
        "fee_rate": settings.fee_rate,
        "steps": settings.episode_length,
        "inventory_cap": settings.max_inventory,
        "parameters": settings.simulated.model_dump(mode="json"),
    }
    if as_json:
        return json.dumps(record, indent=1, allow_nan=False)
    head = f"{policy} on {settings.market}, SIMULATED, {paths:,} paths"
    return f"{head}\n{tabulate(found.items(), floatfmt='.6g')}"
