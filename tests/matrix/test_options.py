"""What may be asked of a matrix."""

from pathlib import Path

import pytest

from makerlab.errors import UserError
from makerlab.matrix.options import MatrixOptions, parse_jobs, parse_seeds, parse_stages


@pytest.mark.parametrize(
    ("text", "seeds"), [("0 1 2", (0, 1, 2)), ("7", (7,)), ("3,1", (3, 1)), (" 0  5 ", (0, 5))]
)
def test_seeds_are_whole_numbers_apart(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "found none, expected whole numbers"),
        ("0 x", "found 'x', expected whole numbers from 0 to 2147483647"),
        ("-1", "found '-1'"),
        ("1.5", "found '1.5'"),
        ("2147483648", "found '2147483648'"),
        ("²", "found '²'"),
        ("1 2 1", "1 is given twice"),
    ],
)
def test_a_bad_list_of_seeds_is_named(text: str, expected: str) -> None:
    with pytest.raises(UserError, match="--seeds") as error:
        parse_seeds(text)
    assert expected in str(error.value)


def test_stages_come_in_their_natural_order() -> None:
    assert parse_stages("evaluate,tune") == ("tune", "evaluate")


def test_an_unknown_stage_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown stage 'tain'; did you mean 'train'"):
        parse_stages("tune,tain")


@pytest.mark.parametrize("text", ["0", "-2", "two", "1.5", ""])
def test_jobs_are_at_least_one(text: str) -> None:
    with pytest.raises(UserError, match=f"--jobs: found '{text}'"):
        parse_jobs(text)


def test_options_survive_being_written_down() -> None:
    options = MatrixOptions(runs_dir=Path("a b"), data="x.csv", seeds=(4, 2), stages=("train",))
    assert MatrixOptions.from_dict(options.to_dict()) == options
