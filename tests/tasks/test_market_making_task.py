"""The workbench: trained on train, judged on valid; nothing else touches the test segment."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.made_up_candles import candles_of, random_walk

from makerlab.config import Config
from makerlab.data.candles import Candles, write_candles
from makerlab.evaluation.metrics import METRICS
from makerlab.market.base import Observations
from makerlab.market.episodes import OBSERVATION_NAMES
from makerlab.market.features import FEATURE_NAMES
from makerlab.policies.baselines import FixedSymmetric, NoQuote, RandomQuotes
from makerlab.tasks.market_making import MarketMakingWorkbench

BARS, TRAIN_END, VALID_END = 2000, 1000, 1500
WALK = random_walk(BARS, seed=81, volatility_bps=12.0)


def config_of(path: Path, **dotted: Any) -> Config:
    content = {
        "env": {
            "csv_path": str(path),
            "base_spread_bps": 8.0,
            "fee_rate": 0.0001,
            "episode_length": 30,
        },
        "train": {
            "learner": "sb3",
            "net_arch": [8],
            "learning_starts": 20,
            "batch_size": 16,
            "buffer_size": 100,
        },
        "tune": {"eval_episodes": 5},
        "evaluate": {"episodes": 8, "bootstrap_samples": 200, "episode_csvs": 2},
        "data_split": {"train": 0.5, "valid": 0.25, "test": 0.25, "embargo_bars": 0},
    }
    return Config.model_validate(content).with_values(dotted)


def workbench(folder: Path, candles: Candles = WALK, **dotted: Any) -> MarketMakingWorkbench:
    path = folder / "candles.csv"
    write_candles(path, candles)
    return MarketMakingWorkbench(config_of(path, **dotted), synthetic_folder=folder)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> MarketMakingWorkbench:
    return workbench(tmp_path_factory.mktemp("bench"))


def with_another_test_segment() -> Candles:
    other = random_walk(BARS, seed=99, volatility_bps=90.0, price=4.0)
    columns = {}
    for name in ("open", "high", "low", "close", "volume"):
        columns[name] = getattr(WALK, name).copy()
        columns[name][VALID_END:] = getattr(other, name)[VALID_END:]
    return candles_of(columns)


def test_training_judging_and_baselines_know_nothing_of_the_test_segment(tmp_path: Path) -> None:
    """Trap: training or tuning sees the test segment because the date range reaches only the
    evaluator."""
    results = []
    for name, candles in (("here", WALK), ("there", with_another_test_segment())):
        bench = workbench(tmp_path / name, candles)
        training = bench.training(bench._config.train, device="cpu")
        while training.step < 40:
            training.advance()
        training.learner.save(tmp_path / "model.zip")
        policy = training.learner.policy()
        scales = [vars(p) for n, p in bench.baselines().items() if n not in ("random", "no_quote")]
        scores = (bench.score(policy), bench.score(policy, fresh=True))
        results.append(((tmp_path / "model.zip").read_bytes(), scales, scores, bench.mean_price))
    assert results[0] == results[1]


def test_scores_come_from_the_validation_segment(tmp_path: Path) -> None:
    other = random_walk(BARS, seed=98, volatility_bps=90.0, price=float(WALK.close[TRAIN_END]))
    columns = {}
    for name in ("open", "high", "low", "close", "volume"):
        columns[name] = getattr(WALK, name).copy()
        columns[name][TRAIN_END:VALID_END] = getattr(other, name)[:500]
    here, there = workbench(tmp_path / "a"), workbench(tmp_path / "b", candles_of(columns))
    assert here.score(FixedSymmetric()) != there.score(FixedSymmetric())


def test_a_policy_is_always_scored_on_the_same_episodes(bench: MarketMakingWorkbench) -> None:
    first = bench.score(RandomQuotes(seed=1, actions=2))
    assert first == bench.score(RandomQuotes(seed=1, actions=2))
    assert first != bench.score(RandomQuotes(seed=1, actions=2), fresh=True)


def test_a_score_that_is_not_defined_is_none(tmp_path: Path) -> None:
    """Trap: zeros written where nothing was measured (write null), a blank image where a plot
    failed, numbers in a document that no run produced."""
    bench = workbench(tmp_path, **{"tune.metric": "sharpe"})
    assert bench.score(NoQuote()) is None
    assert bench.score(FixedSymmetric()) is not None


class Watcher:
    """Quotes like another policy and remembers what it was shown."""

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self.seen: list[Observations] = []

    def act(self, observation: Observations) -> Any:
        self.seen.append(observation.copy())
        return self.policy.act(observation)


@pytest.mark.parametrize("segment", ["train", "valid", "test"])
def test_all_policies_are_judged_on_the_same_episodes(
    bench: MarketMakingWorkbench, segment: Any
) -> None:
    watchers = {"policy": Watcher(RandomQuotes(seed=4, actions=2))} | {
        name: Watcher(policy) for name, policy in bench.baselines().items()
    }
    result = bench.evaluate(watchers, segment, bench._config.evaluate)
    assert list(result.metrics) == ["policy", *bench.baselines()]
    assert (result.episodes, result.episode_length) == (8, 30)
    market = [name in FEATURE_NAMES for name in OBSERVATION_NAMES]
    shown = [np.stack(watcher.seen)[..., market] for watcher in watchers.values()]
    for other in shown[1:]:
        np.testing.assert_array_equal(shown[0], other)


def test_judging_twice_gives_the_same_numbers(bench: MarketMakingWorkbench) -> None:
    first, again = (
        bench.evaluate(
            {"policy": RandomQuotes(seed=4, actions=2), **bench.baselines()},
            "valid",
            bench._config.evaluate,
        )
        for _ in range(2)
    )
    assert first.metrics == again.metrics and first.differences == again.differences


def test_every_metric_of_every_policy_has_its_interval_and_difference(
    bench: MarketMakingWorkbench,
) -> None:
    """Trap: one seed per config; a few windows out of a hundred thousand minutes; no interval;
    nothing says how many were tried."""
    policies = {"policy": FixedSymmetric(), **bench.baselines()}
    result = bench.evaluate(policies, "test", bench._config.evaluate)
    for metrics in (*result.metrics.values(), *result.differences.values()):
        assert list(metrics) == list(METRICS)
        assert metrics["net_profit"].low is not None
    assert list(result.differences) == list(bench.baselines())
    # The policy is the fixed symmetric one, so it differs from that baseline by nothing.
    for estimate in result.differences["fixed_symmetric"].values():
        assert set(estimate) <= {0.0, None}
    profit = result.metrics["policy"]["net_profit"].value
    idle = result.differences["no_quote"]["net_profit"].value
    assert profit is not None and idle == pytest.approx(profit)


def test_penalties_never_reach_the_profit_of_a_result(tmp_path: Path) -> None:
    """Trap: penalties counted as money in net profit."""
    results = []
    for name, penalty in (("free", 0.0), ("charged", 0.01)):
        changed = {"env.lambda_inv": penalty, "env.lambda_turnover": penalty}
        bench = workbench(tmp_path / name, **changed)
        found = bench.evaluate({"policy": FixedSymmetric()}, "test", bench._config.evaluate)
        results.append(found.metrics["policy"])
    assert results[0]["net_profit"] == results[1]["net_profit"]
    assert results[0]["episode_reward"] != results[1]["episode_reward"]


def test_the_table_of_an_episode_adds_up_row_by_row(bench: MarketMakingWorkbench) -> None:
    result = bench.evaluate(
        {"policy": RandomQuotes(seed=4, actions=2)}, "test", bench._config.evaluate
    )
    assert len(result.episode_tables) == 2
    table = {name: np.array(values) for name, values in result.episode_tables[0].items()}
    assert table["step"].tolist() == list(range(1, 31))
    np.testing.assert_allclose(table["equity"], table["cash"] + table["inventory"] * table["mid"])
    earned = table["spread_captured"] + table["inventory_profit"] - table["fees"]
    np.testing.assert_allclose(np.cumsum(earned), table["equity"] - 100_000.0, atol=1e-6)
    assert table["inventory"][-1] == 0.0


def test_rows_carry_utc_times_of_the_bars_they_happened_in(bench: MarketMakingWorkbench) -> None:
    result = bench.evaluate({"policy": FixedSymmetric()}, "test", bench._config.evaluate)
    table = result.episode_tables[0]
    stamps = [np.datetime64(text.removesuffix("Z"), "ms") for text in table["timestamp"]]
    bars = np.searchsorted(WALK.ts_ms, np.array(stamps).astype(np.int64))
    np.testing.assert_array_equal(WALK.close[bars], table["mid"])
    assert bars[0] >= VALID_END and np.all(np.diff(bars) == 1)


def test_the_equity_curve_adds_up_the_episodes(bench: MarketMakingWorkbench) -> None:
    """Trap: equity that starts at zero: drawdown in percent of nothing, returns undefined; per-step
    Sharpe never annualised, or by the wrong factor; Sharpe of the cumulated level instead of its
    increments."""
    policies = {"policy": FixedSymmetric(), "random": RandomQuotes(seed=1, actions=2)}
    result = bench.evaluate(policies, "test", bench._config.evaluate)
    for name, curve in result.curves.items():
        profit = result.metrics[name]["net_profit"].value
        assert profit is not None
        assert len(curve.equity) == result.episodes * result.episode_length
        assert curve.equity[-1] - 100_000.0 == pytest.approx(profit * result.episodes, abs=1e-6)
        assert np.all(np.diff(curve.timestamps_ms) > 0)


def test_the_learned_policy_plays_like_any_other(bench: MarketMakingWorkbench) -> None:
    training = bench.training(bench._config.train, device="cpu")
    while training.step < 40:
        training.advance()
    policy = training.learner.policy()
    result = bench.evaluate(
        {"policy": policy, **bench.baselines()}, "valid", bench._config.evaluate
    )
    assert result.metrics["policy"]["net_profit"].value is not None
