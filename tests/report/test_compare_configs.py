"""Two configs by their names: all their seeds, in the rankings both stand in, or one clear line."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.commands import run
from tests.made_up_runs import SYNTHETIC_DATA, MadeUpRun, write_runs

from makerlab.errors import UserError
from makerlab.report.compare_configs import ConfigComparison, compare_configs, run_or_config
from makerlab.report.compare_configs_view import config_comparison_lines, config_comparison_record
from makerlab.runs.directory import RunDirectory


def seeds_of(name: str, earns: float, *, seeds: int = 3, **changes: Any) -> list[MadeUpRun]:
    """Return the runs of a config that earns so much more than its best baseline."""
    triple = (earns, earns - 1.0, earns + 1.0)
    return [
        MadeUpRun(config_name=name, seed=seed, difference=triple, **changes)
        for seed in range(seeds)
    ]


def compared(runs_dir: Path, *configs: Sequence[MadeUpRun]) -> ConfigComparison:
    write_runs(runs_dir, *(each for runs in configs for each in runs))
    (found,) = compare_configs("narrow", "wide", runs_dir=runs_dir)
    return found


def test_all_seeds_of_both_are_compared_on_test_and_on_validation(tmp_path: Path) -> None:
    found = compared(tmp_path, seeds_of("narrow", 1.0), seeds_of("wide", 4.0))
    assert found.test.difference.value == pytest.approx(3.0)
    assert (found.test.relation, found.test.seeds, found.test.periods) == ("better", 3, 20)
    assert found.valid == found.test
    text = "\n".join(config_comparison_lines(found))
    assert "wide is better than narrow on test: net_profit +3 [" in text
    assert "per episode, over 3 seeds and 20 days together; p below 0.001" in text
    assert "it flatters: judge by test" in text


def test_the_other_way_round_it_is_worse(tmp_path: Path) -> None:
    found = compared(tmp_path, seeds_of("narrow", 4.0), seeds_of("wide", 1.0))
    assert "wide is worse than narrow on test" in "\n".join(config_comparison_lines(found))


def test_what_was_set_differently_and_what_tuning_chose_is_listed(tmp_path: Path) -> None:
    changed = {"env.base_spread_bps": 12.0, "train.gamma": 0.5}
    found = compared(tmp_path, seeds_of("narrow", 1.0), seeds_of("wide", 1.0, values=changed))
    assert {(each.what, each.name) for each in found.settings} == {
        ("config", "env.base_spread_bps"),
        ("tuned", "train.gamma"),
    }
    assert "can't be told apart on test" in "\n".join(config_comparison_lines(found))


def test_a_made_up_market_is_said_to_be_one(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        seeds_of("narrow", 1.0, data=SYNTHETIC_DATA),
        seeds_of("wide", 1.0, data=SYNTHETIC_DATA),
    )
    assert "SYNTHETIC DATA" in "\n".join(config_comparison_lines(found))
    assert config_comparison_record(found)["data_source"] == "synthetic"


def test_they_are_compared_in_every_ranking_that_both_stand_in(tmp_path: Path) -> None:
    runs = [
        each
        for profile in ("day", "hour")
        for name in ("narrow", "wide")
        for each in seeds_of(name, 1.0, profile=profile, started=f"2026110{len(profile)}_120000")
    ]
    write_runs(tmp_path, *runs)
    found = compare_configs("narrow", "wide", runs_dir=tmp_path)
    assert {each.group.profile for each in found} == {"day", "hour"}


def test_validation_profits_that_cannot_be_read_leave_the_test_as_it_is(tmp_path: Path) -> None:
    runs = [*seeds_of("narrow", 1.0), *seeds_of("wide", 4.0)]
    write_runs(tmp_path, *runs)
    path = tmp_path / "SAC" / runs[0].name / "evaluation" / "profits.json"
    path.write_text(json.dumps({"test": json.loads(path.read_text())["test"]}))
    (found,) = compare_configs("narrow", "wide", runs_dir=tmp_path)
    assert found.test.relation == "better"
    assert "not stored" in (found.valid.reason or "")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("narrow", "wid"), "'wid': no such run or config; did you mean 'wide'?"),
        (
            ("narrow", "zzz"),
            "'zzz': no such run or config; expected one of: elsewhere, lonely, narrow",
        ),
        (("narrow", "narrow"), "given twice"),
        (("narrow", "quick"), "'narrow' in file-abababab-.*-day and 'quick' in .*-quick; expected"),
        (("narrow", "elsewhere"), "judged on the same data and segments under the same profile"),
        (("narrow", "lonely"), "'lonely': no run of this config is finished and evaluated"),
        (("narrow", "twin"), "2 settings .* expected one of: twin@......, twin@......$"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    tmp_path: Path, names: tuple[str, str], says: str
) -> None:
    write_runs(
        tmp_path,
        *seeds_of("narrow", 1.0),
        *seeds_of("wide", 4.0),
        *seeds_of("quick", 1.0, profile="quick"),
        *seeds_of("elsewhere", 1.0, data=SYNTHETIC_DATA),
        *seeds_of("lonely", 1.0, evaluated=False),
        *seeds_of("twin", 1.0, seeds=1),
        *seeds_of("twin", 1.0, seeds=1, values={"env.alpha": 0.3}, started="20261102_120000"),
    )
    with pytest.raises(UserError, match=says) as raised:
        compare_configs(*names, runs_dir=tmp_path)
    assert len(str(raised.value).splitlines()) == 1


def test_a_run_is_meant_by_its_directory_or_name_and_a_config_by_its_file(tmp_path: Path) -> None:
    (made,) = seeds_of("narrow", 1.0, seeds=1)
    write_runs(tmp_path, made)
    directory = tmp_path / "SAC" / made.name
    (directory / "config.yaml").write_text("env: {}\n")
    for given in (made.name, str(directory), str(directory / "model.zip")):
        found = run_or_config(given, runs_dir=tmp_path)
        assert isinstance(found, RunDirectory) and found.path == directory
    assert run_or_config("configs/narrow.yaml", runs_dir=tmp_path) == "narrow"
    assert run_or_config("narrow", runs_dir=tmp_path) == "narrow"


def test_the_script_takes_names_of_configs(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", *seeds_of("narrow", 1.0), *seeds_of("wide", 4.0))
    result = run(tmp_path, "scripts/compare_runs.py", "narrow", "wide", "--json")
    assert result.returncode == 0, result.stderr
    (found,) = json.loads(result.stdout)
    test = found["second_minus_first"]["test"]
    assert (test["second_is"], test["seeds"], test["per"]) == ("better", 3, "episode")
    assert not (tmp_path / "plots").exists()
