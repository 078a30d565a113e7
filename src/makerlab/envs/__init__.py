"""Gymnasium environments: views of the market kernel.

Importing this package registers makerlab/MarketMaking-v0; without an import of one's own,
`gymnasium.make("makerlab.envs:makerlab/MarketMaking-v0")` does both.
"""

from makerlab.envs.market_making import MarketMakingEnv, MarketMakingVectorEnv
from makerlab.envs.registration import register_environments

__all__ = ["MarketMakingEnv", "MarketMakingVectorEnv"]

register_environments()
