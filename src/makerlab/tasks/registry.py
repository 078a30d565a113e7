"""Finds a task by the name that a config gives."""

from pathlib import Path

from makerlab.config import Config
from makerlab.tasks.base import Workbench
from makerlab.tasks.market_making import MarketMakingWorkbench


def open_workbench(
    config: Config, *, synthetic_folder: Path | None, cache_folder: Path | None = None
) -> Workbench:
    """Load a config's data and return where its policies are trained and judged."""
    return _WORKBENCHES[config.task](
        config, synthetic_folder=synthetic_folder, cache_folder=cache_folder
    )


_WORKBENCHES = {"market_making": MarketMakingWorkbench}
