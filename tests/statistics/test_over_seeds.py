"""The t interval of many columns is that of each column."""

import numpy as np
import pytest

from makerlab.statistics.bootstrap import mean_interval
from makerlab.statistics.over_seeds import mean_intervals


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_each_column_has_the_interval_of_its_values(seeds: int) -> None:
    values = np.random.default_rng(seeds).normal(size=(seeds, 4))
    three = mean_intervals(values)
    for column in range(4):
        assert three[:, column] == pytest.approx(mean_interval(values[:, column]), rel=1e-12)


def test_three_values_have_the_textbook_interval() -> None:
    # Mean 2, standard deviation 1, t(2, 0.975) = 4.302653 (any t table).
    three = mean_intervals(np.array([[1.0], [2.0], [3.0]]))
    assert three[:, 0] == pytest.approx([2.0, 2.0 - 4.302653 / 3**0.5, 2.0 + 4.302653 / 3**0.5])


def test_one_seed_has_a_mean_and_no_bounds() -> None:
    three = mean_intervals(np.array([[1.5]]))
    assert three[0, 0] == 1.5
    assert np.isnan(three[1:]).all()


def test_a_seed_without_a_value_leaves_its_column_undefined_and_no_other() -> None:
    three = mean_intervals(np.array([[1.0, np.nan], [2.0, 5.0]]))
    assert np.isfinite(three[:, 0]).all()
    assert np.isnan(three[:, 1]).all()
