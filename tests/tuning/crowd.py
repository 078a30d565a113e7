"""Many processes on one study, each on a host of its own as far as it knows; some are killed.

Run as `crowd.py` with a line of JSON. Every worker takes slots, works on each for a moment, and
writes down which it finished. Workers die by kill -9 at random and others take their place until
all slots are finished.
"""

import importlib
import json
import os
import platform
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from makerlab.config import TuneSettings
from makerlab.runs import owner
from makerlab.tuning.patient import Patience
from makerlab.tuning.slots import Slots, open_slots

STUDY = "crowd"
# Read once, not by each worker: a real one spends its life on training, not on this.
_HEAVY = (
    "alembic.command",
    "optuna.samplers",
    "optuna.storages._rdb.storage",
    "sqlalchemy.dialects.postgresql.psycopg",
)


@dataclass(frozen=True)
class Crowd:
    """What a crowd does."""

    storage: str
    folder: str
    trials: int
    workers: int
    kills: int
    work_seconds: float
    stale_seconds: float
    server_seconds: float
    answer_seconds: float
    seed: int

    def slots(self) -> Slots:
        """Open the study."""
        return open_slots(
            self.storage,
            STUDY,
            key="key",
            trials=self.trials,
            lock_dir=Path(self.folder),
            config=TuneSettings(seed=self.seed),
            patience=Patience(
                beat=self.stale_seconds / 6,
                stale=self.stale_seconds,
                server=self.server_seconds,
                opening=self.server_seconds,
                answer=self.answer_seconds,
            ),
        )


def main(crowd: Crowd) -> None:
    """Keep workers at it until none is left and all slots are finished."""
    for name in _HEAVY:
        importlib.import_module(name)
    draws = random.Random(crowd.seed)
    numbers = iter(range(10**6))
    running = {_start(crowd, next(numbers)) for _ in range(crowd.workers)}
    try:
        killed = _keep_busy(crowd, running, draws, numbers)
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)
    sys.stdout.write(json.dumps({"killed": killed}))


def _keep_busy(
    crowd: Crowd, running: set[int], draws: random.Random, numbers: Iterator[int]
) -> int:
    killed = 0
    while running:
        time.sleep(draws.uniform(0.0, 2 * crowd.work_seconds))
        for pid, status in _ended():
            running.discard(pid)
            assert status in {0, -signal.SIGKILL}, f"a worker ended with {status}"
        due = 0.75 * crowd.trials * killed / crowd.kills
        if killed < crowd.kills and running and finished(crowd) > due:
            os.kill(draws.choice(sorted(running)), signal.SIGKILL)
            running.add(_start(crowd, next(numbers)))
            killed += 1
    return killed


def _start(crowd: Crowd, number: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        platform.node = lambda: f"host{number}"
        owner._boot_id = lambda: f"boot{number}"  # type: ignore[assignment]
        _work(crowd, number)
        status = 0
    finally:
        if status:
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
        os._exit(status)


def _work(crowd: Crowd, number: int) -> None:
    slots = crowd.slots()
    draws = random.Random(number)
    while True:
        trial = slots.take(_suggest)
        if trial is None and not slots.wait(lambda: False):
            return
        if trial is not None and _try(slots, trial, draws.uniform(0.0, 2 * crowd.work_seconds)):
            with (Path(crowd.folder) / f"finished_{number}").open("a") as file:
                file.write(f"{slots.slot(trial)}\n")


def _try(slots: Slots, trial: Trial, seconds: float) -> bool:
    try:
        for step in range(2):
            time.sleep(seconds / 2)
            trial.report(trial.params["x"], step)
        return slots.finish(trial, trial.params["x"], TrialState.COMPLETE)
    except optuna.exceptions.UpdateFinishedTrialError:
        return False


def _suggest(trial: Trial) -> dict[str, Any]:
    return {"x": trial.suggest_float("x", 0.0, 1.0)}


def _ended() -> list[tuple[int, int]]:
    found = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append((pid, os.waitstatus_to_exitcode(status)))


def finished(crowd: Crowd) -> int:
    """Return how many trials the workers of a crowd say are finished."""
    files = Path(crowd.folder).glob("finished_*")
    return sum(len(path.read_text().splitlines()) for path in files)


if __name__ == "__main__":
    main(Crowd(**json.loads(sys.argv[1])))
