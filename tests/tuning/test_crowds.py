"""Many workers on one study: no trial lost, none doubled, whatever is killed, stopped or cut."""

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from tests.tuning.crowd import STUDY, Crowd, finished
from tests.tuning.wire import Wire

from makerlab.chaos.postgresql import Server
from makerlab.tuning.address import read_address
from makerlab.tuning.slots import SLOT
from makerlab.tuning.storage import open_storage

REPOSITORY = Path(__file__).parents[2]

FAST = Crowd(
    storage="",
    folder="",
    trials=40,
    workers=32,
    kills=6,
    work_seconds=0.1,
    stale_seconds=3.0,
    server_seconds=60.0,
    answer_seconds=20.0,
    seed=1,
)
LONG = dataclasses.replace(
    FAST, trials=100, kills=16, work_seconds=2.0, stale_seconds=10.0, server_seconds=300.0
)


def run(
    crowd: Crowd, *, meanwhile: Callable[[], None] = lambda: None, timeout: float = 120.0
) -> int:
    """Let a crowd work to its end; returns how many were killed."""
    text = json.dumps(dataclasses.asdict(crowd))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.tuning.crowd", text],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    thread = threading.Thread(target=meanwhile)
    thread.start()
    output, errors = process.communicate(timeout=timeout)
    thread.join()
    # Optuna warns of a query that a crash cut off before it is asked again.
    assert process.returncode == 0 and "Traceback" not in errors, errors
    return int(json.loads(output)["killed"])


def check(crowd: Crowd) -> None:
    """Each slot is complete once, as the study has it and as the workers wrote it down."""
    backend = open_storage(read_address(crowd.storage))
    trials = optuna.load_study(study_name=STUDY, storage=backend).get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]
    assert Counter(t.user_attrs[SLOT] for t in complete) == Counter(range(crowd.trials))
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "FAIL"}
    assert all(trial.value == trial.params["x"] for trial in complete)
    files = Path(crowd.folder).glob("finished_*")
    written = Counter(int(line) for path in files for line in path.read_text().splitlines())
    # Who is killed may have finished a trial and not come to write so.
    assert set(written.values()) == {1} and len(written) >= crowd.trials - crowd.kills


def in_journal(crowd: Crowd, folder: Path) -> Crowd:
    return dataclasses.replace(
        crowd, storage=f"journal:{folder / 'studies.journal'}", folder=str(folder)
    )


def on_server(crowd: Crowd, server: Server, folder: Path) -> Crowd:
    return dataclasses.replace(crowd, storage=server.url, folder=str(folder))


def until_finished(crowd: Crowd, trials: int) -> None:
    """Wait until so many trials are finished."""
    while finished(crowd) < trials:
        time.sleep(0.2)


def restart(server: Server, *, after: float, away: float) -> Callable[[], None]:
    """Return what crashes a server after a while, and starts it again later."""

    def act() -> None:
        time.sleep(after)
        server.stop()
        time.sleep(away)
        server.start()

    return act


def test_in_a_journal(tmp_path: Path) -> None:
    crowd = in_journal(FAST, tmp_path)
    assert run(crowd) == crowd.kills
    check(crowd)


def test_on_a_server_that_crashes_meanwhile(server: Server, tmp_path: Path) -> None:
    crowd = on_server(FAST, server, tmp_path)
    assert run(crowd, meanwhile=restart(server, after=4.0, away=2.0)) == crowd.kills
    check(crowd)


@pytest.mark.slow
def test_on_a_server_that_crashes_and_is_cut_off_for_long(server: Server, tmp_path: Path) -> None:
    """A crash in the middle, then a minute in which the network is silent."""
    wire = Wire(server.port)
    there = dataclasses.replace(server, port=wire.port)
    crowd = on_server(LONG, there, tmp_path)

    def disturb() -> None:
        until_finished(crowd, crowd.trials // 10)
        restart(server, after=0.0, away=5.0)()
        until_finished(crowd, crowd.trials // 4)
        wire.cut(seconds=60.0)

    assert run(crowd, meanwhile=disturb, timeout=400.0) == crowd.kills
    check(crowd)


@pytest.mark.slow
def test_in_a_journal_for_long(tmp_path: Path) -> None:
    crowd = in_journal(LONG, tmp_path)
    assert run(crowd, timeout=400.0) == crowd.kills
    check(crowd)
