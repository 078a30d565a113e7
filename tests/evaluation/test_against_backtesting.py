"""Our metrics and those of backtesting.py on one equity curve: equal, or different by definition.

The curve is that of its own example: Google's daily candles of 2004 to 2013 that come with it,
moving averages of 10 and 30 days, no commission. docs/metrics.md tells the same in words.
"""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from makerlab.evaluation.metrics import MILLISECONDS_PER_YEAR, equity_sums, equity_values

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from backtesting import Backtest, Strategy
    from backtesting.lib import crossover
    from backtesting.test import GOOG, SMA

Floats = npt.NDArray[np.float64]

DAY_MS = 86_400_000
TRADING_DAYS = 252.0
CALENDAR_DAYS = 365.0


class SmaCross(Strategy):
    """Long while the fast average is above the slow one, short while it is below."""

    def init(self) -> None:
        self.fast = self.I(SMA, self.data.Close, 10)
        self.slow = self.I(SMA, self.data.Close, 30)

    def next(self) -> None:
        if crossover(self.fast, self.slow):
            self.position.close()
            self.buy()
        elif crossover(self.slow, self.fast):
            self.position.close()
            self.sell()


@pytest.fixture(scope="module")
def theirs() -> Any:
    """What backtesting.py says of its example."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Backtest(GOOG, SmaCross, cash=10_000, finalize_trades=True).run()


@pytest.fixture(scope="module")
def equity(theirs: Any) -> Floats:
    """Its equity curve, (days,), currency."""
    return np.asarray(theirs["_equity_curve"]["Equity"], np.float64)


def ours(equity: Floats) -> dict[str, float]:
    """Return our metrics of one curve of daily bars."""
    values = equity_values(equity_sums(equity[None, :]), np.ones((1, 1)), bar_ms=DAY_MS)
    return {name: float(value[0]) for name, value in values.items()}


def reinvested(equity: Floats) -> Floats:
    """Return the curve whose returns on the first capital are the given curve's daily returns."""
    daily = np.diff(equity) / equity[:-1]
    return np.concatenate([[1.0], 1.0 + np.cumsum(daily)])


def test_the_example_is_the_published_one(theirs: Any) -> None:
    assert theirs["# Trades"] == 66
    assert theirs["Sharpe Ratio"] == pytest.approx(0.580623, abs=5e-7)
    assert theirs["Max. Drawdown [%]"] == pytest.approx(-47.98, abs=5e-3)
    assert theirs["Sortino Ratio"] == pytest.approx(1.085343, abs=5e-7)


def test_profit_return_and_drawdown_are_the_same(theirs: Any, equity: Floats) -> None:
    """Theirs is negative; in currency it is ours alone, from the peak of the whole curve."""
    found = ours(equity)
    assert found["max_drawdown_pct"] == pytest.approx(-theirs["Max. Drawdown [%]"], rel=1e-12)
    assert found["net_profit"] == pytest.approx(theirs["Equity Final [$]"] - 10_000, rel=1e-12)
    assert 100 * found["return_on_capital"] == pytest.approx(theirs["Return [%]"], rel=1e-12)
    falls = np.maximum.accumulate(equity) - equity
    assert found["max_drawdown"] == pytest.approx(float(falls.max()), rel=1e-12)


def test_sharpe_differs_by_three_definitions(theirs: Any, equity: Floats) -> None:
    """Year, returns on capital or on equity, and how a year is made of days."""
    found = ours(equity)["sharpe"]
    assert found == pytest.approx(0.457243, abs=5e-7)
    # 1. Markets of ours never close: 365 days a year, where theirs counts 252.
    year = np.sqrt(TRADING_DAYS / CALENDAR_DAYS)
    assert found * year == pytest.approx(0.379928, abs=5e-7)
    # 2. Ours divides profit by the capital, which a maker does not reinvest; theirs by the equity
    # of the day before, which here grows fivefold.
    grown = ours(reinvested(equity))["sharpe"] * year
    assert grown == pytest.approx(0.798352, abs=5e-7)
    # 3. Ours multiplies mean and deviation of a day; theirs compounds both over a year.
    daily = np.diff(equity) / equity[:-1]
    assert grown == pytest.approx(
        daily.mean() / daily.std(ddof=1) * np.sqrt(TRADING_DAYS), rel=1e-9
    )
    growth = float(np.exp(np.log1p(daily).mean()))
    yearly = growth**TRADING_DAYS - 1.0
    variance = (daily.var(ddof=1) + growth**2) ** TRADING_DAYS - growth ** (2 * TRADING_DAYS)
    assert yearly / np.sqrt(variance) == pytest.approx(theirs["Sharpe Ratio"], rel=1e-9)


def test_sortino_differs_by_the_same_and_agrees_on_the_downside(
    theirs: Any, equity: Floats
) -> None:
    """Both divide the squared losses by all days; theirs compounds the mean alone."""
    found = ours(equity)["sortino"]
    assert found == pytest.approx(0.668469, abs=5e-7)
    year = np.sqrt(TRADING_DAYS / CALENDAR_DAYS)
    assert found * year == pytest.approx(0.555438, abs=5e-7)
    grown = ours(reinvested(equity))["sortino"] * year
    assert grown == pytest.approx(1.205788, abs=5e-7)
    daily = np.diff(equity) / equity[:-1]
    yearly = float(np.exp(np.log1p(daily).mean())) ** TRADING_DAYS - 1.0
    compounded = grown * yearly / (daily.mean() * TRADING_DAYS)
    assert compounded == pytest.approx(theirs["Sortino Ratio"], rel=1e-9)


def test_a_year_is_365_days_whatever_the_bar() -> None:
    assert MILLISECONDS_PER_YEAR / DAY_MS == CALENDAR_DAYS
