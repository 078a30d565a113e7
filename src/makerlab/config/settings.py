"""The settings models, one per section of a config file.

Every field carries a sentence of description: it feeds `--help`, docs/configuration.md and error
messages.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from makerlab.config.base import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Seed,
    Settings,
)
from makerlab.config.simulated import SimulatedSettings

CANDLES = "candles"
SYNTHETIC = "synthetic"


class FillSettings(Settings):
    """Assumptions under which a resting quote is filled; docs/fills.md explains each."""

    rule: Literal["trade_through", "touch", "calibrated_intensity"] = Field(
        "trade_through",
        description="What fills a quote: a bar that trades strictly through it, one that touches "
        "it (optimistic: the whole queue before it is gone), or chance by its distance from the "
        "mid alone (optimistic: knows no adverse selection).",
    )
    both_touched: Literal["worse_side", "both", "path", "seeded_random"] = Field(
        "worse_side",
        description="When one bar reaches both quotes: keep only the fill that is worth less at "
        "the bar's close (the path inside a bar is unknown), keep both (optimistic), keep both in "
        "the order of an assumed path from open to the nearer extreme, the farther one and close "
        "(optimistic), or keep one by chance.",
    )
    penetration_bps: NonNegativeFloat = Field(
        0.0,
        description="How far, in basis points, the bar must trade beyond a quote to fill it "
        "(rules trade_through and touch).",
    )
    volume_participation: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.1, description="Largest share of a bar's volume that the two quotes can take together."
    )
    latency_bars: Annotated[int, Field(ge=0, le=1000)] = Field(
        0,
        description="Bars that pass before quotes are live: those decided at the close of bar t "
        "live in bar t+1+latency_bars.",
    )
    post_only: bool = Field(
        True,
        description="Reject a quote that would cross the open of the bar it becomes live in; "
        "otherwise it is executed there as a taker.",
    )
    bid_intensity: PositiveFloat | None = Field(
        None,
        description="A of the bid, for rule calibrated_intensity: fills per second at the mid; at "
        "a distance of d basis points A exp(-k d).",
    )
    bid_decay: PositiveFloat | None = Field(
        None, description="k of the bid, for rule calibrated_intensity, per basis point."
    )
    ask_intensity: PositiveFloat | None = Field(
        None, description="A of the ask, for rule calibrated_intensity, fills per second."
    )
    ask_decay: PositiveFloat | None = Field(
        None, description="k of the ask, for rule calibrated_intensity, per basis point."
    )
    seed: Seed = Field(
        0,
        description="Seed of what is left to chance (calibrated_intensity, seeded_random); a "
        "bar's draw depends on this and its time alone.",
    )
    liquidate_at_end: bool = Field(
        True,
        description="Flatten the inventory at the last close of an episode as a taker, paying "
        "taker_fee_rate and liquidation_half_spread_bps.",
    )
    liquidation_half_spread_bps: NonNegativeFloat = Field(
        1.0,
        description="Half of the market's own spread, in basis points, paid when flattening and "
        "by a quote that is executed as a taker.",
    )

    @model_validator(mode="after")
    def _check(self) -> "FillSettings":
        if self.rule != "calibrated_intensity":
            return self
        needed = ("bid_intensity", "bid_decay", "ask_intensity", "ask_decay")
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(f"rule calibrated_intensity needs {', '.join(missing)} as well")
        if self.penetration_bps:
            raise ValueError(
                f"penetration_bps {self.penetration_bps:g} has no meaning under rule "
                "calibrated_intensity, which looks at no trades; leave it out"
            )
        return self


class EnvSettings(Settings):
    """The market-making environment."""

    market: Literal["candles", "avellaneda_stoikov", "cartea_jaimungal"] = Field(
        "candles",
        description="Where quotes meet orders: recorded or synthetic candles, or a simulated "
        "market whose best quotes are known (see env.simulated).",
    )
    csv_path: str = Field(
        SYNTHETIC,
        min_length=1,
        description="A CSV or Parquet file of candles, or the word `synthetic`.",
    )
    episode_length: PositiveInt = Field(240, description="Bars in one episode.")
    fee_rate: Annotated[float, Field(gt=-0.01, lt=0.05)] = Field(
        0.0, description="Maker fee as a fraction of notional; negative is a rebate."
    )
    taker_fee_rate: Annotated[float, Field(ge=0.0, lt=0.05)] = Field(
        0.0005, description="Taker fee as a fraction of notional, paid when flattening."
    )
    lambda_inv: NonNegativeFloat = Field(
        0.0,
        description="Reward penalty per bar and unit of notional held, as a fraction of notional.",
    )
    lambda_turnover: NonNegativeFloat = Field(
        0.0, description="Reward penalty per unit of notional traded, as a fraction of notional."
    )
    max_inventory: PositiveFloat = Field(1.0, description="Largest absolute position, base units.")
    base_spread: PositiveFloat | None = Field(
        None, description="Base half-spread in price units (give this or base_spread_bps)."
    )
    base_spread_bps: PositiveFloat | None = Field(
        None, description="Base half-spread in basis points of the mid (or give base_spread)."
    )
    alpha: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.5, description="How far the first action widens or narrows the half-spread."
    )
    beta: Annotated[float, Field(ge=0.0, le=2.0)] = Field(
        0.5, description="How far the second action shifts both quotes, in half-spreads."
    )
    random_start: bool = Field(
        True, description="Start training episodes at random bars rather than at the first."
    )
    order_size: PositiveFloat = Field(0.1, description="Size of each quote, base units.")
    initial_cash: PositiveFloat = Field(
        100_000.0, description="Capital at the start of an episode; returns are measured on it."
    )
    allow_no_quote: bool = Field(
        False,
        description="Add a third action: below -1/3 the bid is left out, above 1/3 the ask.",
    )
    fill: FillSettings = Field(default_factory=FillSettings, description="The fill model.")
    simulated: SimulatedSettings = Field(
        default_factory=SimulatedSettings,
        description="Parameters of the markets with a known answer.",
    )

    @model_validator(mode="after")
    def _check(self) -> "EnvSettings":
        unused = _CANDLES_ONLY if self.simulates else ("simulated",)
        for name in unused:
            default = type(self).model_fields[name].get_default(call_default_factory=True)
            if getattr(self, name) != default:
                raise ValueError(f"{name} has no meaning on market {self.market}; leave it out")
        if self.simulates:
            self._check_simulated()
        else:
            self._check_candles()
        if self.order_size > self.max_inventory:
            raise ValueError(
                f"order_size {self.order_size} is above max_inventory {self.max_inventory}"
            )
        return self

    @property
    def simulates(self) -> bool:
        """Whether the market is one with a known answer rather than candles."""
        return self.market != CANDLES

    def _check_simulated(self) -> None:
        if self.order_size != 1.0:
            raise ValueError(
                f"order_size is {self.order_size}, expected 1: orders on market {self.market} are "
                "of one unit"
            )
        if self.max_inventory % 1.0:
            raise ValueError(
                f"max_inventory is {self.max_inventory}, expected a whole number of units on "
                f"market {self.market}"
            )
        self.simulated.check_for(self.market)

    def _check_candles(self) -> None:
        given = [self.base_spread, self.base_spread_bps]
        if sum(value is not None for value in given) != 1:
            raise ValueError("give exactly one of base_spread and base_spread_bps")


# Settings of quotes and fills on candles; a simulated market has its own.
_CANDLES_ONLY = (
    "csv_path",
    "taker_fee_rate",
    "lambda_inv",
    "lambda_turnover",
    "base_spread",
    "base_spread_bps",
    "alpha",
    "beta",
    "fill",
)


class TrainSettings(Settings):
    """The learner and the course of a training run."""

    algo: Literal["SAC"] = Field("SAC", description="The learning algorithm.")
    learner: Literal["fast", "sb3"] = Field(
        "fast",
        description="Who computes it: the fast learner, or Stable-Baselines3 as the reference.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="Precision of the factors in the fast learner's large products; bfloat16 needs "
        "a processor that has it, and changes nothing elsewhere.",
    )
    total_timesteps: PositiveInt = Field(300_000, description="Environment steps of a run.")
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        3e-4, description="Adam's step size for actor, critics and entropy coefficient."
    )
    gamma: Annotated[float, Field(ge=0.0, le=1.0)] = Field(0.99, description="Discount factor.")
    batch_size: PositiveInt = Field(256, description="Transitions per gradient step.")
    tau: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.02, description="Share of the critics that moves into the targets at each step."
    )
    train_freq: PositiveInt = Field(1, description="Environment steps between updates.")
    gradient_steps: PositiveInt = Field(1, description="Gradient steps per update.")
    learning_starts: NonNegativeInt = Field(
        500, description="Environment steps with random actions before learning begins."
    )
    buffer_size: PositiveInt = Field(200_000, description="Transitions the replay buffer holds.")
    eval_freq: PositiveInt = Field(
        10_000, description="Environment steps between validations; each is also a checkpoint."
    )
    net_arch: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = Field(
        (256, 256), description="Hidden layers of actor and critics."
    )
    seed: Seed = Field(0, description="Seed of the learner and of its environment.")
    deterministic_eval: bool = Field(
        True, description="Judge the mean action rather than a sampled one."
    )
    log_interval: PositiveInt = Field(10, description="Episodes between rows of progress.csv.")


class LogRange(Settings):
    """A range of a tuned number."""

    low: PositiveFloat = Field(description="Smallest value, included.")
    high: PositiveFloat = Field(description="Largest value, included.")
    log: bool = Field(False, description="Search on a logarithmic scale.")

    @model_validator(mode="after")
    def _check(self) -> "LogRange":
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class SearchSpace(Settings):
    """What the tuner may choose; every key is a key of `train`."""

    net_arch: Annotated[tuple[tuple[PositiveInt, ...], ...], Field(min_length=1)] = Field(
        ((64, 64), (128, 128), (256, 256)), description="Candidate networks."
    )
    learning_rate: LogRange = Field(
        LogRange(low=1e-5, high=3e-3, log=True), description="Range of train.learning_rate."
    )
    gamma: LogRange = Field(LogRange(low=0.98, high=0.999), description="Range of train.gamma.")
    batch_size: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = Field(
        (64, 128, 256), description="Candidates for train.batch_size."
    )
    tau: LogRange = Field(LogRange(low=0.01, high=1.0, log=True), description="Range of train.tau.")

    @model_validator(mode="after")
    def _check(self) -> "SearchSpace":
        # All three end at 1 in `train`; a study is not the place to find that out.
        for name in ("learning_rate", "gamma", "tau"):
            high = getattr(self, name).high
            if high > 1.0:
                raise ValueError(f"{name}.high is {high}, expected at most 1")
        return self


class TuneSettings(Settings):
    """The hyperparameter study of a config."""

    n_trials: PositiveInt = Field(25, description="Trials of the study in total.")
    train_timesteps: PositiveInt = Field(80_000, description="Environment steps of one trial.")
    eval_episodes: PositiveInt = Field(20, description="Validation episodes that judge a trial.")
    eval_episode_length: PositiveInt | None = Field(
        None, description="Bars of a validation episode; empty means env.episode_length."
    )
    metric: Literal[
        "net_profit", "return_on_capital", "sharpe", "sortino", "episode_reward", "objective"
    ] = Field(
        "net_profit",
        description="What a trial is judged by, on the validation segment; objective is for "
        "markets with a known answer.",
    )
    seed: Seed = Field(0, description="Seed of the study's samplers and trainings.")
    reports: PositiveInt = Field(
        5, description="Validations per trial, evenly spaced; the pruner looks at each."
    )
    startup_trials: NonNegativeInt = Field(
        5, description="Trials that finish before the pruner may stop one."
    )
    rescore_seeds: PositiveInt = Field(
        2, description="Fresh training seeds with which the chosen parameters are scored again."
    )
    search_space: SearchSpace = Field(
        default_factory=SearchSpace, description="What the tuner may choose."
    )


class EvaluateSettings(Settings):
    """How finished policies are judged."""

    episodes: PositiveInt = Field(
        20, description="Episodes per segment, evenly spaced; fewer when fewer fit side by side."
    )
    bootstrap_samples: Annotated[int, Field(ge=100, le=100_000)] = Field(
        2000, description="Resamples of the episodes behind each interval."
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = Field(
        0.95, description="Coverage of the intervals."
    )
    seed: Seed = Field(0, description="Seed of bootstrap and of random policies.")
    episode_csvs: NonNegativeInt = Field(
        3, description="Episodes per segment whose every step is written as CSV."
    )


class RunSettings(Settings):
    """Names and notes of a run."""

    short_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = Field(
        "run", description="Part of the run directory's name."
    )
    notes: str = Field("", description="Free text, kept with the run.")
    profile: str = Field("", description="Profile the settings came from, such as quick or day.")


class SyntheticSettings(Settings):
    """The seeded synthetic market; docs/synthetic.md explains the model.

    Lengths of time are in bars and moves in volatilities of a bar, so a market of longer bars is
    the same market at another scale.
    """

    seed: Seed = Field(7, description="Seed of the generator.")
    days: Annotated[int, Field(gt=0, le=3660)] = Field(60, description="Length in days.")
    bar_seconds: Literal[60, 300, 900, 3600] = Field(60, description="Length of a bar.")
    start_price: Annotated[float, Field(ge=1e-6, le=1e9)] = Field(
        10_000.0, description="Price at the first open, currency."
    )
    substeps: Annotated[int, Field(ge=2, le=600)] = Field(
        20, description="Steps of the price path inside a bar."
    )
    volatility_bps: Annotated[float, Field(gt=0.0, le=100.0)] = Field(
        6.6,
        description="Standard deviation of a one-minute log return in basis points when volatility "
        "is at its median; jumps and order flow come on top.",
    )
    volatility_variation: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.35, description="Standard deviation of the logarithm of volatility over time."
    )
    volatility_half_life: PositiveFloat = Field(
        120.0, description="Bars after which half of a change of log volatility is gone."
    )
    jump_rate: Fraction = Field(0.012, description="Probability of a jump in a bar.")
    jump_size: Annotated[float, Field(ge=0.0, le=50.0)] = Field(
        4.0, description="Standard deviation of a jump, in volatilities of a bar."
    )
    flow_strength: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.06,
        description="Standard deviation of the lasting move per bar that signed order flow "
        "causes, in volatilities of a bar.",
    )
    flow_half_life: PositiveFloat = Field(
        50.0, description="Bars after which half of the signed order flow is gone."
    )
    reversion_strength: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.98,
        description="Share of the variance of a bar's return that is a passing deviation from the "
        "lasting price; 0 is a market in which no maker earns.",
    )
    reversion_half_life: Annotated[float, Field(ge=0.1, le=10_000.0)] = Field(
        2.0, description="Bars after which half of a passing deviation is gone."
    )
    pressure_half_life: PositiveFloat = Field(
        0.2,
        description="Bars after which half of the pressure that builds up a passing deviation is "
        "gone: until then the price runs on against whoever was hit.",
    )
    volume_level: PositiveFloat = Field(
        10.0, description="Base units per minute in a bar of median range and volatility."
    )
    volume_elasticity: Annotated[float, Field(ge=0.0, le=3.0)] = Field(
        0.5, description="Power of volume in range and in volatility."
    )
    volume_variation: Annotated[float, Field(ge=0.0, le=2.0)] = Field(
        0.5, description="Standard deviation of the log of volume that nothing explains."
    )

    @model_validator(mode="after")
    def _check(self) -> "SyntheticSettings":
        if self.pressure_half_life > 0.5 * self.reversion_half_life:
            raise ValueError(
                f"pressure_half_life {self.pressure_half_life:g} is above half of "
                f"reversion_half_life {self.reversion_half_life:g}: a deviation has to build up "
                "faster than it dies out"
            )
        return self


class DataSettings(Settings):
    """Where candles come from and how their faults are treated."""

    gaps: Literal["skip", "error"] = Field(
        "skip",
        description="Missing bars: let no episode span one, or refuse the file. Never filled.",
    )
    synthetic: SyntheticSettings = Field(
        default_factory=SyntheticSettings, description="Parameters of the synthetic market."
    )
