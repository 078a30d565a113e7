"""Only like is ranked with like, by validation, and what differs is said."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.made_up_runs import REAL_DATA, SYNTHETIC_DATA, MadeUpRun, made_up_split, write_runs

from makerlab.errors import UserError
from makerlab.report.ranking import (
    RankingGroup,
    check_column,
    default_column,
    estimate_columns,
    notes_of,
    ranking_groups,
)
from makerlab.report.records import read_runs

PROFIT = frozenset({"net_profit"})


def groups_of(
    runs_dir: Path, runs: Sequence[MadeUpRun], *, sort_by: str = "valid_net_profit"
) -> list[RankingGroup]:
    write_runs(runs_dir, *runs)
    return ranking_groups(read_runs(runs_dir, baseline_metrics=PROFIT), sort_by=sort_by)


def ranks(group: RankingGroup) -> list[tuple[int, int | None]]:
    return [(ranked.rank, ranked.record.seed) for ranked in group.ranked]


OTHERS: dict[str, dict[str, Any]] = {
    "synthetic": {"data": SYNTHETIC_DATA},
    "other file": {"data": REAL_DATA | {"sha256": "11" * 32}},
    "other segments": {"data": REAL_DATA | {"split": made_up_split("2026-09-30T00:00:00Z")}},
    "other profile": {"profile": "quick"},
    "other task": {"manifest": {"task": "directional"}},
    "same bytes called synthetic": {"data": REAL_DATA | {"kind": "synthetic"}},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_runs_on_other_data_segments_profiles_or_tasks_get_a_ranking_of_their_own(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    groups = groups_of(tmp_path, [MadeUpRun(seed=0), MadeUpRun(seed=1, **other)])
    assert sorted(ranks(group)[0] for group in groups) == [(1, 0), (1, 1)]


def test_the_same_file_under_another_path_is_the_same_data(tmp_path: Path) -> None:
    moved = REAL_DATA | {"path": "elsewhere/btcusdt_1m.csv"}
    groups = groups_of(tmp_path, [MadeUpRun(seed=0), MadeUpRun(seed=1, data=moved)])
    assert len(groups) == 1


def test_real_data_stand_before_synthetic_and_long_runs_before_quick_ones(tmp_path: Path) -> None:
    kinds = [(SYNTHETIC_DATA, "day"), (REAL_DATA, "quick"), (REAL_DATA, "day")]
    runs = [MadeUpRun(seed=n, data=d, profile=p) for n, (d, p) in enumerate(kinds)]
    groups = groups_of(tmp_path, runs)
    shown = [(group.synthetic, group.quick) for group in groups]
    assert shown == [(False, False), (False, True), (True, False)]


def test_the_ranking_is_by_validation_whatever_the_test_says(tmp_path: Path) -> None:
    runs = [
        MadeUpRun(seed=0, valid=(1.0, 0.0, 2.0), test=(99.0, 98.0, 100.0)),
        MadeUpRun(seed=1, valid=(5.0, 4.0, 6.0), test=(-9.0, -10.0, -8.0)),
    ]
    (group,) = groups_of(tmp_path, runs)
    assert ranks(group) == [(1, 1), (2, 0)]


def test_equal_values_share_a_rank(tmp_path: Path) -> None:
    values = [2.0, 3.0, 2.0, 1.0]
    (group,) = groups_of(
        tmp_path, [MadeUpRun(seed=n, valid=(x, x, x)) for n, x in enumerate(values)]
    )
    assert ranks(group) == [(1, 1), (2, 0), (2, 2), (4, 3)]


def test_drawdown_ranks_the_smallest_first(tmp_path: Path) -> None:
    (group,) = groups_of(
        tmp_path, [MadeUpRun(seed=n) for n in range(4)], sort_by="valid_max_drawdown"
    )
    values = [record.estimate("valid_max_drawdown").value or 0.0 for record in group.records]
    assert values == sorted(values)


def test_unfinished_and_undefined_runs_are_not_ranked_and_the_reason_is_kept(
    tmp_path: Path,
) -> None:
    runs = [
        MadeUpRun(seed=0),
        MadeUpRun(seed=1, evaluated=False),
        MadeUpRun(seed=2, valid=(None, None, None)),
        MadeUpRun(seed=3, state="failed", evaluated=False),
        MadeUpRun(seed=4, metrics={"cross_env": {"config_path": "configs/x.yaml"}}),
    ]
    (group,) = groups_of(tmp_path, runs)
    assert ranks(group) == [(1, 0)]
    reasons = {record.seed: reason for record, reason in group.unranked}
    assert reasons[1] == "not evaluated"
    assert reasons[2] == "valid_net_profit is not defined"
    assert reasons[3] == "failed"
    assert "cross_env" in reasons[4]


def test_other_fees_may_stand_in_one_ranking_but_are_named(tmp_path: Path) -> None:
    runs = [MadeUpRun(seed=n, values={"env.fee_rate": fee}) for n, fee in enumerate([0.0, 0.0002])]
    (group,) = groups_of(tmp_path, runs)
    assert any("env.fee_rate (0.0, 0.0002)" in note for note in notes_of(group))


def test_other_fill_rules_are_named(tmp_path: Path) -> None:
    rules = ["worse_side", "both"]
    runs = [MadeUpRun(seed=n, values={"env.fill.both_touched": r}) for n, r in enumerate(rules)]
    (group,) = groups_of(tmp_path, runs)
    assert any("env.fill.both_touched" in note for note in notes_of(group))


def test_episodes_of_other_lengths_are_named_since_profit_is_per_episode(tmp_path: Path) -> None:
    runs = [MadeUpRun(seed=n, values={"env.episode_length": 200 + 40 * n}) for n in range(2)]
    (group,) = groups_of(tmp_path, runs)
    assert any("env.episode_length (200, 240)" in note for note in notes_of(group))


def test_runs_of_other_code_are_named(tmp_path: Path) -> None:
    git = {"git": {"commit": "f" * 40, "dirty": True}}
    (group,) = groups_of(tmp_path, [MadeUpRun(seed=0), MadeUpRun(seed=1, manifest=git)])
    notes = " ".join(notes_of(group))
    assert "2 different commits" in notes
    assert "uncommitted changes" in notes


def test_runs_that_differ_in_nothing_but_the_seed_need_no_note(tmp_path: Path) -> None:
    (group,) = groups_of(tmp_path, [MadeUpRun(seed=0), MadeUpRun(seed=1)])
    assert notes_of(group) == []


def test_an_unknown_column_names_the_nearest(tmp_path: Path) -> None:
    write_runs(tmp_path, MadeUpRun())
    records = read_runs(tmp_path, baseline_metrics=PROFIT)
    with pytest.raises(UserError, match=r"--sort_by: found 'valid_sharp'.*'valid_sharpe'"):
        check_column("valid_sharp", records, flag="--sort_by")
    with pytest.raises(UserError, match=r"'(valid|test)_net_profit'"):
        check_column("net_profit", records, flag="--sort_by")
    assert "test_difference_net_profit" in estimate_columns(records)


def test_the_default_column_needs_no_evaluated_run(tmp_path: Path) -> None:
    write_runs(tmp_path, MadeUpRun(evaluated=False))
    records = read_runs(tmp_path, baseline_metrics=PROFIT)
    check_column(None, records, flag="--sort_by")
    assert default_column(records) == "valid_net_profit"
    with pytest.raises(UserError, match="no run is evaluated yet"):
        check_column("valid_sharpe", records, flag="--sort_by")
