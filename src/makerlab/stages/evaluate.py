"""The evaluate stage: a learned policy beside all baselines on every segment."""

from pathlib import Path
from typing import Any

import numpy as np

from makerlab.config import Config, EnvSettings
from makerlab.config.load import stored_config
from makerlab.data.split import SEGMENT_NAMES, SegmentName
from makerlab.errors import UserError
from makerlab.files import file_hash, write_csv, write_json
from makerlab.learning.actor import LearnedPolicy, load_policy
from makerlab.learning.device import use_threads
from makerlab.market.fill_card import fill_model_card, fill_model_line
from makerlab.plotting import Floats, Integers, equity_plot, inventory_plot
from makerlab.runs import keys
from makerlab.runs.directory import EvaluationDirectory, RunDirectory, data_folders
from makerlab.runs.owner import check_writable
from makerlab.runs.progress import Report
from makerlab.runs.terminal import show_progress
from makerlab.statistics.bootstrap import Estimate
from makerlab.tasks import SegmentResult, Workbench, open_workbench


def evaluate(
    run: RunDirectory,
    *,
    model: Path,
    config: Config,
    cross_config: Path | None,
    output: EvaluationDirectory,
    device: str,
    report: Report,
) -> dict[str, Any]:
    """Judge a model on train, validation and test; returns what metrics.json holds.

    `config` is the run's own, or that of `cross_config`: then the result is marked `cross_env`.
    Raises UserError for a model or data that don't fit.
    """
    use_threads()
    own = stored_config(run.config)
    workbench = open_workbench(config, **data_folders(run.path.parents[1]))
    policy = load_policy(
        model,
        observations=workbench.observation_size,
        deterministic=config.train.deterministic_eval,
        seed=config.evaluate.seed,
        device=device,
    )
    check_actions(model, policy, workbench, config)
    check_writable(output.path)
    report(fill_model_line(config.env))
    results = {}
    for number, segment in enumerate(SEGMENT_NAMES):
        show_progress(number, len(SEGMENT_NAMES), "segments")
        policies = {workbench.learned: policy, **workbench.baselines()}
        results[segment] = workbench.evaluate(policies, segment, config.evaluate)
        report(f"{segment}: {_sentence(results[segment])}")
    record = _record(model, own, config, cross_config, workbench, results)
    if model.resolve() != run.best_model.resolve():
        # Another model than the one chosen on validation does not stand for the run.
        record["evaluate_key"] = None
    _write_pictures_and_tables(run, output, workbench, results, config.env)
    profits = {segment: result.profits.to_dict() for segment, result in results.items()}
    write_json(output.profits, profits, compact=True)
    write_json(output.metrics, record, compact=True)
    report(f"{output.metrics}: written")
    return record


def check_actions(model: Path, policy: LearnedPolicy, workbench: Workbench, config: Config) -> None:
    expected = workbench.action_size
    if policy.action_size != expected:
        raise UserError(
            f"{model}: the model gives {policy.action_size} actions, this environment expects "
            f"{expected} (env.allow_no_quote is {config.env.allow_no_quote})"
        )


def _record(
    model: Path,
    own: Config,
    config: Config,
    cross_config: Path | None,
    workbench: Workbench,
    results: dict[SegmentName, SegmentResult],
) -> dict[str, Any]:
    cross = None
    if cross_config is not None:
        cross = {
            "run_environment_key": keys.environment_key(own),
            "environment_key": keys.environment_key(config),
            "config_path": str(cross_config),
        }
    best = best_baseline(results["valid"], workbench.learned)
    return {
        "evaluate_key": keys.evaluate_key(config),
        "train_key": keys.train_key(own),
        "model": model.name,
        "model_sha256": file_hash(model),
        "cross_env": cross,
        "data_source": workbench.source.kind,
        "data_sha256": workbench.source.sha256,
        "environment_key": keys.environment_key(config),
        "fill_model": fill_model_card(config.env),
        "confidence": config.evaluate.confidence,
        "bootstrap_samples": config.evaluate.bootstrap_samples,
        "bar_ms": workbench.source.bar_ms,
        **{
            segment: _segment_record(result, workbench.learned, best, config)
            for segment, result in results.items()
        },
    }


def best_baseline(valid: SegmentResult, learned: str) -> str:
    """Choose the baseline to beat on the validation segment, so that the test stays untouched."""
    found = {
        name: metrics[valid.headline].value
        for name, metrics in valid.metrics.items()
        if name != learned and name not in valid.not_to_beat
    }
    return max(found, key=lambda name: found[name] or 0.0)


def _segment_record(
    result: SegmentResult, learned: str, best: str, config: Config
) -> dict[str, Any]:
    def plain(estimates: dict[str, Estimate]) -> dict[str, Any]:
        return {name: estimate.to_dict() for name, estimate in estimates.items()}

    return {
        **plain(result.metrics[learned]),
        "headline": result.headline,
        "episodes": result.episodes,
        "episodes_asked": config.evaluate.episodes,
        "episode_length": result.episode_length,
        "baselines": {
            name: plain(metrics) for name, metrics in result.metrics.items() if name != learned
        },
        "best_baseline": best,
        "difference_to_best_baseline": plain(result.differences[best]),
    }


def _sentence(result: SegmentResult) -> str:
    headline = result.headline
    parts = [f"{name} {interval(metrics[headline])}" for name, metrics in result.metrics.items()]
    head = f"{result.episodes} episodes of {result.episode_length} bars, {headline}"
    return f"{head}: {', '.join(parts)}"


def interval(estimate: Estimate) -> str:
    """Return an estimate as text."""
    if estimate.value is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _write_pictures_and_tables(
    run: RunDirectory,
    output: EvaluationDirectory,
    workbench: Workbench,
    results: dict[SegmentName, SegmentResult],
    env: EnvSettings,
) -> None:
    for segment, result in results.items():
        for number, table in enumerate(result.episode_tables):
            steps = zip(*table.values(), strict=True)
            write_csv(output.episode(segment, number), [list(table), *steps])
    test = results["test"]
    names = list(test.curves)
    stamps = test.curves[names[0]].timestamps_ms
    same = all(np.array_equal(test.curves[name].timestamps_ms, stamps) for name in names)
    if same:
        equity = [curve.equity for curve in test.curves.values()]
        position = [curve.position for curve in test.curves.values()]
        write_csv(output.equity_curve, _curve_rows(stamps, names, equity))
        write_csv(output.inventory_curve, _curve_rows(stamps, names, position))
    synthetic = "SYNTHETIC DATA" if workbench.source.kind == "synthetic" else workbench.source.path
    subtitle = (
        f"{synthetic}; {test.drawn_episodes} episodes of {test.episode_length} bars end to end"
    )
    curves = {n: (c.timestamps_ms, c.equity) for n, c in test.curves.items()}
    equity_plot(
        output.equity_plot,
        curves,
        capital=dict.fromkeys(curves, env.initial_cash),
        title=f"{run.name}: equity, test",
        subtitle=subtitle,
    )
    learned = test.curves[workbench.learned]
    inventory_plot(
        output.inventory_plot,
        learned.timestamps_ms,
        learned.position,
        title=f"{run.name}: inventory, test",
        subtitle=subtitle,
        limit=env.max_inventory,
    )


def _curve_rows(stamps: Integers, names: list[str], columns: list[Floats]) -> list[list[Any]]:
    times = [f"{stamp}Z" for stamp in stamps.astype("datetime64[ms]").astype(str)]
    rows = [[time, *values] for time, *values in zip(times, *columns, strict=True)]
    return [["timestamp", *names], *rows]
