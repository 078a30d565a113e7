"""scripts/replay_l2.py from a capture and a run to its files."""

import csv
import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from tests.commands import run, run_well, write_tiny_config
from tests.made_up_captures import text_of, walking_capture

SCRIPT = "scripts/replay_l2.py"
FLAGS = ("--queue", "power_prob", "--latency_ms", 5, "--policy", "policy", "fixed_symmetric")

missing = importlib.util.find_spec("hftbacktest") is None
needs_hftbacktest = pytest.mark.skipif(missing, reason="hftbacktest is not installed")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny run and a capture of each market."""
    folder = tmp_path_factory.mktemp("lab")
    write_tiny_config(folder)
    run_well(folder, "train_mm_sac.py", "--config", "tiny.yaml", "--seed", 0)
    for market in ("usdm", "spot"):
        (folder / market).write_text(text_of(walking_capture(160, seed=3, market=market)))
    return folder


def the_run(lab: Path) -> Path:
    return next((lab / "runs" / "SAC").glob("*_tiny_seed0"))


@pytest.fixture(scope="module")
def replayed(lab: Path) -> str:
    return run_well(lab, SCRIPT, "--model_path", the_run(lab), "--tape", "usdm", *FLAGS)


def record_of(folder: Path) -> dict[str, object]:
    record: dict[str, object] = json.loads((folder / "replay.json").read_text())
    return record


@needs_hftbacktest
def test_a_replay_writes_what_an_evaluation_does_and_why_each_fill_came(
    lab: Path, replayed: str
) -> None:
    output = the_run(lab) / "replay"
    record = json.loads((output / "replay.json").read_text())
    assert list(record["policies"]) == ["policy", "fixed_symmetric"]
    assert record["engine"]["queue_model"] == "power_prob"
    assert record["data_source"] == "synthetic"
    assert record["tape"]["market"] == "usdm"
    evaluated = ("net_profit", "sharpe", "fees", "markout_15_bps", "time_at_cap")
    for name, result in record["policies"].items():
        for engine in ("l2", "candles"):
            assert set(evaluated) <= set(result[engine])
        book, candles = (result[engine]["net_profit"]["value"] for engine in ("l2", "candles"))
        assert result["l2_minus_candles"]["net_profit"] == pytest.approx(book - candles)
        with (output / f"{name}_fills.csv").open() as file:
            fills = list(csv.DictReader(file))
        made = [fill for fill in fills if fill["reason"] != "taken"]
        assert (
            len(made)
            == result["fills"]["fills"]
            == sum(
                count for reason, count in result["fills"]["reasons"].items() if reason != "taken"
            )
        )
        with (output / f"{name}_l2_episode_00.csv").open() as file:
            steps = list(csv.DictReader(file))
        assert len(steps) == record["steps"]
        profit = float(steps[-1]["equity"]) - 100_000.0
        assert result["l2"]["net_profit"]["value"] == pytest.approx(profit)
        bought = sum(float(fill["quantity"]) for fill in made if fill["side"] == "bid")
        assert sum(float(step["bid_filled"]) for step in steps) == pytest.approx(bought)
    assert "checks: no faults found" in replayed
    assert "SYNTHETIC DATA" in replayed
    assert "policies learned on bars of 60 s and see bars of 1 s here" in replayed
    assert (output / "replay_equity.png").stat().st_size > 10_000


@needs_hftbacktest
def test_a_second_replay_uses_the_kept_conversion_and_ends_with_the_same_bytes(
    lab: Path, replayed: str
) -> None:
    (kept,) = (lab / "runs" / "replay_cache").iterdir()
    before = kept.stat().st_mtime_ns
    arguments = ("--model_path", the_run(lab), "--tape", "usdm", *FLAGS, "--output_dir", "again")
    run_well(lab, SCRIPT, *arguments)
    assert kept.stat().st_mtime_ns == before
    first = the_run(lab) / "replay"
    for path in sorted((lab / "again").iterdir()):
        assert path.read_bytes() == (first / path.name).read_bytes(), path.name


@needs_hftbacktest
def test_spot_replays_like_usdm(lab: Path, replayed: str) -> None:
    run_well(
        lab,
        SCRIPT,
        "--model_path",
        the_run(lab),
        "--tape",
        "spot",
        *FLAGS,
        "--output_dir",
        "spot_out",
    )
    one, other = (
        json.loads((folder / "replay.json").read_text())
        for folder in (the_run(lab) / "replay", lab / "spot_out")
    )
    assert other["tape"]["market"] == "spot"
    for name in one["policies"]:
        assert other["policies"][name]["l2"] == one["policies"][name]["l2"]


def test_without_hftbacktest_one_line_says_how_to_install_it(lab: Path) -> None:
    blocked = lab / "blocked"
    shutil.rmtree(blocked, ignore_errors=True)
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text("import sys\nsys.modules['hftbacktest'] = None\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(blocked))
        result = run(lab, SCRIPT, "--model_path", the_run(lab), "--tape", "usdm")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "replay needs hftbacktest" in result.stderr
    assert ".[replay]" in result.stderr


@needs_hftbacktest
def test_the_real_tape_is_replayed(lab: Path, shared_data: Path) -> None:
    """On the tape the quotes of 1 bp earn less per fill than they were wide: adverse selection."""
    tape = shared_data / "l2_binance_usdm_btcusdt_2024-08-08.gz"
    flags = ("--set", "env.base_spread_bps=1", "--policy", "fixed_symmetric")
    text = run_well(
        lab, SCRIPT, "--model_path", the_run(lab), "--tape", tape, *flags, "--output_dir", "real"
    )
    assert "local clock moved by 1272.4 ms" in text
    record = json.loads((lab / "real" / "replay.json").read_text())
    result = record["policies"]["fixed_symmetric"]
    assert record["cross_env"] is True
    assert result["fills"]["fills"] > 20
    assert result["l2"]["markout_5_bps"]["value"] < 0.0
