"""exp, log and tanh of the compiled update are as good as a library's where SAC looks."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest

from makerlab.learning import smooth

Floats = npt.NDArray[Any]


def looped(function: Any) -> Callable[[Floats, Floats], None]:
    @numba.njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def fill(numbers: Floats, result: Floats) -> None:
        for i in range(len(numbers)):
            result[i] = function(numbers[i])

    return fill  # type: ignore[no-any-return]


LOOPS = {name: looped(getattr(smooth, name)) for name in ("exp", "log", "tanh")}
TRUTH: dict[str, Any] = {"exp": np.exp, "log": np.log, "tanh": np.tanh}


def of(name: str, numbers: Floats) -> Floats:
    result = np.empty_like(numbers)
    LOOPS[name](numbers, result)
    return result


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("exp", -20.0, 2.0), ("exp", -87.0, 88.0), ("log", 1e-6, 1.1), ("tanh", -12.0, 12.0)],
)
def test_errors_stay_below_two_units_in_the_last_place(name: str, low: float, high: float) -> None:
    numbers = np.linspace(low, high, 200_001).astype(np.float32)
    truth = TRUTH[name](numbers.astype(np.float64))
    unit = np.spacing(np.abs(truth).astype(np.float32))
    assert np.max(np.abs(of(name, numbers) - truth) / unit) < 2.0


def test_tanh_saturates_exactly_and_keeps_what_is_no_number() -> None:
    numbers = np.array([9.5, 50.0, np.inf, -50.0, 0.0, np.nan], np.float32)
    np.testing.assert_array_equal(of("tanh", numbers), [1.0, 1.0, 1.0, -1.0, 0.0, np.nan])


@pytest.mark.parametrize("name", list(LOOPS))
def test_double_precision_is_the_librarys(name: str) -> None:
    numbers = np.linspace(0.01, 3.0, 50)
    np.testing.assert_allclose(of(name, numbers), TRUTH[name](numbers), rtol=1e-15)
