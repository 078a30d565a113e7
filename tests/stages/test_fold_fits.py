"""A fold is tuned and trained on what came before its test, and on nothing else."""

from pathlib import Path

import numpy as np
import pytest
from tests.commands import TINY_CONFIG, write_tiny_config

from makerlab.config import Config
from makerlab.data.split import split_candles
from makerlab.data.synthetic import generate_candles
from makerlab.learning.archive import write_archive
from makerlab.stages.resolve import resolve_config
from makerlab.tasks import open_workbench

PLAN = (
    "data_split: {walk_forward: {folds: 2, train: 0.4, valid: 0.2, test: 0.2, purge_bars: 30, "
    "embargo_bars: 30}}\n"
)


def configs(folder: Path, *, fold: int, changed_from: str | None) -> Config:
    """Return a config on candles whose prices from the start of a segment on are others."""
    folder.mkdir()
    path = write_tiny_config(folder, text=TINY_CONFIG + PLAN)
    flags = {"env.csv_path": str(folder / "candles.csv"), "data_split.fold": fold}
    config = resolve_config(path, flags=flags, runs_dir=folder).config
    candles = generate_candles(config.data.synthetic)
    frame = candles.to_frame()
    if changed_from is not None:
        split = split_candles(candles, config.data_split)
        late = np.arange(len(frame)) >= getattr(split, changed_from).start
        frame.loc[late, ["open", "high", "low", "close"]] *= 1.5
    frame.to_csv(folder / "candles.csv", index=False)
    return config


def fit(folder: Path, *, fold: int, changed_from: str | None = None) -> tuple[bytes, float | None]:
    """Train for a while; returns the whole state of the training and its validation score."""
    config = configs(folder, fold=fold, changed_from=changed_from)
    workbench = open_workbench(config, synthetic_folder=None)
    training = workbench.training(config.train, device="cpu")
    while training.step < 120:
        training.advance()
    write_archive(folder / "state.zip", training.snapshot())
    score = workbench.score(training.learner.policy(deterministic=True))
    return (folder / "state.zip").read_bytes(), score


@pytest.mark.parametrize("fold", [0, 1])
def test_changed_bars_from_the_test_on_change_nothing_in_a_folds_fit(
    tmp_path: Path, fold: int
) -> None:
    """Trap: training or tuning sees the test segment because the range reaches only evaluation."""
    as_it_is = fit(tmp_path / "as_it_is", fold=fold)
    assert fit(tmp_path / "changed", fold=fold, changed_from="test") == as_it_is


def test_what_a_fold_learns_from_does_change_it(tmp_path: Path) -> None:
    state, score = fit(tmp_path / "as_it_is", fold=1)
    other, other_score = fit(tmp_path / "changed", fold=1, changed_from="valid")
    # Validation is no part of the training, but of its score.
    assert other == state
    assert other_score != score
    moved, _ = fit(tmp_path / "first", fold=0)
    assert moved != state
