"""What a valid config is likely to regret, in plain words."""

from makerlab.config.load import Config


def warnings_of(config: Config, *, mid: float | None = None) -> list[str]:
    """Return warnings; a base spread in price units needs the mid to be compared with a fee."""
    env = config.env
    if env.base_spread_bps is not None:
        half = env.base_spread_bps / 1e4
    elif mid is not None and env.base_spread is not None:
        half = env.base_spread / mid
    else:
        return []
    found = []
    if half < env.fee_rate:
        found.append(
            f"the base half-spread is {half * 1e4:.2f} bp and the maker fee "
            f"{env.fee_rate * 1e4:.2f} bp: a fill at the base quote loses money before the price "
            "moves; widen env.base_spread_bps or lower env.fee_rate"
        )
    elif half * (1.0 - env.alpha) < env.fee_rate:
        found.append(
            f"the narrowest half-spread (alpha {env.alpha:g}) is {half * (1 - env.alpha) * 1e4:.2f}"
            f" bp, below the maker fee of {env.fee_rate * 1e4:.2f} bp: the agent can choose quotes "
            "that lose by construction"
        )
    return found
