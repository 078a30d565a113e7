"""Tuned parameters and the studies behind them."""

import sqlite3
from pathlib import Path

import optuna
from tests.bad_input.case import Case, config_with, writes
from tests.bad_input.lab import BEST_PARAMS, STUDY
from tests.bad_input.run_cases import cut, with_key, without

TRAIN = "--config tiny.yaml"
MORE = f"{TRAIN} --n_trials 2"


def _foreign_study(folder: Path) -> None:
    study = optuna.create_study(study_name="mine", storage=f"sqlite:///{folder / STUDY}")
    study.add_trial(optuna.trial.create_trial(value=1.0))


def _other_database(folder: Path) -> None:
    (folder / STUDY).unlink()
    with sqlite3.connect(folder / STUDY) as connection:
        connection.execute("create table accounts (name text)")
    connection.close()


def _own_study(folder: Path) -> None:
    study = optuna.create_study(
        study_name="mine", storage=f"sqlite:///{folder / STUDY}", direction="maximize"
    )
    study.set_user_attr("makerlab:tune_key", "0")


PARAMS = [
    Case(
        "names tuned parameters that are not there",
        "train",
        f"{TRAIN} --params_path best.json",
        "no such file",
    ),
    Case("gives a folder as tuned parameters", "train", f"{TRAIN} --params_path runs", "directory"),
    Case(
        "has tuned parameters that are cut off",
        "train",
        TRAIN,
        "damaged, not JSON",
        cut(BEST_PARAMS),
    ),
    Case(
        "has tuned parameters of another program",
        "train",
        f"{TRAIN} --params_path other.json",
        "not written by the tune stage",
        writes("other.json", "[1, 2]"),
    ),
    Case(
        "has tuned parameters without their study",
        "train",
        TRAIN,
        "'study'",
        without(BEST_PARAMS, "study"),
    ),
    Case(
        "has tuned parameters that are a list",
        "train",
        TRAIN,
        "'params'",
        with_key(BEST_PARAMS, "params", [1]),
    ),
    Case(
        "has a tuned parameter that does not exist",
        "train",
        TRAIN,
        "did you mean 'train.gamma'?",
        with_key(BEST_PARAMS, "params", {"gama": 0.9}),
    ),
    Case(
        "has a tuned parameter out of range",
        "train",
        TRAIN,
        "'train.gamma'",
        with_key(BEST_PARAMS, "params", {"gamma": 9}),
    ),
    Case(
        "has a word for the number of trials",
        "tune",
        TRAIN,
        "'n_trials'",
        with_key(BEST_PARAMS, "n_trials", "many"),
    ),
    Case(
        "changed the environment since tuning",
        "train",
        TRAIN,
        "tune again",
        config_with("0.0001", "0.0002"),
    ),
    Case("tunes over a damaged result", "tune", TRAIN, "damaged, not JSON", cut(BEST_PARAMS)),
]

STUDIES = [
    Case(
        "has a study file that is no database",
        "tune",
        MORE,
        "not a database",
        writes(str(STUDY), 300 * "no database "),
    ),
    Case("has a study file that is cut off", "tune", MORE, "optuna.db", cut(STUDY, 20_000)),
    Case("has a database of another program", "tune", MORE, "optuna.db", _other_database),
    Case(
        "has several processes on a study file that is no database",
        "tune",
        f"{MORE} --jobs 2",
        "not a database",
        writes(str(STUDY), 300 * "no database "),
    ),
    Case(
        "names a study of other inputs",
        "tune",
        f"{MORE} --study_name mine --set env.fee_rate=0",
        "was made with another config",
        _own_study,
    ),
    Case(
        "names a study of another program",
        "tune",
        f"{MORE} --study_name mine",
        "mine",
        _foreign_study,
    ),
    Case(
        "keeps studies in a folder that is not there",
        "tune",
        f"{MORE} --storage sqlite:///studies/mine.db",
        "studies/mine.db",
    ),
    Case(
        "keeps studies in a journal in a folder that is not there",
        "tune",
        f"{MORE} --storage studies/mine.journal",
        "studies/mine.journal",
    ),
    Case(
        "keeps studies in a damaged journal",
        "tune",
        f"{MORE} --storage mine.journal",
        "mine.journal",
        writes("mine.journal", "no journal\n"),
    ),
    Case(
        "keeps studies in a database nobody knows",
        "tune",
        f"{MORE} --storage mysqll://host/studies",
        "mysqll",
    ),
    Case(
        "keeps studies on a server that is not there",
        "tune",
        f"{MORE} --storage postgresql://me:secret@127.0.0.1:1/studies",
        "postgresql+psycopg://me@127.0.0.1:1/studies",
    ),
    Case(
        "keeps studies on a server whose port is no number",
        "tune",
        f"{MORE} --storage postgresql://me:secret@host:port/studies",
        "not the URL of a database",
    ),
    Case(
        "keeps studies in a journal without a name",
        "tune",
        f"{MORE} --storage journal:",
        "expected journal:PATH",
    ),
    Case("keeps studies in a folder", "tune", f"{MORE} --storage runs", "runs"),
    Case(
        "writes the best parameters over a folder",
        "tune",
        f"{MORE} --best_params_path runs/SAC",
        "directory",
    ),
]
