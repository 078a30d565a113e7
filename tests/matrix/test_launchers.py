"""The same matrix everywhere: skip-if-done, isolation, exit code and files, whoever runs it."""

import json
import time
from pathlib import Path

import pytest
from tests.matrix.conftest import Lab
from tests.matrix.test_drive import record, states, wait_until
from tests.slurm import Slurm

from makerlab.chaos.artefacts import final_files

SETTINGS = "kind: slurm\nmemory_gb: 0.5\npoll_seconds: 0.2\nmaximum_jobs: 8\n"


@pytest.fixture
def cluster_lab(lab: Lab, slurm: Slurm) -> Lab:
    """A lab whose matrices find that Slurm."""
    folder = lab.path / "configs" / "launchers"
    folder.mkdir(parents=True)
    (folder / "slurm.yaml").write_text(SETTINGS)
    lab.variables |= slurm.environment
    return lab


def test_debug_and_slurm_leave_what_local_leaves(cluster_lab: Lab) -> None:
    lab = cluster_lab
    lab.config("first", run__notes="train fails", run__short_name="first")
    lab.config("second", env__fee_rate=0.0002)
    lab.targets("first", "second")
    seen = {}
    for name in ("local", "debug", "slurm"):
        result = lab.run("--launcher", name, "--runs_dir", name)
        assert result.returncode == 1
        assert "first seed 0 train: FAILED, exit status 2: error: the data end" in result.stdout
        assert "4 of 11 could not be done, 2 of them for want of another:" in result.stdout
        seen[name] = final_files(lab.path / name)
        again = lab.run("--launcher", name, "--runs_dir", name)
        assert "first seed 0 train: FAILED" in again.stdout
        assert "second seed" not in again.stdout and "second tune" not in again.stdout
    assert seen["local"]
    assert seen["debug"] == seen["local"]
    assert seen["slurm"] == seen["local"]


@pytest.mark.parametrize("name", ["debug", "slurm", "ray"])
def test_groups_leave_what_single_jobs_leave(
    cluster_lab: Lab, request: pytest.FixtureRequest, name: str
) -> None:
    """Each member has its own files and its own end, wherever the process is."""
    lab = cluster_lab
    if name == "ray":
        address = request.getfixturevalue("ray_cluster").address
        path = lab.path / "configs" / "launchers" / "ray.yaml"
        path.write_text(f"kind: ray\naddress: {address}\n")
    lab.config("first", run__notes="train fails", run__short_name="first")
    lab.config("second", env__fee_rate=0.0002)
    lab.targets("first", "second")
    assert lab.run("--launcher", "local", "--runs_dir", "local").returncode == 1
    result = lab.run("--launcher", name, "--runs_dir", name, "--group_size", "2")
    assert result.returncode == 1
    assert "first seed 0 train: FAILED, exit status 2: error: the data end" in result.stdout
    assert "4 of 11 could not be done, 2 of them for want of another:" in result.stdout
    assert final_files(lab.path / name) == final_files(lab.path / "local")
    assert not list((lab.path / name / ".groups").iterdir())


def test_a_group_of_a_killed_matrix_is_adopted(cluster_lab: Lab, slurm: Slurm) -> None:
    lab = cluster_lab
    lab.config("first", run__notes="train sleeps a little", run__short_name="first")
    lab.targets("first")
    flags = ("--launcher", "slurm", "--group_size", "2")
    process = lab.start(*flags)
    wait_until(lambda: states(lab) == ["running"])
    (before,) = slurm.run("squeue", "-h", "-o", "%F").split()
    process.kill()
    process.communicate()
    following = lab.start(*flags)
    wait_until(lambda: states(lab) == ["complete", "complete"])
    assert len(list((lab.path / "runs" / ".batches").glob("makerlab_train_*"))) == 1
    assert slurm.run("squeue", "-h", "-t", "all", "-o", "%F").split().count(before) == 1
    out, _ = following.communicate(timeout=120)
    assert following.returncode == 0, out


def test_a_cancelled_group_counts_as_failed(cluster_lab: Lab, slurm: Slurm) -> None:
    lab = cluster_lab
    lab.config("first", run__notes="train sleeps", run__short_name="first")
    lab.targets("first")
    process = lab.start("--launcher", "slurm", "--group_size", "2")
    wait_until(lambda: states(lab) == ["running"])
    slurm.run("scancel", "--me")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "first seed 1 train: FAILED" in out
    assert "5 of 6 could not be done" in out


def test_jobs_of_a_killed_matrix_are_adopted_and_not_doubled(cluster_lab: Lab) -> None:
    lab = cluster_lab
    lab.config("first", run__notes="train sleeps a little", run__short_name="first")
    lab.targets("first")
    process = lab.start("--launcher", "slurm")
    wait_until(lambda: states(lab) == ["running", "running"])
    process.kill()
    process.communicate()
    result = lab.run("--launcher", "slurm")
    assert result.returncode == 0
    assert states(lab) == ["complete", "complete"]


def test_what_was_cancelled_is_done_by_the_next_matrix(cluster_lab: Lab, slurm: Slurm) -> None:
    lab = cluster_lab
    lab.config("first", run__notes="train sleeps", run__short_name="first")
    lab.targets("first")
    process = lab.start("--launcher", "slurm")
    wait_until(lambda: states(lab) == ["running", "running"])
    slurm.run("scancel", "--me")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "CANCELLED" in out
    assert "5 of 6 could not be done" in out
    lab.config("first", run__short_name="first")
    assert lab.run("--launcher", "slurm").returncode == 0


def test_ctrl_c_takes_all_jobs_out_of_the_queue(cluster_lab: Lab, slurm: Slurm) -> None:
    lab = cluster_lab
    lab.config("first", run__notes="train sleeps", run__short_name="first")
    lab.targets("first")
    process = lab.start("--launcher", "slurm")
    wait_until(lambda: states(lab) == ["running", "running"])
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err == "stopped with 1 of 6 done; the same command continues\n"
    assert record(lab)["state"] == "interrupted"
    wait_until(lambda: not slurm.run("squeue", "-h", "-t", "PD,R", "--me"))


def test_status_tells_what_the_queue_knows(cluster_lab: Lab, slurm: Slurm) -> None:
    lab = cluster_lab
    lab.config("first", run__notes="train sleeps", run__short_name="first")
    lab.targets("first")
    slurm.run("scontrol", "update", "PartitionName=main", "State=DOWN")
    process = lab.start("--launcher", "slurm")
    try:
        wait_until(lambda: "makerlab_tune" in slurm.run("squeue", "-h", "-o", "%j"))
        process.kill()
        process.communicate()
        shown = json.loads(lab.status("--json"))
        (tune,) = [row for row in shown["rows"] if row["stage"] == "tune"]
        assert tune["state"] == "queued"
        assert "PENDING (PartitionDown)" in tune["message"]
        text = lab.status()
        assert "queued" in text
        assert "first tune: queued, Slurm job" in " ".join(text.split())
    finally:
        slurm.run("scancel", "--me")
        slurm.run("scontrol", "update", "PartitionName=main", "State=UP")


def test_what_is_only_queued_is_not_said_to_have_started(cluster_lab: Lab, slurm: Slurm) -> None:
    lab = cluster_lab
    lab.config("first", run__notes="tune sleeps a little", run__short_name="first")
    lab.targets("first")
    slurm.run("scontrol", "update", "PartitionName=main", "State=DOWN")
    process = lab.start("--launcher", "slurm", "--stages", "tune")
    try:
        wait_until(lambda: "makerlab_tune" in slurm.run("squeue", "-h", "-o", "%j"))
    finally:
        slurm.run("scontrol", "update", "PartitionName=main", "State=UP")
    out, _ = process.communicate(timeout=90)
    said = [line.split("first tune: ")[1] for line in out.splitlines() if "first tune: " in line]
    assert said[:2] == ["queued", "started"]
    assert said[2].startswith("done in ")


def test_a_debugger_opens_where_a_stage_broke(lab: Lab) -> None:
    lab.config("first", run__notes="tune breaks", run__short_name="first")
    lab.targets("first")
    result = lab.run("--launcher", "debug", "--debugger", typed="p config.run.notes\nc\n")
    assert result.returncode == 1
    assert "(Pdb) 'tune breaks'" in result.stdout


GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("kind", ["local", "debug", "slurm", "ray"])
def test_a_dry_run_shows_exact_commands_and_scripts(lab: Lab, kind: str) -> None:
    """Where a golden file is wrong, delete it and run this test twice."""
    if kind == "slurm":
        pytest.importorskip("submitit", reason="submitit is not installed (extra `slurm`)")
    lab.config("first")
    lab.config("second", env__fee_rate=0.0002)
    lab.targets("first", "second")
    shown = lab.dry_run("--launcher", kind)
    path = GOLDEN / f"dry_run_{kind}.txt"
    if not path.exists():
        path.write_text(shown)
        pytest.fail(f"{path} was not there; it is now, read it")
    assert shown == path.read_text()
    assert not (lab.path / "runs").exists()
    assert not (lab.path / "logs").exists()


@pytest.mark.parametrize("kind", ["local", "slurm", "ray"])
def test_a_dry_run_shows_groups_and_no_password(lab: Lab, kind: str) -> None:
    lab.config("first")
    lab.targets("first")
    lab.variables |= {"MAKERLAB_STORAGE": "postgresql://me:secret@host/db", "PGPASSWORD": "secret"}
    shown = lab.dry_run("--launcher", kind, "--group_size", "2", "--jobs", "1")
    assert shown.count("scripts/run_group.py --stage train --outcomes runs/.groups/") == 1
    assert shown.count("--seed 0 --reuse") == shown.count("--seed 1 --reuse") == 1
    assert "secret" not in shown
    assert "--storage" not in shown


def test_a_dry_run_says_what_waits_for_a_new_tuning(lab: Lab) -> None:
    lab.config("first")
    lab.targets("first")
    lab.run("--stages", "tune")
    lab.config("first", env__fee_rate=0.0002)
    shown = lab.dry_run()
    assert shown.count("tune_mm_sac.py") == 1
    assert "# first seed 0 train: its parameters are to be tuned anew first\n" in shown


def test_a_dry_run_leaves_out_what_is_done(lab: Lab) -> None:
    lab.config("first")
    lab.targets("first")
    lab.run("--stages", "tune,train")
    shown = lab.dry_run()
    assert shown.startswith("# 3 of 5 are done\n")
    assert shown.count("evaluate_policy.py --model_path") == 2
    assert "tune_mm_sac.py" not in shown
    began = time.monotonic()
    assert lab.run().returncode == 0
    assert "# 5 of 5 are done" in lab.dry_run()
    assert time.monotonic() > began
