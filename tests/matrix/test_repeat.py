"""The command that goes on with a matrix."""

from pathlib import Path

import pytest

from makerlab.matrix.options import MatrixOptions
from makerlab.matrix.repeat import command_of


@pytest.mark.parametrize(
    ("options", "command"),
    [
        (MatrixOptions(), "make matrix"),
        (MatrixOptions(stages=("tune",)), "make tune"),
        (
            MatrixOptions(targets=Path("my targets.txt"), seeds=(3, 4), data="x.csv"),
            'make matrix TARGETS="my targets.txt" SEEDS="3 4" DATA=x.csv',
        ),
        (MatrixOptions(profile="", group_size=4), 'make matrix PROFILE="" GROUP_SIZE=4'),
        (MatrixOptions(runs_dir=Path("a$b")), "make matrix RUNS_DIR='a$$b'"),
        (
            MatrixOptions(seeds=(0, 1), stages=("tune", "train")),
            '.venv/bin/python scripts/run_matrix.py --seeds "0 1" --stages tune,train',
        ),
        (
            MatrixOptions(launcher="debug", debugger=True),
            ".venv/bin/python scripts/run_matrix.py --launcher debug --debugger",
        ),
    ],
)
def test_only_what_differs_from_the_defaults_is_named(options: MatrixOptions, command: str) -> None:
    assert command_of(options, {}) == command


def test_settings_of_the_environment_come_first() -> None:
    variables = {"MAKERLAB__ENV__FEE_RATE": "0.0003", "MAKERLAB__RUN__NOTES": "a try"}
    expected = 'MAKERLAB__ENV__FEE_RATE=0.0003 MAKERLAB__RUN__NOTES="a try" make matrix'
    assert command_of(MatrixOptions(), variables) == expected
