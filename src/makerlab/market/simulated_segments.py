"""Where the episodes of a simulated market come from, and which of them train, choose and judge."""

from typing import Any

from makerlab.config import Config, EnvSettings
from makerlab.data.candles import DataSource
from makerlab.data.split import Segment, split_whole
from makerlab.errors import UserError
from makerlab.files import content_hash
from makerlab.market.simulated import CLOCK_START_MS, STEP_MS


def simulated_source(settings: EnvSettings) -> DataSource:
    """Return the source of a simulated market: synthetic, identified by its parameters."""
    steps = settings.simulated.episodes * settings.episode_length
    return DataSource(
        kind="synthetic",
        path=f"simulated:{settings.market}",
        sha256=simulated_hash(settings),
        rows=steps,
        bar_ms=STEP_MS,
        start_ms=CLOCK_START_MS,
        end_ms=CLOCK_START_MS + steps * STEP_MS,
        gaps=(),
    )


def simulated_hash(settings: EnvSettings) -> str:
    """Return what identifies a simulated market, in place of a file's hash."""
    content = {"market": settings.market, **settings.simulated.model_dump(mode="json")}
    return content_hash(content)


def split_episodes(config: Config) -> tuple[tuple[Segment, Segment, Segment], dict[str, Any]]:
    """Cut the numbers of all episodes into train, validation and test, and record the ranges.

    Raises UserError for a split by dates: simulated episodes have none.
    """
    if config.data_split.by_date:
        raise UserError(
            f"data_split: found dates, expected fractions; market {config.env.market} is "
            "simulated and has no dates"
        )
    segments = split_whole(config.env.simulated.episodes, config.data_split)
    record: dict[str, Any] = {
        segment.name: {
            "start": f"episode {segment.start}",
            "end": f"episode {segment.stop}",
            "episodes": len(segment),
            "bars": len(segment) * config.env.episode_length,
        }
        for segment in segments
    }
    return segments, record | {"fallback": None, "seed": config.env.simulated.seed}
