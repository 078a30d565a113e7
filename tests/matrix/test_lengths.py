"""An episode that fits into no segment is refused before anything starts."""

from pathlib import Path

import pytest
from tests.matrix.fake_stages import write_config

from makerlab.errors import UserError
from makerlab.matrix.options import MatrixOptions
from makerlab.matrix.plan import load_experiment


def load(path: Path) -> None:
    load_experiment(path, MatrixOptions(runs_dir=path.parent / "runs", profile=""))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"env__episode_length": 100_000},
            "first.yaml: env.episode_length: found 100000; the train segment has at most 60480 of "
            "the 86400 bars in synthetic; use more data, a shorter episode or another split",
        ),
        ({"env__episode_length": 12_960}, "the valid segment has at most 12960 of the 86400"),
        ({"tune__eval_episode_length": 13_000}, "tune.eval_episode_length: found 13000; the valid"),
        (
            {
                "env__episode_length": 9_000,
                "data_split__walk_forward": {"folds": 3, "train": 0.5, "valid": 0.1, "test": 0.1},
            },
            "the valid segment has at most 8640",
        ),
    ],
)
def test_what_a_synthetic_market_can_not_hold(
    tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    path = write_config(tmp_path, "first", **settings)
    with pytest.raises(UserError) as error:
        load(path)
    assert message in str(error.value)


def test_the_longest_episode_that_may_fit_is_let_through(tmp_path: Path) -> None:
    load(write_config(tmp_path, "first", env__episode_length=12_959))


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_file_has_as_many_bars_as_lines_below_its_head(tmp_path: Path, end: str) -> None:
    candles = tmp_path / "candles.csv"
    candles.write_text("timestamp,open\n" + "\n".join(["1,2"] * 1000) + end)
    load(write_config(tmp_path, "first", env__csv_path=str(candles), env__episode_length=149))
    path = write_config(tmp_path, "second", env__csv_path=str(candles), env__episode_length=150)
    with pytest.raises(UserError, match="the valid segment has at most 150 of the 1000 bars in"):
        load(path)
