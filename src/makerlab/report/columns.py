"""What every column of the summary means, in a sentence with its unit."""

from collections.abc import Callable, Iterable, Mapping

from makerlab.report.records import DIFFERENCE, SEGMENTS
from makerlab.report.stored import HEADLINES

Describe = Callable[[str], str]

MEANINGS: Mapping[str, str] = {
    "run": "Name of the run directory.",
    "task": "What was learned.",
    "algo": "The learning algorithm.",
    "config_name": "Name of the config file, without its ending.",
    "config_variant": "Hash of the settings: equal for all seeds and folds of one config.",
    "fold": "Fold of a walk-forward, from 0; empty without one.",
    "seed": "Seed of the training.",
    "profile": "Profile the settings came from; quick results are not to be believed.",
    "notes": "Free text given with the run.",
    "state": "complete, running, failed, interrupted or unknown.",
    "evaluated": "Whether the run has been evaluated.",
    "cross_env": "Whether it was judged in another environment than its own; never ranked.",
    "ranking_group": "Runs with the same group were judged on the same data and segments.",
    "rank": "Place within ranking group and fold, by validation unless asked otherwise.",
    "headline": "The metric by which policies are ranked and judged: net profit on candles, the "
    "objective of its theory on a simulated market.",
    "inference_period": "What one period is below: a UTC day, or an episode where those make none.",
    "test_periods": "Number of those periods on the test segment.",
    "test_sharpe_per_period": "Sharpe ratio of profits per period on test, not annualised.",
    "test_sharpe_per_period_annualised": "The same times the root of periods per year.",
    "test_psr": "Probability that the true Sharpe ratio is above zero, by this record alone.",
    "test_deflated_sharpe": "Probability that it is above what luck among all trials would show.",
    "deflated_sharpe_hurdle": "Sharpe ratio per period that the best of so many worthless trials "
    "shows.",
    "trials_behind": "Tuning trials and training runs ever started on these data, deleted ones "
    "too.",
    "test_min_track_record": "Periods until that Sharpe ratio is above zero with 95 % confidence; "
    "inf when it is not above zero.",
    "pbo": "Probability of backtest overfitting over all runs of the ranking group.",
    "pbo_note": "What that probability is made of, or why there is none.",
    "verdict_on_test": "better, worse or not distinguishable from the baselines, all seeds of the "
    "config together; unknown when it can't be told.",
    "verdict_difference": "The headline metric minus the best baseline's per test episode, as the "
    "verdict takes it: its interval is over seeds and days together, of a walk-forward over folds, "
    "not corrected for other configs.",
    "test_difference_over_episodes": "The same difference with the bootstrap interval over "
    "episodes alone, as if other seeds would earn alike; no verdict uses it.",
    "verdict_p": "p-value of the verdict, corrected for everything that was compared.",
    "seeds": "Number of seeds, each counted once.",
    "seed_list": "Those seeds.",
    "runs_left_out": "Older runs of the same settings and seed, which do not count.",
    "verdict_level": "Level the verdict is held at, over all configs together.",
    "verdict_note": "Why there is no verdict.",
    "best_baseline": "The baseline to beat, chosen on the validation segment.",
    "trials": "Tuning trials behind the choice of the parameters; 1 when nothing was tuned.",
    "tuning_score": "The chosen trial's score in its study: the best of many, so it flatters.",
    "tuning_rescored": "The chosen parameters' score when trained again with fresh seeds.",
    "data_source": "synthetic (a made-up market) or file.",
    "data_sha256": "Hash of the data.",
    "data_path": "Where the data lay.",
    "environment_key": "Hash of all that decides what an agent sees and earns.",
    "evaluated_environment_key": "The same, of the environment the run was judged in.",
    "config_hash": "Hash of the effective config.",
    "train_key": "Hash of all inputs of the training, code included.",
    "fill_model": "Assumptions under which quotes were filled.",
    "git_commit": "Commit of the code.",
    "git_dirty": "Whether the code had changes that were not committed.",
    "problem": "What is wrong with the run, if anything.",
    "path": "Run directory, relative to the directory of runs.",
}

_BOUNDS = {"_low": "Lower end of the interval: ", "_high": "Upper end of the interval: "}
_SEGMENT_WORDS = {"valid": "validation segment", "test": "test segment"}


def explain(column: str, describe: Describe) -> str:
    """Return what a column of runs_summary.csv holds; empty when nothing is known of it.

    `describe` knows settings and metrics by name. Every column is a name of `MEANINGS`, a setting
    with dots, or segment, metric and possibly `_low` or `_high`.
    """
    if column in MEANINGS:
        return MEANINGS[column]
    if "." in column:
        return describe(column)
    for ending, words in _BOUNDS.items():
        if column.endswith(ending):
            inner = explain(column.removesuffix(ending), describe)
            return words + inner[0].lower() + inner[1:] if inner else ""
    segment, _, name = column.partition("_")
    if segment not in SEGMENTS:
        return ""
    sentence = _of_segment(name, describe)
    return f"{sentence.removesuffix('.')}, on the {_SEGMENT_WORDS[segment]}." if sentence else ""


def explanations(columns: Iterable[str], describe: Describe) -> list[tuple[str, str]]:
    """Return (column, meaning) of each column."""
    return [(column, explain(column, describe)) for column in columns]


def _of_segment(name: str, describe: Describe) -> str:
    known = describe(name)
    if known:
        return known
    for headline in HEADLINES:
        if name == DIFFERENCE + headline:
            return f"{headline} minus that of the best baseline on the same episodes, currency"
        baseline = name.removesuffix(f"_{headline}")
        if baseline == "best_baseline":
            return f"{headline} of the best baseline, currency"
        if baseline != name:
            return f"{headline} of the baseline {baseline}, currency"
    return ""
