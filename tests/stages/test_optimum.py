"""scripts/compare_with_optimum.py from runs on a simulated market to its table and picture."""

import csv
import json
from pathlib import Path

import pytest
from tests.commands import TINY_CONFIG, run, run_well, write_tiny_config

SCRIPT = "scripts/compare_with_optimum.py"
MARKET = """\
env:
  market: cartea_jaimungal
  episode_length: 100
  order_size: 1
  max_inventory: 10
  simulated: {buy_intensity: 10, sell_intensity: 10, decay: 1, running_penalty: PHI,
              terminal_penalty: 0.001, volatility: 0.1, max_depth: 4.605, episodes: 2000}
"""
SMALL = MARKET.replace("PHI", "0.5") + TINY_CONFIG.partition("\n")[2]
# Published depths of the small market at half time, inventories -3 to 3.
BID = (0.17719, 0.49974, 0.83210, 1.16790, 1.50026, 1.82281, 2.13050)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two seeds on the small market, a run on another and one on candles."""
    folder = tmp_path_factory.mktemp("optimum")
    other = SMALL.replace("running_penalty: 0.5", "running_penalty: 0.4")
    for name, text in (("small", SMALL), ("other", other), ("tiny", TINY_CONFIG)):
        write_tiny_config(folder, name=name, text=text.replace("tiny}", f"{name}}}"))
    for name, seed in (("small", 0), ("small", 1), ("other", 0), ("tiny", 0)):
        run_well(folder, "train_mm_sac.py", "--config", f"{name}.yaml", "--seed", seed)
    return folder


def runs_of(lab: Path, name: str) -> list[Path]:
    return sorted((lab / "runs" / "SAC").glob(f"*_{name}_seed*"))


def test_runs_and_baselines_are_judged_on_the_same_episodes_and_depths_are_drawn(
    lab: Path,
) -> None:
    runs = runs_of(lab, "small")
    shown = run_well(lab, SCRIPT, "--model_path", *runs, "--episodes", 200, "--output_dir", "found")
    assert "mean over 2 runs: " in shown
    record = json.loads((lab / "found" / "optimum.json").read_text())
    assert record["data_source"] == "synthetic" and record["episodes"] == 200
    learned, others = record["objective_of_runs"], record["objective_of_baselines"]
    assert list(learned) == [run.name for run in runs]
    assert max(others, key=lambda name: others[name]) == "optimal"
    assert max(learned.values()) < others["optimal"]
    mean = record["mean_over_runs"]
    assert mean["value"] == pytest.approx(sum(learned.values()) / 2)
    assert mean["low"] < mean["value"] < mean["high"]
    assert (lab / "found" / "depths.png").read_bytes().startswith(b"\x89PNG")


def test_the_optimal_depths_in_the_table_are_the_published_ones(lab: Path) -> None:
    path = runs_of(lab, "small")[0]
    run_well(lab, SCRIPT, "--model_path", path, "--episodes", 100, "--output_dir", "one")
    with (lab / "one" / "depths.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if float(row["time"]) == 0.5]
    optimal = {int(row["inventory"]): row for row in rows if row["policy"] == "optimal"}
    for held, depth in zip(range(-3, 4), BID, strict=True):
        assert float(optimal[held]["bid_depth"]) == pytest.approx(depth, abs=2e-3)
        assert float(optimal[-held]["ask_depth"]) == pytest.approx(depth, abs=2e-3)
    learned = [row for row in rows if row["policy"] == path.name]
    assert len(learned) == len(optimal)
    assert all(0.0 <= float(row["bid_depth"]) <= 4.605 for row in learned)


def test_what_has_no_known_optimum_or_another_is_refused_in_one_line(lab: Path) -> None:
    small, other, candles = (runs_of(lab, name)[0] for name in ("small", "other", "tiny"))
    cases = (
        ((candles,), 200, "env.market is candles, whose optimum nobody knows"),
        ((small, other), 200, f"its market is another than that of {small}"),
        ((small,), 5000, "--episodes: found 5000, expected at most"),
    )
    for paths, episodes, sentence in cases:
        flags = ("--episodes", episodes, "--output_dir", "refused")
        result = run(lab, SCRIPT, "--model_path", *paths, *flags)
        assert result.returncode == 2
        assert sentence in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (lab / "refused").exists()
