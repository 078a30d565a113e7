"""A real matrix whose parts are killed at random ends as one left alone."""

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.commands import REPOSITORY

from makerlab.chaos.rounds import ChaosOptions, Round, run_chaos
from makerlab.chaos.verdict import tell
from makerlab.chaos.victims import everything


def test_the_verdict_counts_what_was_killed_and_what_differs() -> None:
    said: list[str] = []
    good = Round(Counter({"worker": 3}), starts=2, seconds=60.0)
    bad = Round(Counter({"worker": 1, "driver": 2}), starts=4, seconds=60.0, wrong=["a: 1, 2"])
    assert tell([good], report=said.append) == 0
    assert tell([good, bad], report=said.append) == 1
    assert said[1] == "verdict: every artefact of every matrix is as undisturbed"
    assert said[2] == (
        "in all: 2.0 minutes, 2 matrices, started 6 times, 6 kills: driver 2, worker 4"
    )
    assert said[3] == "verdict: 1 of 2 matrices differ from the undisturbed one"


def test_an_interrupted_chaos_leaves_nothing_behind(tmp_path: Path) -> None:
    script = REPOSITORY / "scripts" / "dev" / "run_chaos.py"
    command = [sys.executable, str(script), "--folder", str(tmp_path), "--configs", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as chaos:
        folder, deadline = tmp_path / "undisturbed", time.monotonic() + 60.0
        while not everything(folder):
            assert time.monotonic() < deadline, "no matrix has begun"
            time.sleep(0.1)
        chaos.send_signal(signal.SIGINT)
        chaos.communicate(timeout=60.0)
    assert chaos.returncode == 130
    deadline = time.monotonic() + 10.0
    while left := everything(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["own", "postgresql"])
def test_a_matrix_under_kills_ends_as_one_left_alone(storage: str, tmp_path: Path) -> None:
    options = ChaosOptions(
        minutes=0.5,
        seed=1,
        launcher="local",
        storage=storage,
        folder=tmp_path,
        root=REPOSITORY,
        configs=1,
        steps=4_000,
        pause=8.0,
    )
    rounds = run_chaos(options, report=lambda line: None)
    assert sum(each.kills.total() for each in rounds) >= 3
    assert [line for each in rounds for line in each.wrong] == []
