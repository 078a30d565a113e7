"""Play a policy over a batch of episodes and keep every step."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from makerlab.market.base import Market
from makerlab.policies.base import Policy

Floats = npt.NDArray[np.float64]

RECORDED = (
    "mid",
    "bid",
    "ask",
    "bid_filled",
    "ask_filled",
    "liquidated",
    "fees",
    "turnover",
    "spread_captured",
    "inventory_profit",
    "reward",
)

_KEPT = ("inventory", "cash", "equity")


@dataclass(frozen=True)
class Trajectories:
    """What a policy did: arrays of shape (episodes, steps), NaN after an early end."""

    market: Market
    starts: npt.NDArray[np.int64]
    start_mid: Floats
    mid: Floats
    bid: Floats
    ask: Floats
    bid_filled: Floats
    ask_filled: Floats
    liquidated: Floats
    fees: Floats
    turnover: Floats
    spread_captured: Floats
    inventory_profit: Floats
    reward: Floats
    inventory: Floats
    cash: Floats
    equity: Floats

    @property
    def steps(self) -> int:
        """Steps of the longest episode."""
        return self.mid.shape[1]

    def timestamps_ms(self, episode: int) -> npt.NDArray[np.int64]:
        """Return the open time of the bar in which each step's quotes lived."""
        return self.market.timestamps_ms(int(self.starts[episode]), self.steps)


def evaluation_starts(
    market: Market, *, episodes: int, episode_length: int
) -> npt.NDArray[np.int64]:
    """Return the starts of at most `episodes` episodes that don't overlap, evenly spread.

    Overlapping windows would repeat the same bars and make every interval too narrow, so fewer
    episodes than asked for come back when fewer fit side by side.
    """
    allowed = market.starts(episode_length)
    stride = market.stride(episode_length)
    chosen = [int(allowed[0])]
    for start in allowed[np.searchsorted(allowed, allowed[0] + stride) :]:
        if start >= chosen[-1] + stride:
            chosen.append(int(start))
    if len(chosen) <= episodes:
        return np.array(chosen, np.int64)
    picks = np.linspace(0, len(chosen) - 1, episodes).round().astype(np.int64)
    return np.array(chosen, np.int64)[picks]


def rollout(
    market: Market,
    policy: Policy,
    starts: npt.NDArray[np.int64],
    *,
    episode_length: int | None = None,
) -> Trajectories:
    """Play the policy over all episodes at once."""
    batch = market.episodes(len(starts), episode_length=episode_length)
    batch.restart(starts)
    shape = (batch.episode_length, len(starts))
    record = {name: np.full(shape, np.nan) for name in (*RECORDED, *_KEPT)}
    start_mid = np.array(batch.state.start_mid)
    columns = [(record[name], getattr(batch.outcome, name)) for name in RECORDED]
    columns += [(record[name], getattr(batch.state, name)) for name in _KEPT]
    ended = np.zeros(len(starts), np.bool_)
    lived = np.full(len(starts), shape[0])
    for step in range(shape[0]):
        outcome = batch.step(policy.act(batch.observation))
        for kept, column in columns:
            kept[step] = column
        ending = (outcome.terminated | outcome.truncated) & ~ended
        if ending.any():
            lived[ending] = step + 1
            ended |= ending
            if ended.all():
                break
    for episode in np.flatnonzero(lived < shape[0]):
        for kept, _ in columns:
            kept[lived[episode] :, episode] = np.nan
    played = {name: values.T for name, values in record.items()}
    return Trajectories(market=market, starts=starts, start_mid=start_mid, **played)
