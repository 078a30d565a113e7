"""The tables that people read: a ranking, configs beside their baselines, plain sentences."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeVar

from makerlab.report.believing import evidence_lines, tuning_lines, verdicts
from makerlab.report.by_config import ConfigSummary
from makerlab.report.fill_line import fill_line
from makerlab.report.pair_lines import pair_lines
from makerlab.report.ranking import (
    RankingGroup,
    chosen_on_test,
    metric_of,
    notes_of,
    smaller_is_better,
)
from makerlab.report.records import DIFFERENCE
from makerlab.report.words import interval, table

_Cell = TypeVar("_Cell")


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
    yield from tuning_lines(summaries, top_k=top_k)
    yield ""
    yield from verdicts(summaries, top_k=top_k)
    yield from pair_lines(summaries, top_k=top_k)


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
    yield fill_line(group)
    for name, text in segments_of(group):
        yield f"{name}: {text}."
    if group.ranked and chosen_on_test(group.sort_by):
        yield (
            f"SORTED BY A TEST METRIC ({group.sort_by}): choosing by this table is choosing on the "
            "test segment, whose numbers are then no longer out of sample."
        )
    for note in notes_of(group):
        yield f"Note: {note}."


def segments_of(group: RankingGroup) -> Iterator[tuple[str, str]]:
    """Yield (name, what it is) of the segments, or of the plan and of each of its folds."""
    plan = group.walk_forward
    if plan is not None:
        gap = f"purge {plan.get('purge_bars')} and embargo {plan.get('embargo_bars')} bars"
        yield "Walk-forward", f"{plan.get('folds')} folds, {plan.get('mode')}, {gap}"
    for fold, split in group.splits.items():
        parts = [
            f"{name} {_day(segment.get('start'))} to {_day(segment.get('end'))}"
            for name, segment in split.items()
            if isinstance(segment, dict) and name != "walk_forward"
        ]
        if parts:
            yield "Segments" if fold is None else f"Fold {fold}", ", ".join(parts)


def _day(stamp: object) -> str:
    """Cut a UTC time to minutes."""
    return str(stamp)[:16].replace("T", " ")


def _ranking(group: RankingGroup, summaries: Sequence[ConfigSummary], top_k: int) -> Iterator[str]:
    labels = {run.path: each.label for each in summaries for run in each.runs}
    metric = metric_of(group.sort_by)
    rows: list[list[object]] = []
    shown: Counter[int | None] = Counter()
    for ranked in group.ranked:
        record = ranked.record
        shown[record.fold] += 1
        if shown[record.fold] > top_k:
            continue
        manifest = record.manifest
        rows.append(
            [
                ranked.rank,
                labels.get(record.path, f"{record.config_name} (repeated)"),
                *_if_walked(group, record.fold),
                record.seed,
                interval(record.estimate(f"valid_{metric}")),
                interval(record.estimate(f"test_{metric}")),
                interval(record.estimate(f"test_{DIFFERENCE}{group.headline}")),
                None if manifest is None else manifest.trials,
                record.name,
            ]
        )
    order = "smallest first" if smaller_is_better(group.sort_by) else "largest first"
    place = " within its fold" if group.walk_forward else ""
    count = _of(len(rows), len(group.ranked), "runs")
    yield (
        f"Ranked{place} by {group.sort_by}, {order}; {count}; [bootstrap interval over episodes]"
    )
    headers = [
        "rank",
        "config",
        *_if_walked(group, "fold"),
        "seed",
        f"valid\n{metric}",
        f"test\n{metric}",
    ]
    headers += [f"test {group.headline} minus\nbest baseline's", "trials", "run"]
    yield from table(rows, headers)


def _of(shown: int, there: int, what: str) -> str:
    """Return how many rows of a table are shown, and where they are not all what shows them."""
    rest = "" if shown == there else " (all: scripts/analyze_experiments.py --top_k 0)"
    return f"{shown} of {there} {what}{rest}"


def _if_walked(group: RankingGroup, cell: _Cell) -> list[_Cell]:
    """Return a cell of the column of folds, which only a walk-forward has."""
    return [cell] if group.walk_forward else []


def _configs(group: RankingGroup, summaries: Sequence[ConfigSummary], top_k: int) -> Iterator[str]:
    metric = metric_of(group.sort_by)
    rows: list[Sequence[object]] = []
    for summary in summaries[:top_k]:
        rows.append(_learned_row(summary, summary.label, metric))
        rows += [_learned_row(fold, f"fold {fold.fold}", metric) for fold in summary.folds]
        rows += [_baseline_row(summary, name, metric) for name in summary.baselines]
    shown = _of(min(top_k, len(summaries)), len(summaries), "configs")
    yield f"Configs over their {_WALKED if group.walk_forward else _SEEDS}".format(shown)
    headers = ["config", "policy", f"valid\n{metric}", f"test\n{metric}"]
    headers += [f"test {group.headline} minus\nbest baseline's", "seeds", "trials"]
    yield from table(rows, headers)
    yield "* best baseline, chosen on the validation segment"


_SEEDS = (
    "seeds, {}; learned: mean [t interval over seeds]; baselines: value [bootstrap interval over "
    "episodes]; difference: [interval over seeds and days]"
)
_WALKED = (
    "folds, {}; mean over folds of means over seeds [t interval over folds]; a fold: mean [t "
    "interval over seeds], its difference: [interval over seeds and days]"
)


def _learned_row(summary: ConfigSummary, label: str, metric: str) -> list[object]:
    return [
        label,
        f"{summary.algo} (learned)",
        interval(summary.mean(f"valid_{metric}")),
        interval(summary.mean(f"test_{metric}")),
        interval(summary.verdict.difference),
        summary.seeds,
        summary.trials,
    ]


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
