"""Runs, their checkpoints, tuned parameters and studies."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import filelock
import optuna
from tests.bad_input.case import Case, Prepare, all_of, config_with, replaces, writes
from tests.bad_input.lab import BEST_PARAMS, RUN, STUDY

from makerlab.files import write_json
from makerlab.learning.archive import read_archive, write_archive

RESUME = f"--resume {RUN}"
TRAIN = "--config tiny.yaml"
MORE = f"{TRAIN} --n_trials 2"
LATEST, PREVIOUS = RUN / "checkpoints/latest.zip", RUN / "checkpoints/previous.zip"
_FAILED = (f"{RUN}/manifest.json",)
_CONTINUED = (f"{RUN}/.*", f"{RUN}")


def interrupt(folder: Path) -> None:
    """Make the finished run one that was killed before its end."""
    (folder / RUN / "model.zip").unlink()
    manifest(state="running", owner=None)(folder)


def manifest(**changes: Any) -> Prepare:
    """Change entries of the run's manifest; None for a value removes nothing."""

    def prepare(folder: Path) -> None:
        path = folder / RUN / "manifest.json"
        write_json(path, json.loads(path.read_text()) | changes)

    return prepare


def without(name: Path, key: str) -> Prepare:
    """Remove a key from a JSON file."""

    def prepare(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        del content[key]
        write_json(folder / name, content)

    return prepare


def with_key(name: Path, key: str, value: Any) -> Prepare:
    """Set a key of a JSON file."""

    def prepare(folder: Path) -> None:
        write_json(folder / name, json.loads((folder / name).read_text()) | {key: value})

    return prepare


def cut(name: Path, bytes_kept: int = 200) -> Prepare:
    """Keep only the beginning of a file."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:bytes_kept])


def remove(name: Path) -> Prepare:
    """Remove a file or folder."""

    def prepare(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return prepare


def _lock(folder: Path) -> None:
    # Kept until the folder is forgotten: the lock goes with the object.
    _LOCKS.append(lock := filelock.FileLock(folder / RUN / ".lock"))
    lock.acquire()


_LOCKS: list[filelock.BaseFileLock] = []


def _other_network(folder: Path) -> None:
    for name in (LATEST, PREVIOUS):
        content = read_archive(folder / name)
        policy = content["training"]["learner"]["policy"]
        for key in policy:
            policy[key] = policy[key][..., :1]
        write_archive(folder / name, content)


def _other_archive(folder: Path) -> None:
    for name in (LATEST, PREVIOUS):
        write_archive(folder / name, {"weights": [1, 2, 3]})


def _diverged(folder: Path) -> None:
    for name in (LATEST, PREVIOUS):
        content = read_archive(folder / name)
        content["training"]["step"] = 100
        for weights in content["training"]["learner"]["policy"].values():
            weights.fill_(float("nan"))
        write_archive(folder / name, content)


def _foreign_study(folder: Path) -> None:
    study = optuna.create_study(study_name="mine", storage=f"sqlite:///{folder / STUDY}")
    study.add_trial(optuna.trial.create_trial(value=1.0))


def _other_database(folder: Path) -> None:
    (folder / STUDY).unlink()
    with sqlite3.connect(folder / STUDY) as connection:
        connection.execute("create table studies (name text)")
    connection.close()


RUNS = [
    Case("continues a run that is not there", "train", f"{RESUME}7", f"did you mean '{RUN.name}'?"),
    Case("continues a folder that is no run", "train", "--resume runs/SAC", "holds no config.yaml"),
    Case("continues a finished run", "train", RESUME, "already complete", code=0),
    Case("continues a run that another process works on", "train", RESUME, "another process", all_of(interrupt, _lock)),
    Case("continues a run whose manifest is gone", "train", RESUME, "missing", remove(RUN / "manifest.json")),
    Case("continues a run whose manifest is damaged", "train", RESUME, "damaged, not JSON", cut(RUN / "manifest.json")),
    Case("continues a run whose manifest lacks an entry", "train", RESUME, "'device'", all_of(interrupt, without(RUN / "manifest.json", "device"))),
    Case("continues a run whose manifest says something else", "train", RESUME, "'data'", all_of(interrupt, manifest(data="candles.csv"))),
    Case("continues a run whose state is none", "train", RESUME, "'state'", manifest(state="done")),
    Case("continues a run whose config is damaged", "train", RESUME, "config.yaml", all_of(interrupt, cut(RUN / "config.yaml", 90))),
    Case("continues a run whose config lacks a key of today", "train", RESUME, "config.yaml", all_of(interrupt, replaces(RUN / "config.yaml", "fee_rate", "fees"))),
    Case("continues a run on another device", "train", f"{RESUME} --device cpu", "was started on cuda", all_of(interrupt, manifest(device="cuda"))),
    Case("changed the candles since the run began", "train", RESUME, "changed since the run began", all_of(interrupt, replaces(RUN / "config.yaml", "csv_path: synthetic", "csv_path: candles.csv"))),
    Case("removed the candles since the run began", "train", RESUME, "no such file of candles", all_of(interrupt, replaces(RUN / "config.yaml", "csv_path: synthetic", "csv_path: gone.csv"))),
    Case("continues with the newest checkpoint cut off", "train", RESUME, "trying an older checkpoint", all_of(interrupt, cut(LATEST)), code=0, adds=_CONTINUED, changes=_CONTINUED),
    Case("continues with checkpoints of another program", "train", RESUME, "trying an older checkpoint", all_of(interrupt, _other_archive), code=0, adds=_CONTINUED, changes=_CONTINUED),
    Case("continues with checkpoints of another network", "train", RESUME, "trying an older checkpoint", all_of(interrupt, _other_network), code=0, adds=_CONTINUED, changes=_CONTINUED),
    Case("trains until the weights are NaN", "train", RESUME, "diverged", all_of(interrupt, _diverged), code=1, adds=_CONTINUED, changes=_CONTINUED),
]

PARAMS = [
    Case("names tuned parameters that are not there", "train", f"{TRAIN} --params_path best.json", "no such file"),
    Case("gives a folder as tuned parameters", "train", f"{TRAIN} --params_path runs", "directory"),
    Case("has tuned parameters that are cut off", "train", TRAIN, "damaged, not JSON", cut(BEST_PARAMS)),
    Case("has tuned parameters of another program", "train", f"{TRAIN} --params_path other.json", "not written by the tune stage", writes("other.json", "[1, 2]")),
    Case("has tuned parameters without their study", "train", TRAIN, "'study'", without(BEST_PARAMS, "study")),
    Case("has tuned parameters that are a list", "train", TRAIN, "'params'", with_key(BEST_PARAMS, "params", [1])),
    Case("has a tuned parameter that does not exist", "train", TRAIN, "did you mean 'train.gamma'?", with_key(BEST_PARAMS, "params", {"gama": 0.9})),
    Case("has a tuned parameter out of range", "train", TRAIN, "'train.gamma'", with_key(BEST_PARAMS, "params", {"gamma": 9})),
    Case("has a word for the number of trials", "tune", TRAIN, "'n_trials'", with_key(BEST_PARAMS, "n_trials", "many")),
    Case("changed the environment since tuning", "train", TRAIN, "tune again", config_with("0.0001", "0.0002")),
    Case("tunes over a damaged result", "tune", TRAIN, "damaged, not JSON", cut(BEST_PARAMS)),
]

STUDIES = [
    Case("has a study file that is no database", "tune", MORE, "can't be opened", writes(str(STUDY), 300 * "no database ")),
    Case("has a study file that is cut off", "tune", MORE, "optuna.db", cut(STUDY, 20_000)),
    Case("has a database of another program", "tune", MORE, "optuna.db", _other_database),
    Case("names a study of other inputs", "tune", f"{MORE} --study_name mine --set env.fee_rate=0", "was made with another config", lambda folder: _own_study(folder)),
    Case("names a study of another program", "tune", f"{MORE} --study_name mine", "mine", _foreign_study),
    Case("keeps studies in a folder that is not there", "tune", f"{MORE} --storage sqlite:///studies/mine.db", "studies/mine.db"),
    Case("keeps studies in a journal in a folder that is not there", "tune", f"{MORE} --storage studies/mine.journal", "studies/mine.journal"),
    Case("keeps studies in a damaged journal", "tune", f"{MORE} --storage mine.journal", "mine.journal", writes("mine.journal", "no journal\n")),
    Case("keeps studies in a database nobody knows", "tune", f"{MORE} --storage mysqll://host/studies", "mysqll"),
    Case("keeps studies in a folder", "tune", f"{MORE} --storage runs", "runs"),
    Case("writes the best parameters over a folder", "tune", f"{MORE} --best_params_path runs/SAC", "directory"),
]


def _own_study(folder: Path) -> None:
    study = optuna.create_study(
        study_name="mine", storage=f"sqlite:///{folder / STUDY}", direction="maximize"
    )
    study.set_user_attr("makerlab:tune_key", "0")
