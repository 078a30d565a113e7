"""The status of a matrix: while it runs, after it ended, after a crash."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.commands import REPOSITORY, environment
from tests.matrix.conftest import Lab

from makerlab.matrix.status_text import CLEAR_SCREEN, refresh


def show(lab: Lab, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run the status script in a lab."""
    command = [sys.executable, str(REPOSITORY / "scripts" / "show_status.py"), *flags]
    return subprocess.run(
        command, cwd=lab.path, env=environment(), capture_output=True, text=True, check=False
    )


def as_json(lab: Lab, *flags: str) -> dict[str, Any]:
    """Return the status as JSON."""
    result = show(lab, "--json", *flags)
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout))


def row(status: dict[str, Any], config: str, stage: str, seed: int | None) -> dict[str, Any]:
    """Return one piece of work."""
    (found,) = [
        row
        for row in status["rows"]
        if (row["config"], row["stage"], row["seed"]) == (config, stage, seed)
    ]
    return dict(found)


def wait_for_running(lab: Lab, stage: str, count: int) -> dict[str, Any]:
    """Wait until so many jobs of a stage run and have written progress; returns the status."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if (lab.path / "runs" / "matrix.json").exists():
            status = as_json(lab)
            found = [r for r in status["rows"] if (r["stage"], r["state"]) == (stage, "running")]
            if len(found) == count and all(r["progress"] for r in found):
                return status
        time.sleep(0.1)
    raise AssertionError(f"no {count} running: {status}")


def snapshot(folder: Path) -> dict[str, int]:
    """Return every file below a folder with its time of change."""
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def test_before_any_matrix_everything_is_pending(lab: Lab) -> None:
    lab.config("first")
    lab.targets("first")
    flags = ("--targets", "targets.txt", "--profile", "", "--seeds", "0 1")
    before = snapshot(lab.path)
    status = as_json(lab, *flags)
    assert status["counts"]["pending"] == 6
    assert status["driver"] is None
    text = show(lab, *flags).stdout
    assert "runs: no matrix has run here, profile none" in text
    assert "6 stages: 0 done, 6 pending" in text
    assert snapshot(lab.path) == before


def test_after_a_matrix_everything_is_done(lab: Lab) -> None:
    lab.config("first")
    lab.targets("first")
    lab.run()
    before = snapshot(lab.path)
    assert as_json(lab)["counts"]["done"] == 6
    assert show(lab).stdout.splitlines() == [
        "runs: last matrix: complete, profile none",
        "6 stages: 6 done",
        "",
        "config                           seed tune          train         evaluate",
        "first                               0 done          done          done",
        "                                    1               done          done",
        "",
        "analyze: done",
    ]
    assert snapshot(lab.path) == before


def test_from_another_terminal_while_it_runs_and_after_it_was_killed(lab: Lab) -> None:
    lab.config("first", run__notes="train sleeps", run__short_name="first")
    lab.targets("first")
    process = lab.start()
    status = wait_for_running(lab, "train", 2)
    assert (status["driver"], status["driver_pid"]) == ("running", process.pid)
    assert row(status, "first", "tune", None)["state"] == "done"
    assert row(status, "first", "evaluate", 0)["state"] == "pending"
    progress = row(status, "first", "train", 1)["progress"]
    assert (progress["done"], progress["total"], progress["metric"]) == (40, 100, 1.5)
    text = show(lab).stdout
    assert f"runs: running (process {process.pid}), profile none" in text
    assert "first                               0 done          running 40%   pending" in text
    assert "first seed 0 train: 40%, 40 of 100 steps, last valid net_profit 1.5" in text
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(2.0)
    status = as_json(lab)
    assert status["driver"] == "interrupted"
    assert row(status, "first", "train", 0)["state"] == "interrupted"
    text = show(lab).stdout
    assert "seed 0 train: interrupted at 40%\n" in text
    # The command that goes on with this matrix, not with the default one.
    assert '    make matrix TARGETS=targets.txt SEEDS="0 1" PROFILE=""\n' in text


def test_of_a_matrix_elsewhere_its_last_sign_of_life_is_told(lab: Lab) -> None:
    """From here nobody can tell whether it lives: its lock moves, or it does not."""
    lab.config("first")
    lab.targets("first")
    lab.run()
    assert as_json(lab)["driver_elsewhere"] is None
    record = json.loads((lab.path / "runs" / "matrix.json").read_text())
    record |= {"state": "running", "owner": record["owner"] | {"host": "login7"}}
    (lab.path / "runs" / "matrix.json").write_text(json.dumps(record))
    os.utime(lab.path / "runs" / ".matrix.lease", (1_800_000_000, 1_800_000_000))
    heard = "2027-01-15T08:00:00+00:00"
    status = as_json(lab)
    assert status["driver"] == "running"
    assert status["driver_elsewhere"] == {"host": "login7", "last_sign_of_life": heard}
    assert show(lab).stdout.splitlines()[2:4] == [
        "That process is on login7. Last sign of life, one is due every 10 s:",
        f"    {heard}, by the file system's clock.",
    ]


def test_what_another_matrix_left_unfinished_stays_in_sight(lab: Lab) -> None:
    """Trap: an interrupted run is forgotten as soon as another matrix has completed."""
    lab.config("first", run__notes="train sleeps", run__short_name="first")
    lab.config("second", env__fee_rate=0.0002)
    (lab.path / "others.txt").write_text("configs/first.yaml\n")
    lab.targets("second")
    process = lab.start("--targets", "others.txt", "--seeds", "5", MAKERLAB__ENV__MAX_INVENTORY="2")
    until = time.monotonic() + 30
    while not lab.runs() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    process.terminate()
    process.communicate(timeout=20)
    command = 'MAKERLAB__ENV__MAX_INVENTORY=2 make matrix TARGETS=others.txt SEEDS=5 PROFILE=""'
    assert f"    {command}\n" in show(lab).stdout
    assert lab.run().returncode == 0
    (run,) = [run for run in lab.runs() if "first" in run.name]
    left = f"runs/SAC/{run.name}"
    text = show(lab).stdout
    assert "begun, not finished, and not part of this matrix:" in text
    assert f"{left}: interrupted at 40%\n    continues with: {command}\n" in text
    (found,) = as_json(lab)["leftovers"]
    assert found == {"path": left, "state": "interrupted", "fraction": 0.4, "command": command}
    # A config that has changed since: that matrix would begin anew, the run itself can go on.
    lab.config("first", run__short_name="first", env__fee_rate=0.0004)
    text = show(lab).stdout
    assert f"continues with: .venv/bin/python train_mm_sac.py --resume {left}\n" in text


def test_an_unfinished_study_of_another_matrix_stays_in_sight(lab: Lab) -> None:
    lab.config("first", run__notes="tune sleeps", run__short_name="first")
    lab.config("second", env__fee_rate=0.0002)
    (lab.path / "others.txt").write_text("configs/first.yaml\n")
    lab.targets("second")
    process = lab.start("--targets", "others.txt")
    until = time.monotonic() + 30
    while not (lab.path / "runs/SAC/first/tune_status.json").exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(2.0)
    lab.run()
    assert "runs/SAC/first: interrupted at 0%\n    continues with: make matrix" in show(lab).stdout


def test_a_failure_shows_its_last_line_and_stays_until_it_is_mended(lab: Lab) -> None:
    lab.config("first", run__notes="evaluate fails", run__short_name="first")
    lab.config("second", run__notes="train breaks", run__short_name="second")
    lab.targets("first", "second")
    lab.run()
    status = as_json(lab)
    assert status["driver"] == "failed"
    first = row(status, "first", "evaluate", 0)
    assert first["state"] == "failed"
    assert first["message"] == "exit status 2: error: the data end too early"
    assert row(status, "second", "evaluate", 1)["state"] == "pending"
    text = show(lab).stdout
    assert "first seed 0 evaluate: FAILED: exit status 2: error: the data end too" in text
    assert "second seed 1 train: FAILED at 40%: exit status 1: ValueError: learning broke" in text
    # What led to it stands below.
    assert '    |     raise ValueError("learning broke")' in text
    broken = row(status, "second", "train", 1)
    assert broken["lines"][-1].strip() == 'raise ValueError("learning broke")'


def test_watching_shows_it_anew_only_when_it_changed_and_leaves_on_ctrl_c() -> None:
    texts = iter(["one", "one", "two"])
    output = io.StringIO()

    def text() -> str:
        try:
            return next(texts)
        except StopIteration:
            raise KeyboardInterrupt from None

    refresh(text, output, every=2.0, sleep=lambda seconds: None)
    assert output.getvalue() == "one\ntwo\n"


def test_watching_on_a_terminal_begins_at_its_top_each_time() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    output, slept = Terminal(), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    refresh(lambda: "status", output, every=0.5, sleep=sleep)
    assert output.getvalue().count(CLEAR_SCREEN) == 3
    assert slept == [0.5] * 3


def test_a_bad_interval_is_bad_input(lab: Lab) -> None:
    result = show(lab, "--watch", "often")
    assert result.returncode == 2
    assert "found 'often', expected 0.1 to 3600 seconds" in result.stderr


def test_a_failure_outside_a_matrix_is_found_in_the_manifest(lab: Lab) -> None:
    lab.config("first", run__notes="train breaks", run__short_name="first")
    lab.targets("first")
    lab.run()
    (lab.path / "runs" / "matrix.json").unlink()
    flags = ("--targets", "targets.txt", "--profile", "", "--seeds", "0")
    found = row(as_json(lab, *flags), "first", "train", 0)
    assert (found["state"], found["message"]) == ("failed", "learning broke")


def test_settings_given_by_environment_variables_are_remembered(lab: Lab) -> None:
    lab.config("first")
    lab.targets("first")
    lab.run(MAKERLAB__ENV__FEE_RATE="0.0003")
    assert as_json(lab)["counts"]["done"] == 6


def test_a_broken_config_is_a_line_not_a_crash(lab: Lab) -> None:
    lab.config("first")
    lab.config("second", env__fee_rate=0.0002)
    lab.targets("first", "second")
    lab.run()
    (lab.path / "configs" / "second.yaml").write_text("env: {base_spread_bsp: 8}\n")
    result = show(lab)
    assert result.returncode == 0
    assert "did you mean 'base_spread_bps'?" in " ".join(result.stdout.split())
    assert row(as_json(lab), "first", "train", 1)["state"] == "done"
    assert row(as_json(lab), "second", "train", 1)["state"] == "invalid"


def test_eighty_columns_hold_long_names_and_long_errors(lab: Lab) -> None:
    name = "a_config_with_a_very_long_name_indeed_for_eighty_columns"
    lab.config(name, run__notes="train fails", run__short_name=name)
    lab.targets(name)
    lab.run()
    lines = show(lab).stdout.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert any("a_config_with_a_very_long_na.." in line for line in lines)


def test_stages_that_were_not_asked_for_are_not_shown(lab: Lab) -> None:
    lab.config("first")
    lab.targets("first")
    lab.run("--stages", "tune")
    assert "config                           seed tune" in show(lab).stdout.splitlines()
    assert "evaluate" not in show(lab).stdout


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": "running"}'])
def test_a_damaged_record_is_as_good_as_none(lab: Lab, content: str) -> None:
    lab.config("first")
    lab.targets("first")
    lab.run()
    (lab.path / "runs" / "matrix.json").write_text(content)
    flags = ("--targets", "targets.txt", "--profile", "", "--seeds", "0 1")
    assert as_json(lab, *flags)["counts"]["done"] == 6


def test_a_missing_target_list_is_one_line(lab: Lab) -> None:
    result = show(lab, "--targets", "none.txt")
    assert result.returncode == 2
    assert result.stderr.startswith("error: none.txt: no such target list")


def test_status_imports_nothing_heavy(lab: Lab) -> None:
    """Gymnasium, and numpy with it, come with the package: it names its environments to it."""
    lab.config("first")
    lab.targets("first")
    lab.run("--stages", "tune")
    code = (
        "import sys; from makerlab.matrix.command import status_command; status_command([]); "
        "heavy = {'torch', 'numba', 'pandas', 'optuna', 'matplotlib', 'rich'} & set(sys.modules); "
        "sys.exit(','.join(heavy) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=lab.path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
