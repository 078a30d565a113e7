"""The policies a learned one is judged beside, by its market."""

from makerlab.market.base import Market
from makerlab.market.episodes import CandleMarket
from makerlab.market.simulated import SimulatedMarket
from makerlab.policies.base import Policy
from makerlab.policies.baselines import candle_baselines
from makerlab.policies.simulated import simulated_baselines


def baseline_policies(train: Market, *, seed: int) -> dict[str, Policy]:
    """Return all baselines by name, their scales fitted on the training segment only."""
    if isinstance(train, SimulatedMarket):
        return simulated_baselines(train.settings, seed=seed)
    if isinstance(train, CandleMarket):
        return candle_baselines(train, seed=seed)
    raise TypeError(f"no baselines for a {type(train).__name__}")
