"""How far to believe the tables, in a table and in plain sentences."""

import math
from collections.abc import Iterator, Sequence

from makerlab.report.by_config import ConfigSummary
from makerlab.report.evidence import Evidence, GroupEvidence
from makerlab.report.judgement import overfitting_sentence
from makerlab.report.words import NOTHING, counted, interval, number, p_value, signed, table


def evidence_lines(summaries: Sequence[ConfigSummary], *, top_k: int) -> Iterator[str]:
    """Yield what the profits per period of each config say, and what choosing leaves of it."""
    known = [each for each in summaries if each.evidence.period is not None]
    if not known:
        yield "Sharpe ratios per period: none, no profits per period are stored; evaluate again."
        return
    rows = []
    for summary in summaries[:top_k]:
        found = summary.evidence
        rows.append(
            [
                summary.label,
                f"{found.periods} {found.period}s" if found.period else NOTHING,
                number(found.sharpe),
                number(found.sharpe_annualised),
                number(found.psr),
                number(found.deflated_sharpe),
                number(found.trials),
                track_record(found),
            ]
        )
    yield (
        "Sharpe ratios on test of profits per period, mean over seeds; PSR: probability that the "
        "true one is above zero; deflated: above what the best of all trials shows by luck"
    )
    headers = ["config", "record", "sharpe\nper period", "sharpe\nannualised", "PSR"]
    headers += ["deflated\nsharpe", "trials\nbehind it", "record needed\nat 95 %"]
    yield from table(rows, headers)
    yield PSR_BESIDE_VERDICT
    yield from _choosing(summaries[0].group)


PSR_BESIDE_VERDICT = (
    "PSR and the record needed ask of the average of these seeds whether it earned more than "
    "nothing; the verdict asks whether the config earns more than the best baseline, and counts "
    "that other seeds may differ and how much was tried. A PSR near 1 beside a verdict that tells "
    "nothing apart is no contradiction."
)


def tuning_lines(summaries: Sequence[ConfigSummary], *, top_k: int) -> Iterator[str]:
    """Yield what tuning's best scores were and what the same parameters scored on fresh seeds."""
    tuned = [each for each in summaries[:top_k] if each.tuning_score is not None]
    if not tuned:
        return
    metric = tuned[0].runs[-1].parameters.get("tune.metric", "score")
    scores = [f"{each.label} {number(each.tuning_score)}, {_again(each)}" for each in tuned]
    yield (
        f"Tuning: the best trial's validation {metric} (the luckiest of many), then that of its "
        f"parameters trained again on fresh seeds: {'; '.join(scores)}."
    )


def _again(summary: ConfigSummary) -> str:
    found = summary.tuning_rescored
    if found.value is None:
        return "not scored again"
    known = found.low is not None and found.high is not None
    return f"then {interval(found) if known else number(found.value)}"


def track_record(found: Evidence) -> str:
    """Return how many periods would prove a Sharpe ratio above zero."""
    if found.track_record is None:
        return NOTHING
    if math.isinf(found.track_record):
        return "never"
    return f"{math.ceil(found.track_record):,} {found.period}s"


def _choosing(evidence: GroupEvidence) -> Iterator[str]:
    behind, found = evidence.behind, evidence.overfitting
    yield (
        f"Behind every row: {counted(behind.trials, 'tuning trial')} and "
        f"{counted(behind.runs, 'training run')} of {counted(behind.variants, 'variant')} ever "
        "started on these data, deleted and failed ones too."
    )
    if behind.damaged:
        lines = counted(behind.damaged, "line")
        yield f"{lines} of the registry can't be read and are not counted."
    yield overfitting_sentence(found)


def verdicts(summaries: Sequence[ConfigSummary], *, top_k: int) -> Iterator[str]:
    """Yield a plain sentence per config, and what the level of all of them is."""
    for summary in summaries[:top_k]:
        yield _sentence(summary)
    if len(summaries) > top_k:
        yield f"... and {len(summaries) - top_k} more configs, see runs_by_config.csv."
    verdict = summaries[0].verdict
    yield (
        f"Level of the verdicts: at most {verdict.level:.0%} for any wrong one among all of them, "
        f"Holm's correction for {verdict.questions} questions (better? worse? of each variant ever "
        "run on these data). Intervals are not corrected. Validation also chose parameters and "
        "checkpoints, so its numbers flatter: judge by test."
    )


_WORDS = {
    "better": "better than the best baseline on test",
    "not distinguishable": "not distinguishable from the best baseline on test",
    "worse": "worse than the best baseline on test",
    "unknown": "no telling whether it beats the best baseline on test",
}


def _sentence(summary: ConfigSummary) -> str:
    verdict = summary.verdict
    baseline = f" ({summary.best_baseline})" if summary.best_baseline else ""
    sentence = f"{summary.label}: {_WORDS[verdict.outcome]}{baseline}"
    if verdict.reason:
        sentence += f", {verdict.reason}"
    if verdict.difference.value is not None:
        sentence += f": {summary.headline} {signed(verdict.difference)} per episode"
        if verdict.p_adjusted is not None:
            over = "folds" if verdict.folds else "seeds and days together"
            sentence += f", over {over}; p {p_value(verdict.p_adjusted)} corrected"
    if verdict.folds:
        sentence += f"; {verdict.folds} of {summary.folds_planned} folds"
    sentence += f"; {counted(verdict.seeds, 'seed')}{' each' if verdict.folds else ''}"
    sentence += f", {counted(summary.trials, 'trial')} of its own."
    if summary.lacks_folds:
        sentence += " Folds are missing: this is not the walk-forward that was planned."
    if verdict.earned_more:
        sentence += f" On test these earned more: {', '.join(verdict.earned_more)}."
    if summary.left_out:
        repeated = counted(summary.left_out, "older run")
        sentence += f" {repeated} with the same settings and seed left out."
    return sentence
