"""Following the log of one run or config."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.commands import command, environment, run
from tests.made_up_runs import MadeUpRun, write_run

from makerlab.errors import UserError
from makerlab.runs.follow import follow, logs_of

RUN = "20261101_120000_env_baseline_seed1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two seeds of a config, their shared training log and an evaluation log."""
    for seed in (0, 1):
        write_run(tmp_path / "runs", MadeUpRun(seed=seed))
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "env_baseline_tune.log").write_text("2026-11-01 11:00:00Z trial 0: score 1\n")
    (logs / "env_baseline_train.log").write_text(
        "2026-10-30 12:00:01Z seed 1: of an earlier run\n"
        "2026-11-01 12:00:01Z seed 0: step 10\n"
        "2026-11-01 12:00:02Z seed 1: step 20\n"
        "Traceback of seed 1\n"
        "2026-11-01 12:00:03Z seed 0: step 30\n"
    )
    (logs / f"{RUN}_eval.log").write_text("2026-11-01 12:00:04Z test: 20 episodes\n")
    return tmp_path


def shown(folder: Path, name: str, *, lines: int = 20) -> list[str]:
    logs = logs_of(name, runs_dir=folder / "runs", logs_dir=folder / "logs")
    return list(follow(logs, lines=lines, forever=False))


def test_a_run_has_the_lines_of_its_seed_since_it_began_and_its_evaluation(folder: Path) -> None:
    assert shown(folder, RUN) == [
        "2026-11-01 12:00:02Z seed 1: step 20",
        "Traceback of seed 1",
        "2026-11-01 12:00:04Z test: 20 episodes",
    ]


@pytest.mark.parametrize("name", ["seed1", f"runs/SAC/{RUN}", f"runs/SAC/{RUN}/"])
def test_a_path_or_a_part_of_a_name_is_enough(folder: Path, name: str) -> None:
    assert shown(folder, name) == shown(folder, RUN)


def test_a_config_has_tuning_and_all_seeds_in_order_of_time(folder: Path) -> None:
    lines = shown(folder, "env_baseline")
    assert len(lines) == 6
    assert lines[1] == "2026-11-01 11:00:00Z trial 0: score 1"
    assert shown(folder, "env_baseline", lines=1) == ["2026-11-01 12:00:03Z seed 0: step 30"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("env_basline", "did you mean 'env_baseline'"),
        ("seed", "2 runs have that in their name"),
        ("", "give the name of a run"),
    ],
)
def test_what_can_not_be_followed_is_said(folder: Path, name: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        shown(folder, name)


def test_a_run_without_logs_is_said(folder: Path) -> None:
    with pytest.raises(UserError, match="give --logs_dir"):
        logs_of(RUN, runs_dir=folder / "runs", logs_dir=folder / "elsewhere")


def test_new_lines_come_as_they_are_written_and_never_in_halves(folder: Path) -> None:
    path = folder / "logs" / "env_baseline_train.log"
    late = iter(("2026-11-01 12:01:00Z seed 1: st", "ep 40\n"))

    def write_more(seconds: float) -> None:
        with path.open("a") as file:
            file.write(next(late))

    logs = logs_of("seed1", runs_dir=folder / "runs", logs_dir=folder / "logs")
    lines = follow(logs, lines=1, forever=True, sleep=write_more)
    assert next(lines) == "2026-11-01 12:00:04Z test: 20 episodes"
    assert next(lines) == "2026-11-01 12:01:00Z seed 1: step 40"


def test_the_script_ends_well_on_ctrl_c(folder: Path) -> None:
    process = subprocess.Popen(
        command("scripts/follow_log.py", "seed1"),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "seed 1: step 20" in process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_the_script_shows_and_leaves_when_asked_to(folder: Path) -> None:
    result = run(folder, "scripts/follow_log.py", "env_baseline", "--no-follow", "--lines", 1)
    assert (result.returncode, result.stdout) == (0, "2026-11-01 12:00:03Z seed 0: step 30\n")


def test_a_config_that_a_matrix_is_about_to_work_on_has_logs_to_come(tmp_path: Path) -> None:
    folders = {"runs_dir": tmp_path / "runs", "logs_dir": tmp_path / "logs"}
    logs = logs_of("first", **folders, planned=("first", "second"))
    assert [log.path.name for log in logs] == ["first_tune.log", "first_train.log"]
    assert list(follow(logs, lines=20, forever=False)) == []
    with pytest.raises(UserError, match="did you mean 'second'"):
        logs_of("secnd", **folders, planned=("first", "second"))
