"""A policy judged under every fill model: how much of its result is the assumption's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makerlab.config import Config
from makerlab.data.candles import DataSource
from makerlab.data.split import SegmentName
from makerlab.errors import UserError
from makerlab.evaluation.objective import NET_PROFIT
from makerlab.files import file_hash, write_csv, write_json
from makerlab.learning.actor import load_policy
from makerlab.learning.device import use_threads
from makerlab.market.episodes import CandleMarket
from makerlab.market.fill_card import fill_model_card, fill_model_line
from makerlab.market.fill_variants import fill_variants
from makerlab.market.markets import load_markets
from makerlab.plotting import IntervalRow, interval_plot
from makerlab.policies.baselines import fill_intensity
from makerlab.runs import keys
from makerlab.runs.directory import (
    EvaluationDirectory,
    RunDirectory,
    data_folders,
)
from makerlab.runs.owner import check_writable
from makerlab.runs.progress import Report
from makerlab.stages.evaluate import best_baseline, check_actions, interval
from makerlab.tasks import SegmentResult, open_workbench

SEGMENTS: tuple[SegmentName, ...] = ("valid", "test")
COLUMNS = (
    NET_PROFIT,
    "profit_per_turnover_bps",
    "markout_1_bps",
    "bid_fills",
    "ask_fills",
    "max_drawdown_pct",
)


@dataclass(frozen=True)
class _Judged:
    """All policies under one fill model."""

    name: str
    card: dict[str, Any]
    source: DataSource
    results: dict[SegmentName, SegmentResult]

    @property
    def flatters(self) -> bool:
        return bool(self.card["optimistic"] != "no")


def fill_sensitivity(
    run: RunDirectory,
    *,
    model: Path,
    config: Config,
    output: EvaluationDirectory,
    device: str,
    report: Report,
) -> dict[str, Any]:
    """Judge a model and all baselines under every fill model; returns what the JSON file holds.

    Writes fill_sensitivity.csv, .json and .png beside the evaluation's own files, which stay as
    they are. Raises UserError for a market that has no candles and for a model that doesn't fit.
    """
    if config.env.simulates:
        raise UserError(
            f"--fill_sensitivity: fill models are those of candles, this run's env.market is "
            f"{config.env.market}"
        )
    use_threads()
    runs_dir = run.path.parents[1]
    check_writable(output.path)
    judged = []
    for name, settings in _variants(config, runs_dir).items():
        changed = config.with_values(
            {f"env.fill.{key}": value for key, value in settings.items()}, source=name
        )
        judged.append(_judge(name, changed, model=model, device=device, runs_dir=runs_dir))
        report(f"{name}: {_sentence(judged[-1])}")
    learned, best = _names(judged[0])
    record = _record(judged, model=model, config=config, best=best)
    write_csv(output.fill_sensitivity_table, _rows(judged))
    _draw(output.fill_sensitivity_plot, run, judged, learned=learned, best=best)
    write_json(output.fill_sensitivity, record)
    report(fill_model_line(config.env))
    report(_summary(judged, learned, best))
    report(f"{output.fill_sensitivity}: written")
    return record


def _variants(config: Config, runs_dir: Path) -> dict[str, dict[str, Any]]:
    market = load_markets(config, **data_folders(runs_dir)).train
    assert isinstance(market, CandleMarket)
    fitted = fill_intensity(market)
    per_second = fitted.intensity * 1000.0 / market.bar_ms
    per_bp = fitted.decay / 1e4
    sides = {f"{side}_intensity": per_second for side in ("bid", "ask")}
    sides |= {f"{side}_decay": per_bp for side in ("bid", "ask")}
    variants = fill_variants(config.env.fill, intensity=sides)
    return {name: settings.model_dump(mode="json") for name, settings in variants.items()}


def _judge(name: str, config: Config, *, model: Path, device: str, runs_dir: Path) -> _Judged:
    """Judge all policies afresh: chance of a policy does not depend on the models before."""
    workbench = open_workbench(config, **data_folders(runs_dir))
    results: dict[SegmentName, SegmentResult] = {}
    for segment in SEGMENTS:
        policy = load_policy(
            model,
            observations=workbench.observation_size,
            deterministic=config.train.deterministic_eval,
            seed=config.evaluate.seed,
            device=device,
        )
        check_actions(model, policy, workbench, config)
        policies = {workbench.learned: policy, **workbench.baselines()}
        results[segment] = workbench.evaluate(policies, segment, config.evaluate)
    return _Judged(name, fill_model_card(config.env), workbench.source, results)


def _names(judged: _Judged) -> tuple[str, str]:
    """Return the learned policy and the baseline to beat, chosen on validation as configured."""
    valid = judged.results["valid"]
    learned = next(iter(valid.metrics))
    return learned, best_baseline(valid, learned)


def _rows(judged: list[_Judged]) -> list[list[Any]]:
    head = ["fill_model", "optimistic", "segment", "policy", "episodes"]
    for metric in COLUMNS:
        head += [metric, f"{metric}_low", f"{metric}_high"]
    rows: list[list[Any]] = [head]
    for one in judged:
        for segment, result in one.results.items():
            for policy, metrics in result.metrics.items():
                row: list[Any] = [one.name, one.card["optimistic"], segment, policy]
                row.append(result.episodes)
                for metric in COLUMNS:
                    row += list(metrics[metric])
                rows.append(row)
    return rows


def _record(judged: list[_Judged], *, model: Path, config: Config, best: str) -> dict[str, Any]:
    return {
        "model": model.name,
        "model_sha256": file_hash(model),
        "data_source": judged[0].source.kind,
        "data_sha256": judged[0].source.sha256,
        "environment_key": keys.environment_key(config),
        "metric": NET_PROFIT,
        "confidence": config.evaluate.confidence,
        "best_baseline": best,
        "fill_models": {
            one.name: {
                "fill_model": one.card,
                **{
                    segment: {
                        "episodes": result.episodes,
                        "episode_length": result.episode_length,
                        "policies": {
                            policy: {name: metrics[name].to_dict() for name in COLUMNS}
                            for policy, metrics in result.metrics.items()
                        },
                    }
                    for segment, result in one.results.items()
                },
            }
            for one in judged
        },
    }


def _sentence(one: _Judged) -> str:
    test = one.results["test"]
    parts = [f"{name} {interval(metrics[NET_PROFIT])}" for name, metrics in test.metrics.items()]
    return f"test {NET_PROFIT} {', '.join(parts)}" + (" (optimistic)" if one.flatters else "")


def _summary(judged: list[_Judged], learned: str, best: str) -> str:
    """Say in one line how far the result on the test segment moves with the fill model."""
    parts = []
    for name, chosen in (
        ("all fill models", judged),
        ("those that do not flatter", [one for one in judged if not one.flatters]),
    ):
        values = {one.name: _value(one, learned) for one in chosen}
        lowest, highest = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
        parts.append(
            f"over {name} from {values[lowest]:.4g} ({lowest}) to {values[highest]:.4g} ({highest})"
        )
    beaten = sum(_value(one, learned) > _value(one, best) for one in judged)
    return (
        f"fill sensitivity on test: {NET_PROFIT} of the policy {_value(judged[0], learned):.4g} as "
        f"configured, {'; '.join(parts)}; above {best} under {beaten} of {len(judged)} fill models"
    )


def _value(one: _Judged, policy: str) -> float:
    value = one.results["test"].metrics[policy][NET_PROFIT].value
    assert value is not None, "the mean profit of episodes is always defined"
    return value


def _draw(path: Path, run: RunDirectory, judged: list[_Judged], *, learned: str, best: str) -> None:
    first = judged[0]
    test = first.results["test"]
    data = "SYNTHETIC DATA" if first.source.kind == "synthetic" else first.source.path
    rows = [
        IntervalRow(
            label=one.name + (" (optimistic)" if one.flatters else ""),
            marked=one.flatters,
            estimates={
                name: one.results["test"].metrics[name][NET_PROFIT]
                for name in dict.fromkeys((learned, best))
            },
        )
        for one in judged
    ]
    interval_plot(
        path,
        rows,
        title=f"{run.name}: profit under other fill models, test",
        subtitle=f"{data}; {test.episodes} episodes of {test.episode_length} bars; lines are "
        "bootstrap intervals over episodes; hollow marks: optimistic fill models",
        value=f"{NET_PROFIT} per episode (quote currency)",
    )
