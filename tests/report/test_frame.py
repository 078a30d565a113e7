"""`makerlab.load_runs`: runs as a tidy table."""

from pathlib import Path

import pytest
from tests.made_up_runs import MadeUpRun, write_run, write_runs

import makerlab
from makerlab.errors import UserError


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    runs = [
        MadeUpRun(config_name=name, seed=seed, values={"env.fee_rate": fee})
        for name, fee in (("env_baseline", 0.0001), ("env_aggressive_spread", 0.0))
        for seed in range(3)
    ]
    return write_runs(tmp_path / "runs", *runs)


def test_seeds_can_be_grouped_without_further_work(runs_dir: Path) -> None:
    frame = makerlab.load_runs(runs_dir)
    chosen = frame.query("segment == 'test' and policy == 'learned' and metric == 'net_profit'")
    means = chosen.groupby("config_name")["value"].agg(["mean", "count"])
    assert means["mean"].to_dict() == {"env_baseline": 4.0, "env_aggressive_spread": 4.0}
    assert means["count"].to_list() == [3, 3]


def test_a_varying_setting_is_a_column(runs_dir: Path) -> None:
    frame = makerlab.load_runs(str(runs_dir))
    pairs = frame[["config_name", "env.fee_rate"]].drop_duplicates()
    assert dict(pairs.to_numpy().tolist()) == {"env_baseline": 1e-4, "env_aggressive_spread": 0.0}


def test_numbers_have_number_types_whatever_is_missing(runs_dir: Path) -> None:
    write_run(runs_dir, MadeUpRun(config_name="half", test=(1.0, None, None)))
    frame = makerlab.load_runs(runs_dir)
    assert {str(frame[name].dtype) for name in ("value", "low", "high")} == {"float64"}
    assert str(frame["seed"].dtype) == "Int64"


def test_baselines_stand_beside_the_learned_policy(runs_dir: Path) -> None:
    frame = makerlab.load_runs(runs_dir)
    profits = frame.query("segment == 'test' and metric == 'net_profit'")
    by_policy = profits.groupby("policy")["value"].first()
    assert by_policy["no_quote"] == 0.0 and by_policy["random"] == -9.0


def test_no_runs_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no runs yet"):
        makerlab.load_runs(tmp_path)
