"""A run that nobody touched passes every check, and the audit leaves it as it was."""

import json
from pathlib import Path

import pytest
from tests.audit.lab import (
    AUDITED_CONFIG,
    METRICS,
    RUN,
    analyze,
    audit,
    copy_of,
    edit_json,
    faults,
    make_run,
)
from tests.bad_input.lab import run_command

from makerlab.audit.checks import CHECKS
from makerlab.market.episodes import OBSERVATION_NAMES
from makerlab.market.features import FEATURE_NAMES


def test_it_passes_every_check(clean: Path) -> None:
    found = audit(clean)
    assert {name: f.evidence for name, f in found.items() if f.outcome != "passed"} == {}
    assert list(found) == list(CHECKS)
    assert str(len(FEATURE_NAMES)) in found["look-ahead: features"].evidence[0]
    assert len(OBSERVATION_NAMES) > len(FEATURE_NAMES)


def test_the_command_shows_a_table_changes_nothing_and_exits_with_0(clean: Path) -> None:
    outcome = run_command(clean, "audit", (str(RUN),))
    assert outcome.code == 0 and outcome.err == ""
    assert (outcome.lost, outcome.added) == ([], [])
    rows = [line for line in outcome.out.splitlines() if "passed" in line]
    assert len(rows) == len(CHECKS) + 1
    assert f"1 audited: {len(CHECKS)} passed, 0 failed, 0 skipped" in outcome.out


def test_a_failed_check_is_exit_code_1_and_one_json_object(clean: Path, tmp_path: Path) -> None:
    folder = copy_of(clean, tmp_path / "harmed")
    edit_json(folder / METRICS, lambda content: content["test"]["fees"].update(value=-1.0))
    outcome = run_command(folder, "audit", ("--json",))
    record = json.loads(outcome.out)
    assert outcome.code == 1 and outcome.err == ""
    assert record["counts"]["failed"] == 3
    (findings,) = record["audited"].values()
    failed = {f["check"]: f["evidence"] for f in findings if f["outcome"] == "failed"}
    assert "test.fees is -1.0" in failed["accounts: metrics"][0]


def test_what_is_damaged_is_a_finding_and_stops_no_other_check(clean: Path, tmp_path: Path) -> None:
    folder = copy_of(clean, tmp_path / "harmed")
    (folder / METRICS).write_text("{")
    found = faults(folder)
    assert "damaged, not JSON" in found["metrics: evaluated again"]
    assert "look-ahead: features" not in found and "config: manifest" not in found


def test_what_a_run_does_not_have_is_skipped_with_a_reason(tmp_path: Path) -> None:
    run = make_run(tmp_path, "--params_path", "none")
    for path in (tmp_path / run / "evaluation").iterdir():
        path.unlink()
    found = audit(tmp_path, run)
    skipped = {name: f.evidence[0] for name, f in found.items() if f.outcome == "skipped"}
    assert skipped.pop("config: tuned parameters") == "nothing was tuned"
    assert "no runs_summary.csv" in skipped.pop("metrics: summary")
    rows = {name: skipped.pop(name) for name in list(skipped) if name.startswith("accounts")}
    assert len(rows) == 3 and all("no episodes were stored" in why for why in rows.values())
    assert len(skipped) == 3 and all("not evaluated yet" in why for why in skipped.values())
    assert [name for name, f in found.items() if f.outcome == "failed"] == []


def test_a_later_evaluation_than_the_summary_is_not_held_against_it(
    clean: Path, tmp_path: Path
) -> None:
    folder = copy_of(clean, tmp_path / "again")
    make_run(folder, "--params_path", "none", second=1)
    analyze(folder)
    outcome = run_command(folder, "audit", ())
    assert outcome.code == 0 and "2 audited" in outcome.out


FILL_MODELS = [
    "fill.rule=touch fill.both_touched=both fill.latency_bars=2",
    "fill.post_only=false fill.both_touched=path beta=2 base_spread_bps=2 allow_no_quote=true",
    "fill.rule=calibrated_intensity fill.bid_intensity=0.05 fill.bid_decay=0.3 "
    "fill.ask_intensity=0.05 fill.ask_decay=0.3 fill.liquidate_at_end=false",
]


@pytest.mark.parametrize("settings", FILL_MODELS, ids=lambda text: text.split()[0])
def test_runs_under_other_fill_models_pass(settings: str, tmp_path: Path) -> None:
    flags = [word for setting in settings.split() for word in ("--set", f"env.{setting}")]
    run = make_run(tmp_path, "--params_path", "none", *flags)
    found = audit(tmp_path, run)
    assert [f for f in found.values() if f.outcome == "failed"] == []
    skipped = {name for name, finding in found.items() if finding.outcome == "skipped"}
    by_chance = {"look-ahead: same bar"} if "intensity" in settings else set()
    assert skipped == {"config: tuned parameters", "metrics: summary"} | by_chance
    assert not found["accounts: fills"].evidence[0].startswith("0 ")


def test_a_run_on_a_simulated_market_passes_what_applies_to_it(tmp_path: Path) -> None:
    config = """\
env: {market: cartea_jaimungal, episode_length: 20, max_inventory: 5, order_size: 1}
train: {total_timesteps: 120, net_arch: [8], learning_starts: 20, batch_size: 16,
  buffer_size: 200, eval_freq: 60}
tune: {eval_episodes: 3}
evaluate: {episodes: 6, episode_csvs: 6, bootstrap_samples: 100}
run: {short_name: tiny}
"""
    run = make_run(tmp_path, "--params_path", "none", config=config)
    found = audit(tmp_path, run)
    assert [f for f in found.values() if f.outcome == "failed"] == []
    skipped = {name for name, finding in found.items() if finding.outcome == "skipped"}
    no_candles = {name for name in found if name.startswith("look-ahead")} | {"accounts: fills"}
    assert skipped == {"config: tuned parameters", "metrics: summary"} | no_candles
    assert "360 rows" in found["accounts: rows"].evidence[0]


def test_a_fold_of_a_walk_forward_passes(tmp_path: Path) -> None:
    config = AUDITED_CONFIG + (
        "data_split: {walk_forward: {folds: 2, train: 0.4, valid: 0.2, test: 0.2, "
        "purge_bars: 30, embargo_bars: 30}}\n"
    )
    run = make_run(tmp_path, "--params_path", "none", "--fold", "1", config=config)
    found = audit(tmp_path, run)
    assert [f for f in found.values() if f.outcome == "failed"] == []
    assert "at least 60 bars apart" in found["segments: ranges"].evidence[0]
    assert "2 flags" in found["config: flags"].evidence[0]
