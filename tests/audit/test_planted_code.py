"""Faults planted in the code that makes results: each is caught, wherever it hides."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.audit.lab import (
    AUDITED_CONFIG,
    CSV_PATH,
    FEE_SIGN,
    METRICS,
    SAME_BAR,
    copy_of,
    doctored_kernel,
    edit_json,
    evaluate,
    faults,
    make_run,
)

from makerlab.config import SyntheticSettings
from makerlab.data.candles import write_candles
from makerlab.data.synthetic import generate_candles
from makerlab.market import episodes
from makerlab.market.features import FEATURE_NAMES, market_features
from makerlab.market.layout import Prices

Features = npt.NDArray[np.float32]
RANGE = FEATURE_NAMES.index("range")


def _next_bar(prices: Prices) -> Features:
    features = market_features(prices).copy()
    features[:-1, RANGE] = features[1:, RANGE]
    return features


def _scaled_over_the_whole_span(prices: Prices) -> Features:
    features = market_features(prices).copy()
    features[:, RANGE] /= np.nanstd(features[:, RANGE])
    return features


@pytest.mark.parametrize("leak", [_next_bar, _scaled_over_the_whole_span])
def test_a_feature_that_knows_the_future_is_named(
    leak: Any, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(episodes, "market_features", leak)
    found = faults(clean)
    assert "feature 'range' of bar" in found["look-ahead: features"]
    assert "'range' of step" in found["look-ahead: episodes"]


def test_a_leak_is_named_by_the_first_row_that_changes(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bar of foresight changes the row of the cut itself, and no row before it."""
    monkeypatch.setattr(episodes, "market_features", _next_bar)
    first = faults(clean)["look-ahead: features"].splitlines()[0]
    bar, cut = first.split("of bar ")[1].split(" (")[0], first.split("bars after ")[1]
    assert bar == cut


def test_a_kernel_that_fills_in_the_bar_of_the_decision_is_caught(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(episodes, "kernel", doctored_kernel(SAME_BAR))
    found = faults(clean)
    assert "filled in step 1, by a bar without any range" in found["look-ahead: same bar"]
    assert "metrics: evaluated again" in found


def test_rows_that_such_a_kernel_wrote_are_caught_though_it_is_gone(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_of(clean, tmp_path / "harmed")
    with monkeypatch.context() as patch:
        patch.setattr(episodes, "kernel", doctored_kernel(SAME_BAR))
        evaluate(folder)
    found = faults(folder)
    assert set(found) == {"accounts: fills", "metrics: evaluated again", "metrics: summary"}
    assert "a same-bar fill" in found["accounts: fills"]


def test_a_kernel_that_pays_fees_to_the_maker_is_caught_while_it_judges_itself(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap: a higher fee that makes the agent richer. The books balance; the rate tells."""
    folder = copy_of(clean, tmp_path / "harmed")
    monkeypatch.setattr(episodes, "kernel", doctored_kernel(FEE_SIGN))
    evaluate(folder)
    found = faults(folder)
    assert "accounts: rows" in found and "metrics: evaluated again" not in found
    assert "fees = maker rate" in found["accounts: rows"]


def test_a_metric_that_the_evaluation_invents_is_caught_by_the_rows(
    clean: Path, tmp_path: Path
) -> None:
    """The rows are added up apart from the project's own metrics."""
    folder = copy_of(clean, tmp_path / "harmed")
    edit_json(folder / METRICS, lambda content: content["valid"]["fees"].update(value=0.0))
    assert "valid.fees is 0.0, the stored rows give" in faults(folder)["accounts: metrics"]


@pytest.fixture(scope="module")
def unflagged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run on synthetic candles that lie under the name of a market, their flag removed."""
    folder = tmp_path_factory.mktemp("unflagged")
    write_candles(folder / "btcusdt_1m.csv", generate_candles(SyntheticSettings(days=2)))
    lines = (folder / "btcusdt_1m.csv").read_text().splitlines()
    (folder / "btcusdt_1m.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines))
    config = AUDITED_CONFIG.replace(CSV_PATH, "csv_path: btcusdt_1m.csv")
    return folder, make_run(folder, "--params_path", "none", config=config)


def test_an_unflagged_synthetic_run_is_caught(unflagged: tuple[Path, Path]) -> None:
    folder, run = unflagged
    found = faults(folder, run)
    assert set(found) == {"synthetic data"}
    assert "begins with the first bar of the synthetic market" in found["synthetic data"]
    assert "under the name of a market" in found["synthetic data"]


def test_new_dates_do_not_hide_synthetic_candles(
    unflagged: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = copy_of(unflagged[0], tmp_path / "harmed")
    path = folder / "btcusdt_1m.csv"
    header, *rows = path.read_text().splitlines()
    moved = [f"{int(row.split(',')[0]) + 789_004_800_000},{row.partition(',')[2]}" for row in rows]
    path.write_text("\n".join([header, *moved]))
    found = faults(folder, unflagged[1])
    assert "the closes of the synthetic market under other dates" in found["synthetic data"]
    assert "data.sha256" in found["segments: data"]
