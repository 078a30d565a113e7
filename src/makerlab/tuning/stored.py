"""A trial of a study as its storage has it, read without changing anything."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import optuna

from makerlab.tuning.slots import PARAMS, REASON, SLOT
from makerlab.tuning.storage import open_storage

_SQLITE = "sqlite:///"


class StoredTrial(NamedTuple):
    """What a study says of one of its slots, and how many of its slots are used up."""

    params: dict[str, Any]
    score: float | None
    finished: int


def stored_trial(storage: str, study: str, slot: int) -> StoredTrial | None:
    """Return the trial that stands for a slot; None when storage, study or slot is not there.

    Raises UserError when the storage is damaged.
    """
    place = Path(storage.removeprefix(_SQLITE))
    if (storage.startswith(_SQLITE) or "://" not in storage) and not place.is_file():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        backend = open_storage(storage)
    if study not in optuna.get_all_study_names(backend):
        return None
    trials = optuna.load_study(study_name=study, storage=backend).get_trials(deepcopy=False)
    done = [trial for trial in trials if SLOT in trial.user_attrs and trial.state.is_finished()]
    # A failure without a reason is a process that died: its slot was given to another trial.
    failed = optuna.trial.TrialState.FAIL
    done = [trial for trial in done if trial.state != failed or REASON in trial.user_attrs]
    for trial in done:
        if trial.user_attrs[SLOT] == slot:
            return StoredTrial(trial.user_attrs[PARAMS], trial.value, len(done))
    return None
