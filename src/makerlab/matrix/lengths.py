"""Episodes that no segment can hold, found before anything starts and without reading candles."""

import functools
from pathlib import Path

from makerlab.config import Config
from makerlab.config.settings import SYNTHETIC
from makerlab.errors import UserError

_DAY_SECONDS = 86_400
_CHUNK = 1 << 20
_NAMES = ("train", "valid", "test")


def check_lengths(config: Config, *, source: str) -> None:
    """Raise UserError when an episode is longer than a segment can be.

    Only what is known at once is asked: how long a synthetic market is, how many lines a CSV has.
    Dates, gaps and bars to warm up leave less; a stage that reads the data says so.
    """
    bars = None if config.env.simulates else _most_bars(config)
    if bars is None:
        return
    length, judged = config.env.episode_length, config.tune.eval_episode_length
    for name, share in zip(_NAMES, _shares(config), strict=True):
        room = int(share * bars + 1e-6)
        asked = {"env.episode_length": length}
        if name == "valid" and judged is not None:
            asked["tune.eval_episode_length"] = judged
        for key, found in asked.items():
            # The last step needs a bar to live in.
            if found + 1 > room:
                raise UserError(
                    f"{source}: {key}: found {found}; the {name} segment has at most {room} of the "
                    f"{bars} bars in {config.env.csv_path}; use more data, a shorter episode or "
                    "another split"
                )


def _shares(config: Config) -> tuple[float, float, float]:
    """Return the largest share of the data that each segment may have."""
    split, plan = config.data_split, config.data_split.walk_forward
    train, valid, test = plan.shares if plan.folds else split.fractions
    if split.by_date or train is None or valid is None or test is None:
        return (1.0, 1.0, 1.0)
    return (train, valid, test)


def _most_bars(config: Config) -> int | None:
    """Return how many bars the data have at most, None where only reading them tells."""
    if config.env.csv_path == SYNTHETIC:
        market = config.data.synthetic
        return market.days * _DAY_SECONDS // market.bar_seconds
    path = Path(config.env.csv_path)
    if path.suffix != ".csv":
        return None
    stat = path.stat()
    return _lines(path, stat.st_mtime_ns, stat.st_size) - 1


@functools.cache
def _lines(path: Path, changed_ns: int, size: int) -> int:
    """Count the lines of a file in this state, a last one without an end included."""
    count, last = 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            count, last = count + chunk.count(b"\n"), chunk[-1:]
    return count + (last != b"\n")
