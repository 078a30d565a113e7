"""Walk-forward settings: one unit, lengths that fit, a fold that is there."""

from typing import Any

import pytest
from pydantic import ValidationError

from makerlab.config import Config, DataSplitSettings, WalkForwardSettings

SHARES = {"train": 0.4, "valid": 0.2, "test": 0.1}
DAYS = {"train_days": 60.0, "valid_days": 14.0, "test_days": 7.5}


def test_shares_and_days_are_both_taken() -> None:
    assert WalkForwardSettings(folds=4, **SHARES).shares == (0.4, 0.2, 0.1)
    assert WalkForwardSettings(folds=4, **DAYS).days == (60.0, 14.0, 7.5)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"folds": 3}, "found folds without lengths"),
        (SHARES, "found lengths without a number of folds"),
        ({"folds": 3, **SHARES, "test": None}, "found 2 of the shares"),
        ({"folds": 3, **SHARES, **DAYS}, "expected all three of one kind"),
        ({"folds": 5, **SHARES}, "need 1.1 of the data, expected at most 1"),
    ],
)
def test_lengths_that_say_too_little_or_too_much_are_refused(
    values: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        WalkForwardSettings(**values)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"fold": 0}, "fold 0 is chosen and there are none"),
        ({"fold": 3, "walk_forward": {"folds": 3, **SHARES}}, "fold is 3, expected 0 to 2"),
        ({**SHARES, "walk_forward": {"folds": 3, **SHARES}}, "not both"),
        ({"embargo_bars": 5, "walk_forward": {"folds": 3, **SHARES}}, "walk_forward.embargo_bars"),
    ],
)
def test_what_belongs_to_one_split_does_not_go_with_folds(
    values: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        DataSplitSettings(**values)


def test_the_folds_to_be_done_are_all_or_the_one_that_is_given() -> None:
    plan = WalkForwardSettings(folds=3, **SHARES)
    assert DataSplitSettings().folds == (None,)
    assert DataSplitSettings(walk_forward=plan).folds == (0, 1, 2)
    assert DataSplitSettings(walk_forward=plan, fold=1).folds == (1,)


def test_a_fold_is_part_of_the_effective_config() -> None:
    split = {"walk_forward": {"folds": 3, **SHARES}}
    config = Config.model_validate({"env": {"base_spread_bps": 8}, "data_split": split})
    hashes = {config.with_values({"data_split.fold": fold}).hash for fold in range(3)}
    assert len(hashes | {config.hash}) == 4
