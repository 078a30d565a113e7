"""Faults found in earlier systems of this kind, and the tests that keep each of them out.

A table to read: every line names a fault, below it the tests that fail when it comes back.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

TRAPS: dict[str, tuple[str, ...]] = {
    # Data and split
    "training or tuning sees the test segment because the date range reaches only the evaluator": (
        "tasks/test_market_making_task.py::"
        "test_training_judging_and_baselines_know_nothing_of_the_test_segment",
        "stages/test_tune.py::test_changed_test_segment_changes_nothing_in_tuning_and_training",
        "stages/test_fold_fits.py::"
        "test_changed_bars_from_the_test_on_change_nothing_in_a_folds_fit",
        "data/test_walk_forward.py::test_bars_after_a_segment_change_nothing_in_it",
    ),
    "segments lose their last day (end date read as midnight), local time mixed with UTC": (
        "data/test_split.py::test_each_segment_keeps_its_last_day_to_the_last_minute",
        "data/test_split.py::test_dates_are_utc_whatever_the_local_time_zone",
        "tasks/test_market_making_task.py::test_rows_carry_utc_times_of_the_bars_they_happened_in",
    ),
    "synthetic candles written where real ones live, so that the next run calls them real; a "
    "manifest that names a market and dates the data does not have": (
        "data/test_candles.py::test_synthetic_candles_written_where_real_ones_live_stay_synthetic",
        "data/test_synthetic.py::"
        "test_candles_lie_in_a_year_before_any_market_they_could_be_mistaken_for",
        "data/test_split.py::test_the_manifest_record_gives_half_open_utc_ranges_and_counts",
        "audit/test_planted_code.py::test_new_dates_do_not_hide_synthetic_candles",
    ),
    "normalisation fitted on the test span; a feature relative to the first bar of the whole "
    "file": (
        "market/test_features.py::test_a_row_depends_on_its_bar_and_the_sixty_before_it_alone",
        "market/test_features.py::test_rows_are_the_same_wherever_the_file_begins",
        "market/test_features.py::test_no_feature_drifts_with_the_price",
        "market/test_episodes.py::test_bars_of_other_segments_are_out_of_reach",
        "policies/test_baselines.py::test_scales_come_from_the_training_segment_alone",
    ),
    # Fills and money
    "quotes around the close of a bar that are filled by the same bar's high and low": (
        "market/test_kernel.py::test_on_a_null_walk_every_honest_fill_loses_the_overshoot",
        "market/test_kernel.py::test_quotes_stand_around_the_close_before_the_bar_that_fills_them",
        "market/test_kernel.py::test_a_static_quoter_loses_the_published_amount_on_real_candles",
        "market/test_episodes.py::test_what_comes_later_changes_nothing_before_it",
        "market/test_episodes.py::test_quotes_are_set_before_the_bar_they_live_in_is_known",
        "market/test_fill_models.py::"
        "test_the_bar_that_was_seen_never_fills_the_quotes_decided_at_its_close",
    ),
    "a quote outside the traded range that fills anyway, at its own better price: wider spreads "
    'then "earn" more': (
        "market/test_kernel.py::"
        "test_a_quote_fills_only_when_the_next_bar_trades_strictly_through_it",
        "market/test_kernel.py::test_no_fill_is_better_than_its_bar_allows",
    ),
    "fill probability scaled by the config's own spread, so that widening costs nothing": (
        "market/test_kernel.py::test_wider_quotes_never_fill_where_narrower_ones_did_not",
        "market/test_fill_models.py::"
        "test_an_intensity_is_measured_in_distance_and_not_in_base_spreads",
    ),
    "both sides filled in one bar as if the path were known; the whole order filled whatever the "
    "volume": (
        "market/test_kernel.py::test_no_fill_is_better_than_its_bar_allows",
        "market/test_kernel.py::test_keeping_the_worse_side_never_helps",
        "market/test_kernel.py::test_a_fill_takes_no_more_than_its_share_of_the_bars_volume",
        "market/test_kernel.py::test_two_fills_of_one_bar_share_its_volume",
    ),
    "a wrong sign: positive skew that makes a long inventory buy more; a higher fee that makes the "
    "agent richer": (
        "market/test_kernel.py::test_skew_moves_both_quotes_the_same_way_and_sells_what_is_held",
        "policies/test_baselines.py::"
        "test_a_long_maker_quotes_lower_on_both_sides_and_a_short_one_higher",
        "policies/test_baselines.py::test_leaning_makers_hold_less_than_one_that_does_not_lean",
        "market/test_kernel.py::test_profit_falls_as_the_fee_rises",
    ),
    "equity that starts at zero: drawdown in percent of nothing, returns undefined; per-step "
    "Sharpe never annualised, or by the wrong factor; Sharpe of the cumulated level instead of its "
    "increments": (
        "evaluation/test_metrics.py::test_each_metric_is_the_one_worked_out_by_hand",
        "evaluation/test_metrics.py::test_sharpe_and_sortino_are_annualised_by_the_bar_length",
        "evaluation/test_metrics.py::test_sharpe_of_many_bars_is_that_of_their_increments",
        "tasks/test_market_making_task.py::test_the_equity_curve_adds_up_the_episodes",
    ),
    "penalties counted as money in net profit": (
        "market/test_kernel.py::test_penalties_change_the_reward_and_never_the_money",
        "evaluation/test_metrics.py::test_penalties_are_not_money",
        "tasks/test_market_making_task.py::test_penalties_never_reach_the_profit_of_a_result",
    ),
    "reward that misses part of the bar's move, so that doing nothing wins; time limit treated as "
    "termination": (
        "market/test_kernel.py::"
        "test_the_reward_covers_the_whole_move_of_the_bar_the_opening_gap_included",
        "market/test_kernel.py::test_rewards_add_up_to_the_profit_when_nothing_is_penalised",
        "market/test_kernel.py::test_a_time_limit_truncates_and_does_not_terminate",
        "envs/test_market_making.py::test_the_time_limit_truncates_and_ruin_terminates",
        "learning/test_training.py::test_a_time_limit_is_bootstrapped_through",
    ),
    # Tuning and choice
    "one study name for all configs, so that a shared storage merges different environments; one "
    "best-params file that all overwrite": (
        "stages/test_tune.py::test_configs_have_studies_and_parameters_of_their_own",
        "stages/test_tune.py::test_a_study_of_other_inputs_is_refused",
    ),
    "trials compared on different seeds and windows; pruning whose first check comes after the "
    "last step": (
        "tasks/test_market_making_task.py::test_a_policy_is_always_scored_on_the_same_episodes",
        "stages/test_tune.py::test_trials_with_the_same_parameters_have_the_same_score",
        "stages/test_tune.py::test_pruning_stops_bad_trials_before_their_last_step",
    ),
    "asking for n trials again adds n more; killed trials stay RUNNING and eat the budget; the "
    "first tuned parameter silently dropped": (
        "stages/test_tune.py::test_n_trials_is_a_total",
        "stages/test_tune.py::test_trials_stay_counted_when_their_study_is_deleted",
        "stages/test_tune.py::test_trials_of_dead_processes_are_taken_again",
        "stages/test_tune.py::test_tuned_parameters_reach_training_none_dropped",
    ),
    "tuned parameters never passed to training; a stored config that lacks them": (
        "stages/test_tune.py::test_tuned_parameters_reach_training_none_dropped",
        "stages/test_train.py::test_stored_config_is_the_effective_one",
    ),
    "a command-line flag that silently loses to the YAML": (
        "config/test_load.py::test_the_stronger_source_wins",
        "config/test_load.py::test_null_is_a_value_like_any_other",
    ),
    "models chosen on test metrics; best checkpoint saved but the last one evaluated; models "
    "judged in another config's environment": (
        "tasks/test_market_making_task.py::test_scores_come_from_the_validation_segment",
        "report/test_ranking.py::test_the_ranking_is_by_validation_whatever_the_test_says",
        "stages/test_train.py::test_the_best_checkpoint_is_the_one_of_the_best_score",
        "stages/test_evaluate.py::test_the_best_checkpoint_is_judged_and_not_the_last_one",
        "stages/test_evaluate.py::test_a_run_is_judged_in_its_own_environment_unless_it_is_marked",
        "report/test_records.py::test_a_run_judged_in_another_environment_is_not_ranked",
    ),
    "one seed per config; a few windows out of a hundred thousand minutes; no interval; nothing "
    "says how many were tried": (
        "evaluation/test_metrics.py::test_every_metric_has_an_interval_around_it",
        "evaluation/test_metrics.py::"
        "test_the_interval_of_a_mean_holds_the_truth_about_as_often_as_it_says",
        "tasks/test_market_making_task.py::"
        "test_every_metric_of_every_policy_has_its_interval_and_difference",
        "evaluation/test_rollout.py::test_judged_episodes_spread_over_the_whole_segment",
        "report/test_by_config.py::test_seeds_are_averaged_with_a_t_interval",
        "report/test_tables.py::"
        "test_the_ranking_shows_valid_test_and_difference_with_intervals_and_trials",
    ),
    # Runs
    "a seed in the YAML that does not seed the learner or the environment": (
        "learning/test_training.py::test_the_seed_decides_weights_starts_and_actions",
        "envs/test_market_making.py::test_a_seed_fixes_this_start_and_all_later_ones",
        "stages/test_train.py::test_same_seed_same_bytes_other_seed_other_bytes",
    ),
    "two runs started in the same second share a directory; a failing worker whose error nobody "
    "reads, and exit code 0": (
        "stages/test_train.py::test_two_runs_of_one_second_have_two_directories",
        "stages/test_train.py::test_a_diverging_run_fails_and_says_so",
        "matrix/test_drive.py::test_one_failing_config_is_reported_and_the_rest_finishes",
    ),
    "resume that loads weights only: random state, replay buffer and step count start over": (
        "learning/test_training.py::test_a_snapshot_at_any_step_continues_to_the_same_bytes",
        "stages/test_kill.py::test_killed_matrix_equals_an_undisturbed_one",
    ),
    "zeros written where nothing was measured (write null), a blank image where a plot failed, "
    "numbers in a document that no run produced": (
        "evaluation/test_metrics.py::test_what_was_not_measured_is_null_and_not_zero",
        "tasks/test_market_making_task.py::test_a_score_that_is_not_defined_is_none",
        "test_files.py::test_json_has_no_word_for_what_is_no_number",
        "report/test_summary.py::test_what_was_not_measured_is_an_empty_cell_and_never_zero",
        "report/test_plots.py::test_no_kind_of_setting_gives_a_blank_picture",
    ),
    "two processes with all threads each": (
        "learning/test_training.py::test_a_process_takes_one_thread_unless_told_otherwise",
        "launchers/test_contract.py::test_a_job_has_one_thread_and_knows_its_parent",
    ),
}


@cache
def functions_of(path: Path) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def checks_something(function: ast.FunctionDef) -> bool:
    """Return whether a test states anything: an assert, an expected error, a helper's check."""
    stated = (ast.Assert, ast.With)
    return any(
        isinstance(node, stated)
        or (isinstance(node, ast.Attribute) and node.attr.startswith("assert_"))
        for node in ast.walk(function)
    )


@pytest.mark.parametrize("fault", TRAPS)
def test_every_fault_is_guarded_by_tests_that_are_there(fault: str) -> None:
    for test in TRAPS[fault]:
        file, _, name = test.partition("::")
        function = functions_of(TESTS / file).get(name)
        assert function is not None, f"{test} is gone"
        assert checks_something(function), f"{test} states nothing"


def test_quoted_faults_are_those_of_the_table() -> None:
    """A test that quotes one of these faults in full is in its line of the table."""
    known = {fault: {test.rpartition("::")[2] for test in tests} for fault, tests in TRAPS.items()}
    for path in sorted(TESTS.rglob("test_*.py")):
        for name, function in functions_of(path).items():
            quoted = " ".join((ast.get_docstring(function) or "").split())
            for fault, tests in known.items():
                if f"Trap: {fault}." in quoted or f"Trap: {fault}" == quoted:
                    assert name in tests, f"{path.name}::{name} is missing in the line '{fault}'"
