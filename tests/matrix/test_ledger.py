"""What counts as done: content keys, nothing else."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.matrix.fake_stages import best_params, write_config

from makerlab.errors import UserError
from makerlab.files import content_hash, write_json
from makerlab.matrix import heads
from makerlab.matrix.ledger import Ledger
from makerlab.matrix.options import MatrixOptions
from makerlab.matrix.plan import Work, load_experiments
from makerlab.matrix.run_index import RunIndex
from makerlab.runs import keys
from makerlab.runs.directory import RunDirectory
from makerlab.runs.owner import this_process

TUNE = Work("tune", "first")
TRAIN = Work("train", "first", 0)
EVALUATE = Work("evaluate", "first", 0)
DEAD = {"host": "", "boot_id": "", "pid": 1, "started": 0.0}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one config in its target list."""
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path, "first", tune__n_trials=3)
    (tmp_path / "targets.txt").write_text("first.yaml\n")
    return tmp_path


def open_ledger(*, stages: tuple[str, ...] = ("tune", "train", "evaluate")) -> Ledger:
    """Read the config and what lies on disk."""
    options = MatrixOptions(targets=Path("targets.txt"), profile="", stages=stages)
    return Ledger(options, load_experiments(options))


def write_params(ledger: Ledger, **changes: Any) -> None:
    """Write best_params.json as tuning does."""
    record = best_params(ledger.experiments["first"].config, gamma=0.95)
    path = ledger.tuning(Work("tune", "first")).best_params
    path.unlink(missing_ok=True)
    write_json(path, record | changes)


def write_run(ledger: Ledger, name: str = "20260101_000000_first_seed0", **changes: Any) -> Path:
    """Write a run's manifest as training does."""
    config = ledger.config_of(TRAIN).with_values({"train.seed": 0})
    manifest = {
        "state": "complete",
        "train_key": keys.train_key(config),
        "owner": None,
        "error": None,
        "config": config.to_dict(),
    }
    path = Path("runs/SAC") / name
    write_json(path / "manifest.json", manifest | changes)
    return path


def test_tuning_is_done_with_the_right_inputs_and_enough_trials(folder: Path) -> None:
    ledger = open_ledger()
    assert not ledger.is_done(TUNE)
    write_params(ledger)
    assert ledger.is_done(TUNE)
    write_params(ledger, n_trials=2)
    assert not ledger.is_done(TUNE)
    write_params(ledger, tune_key="other")
    assert not ledger.is_done(TUNE)


def test_damaged_parameters_are_named_not_passed_over(folder: Path) -> None:
    ledger = open_ledger()
    write_params(ledger)
    ledger.tuning(Work("tune", "first")).best_params.write_text('{"tune_key": ')
    with pytest.raises(UserError, match=r"best_params.json: damaged"):
        ledger.is_done(TUNE)


def test_a_run_is_done_when_its_manifest_says_complete(folder: Path) -> None:
    ledger = open_ledger()
    write_params(ledger)
    assert not ledger.is_done(TRAIN)
    for state, done in [("running", False), ("failed", False), ("complete", True)]:
        write_run(ledger, state=state, owner=this_process())
        ledger.refresh()
        assert ledger.is_done(TRAIN) is done


def test_tuned_parameters_are_part_of_a_run(folder: Path) -> None:
    ledger = open_ledger()
    write_params(ledger)
    write_run(ledger)
    ledger.refresh()
    assert ledger.config_of(TRAIN).train.gamma == 0.95
    assert ledger.is_done(TRAIN)
    write_params(ledger, params={"gamma": 0.96})
    os.utime(ledger.tuning(Work("tune", "first")).best_params, (1.0, 1.0))
    assert not ledger.is_done(TRAIN)


def test_each_seed_is_a_run_of_its_own(folder: Path) -> None:
    ledger = open_ledger()
    write_params(ledger)
    write_run(ledger)
    ledger.refresh()
    assert not ledger.is_done(Work("train", "first", 1))


def test_nothing_below_a_stale_tuning_is_done(folder: Path) -> None:
    ledger = open_ledger()
    write_params(ledger)
    write_run(ledger)
    write_params(ledger, tune_key="other")
    ledger.refresh()
    assert not ledger.is_done(TRAIN)
    assert open_ledger(stages=("train",)).is_done(TRAIN)


def test_an_evaluation_is_done_with_the_right_run_and_settings(folder: Path) -> None:
    ledger = open_ledger()
    write_params(ledger)
    run = RunDirectory(write_run(ledger))
    ledger.refresh()
    assert not ledger.is_done(EVALUATE)
    key = ledger.evaluate_key(EVALUATE)
    write_json(run.evaluation.metrics, {"evaluate_key": key})
    assert ledger.is_done(EVALUATE)
    write_config(folder, "first", tune__n_trials=3, evaluate__episodes=7)
    again = open_ledger()
    assert again.is_done(TRAIN)
    assert not again.is_done(EVALUATE)


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"run__notes": "a thought"}, {"tune", "train", "evaluate"}),
        ({"evaluate__episodes": 9}, {"tune", "train"}),
        ({"env__fee_rate": 0.0002}, set()),
        ({"train__buffer_size": 1000}, set()),
        ({"tune__n_trials": 4}, set()),
        ({"tune__n_trials": 2}, {"tune", "train", "evaluate"}),
        ({"train__total_timesteps": 1000}, {"tune"}),
    ],
)
def test_a_change_redoes_what_depends_on_it(
    folder: Path, change: dict[str, Any], kept: set[str]
) -> None:
    ledger = open_ledger()
    write_params(ledger)
    run = RunDirectory(write_run(ledger))
    key = ledger.evaluate_key(EVALUATE)
    write_json(run.evaluation.metrics, {"evaluate_key": key})
    write_config(folder, "first", **({"tune__n_trials": 3} | change))
    again = open_ledger()
    assert {work.stage for work in (TUNE, TRAIN, EVALUATE) if again.is_done(work)} == kept


def test_damaged_and_foreign_manifests_are_passed_over(folder: Path) -> None:
    ledger = open_ledger()
    write_params(ledger)
    write_run(ledger)
    for name, content in [("a", "{"), ("b", "[]"), ("c", '{"state": "odd"}'), ("d", "\xff")]:
        path = folder / "runs" / "SAC" / name / "manifest.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(content.encode("latin-1"))
    ledger.refresh()
    assert ledger.is_done(TRAIN)


def test_a_run_whose_process_died_is_interrupted(folder: Path) -> None:
    ledger = open_ledger()
    write_params(ledger)
    write_run(ledger, state="running", owner=DEAD | {"host": os.uname().nodename})
    ledger.refresh()
    found = ledger.run_of(TRAIN)
    assert found is not None
    assert found.state == "interrupted"


@pytest.mark.parametrize("first", [["state", "train_key"], ["train_key", "state"], ["owner"]])
def test_a_manifest_counts_whatever_the_order_of_its_entries(
    folder: Path, first: list[str]
) -> None:
    ledger = open_ledger()
    write_params(ledger)
    path = write_run(ledger) / "manifest.json"
    content = json.loads(path.read_text())
    path.unlink()
    write_json(path, {name: content[name] for name in first} | content)
    ledger.refresh()
    assert ledger.is_done(TRAIN)
    found = ledger.complete_run(TRAIN)
    assert found is not None
    assert found.evaluate_settings() == content["config"]["evaluate"]


def test_a_manifest_cut_short_is_no_run(folder: Path) -> None:
    ledger = open_ledger()
    write_params(ledger)
    path = write_run(ledger) / "manifest.json"
    path.write_bytes(path.read_bytes()[:300])
    ledger.refresh()
    assert ledger.run_of(TRAIN) is None


def test_of_two_runs_of_the_same_inputs_the_complete_one_counts(folder: Path) -> None:
    ledger = open_ledger()
    write_params(ledger)
    write_run(ledger, "20260101_000000_first_seed0", state="failed")
    good = write_run(ledger, "20260102_000000_first_seed0")
    write_run(ledger, "20260103_000000_first_seed0", state="running", owner=this_process())
    ledger.refresh()
    found = ledger.complete_run(TRAIN)
    assert found is not None
    assert found.directory.path == good


def test_a_manifest_is_read_again_only_after_it_changed(folder: Path) -> None:
    ledger = open_ledger()
    write_params(ledger)
    run = write_run(ledger, state="running", owner=this_process())
    ledger.refresh()
    stat = (run / "manifest.json").stat()
    text = (run / "manifest.json").read_text()
    (run / "manifest.json").write_text(text.replace('"running"', '"unknown"'))
    os.utime(run / "manifest.json", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    ledger.refresh()
    assert ledger.run_of(TRAIN) is not None
    os.utime(run / "manifest.json")
    ledger.refresh()
    assert ledger.run_of(TRAIN) is None


def test_looking_again_reads_new_and_unfinished_runs_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of finished runs cost nothing, on a file system where each question is a trip."""
    ledger = open_ledger()
    write_params(ledger)
    for number in range(20):
        write_run(ledger, f"20260101_0000{number:02d}_first_seed0")
    unfinished = write_run(ledger, "20260102_000000_first_seed0", state="failed")
    index = RunIndex(Path("runs"))
    asked: list[Path] = []
    stat = os.stat

    def counted(path: Path, *how: Any) -> os.stat_result:
        asked.append(Path(path).parent)
        return stat(path)

    with monkeypatch.context() as patched:
        patched.setattr(heads.os, "stat", counted)
        patched.setattr(heads.os, "open", counted)
        index.refresh()
    assert asked.count(unfinished) == 1
    assert not [path for path in asked if path.name.startswith("20260101")]


def test_a_run_that_was_deleted_is_forgotten(folder: Path) -> None:
    ledger = open_ledger()
    write_params(ledger)
    run = write_run(ledger)
    ledger.refresh()
    assert ledger.is_done(TRAIN)
    shutil.rmtree(run)
    ledger.refresh()
    assert not ledger.is_done(TRAIN)


@pytest.mark.parametrize(
    "content", ["", "{", '{"evaluate_key": "KEY"', '{"other": 1}', "KEY", '{"evaluate_key": 3}']
)
def test_an_evaluation_cut_short_is_none(folder: Path, content: str) -> None:
    ledger = open_ledger()
    write_params(ledger)
    run = RunDirectory(write_run(ledger))
    ledger.refresh()
    key = ledger.evaluate_key(EVALUATE)
    run.evaluation.path.mkdir()
    run.evaluation.metrics.write_text(content.replace("KEY", key))
    assert not ledger.is_done(EVALUATE)


def test_keys_of_many_seeds_are_those_of_each_alone(folder: Path) -> None:
    ledger = open_ledger()
    write_params(ledger)
    config = ledger.config_of(TRAIN)
    for seed in (0, 1, 7, 2**31 - 1):
        own = config.with_values({"train.seed": seed})
        content = own.to_dict()
        train = {
            "environment": keys.environment_key(own),
            "train": content["train"],
            "run": "first",
            "judge": {
                "episodes": own.tune.eval_episodes,
                "episode_length": own.tune.eval_episode_length,
                "metric": own.tune.metric,
            },
            "code": keys.code_hash("train"),
        }
        evaluate = {"evaluate": content["evaluate"], "code": keys.code_hash("evaluate")}
        work = Work("train", "first", seed)
        assert ledger.train_key(work) == keys.train_key(own) == content_hash(train)
        evaluate["train"] = content_hash(train)
        assert ledger.evaluate_key(work) == keys.evaluate_key(own) == content_hash(evaluate)
