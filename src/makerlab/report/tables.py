"""The tables that people read: a ranking, configs beside their baselines, plain sentences."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tabulate import tabulate

from makerlab.report.by_config import ConfigSummary
from makerlab.report.ranking import (
    RankingGroup,
    chosen_on_test,
    metric_of,
    notes_of,
    smaller_is_better,
)
from makerlab.report.stored import HEADLINE
from makerlab.report.verdict import ENOUGH_SEEDS, Verdict
from makerlab.statistics.bootstrap import Estimate

NOTHING = "-"


def number(value: float | None) -> str:
    """Return a number with four significant digits; a dash for nothing."""
    if value is None:
        return NOTHING
    if abs(value) >= 1e4:
        return f"{value:,.0f}"
    return f"{value + 0.0:.4g}"


def interval(estimate: Estimate) -> str:
    """Return `value [low, high]`, with dashes where there is no interval, one where no value."""
    if estimate.value is None:
        return NOTHING
    return f"{number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"


def group_lines(
    group: RankingGroup, summaries: Sequence[ConfigSummary], *, top_k: int
) -> Iterator[str]:
    """Yield everything there is to say about one ranking group."""
    yield from heading(group)
    if not group.ranked:
        yield "Nothing to rank here."
        yield from _unranked(group)
        return
    yield ""
    yield from _ranking(group, summaries, top_k)
    yield from _unranked(group)
    yield ""
    yield from _configs(group, summaries, top_k)
    yield ""
    yield from verdicts(summaries, top_k=top_k)


def heading(group: RankingGroup) -> Iterator[str]:
    """Yield what the group is and what speaks against believing it."""
    title = (
        f"{group.task} on {group.data_path} ({group.data_source}, sha256 {group.data_sha256[:8]})"
    )
    yield f"=== {title}, profile {group.profile or 'none'}: ranking group {group.id} ==="
    if group.synthetic:
        yield "SYNTHETIC DATA: a made-up market; these numbers say nothing about a real one."
    if group.quick:
        yield "quick profile: too few steps to believe."
    yield f"Segments: {_segments(group)}."
    if group.ranked and chosen_on_test(group.sort_by):
        yield (
            f"SORTED BY A TEST METRIC ({group.sort_by}): choosing by this table is choosing on the "
            "test segment, whose numbers are then no longer out of sample."
        )
    for note in notes_of(group):
        yield f"Note: {note}."


def _segments(group: RankingGroup) -> str:
    parts = []
    for name, segment in group.split.items():
        if isinstance(segment, dict):
            parts.append(f"{name} {_day(segment.get('start'))} to {_day(segment.get('end'))}")
    return ", ".join(parts)


def _day(stamp: object) -> str:
    """Cut a UTC time to minutes."""
    return str(stamp)[:16].replace("T", " ")


def _ranking(group: RankingGroup, summaries: Sequence[ConfigSummary], top_k: int) -> Iterator[str]:
    labels = {run.path: each.label for each in summaries for run in each.runs}
    metric = metric_of(group.sort_by)
    rows = []
    for ranked in group.ranked[:top_k]:
        record = ranked.record
        manifest = record.manifest
        rows.append(
            [
                ranked.rank,
                labels.get(record.path, f"{record.config_name} (repeated)"),
                record.seed,
                interval(record.estimate(f"valid_{metric}")),
                interval(record.estimate(f"test_{metric}")),
                interval(record.estimate(f"test_difference_{HEADLINE}")),
                None if manifest is None else manifest.trials,
                record.name,
            ]
        )
    order = "smallest first" if smaller_is_better(group.sort_by) else "largest first"
    shown = f"{len(rows)} of {len(group.ranked)} runs"
    yield f"Ranked by {group.sort_by}, {order}; {shown}; [bootstrap interval over episodes]"
    headers = ["rank", "config", "seed", f"valid\n{metric}", f"test\n{metric}"]
    headers += [f"test {HEADLINE} minus\nbest baseline's", "trials", "run"]
    yield from _table(rows, headers)


def _configs(group: RankingGroup, summaries: Sequence[ConfigSummary], top_k: int) -> Iterator[str]:
    metric = metric_of(group.sort_by)
    rows: list[Sequence[object]] = []
    for summary in summaries[:top_k]:
        rows.append(
            [
                summary.label,
                f"{summary.algo} (learned)",
                interval(summary.mean(f"valid_{metric}")),
                interval(summary.mean(f"test_{metric}")),
                interval(summary.verdict.difference),
                summary.seeds,
                summary.trials,
            ]
        )
        rows += [_baseline_row(summary, name, metric) for name in summary.baselines]
    shown = f"{min(top_k, len(summaries))} of {len(summaries)} configs"
    yield (
        f"Configs over their seeds, {shown}; learned: mean [t interval over seeds]; "
        "baselines: value [bootstrap interval over episodes]"
    )
    headers = ["config", "policy", f"valid\n{metric}", f"test\n{metric}"]
    headers += [f"test {HEADLINE} minus\nbest baseline's", "seeds", "trials"]
    yield from _table(rows, headers)
    yield "* best baseline, chosen on the validation segment"


def _baseline_row(summary: ConfigSummary, name: str, metric: str) -> list[object]:
    mark = " *" if name in summary.best_baseline.split("/") else ""
    valid, test = (
        interval(summary.baseline(segment, name, metric)) for segment in ("valid", "test")
    )
    return ["", f"  {name}{mark}", valid, test, None, None, None]


def verdicts(summaries: Sequence[ConfigSummary], *, top_k: int) -> Iterator[str]:
    """Yield a plain sentence per config, and how much choosing stands behind them."""
    for summary in summaries[:top_k]:
        yield _sentence(summary)
    if len(summaries) > top_k:
        yield f"... and {len(summaries) - top_k} more configs, see runs_by_config.csv."
    runs = sum(summary.seeds for summary in summaries)
    trials = sum(summary.trials or 0 for summary in summaries)
    yield (
        f"Whoever takes the best row chooses among {runs} runs of {len(summaries)} configs, after "
        f"{trials} tuning trials; the intervals are not corrected for that. Validation also chose "
        "parameters and checkpoints, so its numbers flatter: judge by test."
    )


_WORDS = {
    "better": "better than the best baseline on test",
    "not distinguishable": "not distinguishable from the best baseline on test",
    "worse": "worse than the best baseline on test",
    "unknown": "no telling, the difference to the best baseline on test has no interval",
}


def _sentence(summary: ConfigSummary) -> str:
    verdict = summary.verdict
    baseline = f" ({summary.best_baseline})" if summary.best_baseline else ""
    sentence = f"{summary.label}: {_WORDS[verdict.outcome]}{baseline}"
    if verdict.difference.value is not None:
        sentence += f": {HEADLINE} {_signed(verdict.difference)} per episode, {_kind(verdict)}"
    sentence += f"; {_count(verdict.seeds, 'seed')}, {_count(summary.trials, 'trial')}."
    if verdict.earned_more:
        sentence += f" On test these earned more: {', '.join(verdict.earned_more)}."
    if summary.left_out:
        repeated = _count(summary.left_out, "older run")
        sentence += f" {repeated} with the same settings and seed left out."
    return sentence


def _signed(estimate: Estimate) -> str:
    sign = "+" if (estimate.value or 0.0) > 0.0 else ""
    return sign + interval(estimate)


def _kind(verdict: Verdict) -> str:
    if not verdict.over_seeds:
        few = f"fewer than {ENOUGH_SEEDS} seeds, another seed may differ"
        return f"bootstrap interval over episodes ({few})"
    episodes = verdict.over_episodes
    shown = f"[{number(episodes.low)}, {number(episodes.high)}]"
    return f"t interval over seeds; over episodes {shown}"


def _count(count: int | None, noun: str) -> str:
    if count is None:
        return f"an unknown number of {noun}s"
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _unranked(group: RankingGroup) -> Iterator[str]:
    if group.unranked:
        reasons = Counter(reason for _, reason in group.unranked)
        listed = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        yield f"Not ranked: {listed}."


def _table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> list[str]:
    text = tabulate(
        rows, headers=headers, tablefmt="simple", missingval=NOTHING, disable_numparse=True
    )
    return text.splitlines()
