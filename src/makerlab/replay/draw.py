"""The picture of a replay: equity on the recorded book beside that on its candles."""

from pathlib import Path

import numpy as np

from makerlab.evaluation.rollout import Trajectories
from makerlab.plotting import COLOURS, legend_outside, picture


def replay_plot(
    path: Path, played: dict[str, tuple[Trajectories, Trajectories]], *, title: str, subtitle: str
) -> None:
    """Draw profit over time of each policy: solid on the book, dashed on candles, one colour."""
    with picture(path, title=title, subtitle=subtitle) as axes:
        for number, (name, pair) in enumerate(played.items()):
            colour = COLOURS[number % len(COLOURS)]
            kinds = (("book", "-", 1.8), ("candles", "--", 1.2))
            for trajectories, (kind, line, width) in zip(pair, kinds, strict=True):
                profit = trajectories.equity[0] - trajectories.market.settings.initial_cash
                lived = np.isfinite(profit)
                seconds = trajectories.market.bar_ms / 1000 * np.arange(1, len(profit) + 1)
                last = profit[lived][-1] if lived.any() else 0.0
                axes.plot(
                    seconds[lived],
                    profit[lived],
                    color=colour,
                    linestyle=line,
                    linewidth=width,
                    label=f"{name}, {kind}  {last:+.4g}",
                )
        axes.axhline(0.0, color="#767676", linewidth=0.8)
        axes.set_xlabel("Seconds since the first quote")
        axes.set_ylabel("Profit (quote currency)")
        legend_outside(axes, title="Policy, profit at the end", alignment="left", handlelength=3.5)
