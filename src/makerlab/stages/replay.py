"""The replay of a run's policies on a recorded order book, beside its own candle model."""

import dataclasses
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from makerlab.config import Config
from makerlab.config.load import stored_config
from makerlab.data.capture import MarketKind
from makerlab.data.split import Segment
from makerlab.errors import UserError, nearest
from makerlab.evaluation.rollout import Trajectories
from makerlab.files import file_hash, write_csv, write_json
from makerlab.learning.actor import load_policy
from makerlab.learning.device import use_threads
from makerlab.market.episodes import CandleMarket
from makerlab.market.features import WARM_UP_BARS
from makerlab.market.fill_card import fill_model_card
from makerlab.policies import Policy
from makerlab.replay.bars import bars_of_tape
from makerlab.replay.book import RecordedBook
from makerlab.replay.cache import Converted, load_or_convert
from makerlab.replay.checks import faults
from makerlab.replay.compare import differences, fill_summary, metrics_of, on_candles
from makerlab.replay.draw import replay_plot
from makerlab.replay.exchange import ExchangeSettings, load_hftbacktest
from makerlab.replay.session import ANSWERS, Played, Stage, check_length, play
from makerlab.runs import keys
from makerlab.runs.directory import (
    ReplayDirectory,
    RunDirectory,
    converted_tape,
    synthetic_folder,
)
from makerlab.runs.owner import check_writable
from makerlab.tasks import Workbench, open_workbench
from makerlab.tasks.market_making import episode_table

FEWEST_STEPS = 10
SHORTEST_STEP_SECONDS = 1.0
Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class ReplayRequest:
    """What to replay and how; see scripts/replay_l2.py for each."""

    tape: Path
    queue: str
    latency_ms: float
    feed_latency_ms: float | None = None
    exchange: str = "partial_fill"
    market: MarketKind | None = None
    symbol: str | None = None
    policies: tuple[str, ...] = ("policy",)
    step_seconds: float | None = None
    tick_size: float | None = None
    lot_size: float | None = None


def replay(
    run: RunDirectory,
    request: ReplayRequest,
    *,
    model: Path,
    config: Config,
    output: ReplayDirectory,
    report: Report,
) -> dict[str, Any]:
    """Replay policies on a capture and write what came of it; returns what replay.json holds.

    Raises UserError for a capture, model or policy that doesn't fit, and without hftbacktest.
    """
    load_hftbacktest()
    use_threads()
    if config.env.market != "candles":
        raise UserError(f"{run.path}: its market is {config.env.market}, expected one of candles")
    runs_dir = run.path.parents[1]
    converted = load_or_convert(
        request.tape,
        market=request.market,
        symbol=request.symbol,
        folder=lambda key: converted_tape(runs_dir, key),
    )
    workbench = open_workbench(config, synthetic_folder=synthetic_folder(runs_dir))
    policies = _policies(request, model, config, workbench)
    stage = _stage(request, converted, config, own_bar_ms=workbench.source.bar_ms)
    settings = _exchange_settings(request, stage, config)
    check_writable(output.path)
    for line in _notes(request, converted, stage, workbench):
        report(line)
    results: dict[str, Any] = {}
    curves: dict[str, tuple[Trajectories, Trajectories]] = {}
    for name, policy in policies.items():
        played = play(stage, policy, settings)
        candles = on_candles(stage, played)
        results[name] = _result(played, candles, config)
        curves[name] = (played.trajectories, candles)
        _write_tables(output, name, played, candles)
        report(f"{name}: {results[name]['fills']['fills']} fills on the book")
    record = {
        **_origin(run, request, model, config, converted, stage, workbench),
        "policies": results,
    }
    title = f"{run.name}: {stage.tape.facts['symbol']} replayed"
    replay_plot(output.plot, curves, title=title, subtitle=_subtitle(record))
    write_json(output.record, record)
    return record


def _policies(
    request: ReplayRequest, model: Path, config: Config, workbench: Workbench
) -> dict[str, Policy]:
    """Return the policies asked for; baselines take their scales from the run's training data."""
    baselines = workbench.baselines()
    for name in request.policies:
        if name != workbench.learned and name not in baselines:
            raise UserError(
                f"--policy: found '{name}'; {nearest(name, [workbench.learned, *baselines])}"
            )
    result: dict[str, Policy] = {}
    for name in request.policies:
        if name != workbench.learned:
            result[name] = baselines[name]
            continue
        policy = load_policy(
            model,
            observations=workbench.observation_size,
            deterministic=config.train.deterministic_eval,
            seed=config.evaluate.seed,
        )
        if policy.action_size != workbench.action_size:
            raise UserError(
                f"{model}: the model gives {policy.action_size} actions, this environment expects "
                f"{workbench.action_size}"
            )
        result[name] = policy
    return result


def _stage(
    request: ReplayRequest, converted: Converted, config: Config, *, own_bar_ms: int
) -> Stage:
    tape = dataclasses.replace(
        converted.tape,
        tick=request.tick_size or converted.tape.tick,
        lot=request.lot_size or converted.tape.lot,
    )
    delay_ns = _ns(
        request.latency_ms if request.feed_latency_ms is None else request.feed_latency_ms
    )
    step_ns = _step_ns(request, converted, own_bar_ms)
    candles = bars_of_tape(
        tape, step_ns=step_ns, delay_ns=delay_ns, path=str(request.tape), sha256=converted.sha256
    )
    events = tape.events.copy()
    events["local_ts"] += delay_ns
    close_ns = candles.ts_ms * 1_000_000 + step_ns
    # Answers to the last orders must come before the tape ends.
    end_ns = int(events["local_ts"].max()) - ANSWERS * _ns(request.latency_ms) - 1
    bars = int(np.searchsorted(close_ns, end_ns, side="right"))
    whole = Segment("test", 0, bars)
    stage = Stage(
        tape=tape,
        events=events,
        book=RecordedBook(tape),
        market=CandleMarket(candles, whole, config.env),
        close_ns=close_ns[:bars],
        own_bar_ms=own_bar_ms,
    )
    check_length(stage, path=str(request.tape), fewest=FEWEST_STEPS)
    if tape.lot > config.env.order_size * (1.0 + 1e-9):
        raise UserError(
            f"env.order_size is {config.env.order_size:g}, the lot of {tape.facts['symbol']} "
            f"{tape.lot:g}; set a larger one (--set env.order_size={tape.lot:g})"
        )
    return stage


def _step_ns(request: ReplayRequest, converted: Converted, own_bar_ms: int) -> int:
    """Return the step asked for, or the run's own bar where the capture is long enough for it."""
    if request.step_seconds is not None:
        if request.step_seconds * 1000 > own_bar_ms:
            raise UserError(
                f"--step_seconds: found {request.step_seconds:g}, expected at most the run's own "
                f"bar of {own_bar_ms / 1000:g} s"
            )
        return round(request.step_seconds * 1000) * 1_000_000
    times = converted.tape.trade_local_ns
    own_ns = own_bar_ms * 1_000_000
    needed = (WARM_UP_BARS + 3 + FEWEST_STEPS) * own_ns
    return own_ns if times.max() - times.min() >= needed else _ns(1000 * SHORTEST_STEP_SECONDS)


def _exchange_settings(request: ReplayRequest, stage: Stage, config: Config) -> ExchangeSettings:
    return ExchangeSettings(
        queue=request.queue,
        exchange=request.exchange,
        latency_ns=_ns(request.latency_ms),
        maker_fee_rate=config.env.fee_rate,
        taker_fee_rate=config.env.taker_fee_rate,
        tick=stage.tape.tick,
        lot=stage.tape.lot,
    )


def _ns(milliseconds: float) -> int:
    return round(milliseconds * 1_000_000)


def _notes(
    request: ReplayRequest, converted: Converted, stage: Stage, workbench: Workbench
) -> list[str]:
    """Return what has to be said before the numbers."""
    facts = stage.tape.facts
    latency = facts["feed_latency_ms"]
    found = faults(converted.checks)
    step, own = stage.market.bar_ms / 1000, stage.own_bar_ms / 1000
    lines = [
        f"{request.tape.name}: {facts['symbol']} on {facts['market']}, sha256 "
        f"{converted.sha256[:8]}; local clock moved by {facts['clock_correction_ms']:.1f} ms, feed "
        f"latency then {latency['median']:.1f} ms median, {latency['p95']:.1f} ms at 95 %",
        f"checks: {'; '.join(found) if found else 'no faults found'}",
        f"{stage.steps} decisions {step:g} s apart after {WARM_UP_BARS} bars of warm-up; one "
        "episode, so no intervals over episodes",
    ]
    if step != own:
        lines.append(
            f"note: the policies learned on bars of {own:g} s and see bars of {step:g} s here, "
            "volatility told per bar of their own; they quote as far from the mid as ever and more "
            "often, so fewer quotes are reached per decision"
        )
    if workbench.source.kind == "synthetic":
        lines.append("note: trained on SYNTHETIC DATA, the tape is real")
    return lines


def _result(played: Played, candles: Trajectories, config: Config) -> dict[str, Any]:
    confidence = config.evaluate.confidence
    book_metrics = metrics_of(played.trajectories, confidence=confidence)
    candle_metrics = metrics_of(candles, confidence=confidence)
    return {
        "l2": {name: estimate.to_dict() for name, estimate in book_metrics.items()},
        "candles": {name: estimate.to_dict() for name, estimate in candle_metrics.items()},
        "l2_minus_candles": differences(book_metrics, candle_metrics),
        "fills": fill_summary(played),
        "candle_fills": _candle_fills(candles),
    }


def _candle_fills(candles: Trajectories) -> dict[str, float]:
    filled = (candles.bid_filled, candles.ask_filled)
    return {
        "fills": int(sum(np.nansum(side > 0.0) for side in filled)),
        "quantity": float(sum(np.nansum(side) for side in filled)),
    }


def _write_tables(
    output: ReplayDirectory, name: str, played: Played, candles: Trajectories
) -> None:
    for path, trajectories in (
        (output.episode(name), played.trajectories),
        (output.candle_episode(name), candles),
    ):
        table = episode_table(trajectories, 0)
        write_csv(path, [list(table), *zip(*table.values(), strict=True)])
    rows = [fill.to_row() for fill in played.fills]
    write_csv(output.fills(name), [list(rows[0]), *(row.values() for row in rows)] if rows else [])


def _origin(
    run: RunDirectory,
    request: ReplayRequest,
    model: Path,
    config: Config,
    converted: Converted,
    stage: Stage,
    workbench: Workbench,
) -> dict[str, Any]:
    """Return where the numbers come from."""
    own = stored_config(run.config)
    feed = request.latency_ms if request.feed_latency_ms is None else request.feed_latency_ms
    return {
        "run": run.name,
        "model": model.name,
        "model_sha256": file_hash(model),
        "train_key": keys.train_key(own),
        "cross_env": keys.environment_key(own) != keys.environment_key(config),
        "data_source": workbench.source.kind,
        "data_sha256": workbench.source.sha256,
        "tape": {
            "file": request.tape.name,
            "sha256": converted.sha256,
            **stage.tape.facts,
            "checks": converted.checks,
        },
        "engine": {
            "library": "hftbacktest",
            "version": version("hftbacktest"),
            "queue_model": request.queue,
            "exchange_model": request.exchange,
            "order_latency_ms": request.latency_ms,
            "added_feed_latency_ms": feed,
            "maker_fee_rate": config.env.fee_rate,
            "taker_fee_rate": config.env.taker_fee_rate,
        },
        "candle_model": fill_model_card(config.env),
        "step_seconds": stage.market.bar_ms / 1000,
        "own_bar_seconds": stage.own_bar_ms / 1000,
        "warm_up_bars": WARM_UP_BARS,
        "steps": stage.steps,
        "first_quote": _time(int(stage.close_ns[WARM_UP_BARS])),
        "last_close": _time(int(stage.close_ns[-1])),
    }


def _time(ns: int) -> str:
    return f"{np.datetime64(ns, 'ns').astype('datetime64[ms]')}Z"


def _subtitle(record: dict[str, Any]) -> str:
    engine, tape = record["engine"], record["tape"]
    return (
        f"{tape['file']}, {record['first_quote']} to {record['last_close']}; solid: hftbacktest, "
        f"{engine['queue_model']} queue, {engine['order_latency_ms']:g} ms latency; dashed: the "
        f"candle model on bars of {record['step_seconds']:g} s of the same tape, same quotes"
    )
