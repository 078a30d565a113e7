"""The market-making environment of Gymnasium: one episode, or N of them in one call."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from makerlab.config import Config
from makerlab.config.load import validate_config
from makerlab.data.split import SegmentName
from makerlab.market.base import ACCOUNTS, OBSERVATION_LIMIT, Episodes, Market
from makerlab.market.layout import StepOutcome
from makerlab.market.markets import load_markets

Observation = npt.NDArray[np.float32]
NOT_FINITE = "found an action that is not finite; the policy has diverged"

INFO = ACCOUNTS[:-3]
"""Money and fills of a step, by their names in `info`."""


def observation_space(market: Market) -> gymnasium.Space[Any]:
    """The space of one observation; the names are `market.observation_names`."""
    shape = (len(market.observation_names),)
    return gymnasium.spaces.Box(-OBSERVATION_LIMIT, OBSERVATION_LIMIT, shape, np.float32)


def action_space(market: Market) -> gymnasium.Space[Any]:
    """The space of one action.

    On candles spread, skew and, where allowed, the side left out; depths in a simulated market.
    """
    shape = (market.action_size,)
    return gymnasium.spaces.Box(-1.0, 1.0, shape, np.float32)


class EpisodeStarts:
    """Chooses where episodes start, each environment by its own generator."""

    def __init__(self, market: Market) -> None:
        self._starts = market.starts()
        self._random = market.settings.random_start

    def choose(self, generator: np.random.Generator) -> int:
        """Return a start of the market for the next episode."""
        if not self._random:
            return int(self._starts[0])
        return int(self._starts[generator.integers(len(self._starts))])


class MarketMakingEnv(gymnasium.Env[Observation, npt.NDArray[np.floating[Any]]]):
    """One market-making episode: the N = 1 view of the kernel."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(
        self,
        market: Market | None = None,
        *,
        config: Config | None = None,
        segment: SegmentName = "train",
        render_mode: str | None = None,
        **env_settings: Any,
    ) -> None:
        """Play on a market, or on a segment of a config's (of the synthetic default's) candles.

        `env_settings` are keys of the config's `env` section and override it. Raises UserError
        for bad ones, and TypeError when a market, which has its settings, is given as well.
        """
        self.market = _market(market, config, segment, env_settings)
        self.render_mode = render_mode
        self.observation_space = observation_space(self.market)
        self.action_space = action_space(self.market)
        self._starts = EpisodeStarts(self.market)
        self._episodes: Episodes = self.market.episodes(1)
        self._shape = (self.market.action_size,)
        self._action = np.zeros((1, self.market.action_size))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; a seed fixes this and all later starts."""
        super().reset(seed=seed, options=options)
        start = self._starts.choose(self.np_random)
        self._episodes.restart(np.array([start]))
        return self._episodes.observe()[0], {}

    def step(
        self, action: npt.NDArray[np.floating[Any]]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Quote for one bar; raises ValueError for an action that is not finite."""
        if np.shape(action) != self._shape:
            raise ValueError(f"found an action of shape {np.shape(action)}, expected {self._shape}")
        self._action[0] = action
        if not math.isfinite(sum(self._action[0].tolist())):
            raise ValueError(NOT_FINITE)
        self._episodes.step(self._action)
        *accounts, reward, terminated, truncated = self._episodes.accounts(0)
        seen: Observation = self._episodes.observation[0].copy()
        return seen, reward, terminated, truncated, dict(zip(INFO, accounts, strict=True))

    def snapshot(self) -> dict[str, Any]:
        """Return all that later steps depend on, for an exact resume."""
        return {
            "episodes": self._episodes.snapshot(),
            "generator": self.np_random.bit_generator.state,
        }

    def restore(self, snapshot: dict[str, Any]) -> Observation:
        """Continue from a snapshot; returns the observation at that point."""
        self._episodes.restore(snapshot["episodes"])
        self.np_random.bit_generator.state = snapshot["generator"]
        observation: Observation = self._episodes.observe()[0]
        return observation


class MarketMakingVectorEnv(VectorEnv[Observation, npt.NDArray[np.floating[Any]], Any]):
    """N market-making episodes in one kernel call; a finished one restarts in the same step."""

    metadata: dict[str, Any] = {  # noqa: RUF012 - as Gymnasium declares it
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        market: Market | None = None,
        *,
        config: Config | None = None,
        segment: SegmentName = "train",
        **env_settings: Any,
    ) -> None:
        """Like MarketMakingEnv, N times; environment i has the generator of seed + i."""
        self.num_envs = num_envs
        self.market = _market(market, config, segment, env_settings)
        self.single_observation_space = observation_space(self.market)
        self.single_action_space = action_space(self.market)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._starts = EpisodeStarts(self.market)
        self._episodes: Episodes = self.market.episodes(num_envs)
        self._generators = [seeding.np_random(None)[0] for _ in range(num_envs)]

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Start all episodes; one seed for all means seed + i for environment i."""
        if seed is None or isinstance(seed, Sequence):
            seeds = list(seed or [None] * self.num_envs)
        else:
            seeds = [seed + i for i in range(self.num_envs)]
        if len(seeds) != self.num_envs:
            raise ValueError(f"found {len(seeds)} seeds, expected {self.num_envs}")
        for i, one in enumerate(seeds):
            if one is not None:
                self._generators[i] = seeding.np_random(one)[0]
        self._restart(list(range(self.num_envs)))
        return self._episodes.observe(), {}

    def step(
        self, actions: npt.NDArray[np.floating[Any]]
    ) -> tuple[
        Observation, npt.NDArray[Any], npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]
    ]:
        """Quote for one bar in every episode; `final_obs` holds the last view of ended ones."""
        checked = np.asarray(actions, dtype=np.float64)
        if checked.shape != self.action_space.shape:
            raise ValueError(
                f"found actions of shape {checked.shape}, expected {self.action_space.shape}"
            )
        if not np.isfinite(checked).all():
            raise ValueError(NOT_FINITE)
        outcome = self._episodes.step(checked)
        terminated, truncated = outcome.terminated.copy(), outcome.truncated.copy()
        info = {name: values.copy() for name, values in _accounts(self._episodes, outcome)}
        reward, observation = outcome.reward.copy(), self._episodes.observe()
        ended = np.flatnonzero(terminated | truncated)
        if len(ended):
            info["final_obs"] = observation
            info["_final_obs"] = terminated | truncated
            self._restart([int(i) for i in ended])
            observation = self._episodes.observe()
        return observation, reward, terminated, truncated, info

    def _restart(self, which: list[int]) -> None:
        starts = [self._starts.choose(self._generators[i]) for i in which]
        self._episodes.restart(np.array(starts), which)


def _accounts(episodes: Episodes, outcome: StepOutcome) -> list[tuple[str, npt.NDArray[Any]]]:
    """Name the money and fills of the last step, arrays of shape (episodes,)."""
    own = ("cash", "inventory", "equity")
    return [(name, getattr(episodes.state if name in own else outcome, name)) for name in INFO]


def _market(
    market: Market | None,
    config: Config | None,
    segment: SegmentName,
    env_settings: Mapping[str, Any],
) -> Market:
    if market is None:
        return default_market(config, segment, env_settings)
    if config is not None or env_settings:
        raise TypeError("a market has its settings already: give it alone, or a config and keys")
    return market


def default_market(
    config: Config | None, segment: SegmentName, env_settings: Mapping[str, Any]
) -> Market:
    """Return a segment's market; without a config, of the synthetic data at 8 basis points.

    Raises UserError for unknown keys and bad values.
    """
    if config is None:
        spread = {} if "base_spread" in env_settings else {"base_spread_bps": 8.0}
        content = {"env": {**spread, **env_settings}}
        config = validate_config(content, source="the environment's settings")
    elif env_settings:
        config = config.with_values({f"env.{key}": value for key, value in env_settings.items()})
    return load_markets(config, synthetic_folder=None)[segment]
