"""Gymnasium environments: views of the market kernel."""

from makerlab.envs.market_making import MarketMakingEnv, MarketMakingVectorEnv

__all__ = ["MarketMakingEnv", "MarketMakingVectorEnv"]
