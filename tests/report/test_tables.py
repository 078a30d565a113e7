"""What a sceptical reader is told: every number with its interval, every doubt in words."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.made_up_runs import BASELINE_NAMES, SYNTHETIC_DATA, MadeUpRun, Triple, write_runs

from makerlab.report.behind import behind_all
from makerlab.report.by_config import standings_of
from makerlab.report.ranking import ranking_groups
from makerlab.report.records import read_runs
from makerlab.report.tables import group_lines
from makerlab.report.words import interval, number
from makerlab.statistics.bootstrap import Estimate


def shown(
    runs_dir: Path,
    runs: Sequence[MadeUpRun],
    *,
    sort_by: str = "valid_net_profit",
    top_k: int = 10,
) -> str:
    write_runs(runs_dir, *runs)
    kept = frozenset({"net_profit", sort_by.partition("_")[2]})
    records = read_runs(runs_dir, baseline_metrics=kept)
    groups = ranking_groups(records, sort_by=sort_by)
    standings = standings_of(groups, behind_all(runs_dir, records))
    lines = [
        line for group, configs in standings for line in group_lines(group, configs, top_k=top_k)
    ]
    return "\n".join(lines)


def sentence(text: str, config: str) -> str:
    (found,) = (line for line in text.splitlines() if line.startswith(f"{config}: "))
    return found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (-0.0, "0"),
        (1.23456, "1.235"),
        (12345.6, "12,346"),
        (-1234567.0, "-1,234,567"),
        (1.5e-7, "1.5e-07"),
    ],
)
def test_numbers_have_four_digits_and_nothing_is_a_dash(value: float | None, text: str) -> None:
    assert number(value) == text


def test_a_number_without_interval_says_so() -> None:
    assert interval(Estimate(1.0, 0.5, 1.5)) == "1 [0.5, 1.5]"
    assert interval(Estimate(1.0, None, None)) == "1 [-, -]"
    assert interval(Estimate(None, None, None)) == "-"


def test_synthetic_data_are_named_in_capitals_and_real_ones_are_not(tmp_path: Path) -> None:
    assert "SYNTHETIC DATA" in shown(tmp_path / "a", [MadeUpRun(data=SYNTHETIC_DATA)])
    assert "SYNTHETIC" not in shown(tmp_path / "b", [MadeUpRun()])


def fill_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("Fill model")]


def test_each_group_has_the_card_under_which_its_runs_were_filled(tmp_path: Path) -> None:
    own = {"model": "touch, own price", "optimistic": "rule touch", "fee_rate": 0.0002}
    runs = [
        MadeUpRun(seed=0),
        MadeUpRun(seed=1),
        MadeUpRun(seed=2, data=SYNTHETIC_DATA, manifest={"fill_model": own}),
    ]
    assert fill_lines(shown(tmp_path, runs)) == [
        "Fill model: next bar, strict trade-through; maker fee 0 bp, half-spread 1 bp.",
        "Fill model: touch, own price; maker fee 2 bp; optimistic: rule touch.",
    ]


def test_fill_models_that_differ_within_a_group_are_all_in_its_line(tmp_path: Path) -> None:
    models = ["touch", "trade-through", "by chance", "by volume", None]
    runs = [
        MadeUpRun(seed=seed, manifest={"fill_model": model and {"model": model}})
        for seed, model in enumerate(models)
    ]
    assert fill_lines(shown(tmp_path / "two", runs[:2])) == [
        "Fill models, 2 in this group: touch | trade-through."
    ]
    (line,) = fill_lines(shown(tmp_path / "all", runs))
    assert line.startswith("Fill models, 5 in this group: ") and line.endswith(" | and 2 more.")
    assert fill_lines(shown(tmp_path / "none", runs[-1:])) == ["Fill model: not recorded."]


def test_simulated_markets_that_fill_by_other_rules_are_told_apart(tmp_path: Path) -> None:
    cards = [{"model": "simulated", "fill_rule": rule} for rule in ("literal", "exact")]
    runs = [MadeUpRun(seed=n, manifest={"fill_model": card}) for n, card in enumerate(cards)]
    (line,) = fill_lines(shown(tmp_path, runs))
    assert "simulated; fill rule literal" in line and "simulated; fill rule exact" in line


def test_runs_that_are_not_evaluated_yet_have_a_card_too(tmp_path: Path) -> None:
    text = shown(tmp_path, [MadeUpRun(evaluated=False)])
    assert fill_lines(text)[0].startswith("Fill model: next bar, strict trade-through")


def test_the_quick_profile_is_not_to_be_believed(tmp_path: Path) -> None:
    assert "quick profile: too few steps to believe" in shown(
        tmp_path / "a", [MadeUpRun(profile="quick")]
    )
    assert "too few steps" not in shown(tmp_path / "b", [MadeUpRun(profile="day")])


def test_sorting_by_a_test_metric_is_called_choosing_on_the_test_segment(tmp_path: Path) -> None:
    said = "choosing by this table is choosing on the test segment"
    assert said in shown(tmp_path / "a", [MadeUpRun()], sort_by="test_sharpe")
    assert said not in shown(tmp_path / "b", [MadeUpRun()], sort_by="valid_sharpe")


def test_the_ranking_shows_valid_test_and_difference_with_intervals_and_trials(
    tmp_path: Path,
) -> None:
    run = MadeUpRun(
        seed=4, valid=(5.0, 2.0, 8.0), test=(4.0, 1.0, 7.0), difference=(2.5, 0.5, 3.5), n_trials=33
    )
    (row,) = (line for line in shown(tmp_path, [run]).splitlines() if run.name in line)
    cells = row.split("  ")
    texts = [cell.strip() for cell in cells if cell.strip()]
    assert texts == [
        "1",
        "env_baseline",
        "4",
        "5 [2, 8]",
        "4 [1, 7]",
        "2.5 [0.5, 3.5]",
        "33",
        run.name,
    ]


def test_no_more_rows_than_asked_for_and_the_rest_is_counted(tmp_path: Path) -> None:
    runs = [MadeUpRun(config_name=f"config_{n}", seed=0) for n in range(5)]
    text = shown(tmp_path, runs, top_k=2)
    assert "2 of 5 runs (all: scripts/analyze_experiments.py --top_k 0)" in text
    assert "3 more configs" in text
    assert "config_4" not in text


def test_every_baseline_stands_beside_every_config(tmp_path: Path) -> None:
    text = shown(tmp_path, [MadeUpRun(config_name=name) for name in ("narrow", "wide")])
    for name in BASELINE_NAMES:
        rows = [line.split() for line in text.splitlines() if line.strip().startswith(name)]
        assert len(rows) == 2, name
    assert text.count("fixed_symmetric *") == 2


def test_baselines_show_the_metric_the_runs_are_sorted_by(tmp_path: Path) -> None:
    text = shown(tmp_path, [MadeUpRun()], sort_by="valid_sharpe")
    (row,) = (line for line in text.splitlines() if line.strip().startswith("random"))
    assert "-9 [-12, -6]" not in row
    assert "[" in row


def three_seeds(difference: Triple, test: Triple = (4.0, 1.0, 7.0)) -> list[MadeUpRun]:
    return [MadeUpRun(seed=n, difference=difference, test=test) for n in range(3)]


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        ((2.0, 1.0, 3.0), "better than the best baseline on test (fixed_symmetric)"),
        ((0.5, -1.0, 2.0), "not distinguishable from the best baseline on test (fixed_symmetric)"),
        ((-2.0, -3.0, -1.0), "worse than the best baseline on test (fixed_symmetric)"),
    ],
)
def test_the_verdict_is_plain_words_with_seeds_and_trials(
    tmp_path: Path, difference: Triple, words: str
) -> None:
    said = sentence(shown(tmp_path, three_seeds(difference)), "env_baseline")
    assert words in said
    assert "3 seeds, 25 trials of its own" in said
    assert "over seeds and days together; p " in said


def test_of_one_seed_no_verdict_is_given(tmp_path: Path) -> None:
    said = sentence(shown(tmp_path, [MadeUpRun(n_trials=None)]), "env_baseline")
    assert "no telling whether it beats the best baseline on test" in said
    assert "a single seed, another may differ" in said
    assert "1 seed, 1 trial of its own." in said


def test_a_policy_that_earns_less_than_no_quote_is_told_so(tmp_path: Path) -> None:
    text = shown(tmp_path, three_seeds((2.0, 1.0, 3.0), test=(-4.0, -5.0, -3.0)))
    assert "no_quote" in sentence(text, "env_baseline").partition("earned more:")[2]


def test_how_much_was_chosen_from_is_said(tmp_path: Path) -> None:
    runs = [MadeUpRun(config_name=f"c{n}", seed=seed) for n in range(4) for seed in range(3)]
    text = shown(tmp_path, runs)
    # One study of 25 trials, which all of them name.
    assert "Behind every row: 25 tuning trials and 12 training runs of 1 variant ever" in text
    assert "for any wrong one among all of them, Holm's correction for 8 questions" in text


def evidence_row(text: str) -> str:
    """Return the line of the table of Sharpe ratios."""
    (row,) = (line for line in text.splitlines() if line.startswith("env_baseline  20 episodes"))
    return row


def test_sharpe_ratios_are_shown_with_what_choosing_leaves_of_them(tmp_path: Path) -> None:
    text = shown(tmp_path, three_seeds((2.0, 1.0, 3.0)))
    assert "PSR: probability that the true one is above zero" in text
    row = evidence_row(text)
    assert row.split()[-3:] == ["28", "3", "episodes"]
    assert "Probability of backtest overfitting: not known (all runs earned the same" in text


def test_why_a_high_psr_may_stand_beside_a_verdict_that_tells_nothing_is_said(
    tmp_path: Path,
) -> None:
    text = shown(tmp_path, three_seeds((2.0, -1.0, 5.0)))
    (line,) = (line for line in text.splitlines() if line.startswith("PSR and the record needed"))
    assert "other seeds may differ" in line and "no contradiction" in line


def test_what_fresh_seeds_leave_of_the_best_score_is_one_line(tmp_path: Path) -> None:
    runs = [MadeUpRun(seed=0), MadeUpRun(config_name="untuned", n_trials=None)]
    (line,) = (
        line for line in shown(tmp_path / "a", runs).splitlines() if line.startswith("Tuning: ")
    )
    assert "env_baseline 6.5, then 4.5 [1.5, 7.5]." in line and "untuned" not in line
    assert "Tuning: " not in shown(tmp_path / "b", [MadeUpRun(n_trials=None)])


def test_a_losing_policy_would_never_prove_itself(tmp_path: Path) -> None:
    text = shown(tmp_path, three_seeds((-5.0, -6.0, -4.0)))
    assert evidence_row(text).split()[-1] == "never"


def test_where_profits_are_not_stored_it_is_said(tmp_path: Path) -> None:
    text = shown(tmp_path, [MadeUpRun(seed=n, difference=(None, None, None)) for n in range(2)])
    assert "none, no profits per period are stored; evaluate again" in text
    assert "profits per period are not stored, evaluate again" in sentence(text, "env_baseline")


def test_runs_that_are_not_ranked_are_counted_by_reason(tmp_path: Path) -> None:
    runs = [
        MadeUpRun(seed=0),
        MadeUpRun(seed=1, evaluated=False),
        MadeUpRun(seed=2, evaluated=False),
        MadeUpRun(seed=3, state="failed", evaluated=False),
    ]
    assert "Not ranked: 1 failed, 2 not evaluated." in shown(tmp_path, runs)


def test_a_group_without_evaluated_runs_has_no_table(tmp_path: Path) -> None:
    text = shown(tmp_path, [MadeUpRun(evaluated=False)])
    assert "Nothing to rank here." in text
    assert "Behind every row" not in text
