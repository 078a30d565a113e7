"""Settings of the simulated markets whose best quotes are known.

Prices are in currency, time in the unit of `horizon`, quantities in orders of one unit. An
episode has `env.episode_length` steps of horizon / episode_length.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from makerlab.config.base import NonNegativeFloat, PositiveFloat, PositiveInt, Seed, Settings

# What only one of the markets asks for.
_OWN = {
    "avellaneda_stoikov": ("risk_aversion",),
    "cartea_jaimungal": ("running_penalty", "terminal_penalty"),
}


class SimulatedSettings(Settings):
    """A market where a quote at distance d is filled at the rate intensity exp(-decay d)."""

    mid: PositiveFloat = Field(100.0, description="Mid price at the start, currency.")
    volatility: NonNegativeFloat = Field(
        2.0, description="Volatility of the mid, currency per square root of time."
    )
    horizon: PositiveFloat = Field(
        1.0, description="Length of an episode, in the unit of time of all rates here."
    )
    buy_intensity: NonNegativeFloat = Field(
        140.0, description="Buy orders per unit of time that would hit an ask at the mid."
    )
    sell_intensity: NonNegativeFloat = Field(
        140.0, description="Sell orders per unit of time that would hit a bid at the mid."
    )
    decay: PositiveFloat = Field(
        1.5, description="How fast orders get rarer with a quote's distance, per unit of currency."
    )
    fill_rule: Literal["literal", "exact"] = Field(
        "literal",
        description="Probability of a fill in a step: rate times step, as papers simulate, or "
        "1 - exp(-rate times step).",
    )
    min_depth: Annotated[float, Field(allow_inf_nan=False)] = Field(
        0.0,
        description="Distance from the mid of the nearest quote (action -1), currency; "
        "negative lies beyond the mid.",
    )
    max_depth: Annotated[float, Field(allow_inf_nan=False)] = Field(
        4.0, description="Distance from the mid of the farthest quote (action 1), currency."
    )
    risk_aversion: NonNegativeFloat = Field(
        0.1,
        description="Absolute risk aversion of the exponential utility, per unit of currency "
        "(avellaneda_stoikov only).",
    )
    running_penalty: NonNegativeFloat = Field(
        0.01,
        description="Penalty per unit of time and squared inventory, currency "
        "(cartea_jaimungal only).",
    )
    terminal_penalty: NonNegativeFloat = Field(
        0.001,
        description="Penalty per squared inventory at the end, currency (cartea_jaimungal only).",
    )
    signal_strength: NonNegativeFloat | None = Field(
        None,
        description="Drift of the mid per unit of time while the observed signal is +1, minus "
        "that while it is -1; 0 shows a signal that means nothing, empty shows none.",
    )
    signal_switching: NonNegativeFloat = Field(
        1.0, description="Changes of the signal's sign per unit of time."
    )
    reward_scale: PositiveFloat = Field(
        1.0, description="Reward per unit of currency; what is learned best is of order 1 a step."
    )
    episodes: Annotated[PositiveInt, Field(ge=100, le=10_000_000)] = Field(
        1_000_000,
        description="Episodes there are, each with random numbers of its own; data_split cuts "
        "them into training, validation and test.",
    )
    seed: Seed = Field(0, description="Seed of all episodes.")

    @model_validator(mode="after")
    def _check(self) -> "SimulatedSettings":
        if self.min_depth >= self.max_depth:
            raise ValueError(f"min_depth {self.min_depth} is not below max_depth {self.max_depth}")
        return self

    def check_for(self, market: str) -> None:
        """Raise ValueError when a setting of the other market is given."""
        for owner, names in _OWN.items():
            for name in names:
                given = getattr(self, name) != type(self).model_fields[name].default
                if given and owner != market:
                    raise ValueError(f"simulated.{name} has no meaning on market {market}")
