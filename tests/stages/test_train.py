"""Runs: directories of their own, manifests, stops, resumes, what is chosen on which segment."""

import csv
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from stable_baselines3 import SAC
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.commands import (
    TINY_CONFIG,
    command,
    environment,
    run,
    run_well,
    start,
    write_tiny_config,
)

from makerlab.config.load import stored_config
from makerlab.learning.archive import read_archive, write_archive
from makerlab.runs.directory import RunDirectory
from makerlab.runs.lease import Lease
from makerlab.runs.registry import Registry
from makerlab.stages.resolve import resolve_config
from makerlab.stages.run_course import TakenAway
from makerlab.stages.train import train

UNTUNED = ("--config", "tiny.yaml", "--params_path", "none")


def only_run(folder: Path) -> RunDirectory:
    (path,) = (folder / "runs" / "SAC").glob("*_tiny_seed*")
    return RunDirectory(path)


def manifest_of(run_directory: RunDirectory) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(run_directory.manifest.read_text())
    return content


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run left alone."""
    folder = tmp_path_factory.mktemp("finished")
    write_tiny_config(folder)
    run_well(folder, "train_mm_sac.py", *UNTUNED, "--seed", "4", "--notes", "as it is")
    return only_run(folder)


def test_manifest_says_what_the_run_is_made_of(finished: RunDirectory) -> None:
    manifest = manifest_of(finished)
    assert manifest["state"] == "complete" and manifest["seed"] == 4
    assert manifest["data_source"] == "synthetic"
    assert manifest["data"]["sha256"] and manifest["data"]["rows"] == 2 * 1440
    assert set(manifest["split"]) >= {"train", "valid", "test"}
    assert manifest["threads"] == 1 and manifest["device"] == "cpu"
    assert manifest["notes"] == "as it is" and manifest["steps"] == 300
    assert manifest["fill_model"]["both_touched"] == "worse_side"
    assert manifest["config_hash"] == stored_config(finished.config).hash
    assert manifest["settings_in_environment"] == {}


def test_settings_that_the_environment_gave_are_recorded_and_nothing_secret_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The effective config alone doesn't say why it is other than its file."""
    write_tiny_config(tmp_path)
    outside = {
        "MAKERLAB__TRAIN__TOTAL_TIMESTEPS": "100",
        "MAKERLAB__TRAIN__SEED": "8",
        "MAKERLAB_STORAGE": "postgresql://maker:hunter2@db/studies",
        "EXCHANGE_TOKEN": "hunter2",
    }
    process = subprocess.run(
        command("train_mm_sac.py", *UNTUNED, "--seed", "4"),
        cwd=tmp_path,
        env=environment() | outside,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    directory = only_run(tmp_path)
    manifest = manifest_of(directory)
    # The flag is stronger than the variable, which therefore took no effect.
    assert manifest["settings_in_environment"] == {"MAKERLAB__TRAIN__TOTAL_TIMESTEPS": "100"}
    assert manifest["steps"] == 100 and manifest["seed"] == 4
    files = [path for path in directory.path.rglob("*") if path.is_file()]
    assert files and not any(b"hunter2" in path.read_bytes() for path in files)


def test_a_run_stays_counted_when_it_is_deleted_and_redone(tmp_path: Path) -> None:
    write_tiny_config(tmp_path)
    for _ in range(2):
        run_well(tmp_path, "train_mm_sac.py", *UNTUNED, "--seed", "4")
        manifest = manifest_of(only_run(tmp_path))
        shutil.rmtree(only_run(tmp_path).path)
    run_well(tmp_path, "train_mm_sac.py", *UNTUNED, "--seed", "5")
    history = Registry(tmp_path / "runs").history(manifest["data"]["sha256"])
    assert [(entry.kind, entry.seed) for entry in history.tried] == [("run", 4), ("run", 5)]
    assert history.tried[0].key == manifest["train_key"]
    # Seeds are not variants.
    assert len({entry.variant for entry in history.tried}) == 1


def test_stored_config_is_the_effective_one(finished: RunDirectory) -> None:
    """Trap: a seed in the YAML that does not seed; a stored config that lacks what was tuned."""
    config = stored_config(finished.config)
    assert config.train.seed == 4 and config.train.total_timesteps == 300


def test_model_opens_with_plain_stable_baselines3(finished: RunDirectory) -> None:
    for path in (finished.model, finished.best_model):
        model = SAC.load(path, device="cpu")
        assert model.num_timesteps > 0


def test_learning_curve_has_absolute_steps(finished: RunDirectory) -> None:
    rows = list(csv.DictReader(finished.progress.open()))
    steps = [int(row["step"]) for row in rows]
    assert steps == sorted(steps) and steps[-1] == 300
    scores = [float(row["valid_score"]) for row in rows if row["valid_score"]]
    assert len(scores) == 6
    assert manifest_of(finished)["best"]["score"] == max(scores)
    events = EventAccumulator(str(finished.path))
    events.Reload()
    found = [event.step for event in events.Scalars("valid/valid_score")]
    assert found == [50, 100, 150, 200, 250, 300]


def test_the_best_checkpoint_is_the_one_of_the_best_score(finished: RunDirectory) -> None:
    """Trap: best checkpoint saved but the last one evaluated."""
    best = SAC.load(finished.best_model, device="cpu")
    assert best.num_timesteps == manifest_of(finished)["best"]["step"]


def test_same_seed_same_bytes_other_seed_other_bytes(
    tmp_path: Path, finished: RunDirectory
) -> None:
    """Trap: one seed per config; a seed that does not seed the learner or the environment."""
    write_tiny_config(tmp_path)
    run_well(tmp_path, "train_mm_sac.py", *UNTUNED, "--seed", "4")
    run_well(tmp_path, "train_mm_sac.py", *UNTUNED, "--seed", "5")
    same, other = sorted((tmp_path / "runs" / "SAC").glob("*_tiny_seed*"), key=lambda p: p.name[-1])
    assert (same / "model.zip").read_bytes() == finished.model.read_bytes()
    assert (other / "model.zip").read_bytes() != finished.model.read_bytes()


def test_two_runs_of_one_second_have_two_directories(tmp_path: Path) -> None:
    """Trap: two runs started in the same second share a directory."""
    write_tiny_config(tmp_path)
    processes = [start(tmp_path, "train_mm_sac.py", *UNTUNED) for _ in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    paths = list((tmp_path / "runs" / "SAC").glob("*_tiny_seed0"))
    assert len(paths) == 2
    assert (
        paths[0].joinpath("model.zip").read_bytes() == paths[1].joinpath("model.zip").read_bytes()
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_checkpoints_and_continues_exactly(
    tmp_path: Path, number: signal.Signals
) -> None:
    write_tiny_config(tmp_path)
    long = (*UNTUNED, "--total_timesteps", "4000", "--set", "train.eval_freq=1000")
    run_well(tmp_path, "train_mm_sac.py", *long, "--runs_dir", "left_alone")
    (left_alone,) = (tmp_path / "left_alone" / "SAC").iterdir()
    process = start(tmp_path, "train_mm_sac.py", *long)
    assert process.stdout is not None
    for line in process.stdout:
        if "training" in line:
            break
    time.sleep(0.3)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    found = only_run(tmp_path)
    assert process.returncode == 128 + number
    assert "--resume" in errors and "Traceback" not in errors
    assert manifest_of(found)["state"] == "running" and manifest_of(found)["owner"] is None
    run_well(tmp_path, "train_mm_sac.py", "--resume", found.path)
    assert found.model.read_bytes() == (left_alone / "model.zip").read_bytes()


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, finished: RunDirectory
) -> None:
    copy = RunDirectory(tmp_path / "runs" / "SAC" / finished.name)
    _copy(finished.path, copy.path)
    copy.model.unlink()
    copy.checkpoint.write_bytes(copy.checkpoint.read_bytes()[:-100])
    _set_manifest(copy, state="running")
    output = run_well(tmp_path, "train_mm_sac.py", "--resume", copy.path)
    assert "trying an older checkpoint" in output
    assert copy.model.read_bytes() == finished.model.read_bytes()


def test_a_complete_run_is_left_as_it_is(tmp_path: Path, finished: RunDirectory) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.path.rglob("*.zip")}
    output = run_well(tmp_path, "train_mm_sac.py", "--resume", finished.path)
    assert "already complete" in output
    assert before == {path: path.stat().st_mtime_ns for path in finished.path.rglob("*.zip")}


def test_reuse_takes_what_is_finished_and_redoes_what_changed(tmp_path: Path) -> None:
    write_tiny_config(tmp_path)
    for _ in range(2):
        run_well(tmp_path, "train_mm_sac.py", *UNTUNED, "--reuse")
    assert len(list((tmp_path / "runs" / "SAC").glob("*_tiny_seed0"))) == 1
    run_well(tmp_path, "train_mm_sac.py", *UNTUNED, "--reuse", "--set", "env.fee_rate=0.0002")
    assert len(list((tmp_path / "runs" / "SAC").glob("*_tiny_seed0"))) == 2


def test_a_diverging_run_fails_and_says_so(tmp_path: Path, finished: RunDirectory) -> None:
    """Trap: a failing worker whose error nobody reads, and exit code 0."""
    copy = RunDirectory(tmp_path / "runs" / "SAC" / finished.name)
    _copy(finished.path, copy.path)
    copy.model.unlink()
    for path in (copy.checkpoint, copy.previous_checkpoint):
        content = read_archive(path)
        content["training"]["step"] = 100
        _fill_with_nan(content["training"]["learner"])
        write_archive(path, content)
    _set_manifest(copy, state="running")
    result = run(tmp_path, "train_mm_sac.py", "--resume", copy.path)
    assert result.returncode == 1
    manifest = manifest_of(copy)
    assert manifest["state"] == "failed" and manifest["error"]["message"]
    assert not copy.model.exists()


def test_the_parents_death_stops_a_stage_with_a_checkpoint(tmp_path: Path) -> None:
    """A driver killed with -9 leaves no stage behind that nobody watches."""
    text = TINY_CONFIG.replace("total_timesteps: 300", "total_timesteps: 1000000")
    write_tiny_config(tmp_path, text=text)
    script = (
        "import os, subprocess, sys, time\n"
        "os.environ['MAKERLAB_PARENT_PID'] = str(os.getpid())\n"
        "child = subprocess.Popen(sys.argv[1:])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    stage = command("train_mm_sac.py", *UNTUNED)
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *stage],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    for line in parent.stdout:
        if "training" in line:
            break
    parent.kill()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and _exists(child):
        time.sleep(0.1)
    assert not _exists(child)
    assert only_run(tmp_path).checkpoint.exists()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target)
    folder = source.parents[1] / "synthetic"
    shutil.copytree(folder, target.parents[1] / "synthetic")


def _fill_with_nan(state: Any) -> None:
    """Break every tensor of real numbers in a learner's state, whichever learner it is."""
    if isinstance(state, dict):
        for value in state.values():
            _fill_with_nan(value)
    elif isinstance(state, torch.Tensor) and state.is_floating_point():
        state.fill_(float("nan"))


def _set_manifest(found: RunDirectory, **changes: Any) -> None:
    found.manifest.write_text(json.dumps(manifest_of(found) | changes))


def test_a_run_that_another_process_took_over_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process was stopped for long, on a host whose processes nobody else can look up."""
    config = write_tiny_config(tmp_path)
    saved = "runs/SAC/*/checkpoints/latest.zip"
    monkeypatch.setattr(Lease, "held", property(lambda _: not list(tmp_path.glob(saved))))
    with pytest.raises(TakenAway, match="another process works on this run now"):
        train(
            resolve_config(config, runs_dir=tmp_path / "runs"),
            runs_dir=tmp_path / "runs",
            device="cpu",
            reuse=True,
            report=lambda _: None,
            now=lambda: datetime.datetime.now(datetime.UTC),
        )
    taken = only_run(tmp_path)
    manifest = manifest_of(taken)
    assert manifest["state"] == "running" and manifest["error"] is None
    assert taken.checkpoint.is_file() and not taken.model.exists()
