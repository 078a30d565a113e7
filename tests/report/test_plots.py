"""Pictures of settings against metrics: only what can be compared, never blank."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image
from tests.made_up_runs import REAL_DATA, SYNTHETIC_DATA, MadeUpRun, write_runs

from makerlab.errors import UserError
from makerlab.report.behind import behind_all
from makerlab.report.by_config import standings_of
from makerlab.report.planning import Plot, file_name, plan_plots
from makerlab.report.plots import draw_plots
from makerlab.report.ranking import ranking_groups
from makerlab.report.records import read_runs


def planned(
    runs_dir: Path,
    runs: Sequence[MadeUpRun],
    *,
    parameter: str | None = None,
    metric: str = "valid_net_profit",
) -> list[Plot]:
    write_runs(runs_dir, *runs)
    records = read_runs(runs_dir, baseline_metrics=frozenset({"net_profit"}))
    groups = ranking_groups(records, sort_by="valid_net_profit")
    standings = standings_of(groups, behind_all(runs_dir, records))
    return plan_plots(standings, parameter=parameter, metric=metric)


def drawn(plots: Sequence[Plot], plots_dir: Path) -> list[Path]:
    return list(draw_plots(plots, plots_dir=plots_dir, describe=lambda name: f"What {name} is."))


def rates(*values: float, **more: object) -> list[MadeUpRun]:
    return [
        MadeUpRun(config_name=f"rate_{n}", seed=n, values={"train.learning_rate": value}, **more)  # type: ignore[arg-type]
        for n, value in enumerate(values)
    ]


@pytest.fixture
def titles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles and subtitles of all pictures drawn."""
    kept: list[str] = []
    original = Axes.set_title

    def remember(axes: Axes, label: str, **options: object) -> object:
        kept.append(f"{axes.figure.get_suptitle()}\n{label}")  # type: ignore[union-attr]
        return original(axes, label, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Axes, "set_title", remember)
    return kept


def test_each_setting_that_varies_gets_a_picture_by_its_name(tmp_path: Path) -> None:
    runs = [MadeUpRun(seed=n, values={"env.alpha": a}) for n, a in enumerate([0.4, 0.5])]
    runs += [MadeUpRun(seed=5, values={"train.net_arch": [64, 64]})]
    paths = drawn(planned(tmp_path, runs), tmp_path / "plots")
    assert [path.name for path in paths] == [
        "analysis_env.alpha_vs_valid_net_profit.png",
        "analysis_train.net_arch_vs_valid_net_profit.png",
    ]


def test_seed_names_and_paths_of_data_are_no_settings_to_plot(tmp_path: Path) -> None:
    runs = [MadeUpRun(seed=n, values={"env.csv_path": f"{n}.csv"}) for n in range(3)]
    assert planned(tmp_path, runs) == []


def test_one_evaluated_run_makes_no_picture(tmp_path: Path) -> None:
    one, other = rates(1e-4, 1e-3)
    runs = [one, MadeUpRun(seed=1, values=other.values, evaluated=False)]
    assert planned(tmp_path, runs) == []


def test_runs_on_other_data_are_never_in_one_picture(tmp_path: Path, titles: list[str]) -> None:
    runs = rates(1e-4, 1e-3) + rates(1e-4, 1e-3, data=SYNTHETIC_DATA, started="20261102_000000")
    plots = planned(tmp_path, runs)
    assert [len(plot.records) for plot in plots] == [2, 2]
    real, synthetic = drawn(plots, tmp_path / "plots")
    assert real.name == "analysis_train.learning_rate_vs_valid_net_profit.png"
    assert synthetic.name.startswith("analysis_train.learning_rate_vs_valid_net_profit_synthetic-")
    assert "SYNTHETIC DATA" not in titles[0]
    assert "SYNTHETIC DATA" in titles[1]


def test_quick_runs_are_named_in_the_picture(tmp_path: Path, titles: list[str]) -> None:
    drawn(planned(tmp_path, rates(1e-4, 1e-3, profile="quick")), tmp_path / "plots")
    assert "too few steps to believe" in titles[0]


def test_other_settings_that_differ_too_are_counted_in_the_picture(
    tmp_path: Path, titles: list[str]
) -> None:
    runs = [
        MadeUpRun(seed=n, values={"env.alpha": 0.4 + 0.1 * n, "env.beta": 0.5 + 0.1 * n})
        for n in range(2)
    ]
    drawn(planned(tmp_path, runs, parameter="env.alpha"), tmp_path / "plots")
    assert "1 other setting differs" in titles[0]
    assert "association" in titles[0]


KINDS = {
    "scatter, log": rates(*np.geomspace(1e-5, 1e-2, 8)),
    "scatter, linear": rates(*np.linspace(0.1, 0.5, 8)),
    "few numbers": rates(1e-4, 1e-3),
    "text": [MadeUpRun(seed=n, values={"train.net_arch": [n + 1]}) for n in range(8)],
    "booleans": [MadeUpRun(seed=n, values={"env.random_start": n > 2}) for n in range(8)],
    "some without a value": [
        MadeUpRun(seed=0, values={"tune.eval_episode_length": None}),
        *(MadeUpRun(seed=n, values={"tune.eval_episode_length": n}) for n in range(1, 9)),
    ],
    "no intervals": rates(1e-4, 1e-3, valid=(1.0, None, None)),
    "all equal": rates(*np.linspace(0.1, 0.5, 8), valid=(0.0, 0.0, 0.0)),
}


@pytest.mark.parametrize("runs", KINDS.values(), ids=KINDS.keys())
def test_no_kind_of_setting_gives_a_blank_picture(tmp_path: Path, runs: list[MadeUpRun]) -> None:
    (path,) = drawn(planned(tmp_path, runs), tmp_path / "plots")
    with Image.open(path) as image:
        assert np.ptp(np.asarray(image.convert("L"))) > 0


def test_numbers_that_span_more_than_twenty_times_are_on_a_logarithmic_axis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales: list[str] = []
    original = Axes.set_xlabel

    def remember(axes: Axes, *arguments: object, **options: object) -> object:
        scales.append(axes.get_xscale())
        return original(axes, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Axes, "set_xlabel", remember)
    for number, top in enumerate([0.19, 0.21]):
        runs_dir = tmp_path / str(number)
        drawn(planned(runs_dir, rates(*np.linspace(0.01, top, 8))), runs_dir / "plots")
    assert scales == ["linear", "log"]


def test_several_hundred_runs_are_drawn_as_means_of_configs(
    tmp_path: Path, titles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makerlab.report.draw.MANY_RUNS", 10)
    monkeypatch.setattr("makerlab.report.plots.MANY_RUNS", 10)
    runs = [
        MadeUpRun(config_name=f"c{n % 9}", seed=n, values={"train.gamma": 0.9 + (n % 9) / 100})
        for n in range(27)
    ]
    (path,) = drawn(planned(tmp_path, runs), tmp_path / "plots")
    assert path.is_file()
    assert "too many to draw the interval of each" in titles[0]


def test_a_setting_that_does_not_vary_names_what_does(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        planned(tmp_path, rates(1e-4, 1e-3), parameter="env.alpha")
    assert "'env.alpha', which does not vary" in str(caught.value)
    assert "train.learning_rate" in str(caught.value)


def test_an_unknown_setting_names_the_nearest_that_varies(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such setting; did you mean 'train.learning_rate'"):
        planned(tmp_path, rates(1e-4, 1e-3), parameter="learning_rate")


def test_when_nothing_varies_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing varies"):
        planned(tmp_path, [MadeUpRun(seed=0), MadeUpRun(seed=1)], parameter="env.alpha")


def test_file_names_hold_no_character_that_a_file_system_minds(tmp_path: Path) -> None:
    (plot, *_) = planned(tmp_path, rates(1e-4, 1e-3, data=REAL_DATA))
    odd = Plot(plot.group, "a/b c", "valid_x", plot.records, plot.labels, plot.differing)
    assert file_name(odd, set()) == "analysis_a_b_c_vs_valid_x.png"
