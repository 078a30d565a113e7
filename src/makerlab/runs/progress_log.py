"""The learning curve: progress.csv and TensorBoard events, continued exactly after a stop."""

import csv
import io
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from makerlab.files import write_text

COLUMNS = (
    "step",
    "episodes",
    "episode_reward",
    "valid_score",
    "actor_loss",
    "critic_loss",
    "ent_coef",
    "ent_coef_loss",
    "steps_per_second",
)


class Learning(Protocol):
    """What a row is made of."""

    step: int
    episodes: int
    losses: dict[str, float]

    @property
    def episode_reward(self) -> float | None:
        """Mean reward of the last finished episodes."""
        ...


class ProgressLog:
    """Rows of the learning curve; the checkpoint keeps them, so a resume rewrites the file."""

    def __init__(
        self, path: Path, events: Path, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Write rows to `path` and TensorBoard events into the folder `events`."""
        self._path, self._events, self._clock = path, events, clock
        self.rows: list[dict[str, Any]] = []
        self._writer: Any = None
        self._last: tuple[int, float] = (0, clock())

    def __enter__(self) -> "ProgressLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    @property
    def last_score(self) -> float | None:
        """The newest validation's score."""
        scores = [row["valid_score"] for row in self.rows if row["valid_score"] is not None]
        return scores[-1] if scores else None

    def restore(self, rows: list[dict[str, Any]], *, step: int) -> None:
        """Start with these rows; TensorBoard drops events of this step and later."""
        from torch.utils.tensorboard import SummaryWriter

        self.rows = list(rows)
        self._last = (step, self._clock())
        lines = [self._line(COLUMNS), *(self._line(row.values()) for row in self.rows)]
        write_text(self._path, "".join(lines))
        self._writer = SummaryWriter(str(self._events), purge_step=step + 1 if step else None)

    def add(self, learning: Learning, *, score: float | None) -> None:
        """Add a row for the present step."""
        step, since = self._last
        now = self._clock()
        speed = (learning.step - step) / max(now - since, 1e-9)
        self._last = (learning.step, now)
        losses = {name: learning.losses.get(name) for name in COLUMNS[4:8]}
        row = {
            "step": learning.step,
            "episodes": learning.episodes,
            "episode_reward": learning.episode_reward,
            "valid_score": score,
            **losses,
            "steps_per_second": round(speed, 1),
        }
        self.rows.append(row)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(self._line(row.values()))
        for name, value in row.items():
            if name != "step" and value is not None:
                self._writer.add_scalar(f"{_group(name)}/{name}", value, learning.step)
        self._writer.flush()

    @staticmethod
    def _line(values: Any) -> str:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow(values)
        return buffer.getvalue()


def _group(name: str) -> str:
    if name.startswith("valid"):
        return "valid"
    return "train" if "loss" in name or "ent" in name else "rollout"
