"""Numbers as a reader sees them: no digit that the interval does not support."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makerlab.report.html.numbers import plain, unit_of, whole, with_interval, words
from makerlab.statistics.bootstrap import UNDEFINED, Estimate

EXAMPLES = {
    "two digits of the half-width": (Estimate(12.591, -26.04, 51.22), "13 [−26, 51]"),
    "tens": (Estimate(-519.9, -1010.4, -132.5), "−520 [−1,010, −130]"),
    "ten thousands": (
        Estimate(1_476_303.0, 1_064_901.0, 1_940_301.0),
        "1,480,000 [1,060,000, 1,940,000]",
    ),
    "small": (Estimate(0.000123, 0.000101, 0.000145), "0.000123 [0.000101, 0.000145]"),
    "no width": (Estimate(0.0, 0.0, 0.0), "0 [0, 0]"),
    "no width but rounding": (Estimate(0.8, 0.8, 0.8 + 1e-16), "0.800 [0.800, 0.800]"),
    "not onto zero": (Estimate(-256.0, -508.0, -3.9), "−256 [−508, −4]"),
    "no minus zero": (Estimate(-0.2, -30.0, 30.0), "0 [−30, 30]"),
    "no interval": (Estimate(3.14159, None, None), "3.14 (no interval)"),
    "nothing": (UNDEFINED, "–"),
}


@pytest.mark.parametrize("case", EXAMPLES)
def test_an_interval_decides_how_many_digits_are_shown(case: str) -> None:
    estimate, text = EXAMPLES[case]
    assert with_interval(estimate) == text


def test_a_difference_shows_its_sign() -> None:
    assert with_interval(Estimate(5.0, 1.0, 9.0), signed=True) == "+5.0 [1.0, 9.0]"
    assert with_interval(Estimate(-5.0, -9.0, -1.0), signed=True) == "−5.0 [−9.0, −1.0]"


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


bounds = st.floats(-1e9, 1e9).filter(lambda x: x == 0.0 or abs(x) > 1e-6)


@given(st.tuples(bounds, bounds, bounds).map(sorted))
def test_what_is_shown_is_true_to_a_tenth_of_the_half_width(three: list[float]) -> None:
    low, value, high = three
    found = re.fullmatch(r"(\S+) \[(\S+), (\S+)\]", with_interval(Estimate(value, low, high)))
    assert found is not None
    reach = max((high - low) / 2.0 * 0.1, 0.01 * max(map(abs, three)) * (high - low < 1e-6))
    for text, truth in zip(found.groups(), (value, low, high), strict=True):
        assert number(text) == pytest.approx(truth, abs=reach + 1e-9 * abs(truth) + 1e-12)


def test_plain_numbers_and_counts() -> None:
    assert plain(1234.5) == "1,234"
    assert plain(0.012345) == "0.0123"
    assert plain(None) == plain(float("nan")) == whole(None) == "–"
    assert whole(41_761) == "41,761"


def test_units_come_from_the_name_or_from_what_describes_it() -> None:
    assert unit_of("markout_5_bps", "Mean gain.") == "bps"
    assert unit_of("max_drawdown_pct", "Largest fall.") == "%"
    assert unit_of("fees", "Mean fees of an episode, currency.") == "quote currency"
    assert unit_of("sharpe", "Annualised Sharpe ratio.") == ""


def test_names_become_words() -> None:
    assert words("gueant_lehalle_fernandez_tapia") == "Guéant Lehalle Fernandez Tapia"
    assert words("markout_5_bps") == "markout 5 (bps)"
