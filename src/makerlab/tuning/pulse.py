"""Signs of life of those who work on trials, for processes on other hosts to watch."""

import contextlib
import itertools
import threading
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from makerlab.files import write_text
from makerlab.runs.owner import this_process

OWNER, BEAT = "owner", "beat"
"""User attributes of a trial: the process that works on it, and how often that has beaten."""

_IDENTITY = ("host", "boot_id", "pid_namespace", "pid", "started")


class Pulse(Protocol):
    """Where beats are left."""

    def beat(self, trial_id: int, count: int) -> None:
        """Leave a sign of life with a trial of this process."""
        ...

    def sign(self, trial: FrozenTrial) -> str:
        """Return the last sign of life of a trial's process."""
        ...


class AttributePulse:
    """Beats kept with the trial, in a database."""

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage

    def beat(self, trial_id: int, count: int) -> None:
        """Change the trial's own attribute."""
        self._storage.set_trial_user_attr(trial_id, BEAT, count)

    def sign(self, trial: FrozenTrial) -> str:
        """Return the attribute, read with the trial."""
        return str(trial.user_attrs.get(BEAT))


class FilePulse:
    """Beats kept in a file per process: in a journal each would be a line for ever."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def beat(self, trial_id: int, count: int) -> None:
        """Write the process's file; one beat serves all its trials."""
        write_text(self._file(this_process()), f"{trial_id} {count}\n")

    def sign(self, trial: FrozenTrial) -> str:
        """Return what the owner's file says, nothing when it is not there."""
        try:
            return self._file(trial.user_attrs[OWNER]).read_text()
        except FileNotFoundError:
            return ""

    def _file(self, owner: dict[str, Any]) -> Path:
        return self._folder / "~".join(str(owner[name]) for name in _IDENTITY)


class Heart:
    """Beats for all trials that this process works on, until it ends or they do."""

    def __init__(self, pulse: Pulse, *, every: float) -> None:
        self._pulse, self._every = pulse, every
        self._trials: set[int] = set()
        self._lock = threading.Lock()
        self._counts = itertools.count(1)
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, trial_id: int) -> None:
        """Beat for a trial from now on."""
        with self._lock:
            self._trials = self._trials | {trial_id}
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        self._woken.set()

    def stop(self, trial_id: int) -> None:
        """Beat for a trial no more."""
        with self._lock:
            self._trials = self._trials - {trial_id}

    def _run(self) -> None:
        while True:
            for trial_id in self._trials:
                self._beat(trial_id)
            self._woken.wait(self._every)
            self._woken.clear()

    def _beat(self, trial_id: int) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        # A storage that is away says so to whoever needs it; the next beat tries again.
        with contextlib.suppress(OSError, SQLAlchemyError, optuna.exceptions.StorageInternalError):
            try:
                self._pulse.beat(trial_id, next(self._counts))
            except optuna.exceptions.UpdateFinishedTrialError:
                # Ended by its own process just now, or by another that took this one for dead.
                self.stop(trial_id)
