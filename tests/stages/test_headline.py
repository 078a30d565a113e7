"""A policy on a market with a theory is judged by what that theory maximises, not by profit."""

import csv
import json
from pathlib import Path

import pytest
from tests.commands import TINY_CONFIG, run_well, write_tiny_config

MARKET = """\
env:
  market: cartea_jaimungal
  episode_length: 20
  order_size: 1
  max_inventory: 10
  simulated: {buy_intensity: 50, sell_intensity: 50, decay: 1, running_penalty: 4,
              terminal_penalty: 1, episodes: 2000}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two evaluated seeds on a market that punishes inventory."""
    folder = tmp_path_factory.mktemp("headline")
    write_tiny_config(
        folder,
        text=MARKET + TINY_CONFIG.partition("\n")[2].replace("episodes: 4,", "episodes: 40,"),
    )
    for seed in (0, 1):
        run_well(folder, "train_mm_sac.py", "--config", "tiny.yaml", "--seed", seed)
    for run in sorted((folder / "runs" / "SAC").glob("*_seed*")):
        run_well(folder, "scripts/evaluate_policy.py", "--model_path", run)
    return folder


def test_the_baseline_to_beat_has_the_best_objective_and_is_not_the_optimum(lab: Path) -> None:
    for path in (lab / "runs" / "SAC").glob("*/evaluation/metrics.json"):
        found = json.loads(path.read_text())
        objectives = {
            name: metrics["objective"]["value"]
            for name, metrics in found["valid"]["baselines"].items()
        }
        assert max(objectives, key=lambda name: objectives[name]) == "optimal"
        del objectives["optimal"]
        best = max(objectives, key=lambda name: objectives[name])
        test = found["test"]
        assert test["headline"] == "objective" and test["best_baseline"] == best
        difference = test["objective"]["value"] - test["baselines"][best]["objective"]["value"]
        judged = test["difference_to_best_baseline"]["objective"]
        assert judged["value"] == pytest.approx(difference)
        assert judged["low"] < judged["value"] < judged["high"]


def test_tables_and_verdict_follow_the_objective(lab: Path) -> None:
    shown = run_well(lab, "scripts/analyze_experiments.py")
    assert "Ranked by valid_objective, largest first; 2 of 2 runs" in shown
    assert "tiny: " in shown and ": objective " in shown and "net_profit" not in shown
    with (lab / "runs" / "runs_summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    values = [float(row["valid_objective"]) for row in rows]
    assert values == sorted(values, reverse=True) and {row["headline"] for row in rows} == {
        "objective"
    }
    for row in rows:
        difference = float(row["test_objective"]) - float(row["test_best_baseline_objective"])
        assert float(row["test_difference_objective"]) == pytest.approx(difference)
        profits = float(row["test_net_profit"]) - float(row["test_best_baseline_net_profit"])
        assert float(row["test_difference_net_profit"]) == pytest.approx(profits)


def test_the_verdicts_interval_is_around_the_difference_of_objectives(lab: Path) -> None:
    run_well(lab, "scripts/analyze_experiments.py")
    with (lab / "runs" / "runs_by_config.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    mean = float(row["test_difference_objective"])
    value, low, high = (
        float(row[f"test_difference_over_episodes{end}"]) for end in ("", "_low", "_high")
    )
    assert value == pytest.approx(mean) and low < value < high


def test_the_audit_agrees(lab: Path) -> None:
    run_well(lab, "scripts/analyze_experiments.py")
    shown = run_well(lab, "scripts/audit.py")
    assert "failed" not in shown.lower().replace("0 failed", "")
