"""Studies: totals, slots, pruning, the record of what was chosen."""

import datetime
import itertools
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pytest
import yaml
from optuna.trial import TrialState
from tests.commands import TINY_CONFIG, run_well, start, write_tiny_config

from makerlab.data.synthetic import generate_candles
from makerlab.errors import UserError
from makerlab.runs.directory import tuning_directory
from makerlab.runs.keys import tune_key
from makerlab.runs.owner import this_process
from makerlab.runs.registry import Registry
from makerlab.stages.resolve import Resolved, is_tuned, resolve_config
from makerlab.stages.trials import suggest_with
from makerlab.stages.tune import tune
from makerlab.tuning.slots import OWNER, PARAMS, SLOT, open_slots


def resolved(folder: Path, *, name: str = "tiny", **flags: Any) -> Resolved:
    path = folder / f"{name}.yaml"
    if not path.exists():
        write_tiny_config(folder, name=name)
    dotted = {key.replace("__", "."): value for key, value in flags.items()}
    return resolve_config(path, flags=dotted, runs_dir=folder)


def tuned(folder: Path, config: Resolved, **options: Any) -> dict[str, Any]:
    chosen = {
        "storage": f"sqlite:///{folder / 'optuna.db'}",
        "study_name": None,
        "best_params": tuning_directory(folder, "SAC", config.name).best_params,
        "device": "cpu",
        "report": lambda _: None,
        "now": lambda: datetime.datetime.now(datetime.UTC),
    }
    record = tune(config, runs_dir=folder, **(chosen | options))
    assert record is not None
    return record


def trials(folder: Path, study: str) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=study, storage=f"sqlite:///{folder / 'optuna.db'}").trials


def test_n_trials_is_a_total(tmp_path: Path) -> None:
    """Trap: asking for n trials again adds n more."""
    first = tuned(tmp_path, resolved(tmp_path, tune__n_trials=2))
    assert tuned(tmp_path, resolved(tmp_path, tune__n_trials=2)) == first
    assert len(trials(tmp_path, first["study"])) == 2
    tuned(tmp_path, resolved(tmp_path, tune__n_trials=3))
    assert len(trials(tmp_path, first["study"])) == 3


def test_same_seed_gives_the_same_study(tmp_path: Path) -> None:
    records = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        record = tuned(tmp_path / name, resolved(tmp_path / name))
        records.append({k: v for k, v in record.items() if k not in {"storage", "config_path"}})
    assert records[0] == records[1]


def test_configs_have_studies_and_parameters_of_their_own(tmp_path: Path) -> None:
    """Trap: one study name for all configs; one best-params file that all overwrite."""
    one = tuned(tmp_path, resolved(tmp_path, tune__n_trials=1))
    write_tiny_config(tmp_path, name="other", text=TINY_CONFIG.replace("8, ep", "9, ep"))
    other = tuned(tmp_path, resolved(tmp_path, name="other", tune__n_trials=1))
    same_name = resolved(tmp_path, tune__n_trials=1, env__fee_rate=0.0002)
    changed = tuned(tmp_path, same_name)
    assert len({one["study"], other["study"], changed["study"]}) == 3
    assert json.loads((tmp_path / "SAC" / "other" / "best_params.json").read_text()) == other


def test_a_study_of_other_inputs_is_refused(tmp_path: Path) -> None:
    tuned(tmp_path, resolved(tmp_path, tune__n_trials=1), study_name="mine")
    changed = resolved(tmp_path, tune__n_trials=1, env__fee_rate=0.0002)
    with pytest.raises(UserError, match="mine"):
        tuned(tmp_path, changed, study_name="mine")


def test_trials_of_dead_processes_are_taken_again(tmp_path: Path) -> None:
    """Trap: killed trials stay RUNNING and eat the budget."""
    config = resolved(tmp_path)
    slots = open_slots(
        f"sqlite:///{tmp_path / 'optuna.db'}",
        "study",
        key="key",
        trials=2,
        lock_dir=tmp_path,
        config=config.config.tune,
    )
    params = {"learning_rate": 0.1}
    dead = slots.take(lambda _: params)
    assert dead is not None
    dead.set_user_attr(OWNER, this_process() | {"started": 0.0})
    again, next_one, none = (slots.take(lambda _: params) for _ in range(3))
    assert again is not None and next_one is not None and none is None
    assert [again.user_attrs[SLOT], next_one.user_attrs[SLOT]] == [0, 1]
    assert again.user_attrs[PARAMS] == params


def test_a_study_that_another_process_finishes_has_its_result_here(tmp_path: Path) -> None:
    """Trap: the last trial is another's, so this one leaves with nothing to train on."""
    config = resolved(tmp_path, tune__n_trials=1)
    storage = f"sqlite:///{tmp_path / 'optuna.db'}"
    key = tune_key(config.config)
    other = open_slots(
        storage, "study", key=key, trials=1, lock_dir=tmp_path, config=config.config.tune
    )
    trial = other.take(suggest_with(config.config))
    assert trial is not None
    options = {"storage": storage, "study_name": "study"}
    with pytest.raises(AssertionError):
        tuned(tmp_path, config, **options)
    threading.Timer(1.0, lambda: other.finish(trial, 1.0, TrialState.COMPLETE)).start()
    record = tuned(tmp_path, config, to_the_end=True, **options)
    assert record["score"] == 1.0 and record["params"] == trial.user_attrs[PARAMS]
    assert is_tuned(config.config, tuning_directory(tmp_path, "SAC", "tiny").best_params)


def test_every_slot_has_a_sampler_seed_of_its_own(tmp_path: Path) -> None:
    record = tuned(tmp_path, resolved(tmp_path, tune__n_trials=4, tune__train_timesteps=40))
    rates = [trial.params["learning_rate"] for trial in trials(tmp_path, record["study"])]
    assert len(set(rates)) == 4


def test_trials_with_the_same_parameters_have_the_same_score(tmp_path: Path) -> None:
    """Trap: trials compared on different seeds and windows."""
    same: dict[str, Any] = {"tune__search_space__net_arch": [[8]]}
    for name, end in itertools.product(("gamma", "tau", "learning_rate"), ("low", "high")):
        same[f"tune__search_space__{name}__{end}"] = 0.01
    record = tuned(tmp_path, resolved(tmp_path, tune__n_trials=3, tune__startup_trials=3, **same))
    found = [trial.intermediate_values for trial in trials(tmp_path, record["study"])]
    assert len(found) == 3 and len(found[0]) == 4
    assert found[0] == found[1] == found[2]


def test_pruning_stops_bad_trials_before_their_last_step(tmp_path: Path) -> None:
    """Trap: pruning whose first check comes after the last step."""
    config = resolved(tmp_path, tune__n_trials=8, tune__startup_trials=1, tune__train_timesteps=200)
    record = tuned(tmp_path, config)
    assert record["trials"]["pruned"] > 0
    for trial in trials(tmp_path, record["study"]):
        if trial.state == optuna.trial.TrialState.PRUNED:
            assert trial.user_attrs["steps"] < 200
            assert max(trial.intermediate_values) == trial.user_attrs["steps"]


def test_best_params_say_where_they_come_from(tmp_path: Path) -> None:
    record = tuned(tmp_path, resolved(tmp_path))
    best = max(
        (t for t in trials(tmp_path, record["study"]) if t.value is not None),
        key=lambda t: t.value or 0.0,
    )
    assert record["score"] == best.value and record["trial"] == best.user_attrs[SLOT]
    assert record["data_source"] == "synthetic" and len(record["data_sha256"]) == 64
    assert len(record["rescored"]["scores"]) == 1
    assert record["rescored"]["seeds"][0] != record["seed"]
    assert sum(record["trials"].values()) == record["n_trials"] == 3


def test_tuned_parameters_reach_training_none_dropped(tmp_path: Path) -> None:
    """Traps: tuned parameters never passed to training; the first tuned parameter dropped; a
    flag that silently loses."""
    record = tuned(tmp_path, resolved(tmp_path, tune__n_trials=1))
    trained = resolve_config(tmp_path / "tiny.yaml", runs_dir=tmp_path, params_path=None)
    train = trained.config.to_dict()["train"]
    assert {name: train[name] for name in record["params"]} == record["params"]
    assert trained.tuned_params is not None
    assert trained.tuned_params["params"] == record["params"]
    flags = {"train.gamma": 0.5}
    won = resolve_config(tmp_path / "tiny.yaml", flags=flags, runs_dir=tmp_path, params_path=None)
    assert won.config.train.gamma == 0.5


def test_parameters_of_another_environment_are_refused(tmp_path: Path) -> None:
    tuned(tmp_path, resolved(tmp_path, tune__n_trials=1))
    flags = {"env.fee_rate": 0.0003}
    with pytest.raises(UserError, match="another environment"):
        resolve_config(tmp_path / "tiny.yaml", flags=flags, runs_dir=tmp_path, params_path=None)


def test_changed_test_segment_changes_nothing_in_tuning_and_training(tmp_path: Path) -> None:
    """Trap: training or tuning sees the test segment because the range reaches only evaluation."""
    models, scores = [], []
    for name, factor in (("as_it_is", 1.0), ("changed", 1.5)):
        folder = tmp_path / name
        folder.mkdir()
        settings = resolved(folder).config.data.synthetic
        frame = generate_candles(settings).to_frame()
        test = frame.index >= int(0.86 * len(frame))
        frame.loc[test, ["open", "high", "low", "close"]] *= factor
        frame.to_csv(folder / "candles.csv", index=False)
        config = resolved(folder, env__csv_path=str(folder / "candles.csv"), tune__n_trials=1)
        scores.append(tuned(folder, config)["rescored"])
        run_well(
            folder,
            "train_mm_sac.py",
            "--config",
            "tiny.yaml",
            "--params_path",
            "none",
            "--data",
            "candles.csv",
        )
        (run,) = (folder / "runs" / "SAC").glob("*_tiny_seed0")
        models.append((run / "best_model.zip").read_bytes())
    assert scores[0] == scores[1]
    assert models[0] == models[1]


def test_trials_stay_counted_when_their_study_is_deleted(tmp_path: Path) -> None:
    """A search looks no smaller for having been thrown away, and no larger for being redone."""

    def counts() -> tuple[int, int]:
        found = Registry(tmp_path).history(record["data_sha256"])
        kinds = [found.number(kind, task="market_making") for kind in ("trial", "rescore")]
        return kinds[0], kinds[1]

    record = tuned(tmp_path, resolved(tmp_path))
    assert counts() == (3, 1)
    tuned(tmp_path, resolved(tmp_path))
    assert counts() == (3, 1)
    (tmp_path / "optuna.db").unlink()
    assert tuned(tmp_path, resolved(tmp_path))["params"] == record["params"]
    assert counts() == (3, 1)
    (tmp_path / "optuna.db").unlink()
    other = tuned(tmp_path, resolved(tmp_path, tune__seed=7))
    assert counts() == (6, 2)
    studies = Registry(tmp_path).history(record["data_sha256"]).by_study(task="market_making")
    assert studies == {record["study"]: 3, other["study"]: 3}


def test_the_study_opens_in_optuna_dashboard(tmp_path: Path) -> None:
    record = tuned(tmp_path, resolved(tmp_path, tune__n_trials=1))
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'optuna.db'}")
    app = optuna_dashboard.wsgi(storage)
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ["PATH_INFO"] = "/api/studies"
    answer = json.loads(b"".join(app(environ, lambda *_: None)))
    assert [study["study_name"] for study in answer["study_summaries"]] == [record["study"]]


@pytest.mark.slow
def test_sixteen_processes_lose_and_double_no_trial(tmp_path: Path) -> None:
    """200 trials in one sqlite study: none lost, none twice, no lock error."""
    content = yaml.safe_load(TINY_CONFIG)
    content["tune"] |= {"n_trials": 200, "train_timesteps": 40, "reports": 2}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    processes = [start(tmp_path, "tune_mm_sac.py", "--config", "tiny.yaml") for _ in range(16)]
    for process in processes:
        _, errors = process.communicate(timeout=900)
        assert process.returncode == 0, errors
        assert errors == ""
    record = json.loads((tmp_path / "runs/SAC/tiny/best_params.json").read_text())
    found = trials(tmp_path / "runs", record["study"])
    assert Counter(trial.user_attrs[SLOT] for trial in found) == Counter(range(200))
    assert {trial.state.name for trial in found} <= {"COMPLETE", "PRUNED"}
