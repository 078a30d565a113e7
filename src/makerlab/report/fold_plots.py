"""A picture per walk-forward: the test of each fold, learned policies beside the best baseline."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from makerlab.plotting import BLACK, COLOURS, GREY, MARKERS, legend_outside, picture
from makerlab.report.by_config import ConfigSummary, Standing
from makerlab.report.plots import axis_label
from makerlab.report.ranking import RankingGroup, metric_of
from makerlab.statistics.bootstrap import Estimate

MOST_CONFIGS = len(MARKERS)
_WIDTH = 0.7


def draw_fold_plots(
    standings: Sequence[Standing],
    *,
    metric: str | None,
    plots_dir: Path,
    describe: Callable[[str], str],
) -> Iterator[Path]:
    """Draw analysis_fold_vs_test_<metric>.png of every walk-forward, yielding each file.

    `metric` is a column such as `valid_net_profit`; its test is drawn, whatever its segment; None
    draws what each group is judged by.
    """
    walked = [(group, configs) for group, configs in standings if group.walk_forward and configs]
    for number, (group, configs) in enumerate(walked):
        shown = metric_of(metric) if metric else group.headline
        name = f"analysis_fold_vs_test_{shown}"
        path = plots_dir / (f"{name}_{group.id}.png" if number else f"{name}.png")
        _draw(path, group, configs[:MOST_CONFIGS], shown, describe)
        yield path


def _draw(
    path: Path,
    group: RankingGroup,
    configs: Sequence[ConfigSummary],
    metric: str,
    describe: Callable[[str], str],
) -> None:
    title = f"test_{metric} fold by fold"
    title = f"SYNTHETIC DATA: {title}" if group.synthetic else title
    with picture(path, title=title, subtitle=_subtitle(group)) as axes:
        folds = [fold for fold in group.splits if fold is not None]
        for number, config in enumerate(configs):
            shift = _WIDTH * ((number + 0.5) / len(configs) - 0.5)
            _draw_config(axes, config, folds, metric, number, shift)
        axes.axhline(0.0, color=BLACK, linewidth=0.8, linestyle=":", zorder=1.5)
        axes.axvline(len(folds) - 0.5, color=GREY, linewidth=0.8)
        axes.set_xticks(range(len(folds) + 1), [*(_tick(group, fold) for fold in folds), "pooled"])
        axes.grid(visible=False, axis="x")
        axes.set_ylabel(axis_label(f"test_{metric}", describe(metric)))
        legend_outside(axes)


def _draw_config(
    axes: Axes,
    config: ConfigSummary,
    folds: Sequence[int],
    metric: str,
    number: int,
    shift: float,
) -> None:
    style = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number]}
    step = _WIDTH / 40
    summaries = [*((folds.index(each.fold or 0), each) for each in config.folds)]
    for place, summary in [*summaries, (len(folds), config)]:
        label = config.label if place == len(folds) else None
        _mark(axes, place + shift - step, _learned(summary, metric), label=label, **style)
        best = _best_baseline(summary, metric)
        hollow = style | {"markerfacecolor": "white"}
        label = f"{config.label}:\nbest baseline of a fold" if label else None
        _mark(axes, place + shift + step, best, label=label, **hollow)


def _learned(summary: ConfigSummary, metric: str) -> Estimate:
    """Return the mean over seeds, or folds; a single seed keeps its interval over episodes."""
    if len(summary.runs) == 1:
        return summary.runs[0].estimate(f"test_{metric}")
    return summary.mean(f"test_{metric}")


def _best_baseline(summary: ConfigSummary, metric: str) -> Estimate:
    """Return what each fold's best baseline, chosen on its validation, earned on its test."""
    if summary.folds:
        return summary.over_folds(lambda fold: _best_baseline(fold, metric))
    return summary.baseline("test", summary.best_baseline, metric)


def _mark(axes: Axes, place: float, estimate: Estimate, **style: Any) -> None:
    if estimate.value is None:
        return
    if estimate.low is not None and estimate.high is not None:
        axes.vlines(place, estimate.low, estimate.high, color=style["color"], linewidth=1.2)
    axes.plot([place], [estimate.value], linestyle="none", markersize=6.5, **style)


def _tick(group: RankingGroup, fold: int) -> str:
    test = group.splits[fold].get("test", {})
    return f"fold {fold}\n{str(test.get('start'))[:10]}\nto {str(test.get('end'))[:10]}"


def _subtitle(group: RankingGroup) -> str:
    quick = " (quick: too few steps to believe)" if group.quick else ""
    return (
        f"{group.data_path}, sha256 {group.data_sha256[:8]}, profile {group.profile or 'none'}"
        f"{quick}\nfolds: mean and 95 % t interval over seeds, baselines: interval over episodes; "
        "pooled: mean and 95 % t interval over folds"
    )
