"""One policy under every fill model: what is written, and that the run's own result stays."""

import csv
import json
from typing import Any

import pytest
from tests.commands import run, run_well, write_tiny_config

from makerlab.config import FillSettings
from makerlab.market.fill_variants import AS_CONFIGURED, fill_variants
from makerlab.runs.directory import RunDirectory

INTENSITY = {"bid_intensity": 0.1, "bid_decay": 0.2, "ask_intensity": 0.3, "ask_decay": 0.4}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, str]:
    """A tiny run, judged as configured and then under every fill model."""
    folder = tmp_path_factory.mktemp("judged")
    write_tiny_config(folder)
    run_well(folder, "train_mm_sac.py", "--config", "tiny.yaml", "--params_path", "none")
    (path,) = (folder / "runs" / "SAC").glob("*_tiny_seed*")
    directory = RunDirectory(path)
    run_well(folder, "scripts/evaluate_policy.py", "--model_path", str(path))
    before = {entry: entry.read_bytes() for entry in sorted((path / "evaluation").iterdir())}
    done = run(
        folder, "scripts/evaluate_policy.py", "--model_path", str(path), "--fill_sensitivity"
    )
    assert done.returncode == 0, done.stderr
    for entry, content in before.items():
        assert entry.read_bytes() == content, f"{entry} changed"
    return directory, done.stdout + done.stderr


def record_of(directory: RunDirectory) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(directory.evaluation.fill_sensitivity.read_text())
    return content


def test_as_configured_it_is_the_runs_own_evaluation(judged: tuple[RunDirectory, str]) -> None:
    directory, _ = judged
    own = json.loads(directory.evaluation.metrics.read_text())
    first = record_of(directory)["fill_models"][AS_CONFIGURED]
    for segment in ("valid", "test"):
        policies = first[segment]["policies"]
        for metric, estimate in policies["policy"].items():
            assert estimate == own[segment][metric]
        for name, metrics in own[segment]["baselines"].items():
            assert policies[name]["net_profit"] == metrics["net_profit"]
    assert first["fill_model"] == own["fill_model"]
    assert record_of(directory)["data_source"] == "synthetic"


def test_the_table_holds_every_policy_under_every_model(judged: tuple[RunDirectory, str]) -> None:
    directory, _ = judged
    with directory.evaluation.fill_sensitivity_table.open() as file:
        rows = list(csv.DictReader(file))
    models = record_of(directory)["fill_models"]
    assert len(models) >= 9 and len(rows) == len(models) * 2 * 7
    for row in rows:
        cell = models[row["fill_model"]][row["segment"]]["policies"][row["policy"]]["net_profit"]
        assert float(row["net_profit"]) == cell["value"]
        assert row["optimistic"] == models[row["fill_model"]]["fill_model"]["optimistic"]
    by_model = {row["fill_model"]: row for row in rows if row["policy"] == "fixed_symmetric"}
    assert by_model["calibrated intensity"]["net_profit"] != by_model[AS_CONFIGURED]["net_profit"]


def test_the_terminal_gives_the_card_and_the_range(judged: tuple[RunDirectory, str]) -> None:
    directory, text = judged
    values = {
        name: model["test"]["policies"]["policy"]["net_profit"]["value"]
        for name, model in record_of(directory)["fill_models"].items()
    }
    lowest, highest = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    assert f"from {values[lowest]:.4g} ({lowest}) to {values[highest]:.4g} ({highest})" in text
    assert "optimistic: no" in text
    assert directory.evaluation.fill_sensitivity_plot.read_bytes().startswith(b"\x89PNG")


def test_each_model_changes_one_assumption_and_optimistic_ones_come_last() -> None:
    own = FillSettings(penetration_bps=1.0, both_touched="seeded_random", latency_bars=1)
    found = fill_variants(own, intensity=INTENSITY)
    assert next(iter(found.items())) == (AS_CONFIGURED, own)
    assert len(set(found.values())) == len(found)
    for name, settings in list(found.items())[1:]:
        changed = {
            key for key, value in settings.model_dump().items() if value != own.model_dump()[key]
        }
        if name == "calibrated intensity":
            assert changed == {"rule", "penetration_bps", *INTENSITY}
        else:
            assert len(changed) == 1, name
    rules = [settings.rule for settings in found.values()]
    assert rules[-2:] == ["touch", "calibrated_intensity"]


def test_intensities_of_the_config_are_kept() -> None:
    given = {name: 2.0 * value for name, value in INTENSITY.items()}
    own = FillSettings.model_validate({"rule": "calibrated_intensity", **given})
    found = fill_variants(own, intensity=INTENSITY)
    assert found["latency of one bar more"].bid_decay == given["bid_decay"]
    assert found["trade-through"].rule == "trade_through"
