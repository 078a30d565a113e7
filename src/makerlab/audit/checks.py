"""All checks of a run, in the order in which they are told."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from makerlab.audit import (
    accounting,
    completeness,
    configuration,
    look_ahead,
    models,
    reevaluation,
    same_bar,
    segments,
    stored_fills,
    summary_rows,
    synthetic_flag,
)
from makerlab.audit.findings import FAILED, SKIPPED, Evidence, Finding, Skip
from makerlab.audit.subject import AuditedRun
from makerlab.errors import UserError
from makerlab.runs.directory import RunDirectory, find_runs, run_of

Check = Callable[[AuditedRun], Evidence]

CHECKS: Mapping[str, Check] = {
    "look-ahead: features": look_ahead.features_see_no_future,
    "look-ahead: episodes": look_ahead.episodes_see_no_future,
    "look-ahead: same bar": same_bar.quotes_live_in_a_later_bar,
    "accounts: rows": accounting.accounts_balance,
    "accounts: metrics": accounting.rows_add_up_to_metrics,
    "accounts: fills": stored_fills.fills_belong_to_their_bar,
    "config: manifest": configuration.config_is_what_the_manifest_says,
    "config: flags": configuration.flags_are_in_the_config,
    "config: tuned parameters": configuration.tuned_parameters_are_trained,
    "model: config": models.models_are_of_the_config,
    "model: choice": models.models_score_as_recorded,
    "metrics: evaluated again": reevaluation.metrics_come_out_again,
    "metrics: summary": summary_rows.summary_repeats_metrics,
    "segments: ranges": segments.segments_are_apart,
    "segments: data": segments.all_stages_had_the_same_data,
    "synthetic data": synthetic_flag.synthetic_data_say_so,
    "reported: baselines, intervals": completeness.baselines_and_intervals_are_there,
    "reported: assumptions, trials": completeness.assumptions_and_trials_are_there,
}


def audit_runs(paths: Sequence[Path], *, runs_dir: Path) -> dict[str, list[Finding]]:
    """Audit the runs named, or all of a directory; returns the findings by run.

    Raises UserError for a path that is no run, and when there is no run at all.
    """
    if paths:
        directories = [run_of(path) for path in paths]
    elif runs_dir.is_dir():
        directories = list(find_runs(runs_dir))
    else:
        raise UserError(f"{runs_dir}: no such directory of runs")
    if not directories:
        raise UserError(f"{runs_dir}: holds no runs yet, train one with train_mm_sac.py")
    return {str(directory.path): audit_run(directory) for directory in directories}


def audit_run(directory: RunDirectory) -> list[Finding]:
    """Make every check on a run; what is damaged in it is a finding, not an error."""
    run = AuditedRun(directory)
    return [_made(name, check, run) for name, check in CHECKS.items()]


def _made(name: str, check: Check, run: AuditedRun) -> Finding:
    try:
        return check(run).finding(name)
    except Skip as reason:
        return Finding(name, SKIPPED, (str(reason),))
    except UserError as error:
        return Finding(name, FAILED, (str(error),))
