"""Scales: every value lies on the paper, every tick says what stands there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makerlab.report.html.scales import by_size, categories, linear, times

finite = st.floats(-1e12, 1e12, allow_nan=False)


@given(st.lists(finite, min_size=1, max_size=20))
def test_all_values_lie_on_a_linear_scale_and_ticks_between_its_ends(values: list[float]) -> None:
    scale = linear(values)
    assert (scale.share(values) >= 0.0).all() and (scale.share(values) <= 1.0).all()
    assert all(scale.low <= value <= scale.high for value, _ in scale.ticks)
    assert len({label for _, label in scale.ticks}) == len(scale.ticks)


def test_zero_can_be_drawn_in() -> None:
    assert linear([5.0, 9.0], zero=True).low == 0.0
    assert linear([-9.0, -5.0], zero=True).high == 0.0
    assert linear([5.0, 9.0]).low > 0.0


def test_ticks_have_the_decimals_they_need() -> None:
    assert [text for _, text in linear([0.0, 100.0]).ticks] == ["0", "25", "50", "75", "100"]
    assert "0.5" in [text for _, text in linear([0.0, 2.0]).ticks]


def test_wide_positive_values_stand_on_a_logarithmic_scale() -> None:
    scale = by_size([1e-5, 1e-4, 1e-3])
    assert scale.log
    assert scale.share([1e-4])[0] == pytest.approx(0.5)
    assert not by_size([1.0, 2.0]).log
    assert not by_size([0.0, 100.0]).log


def test_times_are_utc() -> None:
    day = 86_400_000
    scale = times([1_735_084_800_000, 1_735_084_800_000 + 4 * day])
    assert [text for _, text in scale.ticks] == ["25 Dec", "26 Dec", "27 Dec", "28 Dec", "29 Dec"]
    assert "06:00" in str(times([1_735_084_800_000, 1_735_084_800_000 + day]).ticks)


def test_each_category_has_its_place() -> None:
    scale = categories(["a", "b", "c"])
    assert scale.ticks == ((0.0, "a"), (1.0, "b"), (2.0, "c"))
    assert 0.0 < scale.share([0.0])[0] < scale.share([2.0])[0] < 1.0
