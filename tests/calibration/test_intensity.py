"""Known A and k come back from simulated orders, and their intervals hold them as often as said."""

import numpy as np
import pytest

from makerlab.calibration.intensity import FillRule, Floats, TooFewTrades, fit_intensity

A, K, SECONDS = 0.8, 1.5, 1.0
RANGE = {"nearest_bps": 0.2, "farthest_bps": 2.5}


def simulated(rule: FillRule, windows: int, *, seed: int, rate: float = A * SECONDS) -> Floats:
    """Return each window's deepest of Poisson(rate) orders, or one trial's, at Exp(K) depths."""
    rng = np.random.default_rng(seed)
    if rule == "literal":
        reached = rng.random(windows) < rate
        return np.where(reached, rng.exponential(1.0 / K, windows), -np.inf)
    counts = rng.poisson(rate, windows)
    deepest = np.full(windows, -np.inf)
    window = np.repeat(np.arange(windows), counts)
    np.maximum.at(deepest, window, rng.exponential(1.0 / K, counts.sum()))
    return deepest


@pytest.mark.parametrize("rule", ["exact", "literal"])
def test_known_values_come_back_within_five_percent(rule: FillRule) -> None:
    found = fit_intensity(
        simulated(rule, 40_000, seed=1),
        window_seconds=SECONDS,
        rule=rule,
        confidence=0.95,
        **RANGE,
    )
    assert found.intensity.value == pytest.approx(A, rel=0.05)
    assert found.decay.value == pytest.approx(K, rel=0.05)


@pytest.mark.parametrize("rule", ["exact", "literal"])
def test_intervals_hold_the_truth_as_often_as_they_say(rule: FillRule) -> None:
    samples, held = 300, np.zeros(2)
    for seed in range(samples):
        found = fit_intensity(
            simulated(rule, 1_500, seed=seed),
            window_seconds=SECONDS,
            rule=rule,
            confidence=0.9,
            **RANGE,
        )
        held += [
            found.intensity.low <= A <= found.intensity.high,
            found.decay.low <= K <= found.decay.high,
        ]
    # Three standard errors of 300 draws with probability 0.9.
    assert (np.abs(held / samples - 0.9) < 3.0 * np.sqrt(0.9 * 0.1 / samples)).all(), held


def test_the_literal_rule_reads_fewer_fills_into_crowded_windows() -> None:
    """Where windows hold several orders, counting reached windows alone hides the others."""
    deepest = simulated("exact", 20_000, seed=3, rate=4.0)
    options = {"window_seconds": SECONDS, "confidence": 0.95, **RANGE}
    exact = fit_intensity(deepest, rule="exact", **options)  # type: ignore[arg-type]
    literal = fit_intensity(deepest, rule="literal", **options)  # type: ignore[arg-type]
    assert exact.intensity.value == pytest.approx(4.0, rel=0.05)
    assert literal.intensity.value < 0.6 * exact.intensity.value


def test_shorter_ranges_cost_precision_not_truth() -> None:
    deepest = simulated("exact", 40_000, seed=5)
    for nearest, farthest in ((0.1, 1.0), (0.5, 3.0), (0.2, 8.0)):
        found = fit_intensity(
            deepest,
            window_seconds=SECONDS,
            nearest_bps=nearest,
            farthest_bps=farthest,
            rule="exact",
            confidence=0.999,
        )
        assert found.intensity.low < A < found.intensity.high
        assert found.decay.low < K < found.decay.high


def test_the_unit_of_time_is_the_second() -> None:
    deepest = simulated("exact", 2_000, seed=6)
    options = {"rule": "exact", "confidence": 0.95, **RANGE}
    one = fit_intensity(deepest, window_seconds=1.0, **options)  # type: ignore[arg-type]
    ten = fit_intensity(deepest, window_seconds=10.0, **options)  # type: ignore[arg-type]
    assert ten.intensity.value == pytest.approx(one.intensity.value / 10.0)
    assert ten.decay == one.decay


@pytest.mark.parametrize(
    "deepest", [np.full(100, -np.inf), np.full(100, 1.0)], ids=["none reached", "all reached"]
)
def test_too_few_trades_are_said_rather_than_fitted(deepest: Floats) -> None:
    with pytest.raises(TooFewTrades):
        fit_intensity(deepest, window_seconds=1.0, rule="exact", confidence=0.95, **RANGE)
