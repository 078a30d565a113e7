"""A whole matrix over stages that do in a moment what the real ones do in hours."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.matrix.conftest import Lab

from makerlab.cli import exit_code_of
from makerlab.matrix.command import matrix_command
from makerlab.runs.lease import Lease


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for something to come true."""
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes a matrix has started."""
    return psutil.Process(process.pid).children(recursive=True)


def all_gone(processes: list[psutil.Process]) -> bool:
    """Return whether all have ended; an orphan may stay a zombie where nobody collects them."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                return False
    return True


def states(lab: Lab) -> list[str]:
    """Return the states of all runs."""
    return [json.loads((run / "manifest.json").read_text())["state"] for run in lab.runs()]


def record(lab: Lab) -> dict[str, object]:
    """Return runs/matrix.json."""
    return dict(json.loads((lab.path / "runs" / "matrix.json").read_text()))


def test_configs_times_seeds_times_stages(lab: Lab) -> None:
    lab.config("first")
    lab.config("second", env__fee_rate=0.0002)
    lab.targets("first", "second")
    result = lab.run()
    assert (result.returncode, result.stderr) == (0, "")
    assert states(lab) == ["complete"] * 4
    assert all((run / "evaluation" / "metrics.json").is_file() for run in lab.runs())
    assert "a table of 4 runs" in result.stdout
    assert "best parameters: runs/SAC/second/best_params.json" in result.stdout
    assert "summary: runs/runs_summary.csv" in result.stdout
    assert "plots: plots" in result.stdout
    assert record(lab)["state"] == "complete"


def test_a_second_matrix_does_nothing_and_one_changed_config_redoes_only_that(lab: Lab) -> None:
    lab.config("first")
    lab.config("second", env__fee_rate=0.0002)
    lab.targets("first", "second")
    lab.run()
    before = lab.runs()
    began = time.monotonic()
    second = lab.run()
    assert second.returncode == 0
    assert "11 of 11 were done before" in second.stdout
    # What the work was done for is shown again.
    assert "\na table of 4 runs\n" in second.stdout
    assert "make analyze makes them anew" in second.stdout
    assert "started" not in second.stdout
    assert time.monotonic() - began < 5.0
    assert lab.runs() == before
    lab.config("second", env__fee_rate=0.0003)
    third = lab.run()
    assert "second tune: started" in third.stdout
    assert "first" not in third.stdout.replace("runs/SAC/first", "")
    assert len(lab.runs()) == 6
    lab.config("second", env__fee_rate=0.0003, evaluate__episodes=5)
    fourth = lab.run()
    assert fourth.stdout.count(": started") == 3
    assert fourth.stdout.count("second seed 0 evaluate: started") == 1
    assert "analyze: started" in fourth.stdout
    assert len(lab.runs()) == 6


@pytest.mark.parametrize(
    ("notes", "reason"),
    [
        ("train fails", "exit status 2: error: the data end too early"),
        ("train breaks", "exit status 1: ValueError: learning broke"),
        ("train crashes", "killed by SIGKILL (out of memory?)"),
    ],
)
def test_one_failing_config_is_reported_and_the_rest_finishes(
    lab: Lab, notes: str, reason: str
) -> None:
    lab.config("first", run__notes=notes, run__short_name="first")
    lab.config("second")
    lab.targets("first", "second")
    result = lab.run()
    assert result.returncode == 1
    assert f"first seed 0 train: FAILED, {reason}" in result.stdout
    assert f"  first seed 1 train: {reason}" in result.stdout
    assert "4 of 11 could not be done, 2 of them for want of another:" in result.stdout
    assert states(lab).count("complete") == 2
    assert "a table of" in result.stdout
    assert record(lab)["state"] == "failed"


def test_a_native_crash_and_a_traceback_are_found_in_the_error_log(lab: Lab) -> None:
    lab.config("first", run__notes="tune breaks", run__short_name="first")
    lab.targets("first")
    result = lab.run()
    assert result.returncode == 1
    assert "nothing was evaluated" in result.stdout
    text = (lab.path / "logs" / "matrix_stderr.log").read_text()
    assert "--- first tune, exit status 1\nTraceback" in text
    assert "first tune: FAILED" in (lab.path / "logs" / "matrix.log").read_text()


def test_a_failed_stage_is_tried_again_by_the_next_matrix(lab: Lab) -> None:
    lab.config("first", run__notes="evaluate fails", run__short_name="first")
    lab.targets("first")
    assert lab.run().returncode == 1
    lab.config("first", run__short_name="first")
    for run in lab.runs():
        text = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(text.replace("evaluate fails", "mended"))
    result = lab.run()
    assert result.returncode == 0
    assert "first seed 0 evaluate: done" in result.stdout
    assert len(lab.runs()) == 2


def asleep(lab: Lab) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """Start a matrix; returns it with its jobs, trainings that sleep."""
    lab.config("first", run__notes="train sleeps", run__short_name="first")
    lab.targets("first")
    process = lab.start()
    wait_until(lambda: states(lab) == ["running", "running"])
    return process, children(process)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"]
)
def test_a_stop_reaches_all_jobs_and_the_same_command_continues(
    lab: Lab, number: signal.Signals, code: int
) -> None:
    process, jobs = asleep(lab)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert err == "stopped with 1 of 6 done; the same command continues\n"
    assert "first seed 0 train: stopped after" in out
    assert all_gone(jobs)
    assert record(lab)["state"] == "interrupted"
    lab.config("first", run__short_name="first")
    assert lab.run().returncode == 0


def test_a_second_ctrl_c_kills(lab: Lab) -> None:
    process, jobs = asleep(lab)
    for job in jobs:
        job.suspend()
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    wait_until(lambda: all_gone(jobs))


def test_killed_with_9_its_jobs_leave_and_a_new_matrix_waits_for_them(lab: Lab) -> None:
    process, jobs = asleep(lab)
    # Held, so that they still live when the new matrix comes, however long its start takes.
    for job in jobs:
        job.suspend()
    process.kill()
    process.wait()
    lab.config("first", run__short_name="first")
    second = lab.start()
    assert second.stdout is not None
    said = ""
    while "waiting for processes of an earlier matrix" not in said:
        line = second.stdout.readline()
        assert line, said
        said += line
    for job in jobs:
        job.resume()
    rest, _ = second.communicate(timeout=60)
    assert second.returncode == 0
    assert all_gone(jobs)
    assert "1 of 6 were done before" in said + rest
    process.communicate()


def test_two_matrices_at_once_in_one_folder_are_refused(lab: Lab) -> None:
    lab.config("first", run__notes="tune sleeps", run__short_name="first")
    lab.targets("first")
    process = lab.start()
    wait_until((lab.path / "runs/SAC/first/tune_status.json").exists)
    other = lab.run()
    assert other.returncode == 2
    assert f"another matrix is at work there (process {process.pid})" in other.stderr
    process.terminate()
    process.communicate(timeout=20)


def test_a_matrix_that_was_taken_over_leaves_all_to_the_other(lab: Lab) -> None:
    process, jobs = asleep(lab)
    (token,) = (lab.path / "runs" / ".matrix.lease").iterdir()
    token.rename(token.with_name(f"{10**11}~elsewhere~boot~0~1~0.000~0"))
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "another matrix works there now" in err
    # How it ended is not for it to say any more.
    assert record(lab)["state"] == "running"
    # Its own jobs find themselves orphaned and save their state.
    wait_until(lambda: all_gone(jobs))


def test_the_lock_is_free_after_a_matrix(lab: Lab) -> None:
    lab.config("first")
    lab.targets("first")
    lab.run("--stages", "tune")
    assert Lease(lab.path / "runs" / ".matrix.lease").try_acquire()


def test_one_bad_config_starts_nothing(lab: Lab) -> None:
    lab.config("first")
    (lab.path / "configs" / "second.yaml").write_text("env: {base_spread_bps: 8, fee: 1}\n")
    lab.targets("first", "second")
    result = lab.run()
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "configs/second.yaml: unknown key 'fee' in section 'env'" in result.stderr
    assert not (lab.path / "runs").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--jobs", "0"), "error: --jobs: found '0', expected a whole number of at least 1"),
        (
            ("--group_size", "many"),
            "error: --group_size: found 'many', expected 'auto' or a whole number of at least 1",
        ),
        (("--seeds", "0 a"), "error: --seeds: found 'a', expected whole numbers"),
        (
            ("--stages", "tune,trian"),
            "error: --stages: unknown stage 'trian'; did you mean 'train'",
        ),
        (("--device", "gpu"), "argument --device: found 'gpu'; did you mean 'cpu'?"),
        (("--profile", "quik"), "profile 'quik': no file configs/profiles/quik.yaml"),
        (("--data", "none.csv"), "none.csv: no such file of candles; fetch it with"),
        (
            ("--targets", "target.txt"),
            "target.txt: no such target list; did you mean 'targets.txt'",
        ),
        (("--run_dir", "x"), "unrecognized argument '--run_dir'; did you mean '--runs_dir'"),
        (("--runs_dir", "targets.txt"), "targets.txt: found a file, expected a directory"),
    ],
)
def test_a_bad_flag_is_one_line_and_exit_code_2(
    lab: Lab,
    flags: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(lab.path)
    lab.config("first")
    lab.targets("first")
    arguments = ["--targets", "targets.txt", "--profile", "", *flags]
    assert exit_code_of(lambda: matrix_command(arguments, root=lab.script.parents[1])) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.startswith("error: ")
    assert shown.count("\n") == 1


def test_one_stage_of_the_same_matrix(lab: Lab) -> None:
    lab.config("first")
    lab.targets("first")
    early = lab.run("--stages", "evaluate")
    assert early.returncode == 1
    assert "there is no finished training run of these inputs; train first" in early.stdout
    assert lab.run("--stages", "tune").returncode == 0
    assert lab.runs() == []
    assert lab.run("--stages", "train").returncode == 0
    assert lab.run("--stages", "evaluate").returncode == 0
    for _ in range(2):
        assert "a table of 2 runs" in lab.run("--stages", "analyze").stdout
    assert "6 of 6 were done before" in lab.run().stdout


def test_training_without_tuning_says_so(lab: Lab) -> None:
    lab.config("first")
    lab.targets("first")
    assert "note: configs/first.yaml is not tuned" in lab.run("--stages", "train").stdout


def test_warnings_come_before_the_work(lab: Lab) -> None:
    lab.config("first", env__base_spread_bps=1.0, env__fee_rate=0.001)
    lab.targets("first")
    lines = lab.run("--stages", "tune").stdout.splitlines()
    assert "warning: configs/first.yaml: the base half-spread is 1.00 bp" in lines[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_runs_directory_is_named(lab: Lab) -> None:
    lab.config("first")
    lab.targets("first")
    (lab.path / "runs").mkdir(mode=0o500)
    result = lab.run()
    assert result.returncode == 2
    assert "permission denied" in result.stderr
    assert Path("runs").name in result.stderr


@pytest.mark.parametrize(
    ("notes", "reason"),
    [
        ("train fails", "exit status 2: error: the data end too early"),
        ("train breaks", "exit status 1: ValueError: learning broke"),
        ("train crashes", "killed by SIGKILL (out of memory?)"),
    ],
)
def test_in_groups_each_piece_of_work_has_its_own_end(lab: Lab, notes: str, reason: str) -> None:
    """Trap: a member that crashes takes the results of its group with it."""
    lab.config("first", run__notes=notes, run__short_name="first")
    lab.config("second")
    lab.targets("first", "second")
    result = lab.run("--group_size", "4", "--jobs", "1")
    assert result.returncode == 1
    for seed in (0, 1):
        assert f"  first seed {seed} train: {reason}" in result.stdout
    lost = "first seed 0 train: no result from a process of several; to be done again by itself"
    assert (lost in result.stdout) == ("crashes" in notes)
    assert states(lab).count("complete") == 2
    assert "4 of 11 could not be done, 2 of them for want of another:" in result.stdout


def test_a_group_is_stopped_and_continued_like_single_jobs(lab: Lab) -> None:
    lab.config("first", run__notes="train sleeps", run__short_name="first")
    lab.targets("first")
    process = lab.start("--group_size", "auto", "--jobs", "1")
    wait_until(lambda: "running" in states(lab))
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 143
    lab.config("first", run__short_name="first")
    assert lab.run("--group_size", "2", "--jobs", "1").returncode == 0
