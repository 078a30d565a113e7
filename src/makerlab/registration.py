"""Names the environments to Gymnasium, which since 1.0 loads no plug-ins by itself."""

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
