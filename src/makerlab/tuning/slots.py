"""A study with a fixed number of places: each taken once, none lost, whoever is killed.

A study asked for n trials has the slots 0 to n-1, however often and by however many processes it
is taken up. A trial stands for a slot unless it failed without a reason: then its process died or
was stopped, and the slot is free again. Taking a slot, and choosing its parameters, happens under
a lock; a slot's sampler is seeded by study and slot, so one process alone always chooses the same
parameters, kills or not.
"""

import contextlib
import hashlib
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import optuna
from optuna.trial import FrozenTrial, TrialState

from makerlab.config import TuneSettings
from makerlab.errors import UserError
from makerlab.runs.owner import is_alive, is_local, this_process
from makerlab.tuning.storage import HEARTBEAT_SECONDS, open_storage

STARTUP_SAMPLES = 8
"""Random trials before TPE begins; Optuna's default of 10 is most of a small study."""

# User attributes of a trial.
SLOT, OWNER, PARAMS, REASON = "slot", "owner", "params", "reason"
_KEY = "makerlab:tune_key"

Suggest = Callable[[optuna.trial.Trial], dict[str, Any]]


def open_slots(
    storage: str, name: str, *, key: str, trials: int, lock_dir: Path, config: TuneSettings
) -> "Slots":
    """Open or create a study with its slots; raises UserError when it belongs to other inputs."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Heartbeats are beaten here rather than by Study.optimize, which can't take slots.
    warnings.filterwarnings("ignore", message=".*[Hh]eartbeat.*", module="optuna.*")
    lock = filelock.FileLock(lock_dir / f".{_short(storage + name)}.study.lock")
    # Creating the tables is no more safe to do twice at once than creating the study.
    with filelock.FileLock(lock_dir / ".storage.lock"):
        backend = open_storage(storage)
        study = optuna.create_study(
            study_name=name,
            storage=backend,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=config.startup_trials, n_warmup_steps=0
            ),
        )
        stored = study.user_attrs.get(_KEY)
        if stored is None:
            _check_own(study)
            study.set_user_attr(_KEY, key)
    if stored not in {None, key}:
        raise UserError(
            f"study '{name}': was made with another config, data or code than these; "
            "leave out --study_name or give a new one"
        )
    return Slots(study, storage, lock, trials=trials, seed=config.seed)


class Slots:
    """The places of one study, as one process sees them."""

    def __init__(
        self,
        study: optuna.Study,
        storage: str,
        lock: filelock.BaseFileLock,
        *,
        trials: int,
        seed: int,
    ) -> None:
        self._study, self._lock, self._trials, self._seed = study, lock, trials, seed
        self.storage_name = storage
        self._hearts: dict[int, threading.Event] = {}

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self._study.study_name)

    def take(self, suggest: Suggest) -> optuna.trial.Trial | None:
        """Take the next free slot and choose its parameters; None when none is free."""
        with self._lock:
            self._reap_dead()
            live = self._live()
            free = [slot for slot in range(self._trials) if slot not in live]
            if not free:
                return None
            self._study.sampler = optuna.samplers.TPESampler(
                seed=_sampler_seed(self._seed, free[0]), n_startup_trials=STARTUP_SAMPLES
            )
            trial = self._study.ask()
            trial.set_user_attr(SLOT, free[0])
            trial.set_user_attr(OWNER, this_process())
            trial.set_user_attr(PARAMS, suggest(trial))
        self._start_heart(trial)
        return trial

    def slot(self, trial: optuna.trial.Trial) -> int:
        """Return the slot of a trial."""
        return int(trial.user_attrs[SLOT])

    def finish(self, trial: optuna.trial.Trial, score: float | None, state: TrialState) -> None:
        """Record a trial as complete or pruned."""
        self._stop_heart(trial)
        self._study.tell(trial, score, state=state)

    def fail(self, trial: optuna.trial.Trial, reason: str) -> None:
        """Record a trial that would fail again; its slot is used up."""
        self._stop_heart(trial)
        trial.set_user_attr(REASON, reason)
        self._study.tell(trial, state=TrialState.FAIL)

    def give_back(self, trial: optuna.trial.Trial) -> None:
        """Free the slot of a trial that could not be finished."""
        self._stop_heart(trial)
        self._study.tell(trial, state=TrialState.FAIL)

    def best(self) -> FrozenTrial | None:
        """Return the complete trial with the highest score, None when there is none."""
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return max(complete, key=lambda t: (t.value, -t.user_attrs[SLOT]), default=None)

    def counts(self) -> dict[str, int]:
        """Return how many slots are complete, pruned, failed, and finished in all."""
        states = [trial.state for trial in self._live().values()]
        counts = {
            "complete": states.count(TrialState.COMPLETE),
            "pruned": states.count(TrialState.PRUNED),
            "failed": states.count(TrialState.FAIL),
        }
        return counts | {"finished": sum(counts.values())}

    def summary(self) -> str:
        """Return the counts as a line."""
        counts = self.counts()
        return (
            f"{counts['finished']} of {self._trials} trials finished "
            f"({counts['pruned']} pruned, {counts['failed']} failed)"
        )

    def attribute(self, name: str) -> Any:
        """Return what was remembered with the study, None if nothing was."""
        return self._study.user_attrs.get(name)

    def set_attribute(self, name: str, value: Any) -> None:
        """Remember something with the study."""
        self._study.set_user_attr(name, value)

    @contextlib.contextmanager
    def finishing(self) -> Iterator[bool]:
        """Let one process at a time finish the study; False while others are still at work."""
        with filelock.FileLock(f"{self._lock.lock_file}.finish"):
            yield self.counts()["finished"] >= self._trials

    def _live(self) -> dict[int, FrozenTrial]:
        """Return the trial that stands for each slot that is taken or used up."""
        return {
            trial.user_attrs[SLOT]: trial
            for trial in self._study.get_trials(deepcopy=False)
            if SLOT in trial.user_attrs
            and (trial.state != TrialState.FAIL or REASON in trial.user_attrs)
        }

    def _reap_dead(self) -> None:
        """Fail the trials of dead processes, so that their slots are free at once.

        A process of this host is looked up; for those of other hosts the heartbeat tells. A
        trial without an owner was left by a process that died while it held the lock.
        """
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in running:
            owner = trial.user_attrs.get(OWNER)
            if owner is None or (is_local(owner) and not is_alive(owner)):
                self._study.tell(trial.number, state=TrialState.FAIL)
        if any(OWNER in t.user_attrs and not is_local(t.user_attrs[OWNER]) for t in running):
            optuna.storages.fail_stale_trials(self._study)

    def _start_heart(self, trial: optuna.trial.Trial) -> None:
        """Beat until the trial ends: processes on other hosts see that this one lives."""
        storage = self._study._storage
        if not hasattr(storage, "record_heartbeat"):
            return
        stopped = threading.Event()
        number = trial._trial_id

        def beat() -> None:
            storage.record_heartbeat(number)
            while not stopped.wait(HEARTBEAT_SECONDS):
                storage.record_heartbeat(number)

        self._hearts[number] = stopped
        threading.Thread(target=beat, daemon=True).start()

    def _stop_heart(self, trial: optuna.trial.Trial) -> None:
        stopped = self._hearts.pop(trial._trial_id, None)
        if stopped is not None:
            stopped.set()


def _check_own(study: optuna.Study) -> None:
    """Refuse a study that something else made: its trials stand for no slots."""
    maximized = study.directions == [optuna.study.StudyDirection.MAXIMIZE]
    if not maximized or study.get_trials(deepcopy=False):
        raise UserError(
            f"study '{study.study_name}': was made by another program; "
            "leave out --study_name or give a new one"
        )


def _sampler_seed(seed: int, slot: int) -> int:
    digest = hashlib.sha256(f"{seed}:{slot}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
