"""Names the environments to Gymnasium; loaded as its plug-in, so it imports little."""

import gymnasium


def register_environments() -> None:
    """Register makerlab/MarketMaking-v0; calling it again changes nothing."""
    name = "makerlab/MarketMaking-v0"
    if name not in gymnasium.registry:
        gymnasium.register(
            id=name,
            entry_point="makerlab.envs.market_making:MarketMakingEnv",
            vector_entry_point="makerlab.envs.market_making:MarketMakingVectorEnv",
        )
