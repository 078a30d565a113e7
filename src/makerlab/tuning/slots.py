"""A study with a fixed number of places: each taken once, none lost, whoever is killed.

A study asked for n trials has the slots 0 to n-1, however often and by however many processes, on
however many hosts, it is taken up. A trial is created whole, with its slot, owner and parameters,
and never leaves the state in which it first ended. The first trial of a slot that has not failed
stands for it; a failure with a reason counts as an end, one without means that the process died or
was stopped, and the slot is free again. Who creates a trial and finds an earlier one there takes
the next slot. As every storage puts trials in one order, no lock is needed for this to hold.

A slot's sampler is seeded by study and slot and sees the other slots in their order, so one
process alone always chooses the same parameters, kills or not.
"""

import contextlib
import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from makerlab.config import TuneSettings
from makerlab.errors import UserError
from makerlab.runs.lease import Watch
from makerlab.runs.owner import is_alive, is_local, this_process
from makerlab.tuning.address import StorageAddress, read_address
from makerlab.tuning.gates import Gate, gate_of
from makerlab.tuning.patient import PATIENT, Patience
from makerlab.tuning.pulse import BEAT, OWNER, AttributePulse, FilePulse, Heart, Pulse
from makerlab.tuning.storage import check_journal, open_storage, storage_errors

STARTUP_SAMPLES = 8
"""Random trials before TPE begins; Optuna's default of 10 is most of a small study."""

# User attributes of a trial.
SLOT, PARAMS, REASON = "slot", "params", "reason"
_KEY = "makerlab:tune_key"

Suggest = Callable[[Trial], dict[str, Any]]
_claims = itertools.count()
# Studies that this process is about to finish.
_finishing: set[tuple[str, str]] = set()


def open_slots(
    storage: str,
    name: str,
    *,
    key: str,
    trials: int,
    lock_dir: Path,
    config: TuneSettings,
    patience: Patience = PATIENT,
) -> "Slots":
    """Open or create a study with its slots; raises UserError when it belongs to other inputs."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    address = read_address(storage)
    check_journal(address)
    # Making the tables is no more safe to do twice at once than making the study.
    short = replace(patience, server=patience.opening)
    opening = gate_of(address, "open", lock_dir=lock_dir, patience=short, brief=True)
    with storage_errors(address), opening.passing():
        backend = open_storage(address, patience=patience)
        study = optuna.create_study(
            study_name=name,
            storage=backend,
            direction="maximize",
            load_if_exists=True,
            # Parameters are chosen on a copy of the study; this one is never asked.
            sampler=optuna.samplers.RandomSampler(seed=0),
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
    taking, ending = (
        gate_of(address, f"{name}:{what}", lock_dir=lock_dir, patience=patience, brief=brief)
        for what, brief in (("take", True), ("finish", False))
    )
    return Slots(
        study,
        backend,
        address,
        taking=taking,
        ending=ending,
        trials=trials,
        seed=config.seed,
        patience=patience,
    )


class Slots:
    """The places of one study, as one process sees them."""

    def __init__(
        self,
        study: optuna.Study,
        storage: BaseStorage,
        address: StorageAddress,
        *,
        taking: Gate,
        ending: Gate,
        trials: int,
        seed: int,
        patience: Patience,
    ) -> None:
        self._study, self._storage = study, storage
        self._study_id = storage.get_study_id_from_name(study.study_name)
        self._taking, self._ending = taking, ending
        self._trials, self._seed = trials, seed
        self.storage_name = address.public
        self._pulse = _pulse_of(storage, address)
        self._heart = Heart(self._pulse, every=patience.beat)
        self._watch = Watch(patience.stale)
        self._poll = patience.beat / 10

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self._study.study_name)

    def take(self, suggest: Suggest) -> Trial | None:
        """Take the next free slot and choose its parameters; None when none is free now."""
        with self._taking.passing():
            while True:
                live = standing(self._without_dead())
                free = self._free(live)
                if not free:
                    return None
                trial = self._claim(free[0], suggest, live)
                if trial is not None:
                    self._heart.start(trial._trial_id)
                    return trial

    def wait(
        self,
        stop: Callable[[], bool],
        *,
        to_the_end: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> bool:
        """Wait until a slot is free because its process died; False when there is none to come.

        A process that is seen to live will take what else comes free, so nobody waits for that,
        unless asked to stay `to_the_end` of all trials; the last one alive waits until the others
        are known to be dead.
        """
        first: dict[int, str] = {}
        while not stop():
            live = standing(self._without_dead())
            if self._free(live):
                return True
            running = [t for t in live.values() if t.state == TrialState.RUNNING]
            if not running:
                return False
            if not to_the_end and any(self._is_seen_alive(trial, first) for trial in running):
                return False
            sleep(self._poll)
        return False

    def slot(self, trial: Trial) -> int:
        """Return the slot of a trial."""
        return int(trial.user_attrs[SLOT])

    def finish(self, trial: Trial, score: float | None, state: TrialState) -> bool:
        """Record a trial as complete or pruned; False when its slot was given to another."""
        if score is None and state == TrialState.PRUNED:
            reported = self._storage.get_trial(trial._trial_id).intermediate_values
            score = reported[max(reported)] if reported else None
        return self._end(trial._trial_id, state, None if score is None else [score])

    def fail(self, trial: Trial, reason: str) -> bool:
        """Record a trial that would fail again, its slot used up; False as `finish` does."""
        try:
            trial.set_user_attr(REASON, reason)
        except UpdateFinishedTrialError:
            self._heart.stop(trial._trial_id)
            return False
        return self._end(trial._trial_id, TrialState.FAIL)

    def give_back(self, trial: Trial) -> None:
        """Free the slot of a trial that could not be finished."""
        self._end(trial._trial_id, TrialState.FAIL)

    def best(self) -> FrozenTrial | None:
        """Return the complete trial with the highest score, None when there is none."""
        complete = [t for t in self._live().values() if t.state == TrialState.COMPLETE]
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
        """Let one at a time finish the study; False while others are still at work.

        Nobody waits for another in this process, which can't go on meanwhile.
        """
        place = (self.storage_name, self.name)
        if place in _finishing:
            yield False
            return
        with self._ending.passing():
            _finishing.add(place)
            try:
                yield self.counts()["finished"] >= self._trials
            finally:
                _finishing.remove(place)

    def _live(self) -> dict[int, FrozenTrial]:
        """Return the trial that stands for each slot that is taken or used up."""
        return standing(self._study.get_trials(deepcopy=False))

    def _free(self, live: dict[int, FrozenTrial]) -> list[int]:
        return [slot for slot in range(self._trials) if slot not in live]

    def _claim(self, slot: int, suggest: Suggest, live: dict[int, FrozenTrial]) -> Trial | None:
        """Create a trial for a slot; None when another was there first.

        The request may have reached the storage twice, so that there are two trials of this claim.
        """
        owner = this_process() | {"claim": next(_claims)}
        chosen = self._choose(slot, suggest, owner, live)
        self._storage.create_new_trial(self._study_id, chosen)
        trials = self._study.get_trials(deepcopy=False)
        holder = standing(trials).get(slot)
        for trial in trials:
            spare = holder is None or trial._trial_id != holder._trial_id
            mine = trial.state == TrialState.RUNNING and trial.user_attrs.get(OWNER) == owner
            if spare and mine:
                self._end(trial._trial_id, TrialState.FAIL)
        if holder is None or holder.user_attrs.get(OWNER) != owner:
            return None
        return Trial(self._study, holder._trial_id)

    def _choose(
        self, slot: int, suggest: Suggest, owner: dict[str, Any], live: dict[int, FrozenTrial]
    ) -> FrozenTrial:
        """Choose a slot's parameters on a copy of the study, so that its trial appears whole."""
        sampler = optuna.samplers.TPESampler(
            seed=_sampler_seed(self._seed, slot), n_startup_trials=STARTUP_SAMPLES
        )
        copy = optuna.create_study(direction="maximize", sampler=sampler)
        copy.add_trials([trial for _, trial in sorted(live.items())])
        trial = copy.ask()
        attributes = {PARAMS: suggest(trial), SLOT: slot, OWNER: owner, BEAT: 0}
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        return copy.get_trials(deepcopy=False)[-1]

    def _end(self, trial_id: int, state: TrialState, values: list[float] | None = None) -> bool:
        """End a trial; False when it has ended otherwise."""
        self._heart.stop(trial_id)
        try:
            if self._storage.set_trial_state_values(trial_id, state, values):
                return True
        except UpdateFinishedTrialError:
            pass
        # Either it was given to another, or this very request was answered by a broken connection.
        found = self._storage.get_trial(trial_id)
        return bool(found.state == state and (values is None or found.values == values))

    def _without_dead(self) -> list[FrozenTrial]:
        """Return all trials; those of dead processes have failed, so that their slots are free."""
        while True:
            trials = self._study.get_trials(deepcopy=False)
            dead = [t for t in trials if t.state == TrialState.RUNNING and self._is_dead(t)]
            if not dead:
                return trials
            for trial in dead:
                self._end(trial._trial_id, TrialState.FAIL)

    def _is_dead(self, trial: FrozenTrial) -> bool:
        owner = trial.user_attrs.get(OWNER)
        if owner is None or is_local(owner):
            return not is_alive(owner)
        return self._watch.stands_still(str(trial._trial_id), self._pulse.sign(trial))

    def _is_seen_alive(self, trial: FrozenTrial, first: dict[int, str]) -> bool:
        if is_local(trial.user_attrs[OWNER]):
            return True
        sign = self._pulse.sign(trial)
        return first.setdefault(trial._trial_id, sign) != sign


def standing(trials: list[FrozenTrial]) -> dict[int, FrozenTrial]:
    """Return the trial that stands for each slot: the first that has not failed for no reason."""
    live: dict[int, FrozenTrial] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        failed = trial.state == TrialState.FAIL and REASON not in trial.user_attrs
        if SLOT in trial.user_attrs and not failed:
            live.setdefault(trial.user_attrs[SLOT], trial)
    return live


def _pulse_of(storage: BaseStorage, address: StorageAddress) -> Pulse:
    if address.kind == "journal" and address.path is not None:
        return FilePulse(address.path.with_name(f".{address.path.name}.alive"))
    return AttributePulse(storage)


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
