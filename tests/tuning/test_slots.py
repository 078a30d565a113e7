"""Slots as one process sees them: claims, the dead, the living elsewhere."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from makerlab.chaos.postgresql import Server
from makerlab.config import TuneSettings
from makerlab.runs.owner import this_process
from makerlab.tuning.patient import Patience
from makerlab.tuning.pulse import BEAT, OWNER
from makerlab.tuning.slots import PARAMS, Slots, open_slots

ELSEWHERE = this_process() | {"host": "elsewhere"}
OPEN = Callable[..., Slots]


@pytest.fixture(params=["sqlite", "journal", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("server")
        return server.url
    ending = {"sqlite": f"sqlite:///{tmp_path}/optuna.db", "journal": f"journal:{tmp_path}/journal"}
    return ending[request.param]


@pytest.fixture
def open_study(storage: str, tmp_path: Path) -> OPEN:
    def opened(name: str = tmp_path.name, **changes: Any) -> Slots:
        given: dict[str, Any] = {"key": "key", "trials": 3, "lock_dir": tmp_path}
        patience = Patience(beat=0.05, stale=0.3, server=5.0)
        given |= {"config": TuneSettings(seed=3), "patience": patience}
        return open_slots(storage, name, **(given | changes))

    return opened


def suggest(trial: optuna.trial.Trial) -> dict[str, Any]:
    return {"x": trial.suggest_float("x", 0.0, 1.0)}


def taken(slots: Slots) -> optuna.trial.Trial:
    trial = slots.take(suggest)
    assert trial is not None
    return trial


def test_each_slot_is_taken_once(open_study: OPEN) -> None:
    one, other = open_study(), open_study()
    found = [taken(one), taken(other), taken(one)]
    assert [one.slot(trial) for trial in found] == [0, 1, 2]
    assert one.take(suggest) is None and other.take(suggest) is None
    for trial in found:
        assert trial.user_attrs[PARAMS] == trial.params
        assert one.finish(trial, trial.params["x"], TrialState.COMPLETE)
    assert other.counts() == {"complete": 3, "pruned": 0, "failed": 0, "finished": 3}


def test_who_comes_second_takes_the_next_slot(open_study: OPEN) -> None:
    """As if both had found slot 0 free, with no gate between them."""
    one, other = open_study(), open_study()
    first = one._claim(0, suggest, {})
    assert first is not None and other._claim(0, suggest, {}) is None
    assert other.slot(taken(other)) == 1


def test_a_request_sent_twice_makes_one_trial(
    open_study: OPEN, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was cut off after it had done what was asked is asked again."""
    slots = open_study()
    create = slots._storage.create_new_trial

    def twice(study_id: int, template: optuna.trial.FrozenTrial) -> int:
        create(study_id, template)
        return create(study_id, template)

    with monkeypatch.context() as broken:
        broken.setattr(slots._storage, "create_new_trial", twice)
        trial = taken(slots)
    states = [other.state.name for other in slots._study.get_trials(deepcopy=False)]
    assert states == ["RUNNING", "FAIL"] and trial.number == 0
    assert slots.finish(trial, 1.0, TrialState.COMPLETE)
    # The same end once more is the answer that was lost; another end is refused.
    assert slots.finish(trial, 1.0, TrialState.COMPLETE)
    assert not slots.finish(trial, 2.0, TrialState.COMPLETE)


def test_a_dead_process_of_this_host_frees_its_slot_at_once(open_study: OPEN) -> None:
    slots = open_study()
    dead = taken(slots)
    dead.set_user_attr(OWNER, this_process() | {"started": 0.0})
    assert slots.slot(taken(slots)) == 0


def test_one_elsewhere_frees_its_slot_when_it_stands_still(open_study: OPEN) -> None:
    slots = open_study(trials=1)
    silent = taken(slots)
    slots._heart.stop(silent._trial_id)
    silent.set_user_attr(OWNER, ELSEWHERE)
    assert slots.take(suggest) is None
    assert slots.wait(lambda: False)
    again = taken(slots)
    assert slots.slot(again) == 0
    # It was only slow: what it brings now is not wanted any more.
    assert not slots.finish(silent, 1.0, TrialState.COMPLETE)
    assert not slots.fail(silent, "too late")
    assert slots.finish(again, 0.5, TrialState.COMPLETE)
    best = slots.best()
    assert best is not None and best.value == 0.5


def test_nobody_waits_for_one_elsewhere_that_beats(
    open_study: OPEN, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots, other = open_study(trials=1), open_study(trials=1)
    trial = taken(other)
    trial.set_user_attr(OWNER, ELSEWHERE)
    beats = iter(range(10**6))
    monkeypatch.setattr(slots._pulse, "sign", lambda _: str(next(beats)))
    assert not slots.wait(lambda: False)
    assert slots.counts()["finished"] == 0 and slots.take(suggest) is None


def test_who_stays_to_the_end_waits_for_those_who_live(open_study: OPEN) -> None:
    slots, other = open_study(trials=1), open_study(trials=1)
    trial = taken(other)
    assert not slots.wait(lambda: False)
    pauses = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            assert other.finish(trial, 1.0, TrialState.COMPLETE)

    assert not slots.wait(lambda: False, to_the_end=True, sleep=sleep)
    assert len(pauses) == 3 and slots.counts()["finished"] == 1


def test_who_stays_to_the_end_takes_over_from_the_dead(open_study: OPEN) -> None:
    slots, other = open_study(trials=1), open_study(trials=1)
    trial = taken(other)

    def sleep(seconds: float) -> None:
        trial.set_user_attr(OWNER, this_process() | {"started": 0.0})

    assert slots.wait(lambda: False, to_the_end=True, sleep=sleep)
    assert slots.slot(taken(slots)) == 0


def test_a_heart_beats_until_its_trial_ends(open_study: OPEN) -> None:
    slots = open_study()
    trial = taken(slots)
    signs = set()
    for _ in range(200):
        (frozen,) = slots._study.get_trials(deepcopy=False)
        signs.add(slots._pulse.sign(frozen))
        if len(signs) > 2:
            break
        time.sleep(0.05)
    assert len(signs) > 2
    assert slots.finish(trial, 1.0, TrialState.COMPLETE)
    time.sleep(0.1)
    (ended,) = slots._study.get_trials(deepcopy=False)
    last = ended.user_attrs[BEAT], slots._pulse.sign(ended)
    time.sleep(0.2)
    (ended,) = slots._study.get_trials(deepcopy=False)
    assert (ended.user_attrs[BEAT], slots._pulse.sign(ended)) == last


def test_one_process_chooses_the_same_parameters_kills_or_not(open_study: OPEN) -> None:
    chosen = []
    for name, killed in (("whole", ()), ("killed", (1, 4, 9))):
        slots = open_study(name, trials=12)
        found = {}
        while (trial := slots.take(suggest)) is not None:
            slot = slots.slot(trial)
            if slot in killed and slot not in found:
                found[slot] = None
                slots.give_back(trial)
                continue
            found[slot] = trial.params["x"]
            assert slots.finish(trial, -((trial.params["x"] - 0.3) ** 2), TrialState.COMPLETE)
        chosen.append([found[slot] for slot in range(12)])
    assert chosen[0] == chosen[1] and len(set(chosen[0])) == 12


def test_only_one_process_finishes_a_study_at_a_time(open_study: OPEN) -> None:
    slots = open_study(trials=1)
    with slots.finishing() as alone:
        assert not alone
    slots.finish(taken(slots), 1.0, TrialState.COMPLETE)
    with slots.finishing() as alone:
        assert alone
