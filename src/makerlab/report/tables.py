"""The tables that people read: a ranking, configs beside their baselines, plain sentences."""

from collections import Counter
from collections.abc import Iterator, Sequence

from makerlab.report.believing import evidence_lines, verdicts
from makerlab.report.by_config import ConfigSummary
from makerlab.report.ranking import (
    RankingGroup,
    chosen_on_test,
    metric_of,
    notes_of,
    smaller_is_better,
)
from makerlab.report.stored import HEADLINE
from makerlab.report.words import interval, table


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
    yield from evidence_lines(summaries, top_k=top_k)
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
    yield from table(rows, headers)


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
        "baselines: value [bootstrap interval over episodes]; difference: [interval over seeds and "
        "days]"
    )
    headers = ["config", "policy", f"valid\n{metric}", f"test\n{metric}"]
    headers += [f"test {HEADLINE} minus\nbest baseline's", "seeds", "trials"]
    yield from table(rows, headers)
    yield "* best baseline, chosen on the validation segment"


def _baseline_row(summary: ConfigSummary, name: str, metric: str) -> list[object]:
    mark = " *" if name in summary.best_baseline.split("/") else ""
    valid, test = (
        interval(summary.baseline(segment, name, metric)) for segment in ("valid", "test")
    )
    return ["", f"  {name}{mark}", valid, test, None, None, None]


def _unranked(group: RankingGroup) -> Iterator[str]:
    if group.unranked:
        reasons = Counter(reason for _, reason in group.unranked)
        listed = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        yield f"Not ranked: {listed}."
