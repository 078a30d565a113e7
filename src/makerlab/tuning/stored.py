"""A trial of a study as its storage has it, read without changing anything."""

from typing import Any, NamedTuple

import optuna

from makerlab.tuning.address import recorded_address
from makerlab.tuning.slots import PARAMS, standing
from makerlab.tuning.storage import open_storage


class StoredTrial(NamedTuple):
    """What a study says of one of its slots, and how many of its slots are used up."""

    params: dict[str, Any]
    score: float | None
    finished: int


def stored_trial(storage: str, study: str, slot: int) -> StoredTrial | None:
    """Return the trial that stands for a slot; None when storage, study or slot is not there.

    Raises UserError when the storage is damaged, or a server that can't be reached.
    """
    address = recorded_address(storage)
    if address.path is not None and not address.path.is_file():
        return None
    backend = open_storage(address)
    if study not in optuna.get_all_study_names(backend):
        return None
    trials = optuna.load_study(study_name=study, storage=backend).get_trials(deepcopy=False)
    done = {place: trial for place, trial in standing(trials).items() if trial.state.is_finished()}
    trial = done.get(slot)
    return None if trial is None else StoredTrial(trial.user_attrs[PARAMS], trial.value, len(done))
