"""Pictures: whole, the same bytes from the same numbers, and none where drawing fails."""

import datetime
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from makerlab.plotting import equity_plot, inventory_plot, picture

MINUTE = 60_000
START = int(datetime.datetime(2024, 12, 1, tzinfo=datetime.UTC).timestamp()) * 1000
NAMES = ("policy", "no_quote", "random", "fixed_symmetric", "inventory_skew")
CAPITAL = dict.fromkeys(NAMES, 1e5)
TEXT = {"title": "a run: equity, test", "subtitle": "SYNTHETIC DATA"}


def curves(steps: int = 300) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    generator = np.random.default_rng(0)
    times = START + MINUTE * np.arange(steps)
    return {name: (times, 1e5 + np.cumsum(generator.normal(size=steps))) for name in NAMES}


def drawn_axes(monkeypatch: pytest.MonkeyPatch) -> list[Axes]:
    """Keep the axes of every picture for a closer look."""
    kept: list[Axes] = []
    original = Axes.legend

    def remember(axes: Axes, *arguments: object, **options: object) -> object:
        kept.append(axes)
        return original(axes, *arguments, **options)

    monkeypatch.setattr(Axes, "legend", remember)
    return kept


def is_blank(path: Path) -> bool:
    with Image.open(path) as image:
        return bool(np.ptp(np.asarray(image.convert("L"))) == 0)


def test_equity_plot_is_a_png_with_something_on_it(tmp_path: Path) -> None:
    equity_plot(tmp_path / "equity.png", curves(), capital=CAPITAL, **TEXT)
    assert not is_blank(tmp_path / "equity.png")


def test_policy_is_solid_and_bold_and_every_baseline_has_dashes_and_markers_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = drawn_axes(monkeypatch)
    equity_plot(tmp_path / "equity.png", curves(), capital=CAPITAL, **TEXT)
    policy, *baselines = kept[0].get_lines()
    assert policy.get_linestyle() == "-"
    assert all(line.get_linewidth() < policy.get_linewidth() for line in baselines)
    looks = {(str(line._dash_pattern), line.get_marker()) for line in baselines}  # type: ignore[attr-defined]
    assert len(looks) == len(baselines)
    assert all(line.get_linestyle() != "-" for line in baselines)


def test_time_axis_is_utc_and_units_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = drawn_axes(monkeypatch)
    equity_plot(tmp_path / "equity.png", curves(), capital=CAPITAL, **TEXT)
    assert np.asarray(kept[0].get_lines()[0].get_xdata())[0] == np.datetime64("2024-12-01T00:00")
    assert "UTC" in kept[0].get_xlabel()
    assert "currency" in kept[0].get_ylabel()


def test_lines_break_where_bars_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = drawn_axes(monkeypatch)
    times = START + MINUTE * np.r_[0:50, 500:550]
    equity_plot(
        tmp_path / "equity.png", {"policy": (times, np.arange(100.0))}, capital=CAPITAL, **TEXT
    )
    values = np.asarray(kept[0].get_lines()[0].get_ydata(), dtype=float)
    assert np.flatnonzero(np.isnan(values)).tolist() == [50]
    assert np.array_equal(values[~np.isnan(values)], np.arange(100.0))


def test_inventory_plot_shows_both_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = drawn_axes(monkeypatch)
    times = START + MINUTE * np.arange(60)
    inventory_plot(tmp_path / "inventory.png", times, np.sin(times / MINUTE), limit=2.5, **TEXT)
    levels = {float(np.asarray(line.get_ydata())[0]) for line in kept[0].get_lines()[1:]}
    assert {-2.5, 2.5} <= levels
    assert not is_blank(tmp_path / "inventory.png")


def test_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        equity_plot(tmp_path / name, curves(), capital=CAPITAL, **TEXT)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_failure_leaves_the_old_picture_and_no_half_one(tmp_path: Path) -> None:
    path = tmp_path / "equity.png"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), picture(path, **TEXT):
        raise ZeroDivisionError
    assert [entry.name for entry in tmp_path.iterdir()] == ["equity.png"]
    assert path.read_bytes() == b"old"


def test_an_empty_curve_is_said_to_be_empty_rather_than_refused(tmp_path: Path) -> None:
    empty = (np.array([], dtype=np.int64), np.array([]))
    equity_plot(tmp_path / "equity.png", {"policy": empty}, capital=CAPITAL, **TEXT)
    assert (tmp_path / "equity.png").is_file()


def test_the_legend_counts_the_first_bar_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = drawn_axes(monkeypatch)
    times = START + MINUTE * np.arange(3)
    curve = (times, np.array([99_990.0, 100_005.0, 100_020.0]))
    equity_plot(tmp_path / "equity.png", {"policy": curve}, capital=CAPITAL, **TEXT)
    assert kept[0].get_legend_handles_labels()[1] == ["policy  +20"]
