"""The CSV files of an analysis: a row per run, a row per config.

What was not measured is an empty cell, never a zero. The same runs give the same bytes.
"""

import csv
import io
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pydantic_core import to_json

from makerlab.report.by_config import ConfigSummary, Standing
from makerlab.report.judgement import (
    JUDGEMENT,
    NO_JUDGEMENT,
    Cell,
    judgement,
    judgements_of,
)
from makerlab.report.parameters import varying
from makerlab.report.ranking import RankingGroup, group_id
from makerlab.report.records import DIFFERENCE, SEGMENTS, RunRecord
from makerlab.report.stored import NET_PROFIT, StoredSegment
from makerlab.statistics.bootstrap import UNDEFINED, Estimate
from makerlab.statistics.over_seeds import Floats, mean_intervals

Numbers = list[float | None]

POOLED = "pooled"
"""In the column `fold`: the row is of all folds of a walk-forward."""


class Row(NamedTuple):
    """A line of a table: cells of any kind around a long block of numbers."""

    head: list[Cell]
    numbers: Numbers
    tail: list[Cell]


_IDENTITY = ("run", "task", "algo", "config_name", "config_variant", "fold", "seed")
_ABOUT = ("profile", "notes")
_STANDING = ("state", "evaluated", "cross_env", "ranking_group", "rank", "headline")
_CHOICE = ("trials", "tuning_score", "tuning_rescored")
_ORIGIN = (
    "data_source",
    "data_sha256",
    "data_path",
    "environment_key",
    "evaluated_environment_key",
    "config_hash",
    "train_key",
    "fill_model",
    "git_commit",
    "git_dirty",
    "problem",
    "path",
)


def runs_table(
    records: Sequence[RunRecord], standings: Sequence[Standing]
) -> tuple[list[str], Iterator[Row]]:
    """Return header and rows of runs_summary.csv: groups in order, best first, the rest last."""
    parameters = varying(record.parameters for record in records)
    metrics, baselines, headlines = _names(records)
    header = [*_IDENTITY, *_ABOUT, *_STANDING, *parameters]
    for segment in SEGMENTS:
        for name in metrics:
            header += _three(f"{segment}_{name}")
        for headline in headlines:
            for baseline in baselines:
                header += _three(f"{segment}_{baseline}_{headline}")
            header += _three(f"{segment}_{DIFFERENCE}{headline}")
            header += _three(f"{segment}_best_baseline_{headline}")
    header += [*JUDGEMENT, "best_baseline", *_CHOICE]
    header += ["tuning_rescored_low", "tuning_rescored_high", *_ORIGIN]
    groups = [group for group, _ in standings]
    judgements = judgements_of(standings)

    def rows() -> Iterator[Row]:
        for record, rank in _in_order(records, groups):
            head = _identity(record) + _standing(record, rank)
            head += [_cell(record.parameters.get(name)) for name in parameters]
            numbers: Numbers = []
            for name in SEGMENTS:
                segment = None if record.metrics is None else record.metrics.segment(name)
                numbers += _segment_numbers(segment, metrics, baselines, headlines)
            tail = judgements.get(record.path, NO_JUDGEMENT)
            yield Row(head, numbers, tail + _choice(record) + _origin(record))

    return header, rows()


def configs_table(standings: Sequence[Standing]) -> tuple[list[str], Iterator[Row]]:
    """Return header and rows of runs_by_config.csv: mean and t interval over seeds.

    A walk-forward has a row that pools its folds, with intervals over folds, and one per fold.
    """
    summaries = [
        (group, summary)
        for group, configs in standings
        for config in configs
        for summary in (config, *config.folds)
    ]
    records = [record for _, summary in summaries for record in summary.runs]
    metrics, baselines, headlines = _names(records)
    header = ["ranking_group", "task", "algo", "config_name", "config_variant", "fold", "profile"]
    header += ["data_source", "data_sha256", "headline", "seeds", "seed_list"]
    header += ["runs_left_out", "trials"]
    differences = [f"{DIFFERENCE}{headline}" for headline in headlines]
    columns = [f"{segment}_{name}" for segment in SEGMENTS for name in (*metrics, *differences)]
    header += itertools.chain.from_iterable(map(_three, columns))
    for segment, name, headline in itertools.product(SEGMENTS, baselines, headlines):
        header += _three(f"{segment}_{name}_{headline}")
    header += _three("test_difference_over_episodes")
    header += [*_three("verdict_difference"), "tuning_score", *_three("tuning_rescored")]
    header += ["best_baseline", *JUDGEMENT]

    def rows() -> Iterator[Row]:
        for group, summary in summaries:
            head: list[Cell] = [group.id, group.task, summary.algo, summary.config_name]
            head += [summary.variant, POOLED if summary.folds else summary.fold]
            head += [group.profile, group.data_source, group.data_sha256, summary.headline]
            seeds = dict.fromkeys(str(run.seed) for run in summary.runs)
            head += [summary.seeds, " ".join(seeds)]
            head += [summary.left_out, summary.trials]
            numbers = _means(summary, metrics, headlines)
            for segment, name, headline in itertools.product(SEGMENTS, baselines, headlines):
                numbers += summary.baseline(segment, name, headline)
            numbers += [*summary.verdict.over_episodes, *summary.verdict.difference]
            numbers += [summary.tuning_score, *summary.tuning_rescored]
            tail: list[Cell] = [summary.best_baseline]
            yield Row(head, numbers, tail + judgement(summary.evidence, summary))

    return header, rows()


def _means(summary: ConfigSummary, metrics: Sequence[str], headlines: Sequence[str]) -> Numbers:
    """Return mean and t interval over seeds of each metric and difference, valid then test.

    Folds are pooled: theirs are the mean of their means over seeds and the interval over them.
    """
    values = _values(summary.runs, metrics, headlines)
    if summary.folds:
        values = np.stack(
            [_values(fold.runs, metrics, headlines).mean(axis=0) for fold in summary.folds]
        )
    three = mean_intervals(values)
    return [None if math.isnan(cell) else cell for cell in three.T.ravel().tolist()]


def _values(runs: Sequence[RunRecord], metrics: Sequence[str], headlines: Sequence[str]) -> Floats:
    """Return metrics and differences, valid then test: (runs, columns), NaN where undefined."""
    values = [
        [one.value for name in SEGMENTS for one in _estimates(run, name, metrics, headlines)]
        for run in runs
    ]
    return np.array(values, dtype=np.float64)


def _estimates(
    run: RunRecord, segment_name: str, metrics: Sequence[str], headlines: Sequence[str]
) -> list[Estimate]:
    if run.metrics is None:
        return [UNDEFINED] * (len(metrics) + len(headlines))
    segment = run.metrics.segment(segment_name)
    known = segment.metrics
    return [
        *(known.get(name, UNDEFINED) for name in metrics),
        *(segment.difference(headline) for headline in headlines),
    ]


def csv_lines(header: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines of a table as CSV: as one text, one of ten thousand runs takes 200 MB."""
    yield _csv_line(header) + "\n"
    for row in rows:
        # Python's own writer takes ten times as long for numbers, and a row has hundreds.
        numbers = to_json(row.numbers)[1:-1].decode().replace("null", "")
        blocks = [_csv_line(row.head), numbers, _csv_line(row.tail)]
        yield ",".join(blocks if row.numbers else blocks[::2]) + "\n"


def _csv_line(cells: Sequence[Cell]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()


def _names(records: Iterable[RunRecord]) -> tuple[list[str], list[str], list[str]]:
    """Return the names of all metrics, of all baselines and of what ranks, as first met.

    Net profit is always among the last.
    """
    evaluated = [record.metrics for record in records if record.metrics is not None]
    segments = [metrics.segment(name) for metrics in evaluated for name in SEGMENTS]
    headlines = dict.fromkeys([NET_PROFIT, *(metrics.valid.headline for metrics in evaluated)])
    return (
        _as_first_met(segment.metrics for segment in segments),
        _as_first_met(segment.baselines for segment in segments),
        list(headlines),
    )


def _as_first_met(groups: Iterable[Iterable[str]]) -> list[str]:
    # Whole groups at a time: of ten thousand runs, nearly all have the same names.
    distinct = dict.fromkeys(map(tuple, groups))
    return list(dict.fromkeys(itertools.chain.from_iterable(distinct)))


def _in_order(
    records: Sequence[RunRecord], groups: Sequence[RankingGroup]
) -> Iterator[tuple[RunRecord, int | None]]:
    seen: set[str] = set()
    for group in groups:
        for ranked in group.ranked:
            seen.add(ranked.record.path)
            yield ranked.record, ranked.rank
        for record, _ in group.unranked:
            seen.add(record.path)
            yield record, None
    yield from ((record, None) for record in records if record.path not in seen)


def _identity(record: RunRecord) -> list[Cell]:
    manifest = record.manifest
    names: list[Cell] = [record.name, manifest.task if manifest else None, record.algo]
    names += [record.config_name, record.variant, record.fold, record.seed]
    return names + ([manifest.profile, manifest.notes] if manifest else [None, None])


def _standing(record: RunRecord, rank: int | None) -> list[Cell]:
    metrics = record.metrics
    cross = None if metrics is None else _yes(metrics.cross_env is not None)
    headline = None if metrics is None else record.headline
    return [record.state, _yes(metrics is not None), cross, group_id(record), rank, headline]


def _segment_numbers(
    segment: StoredSegment | None,
    metrics: Sequence[str],
    baselines: Sequence[str],
    headlines: Sequence[str],
) -> Numbers:
    if segment is None:
        return [None] * (3 * (len(metrics) + (len(baselines) + 2) * len(headlines)))
    known, numbers = segment.metrics, list[float | None]()
    for name in metrics:
        numbers += known.get(name, UNDEFINED)
    for headline in headlines:
        for name in baselines:
            numbers += segment.baseline(name, headline)
        numbers += segment.difference(headline)
        numbers += segment.baseline(segment.best_baseline, headline)
    return numbers


def _choice(record: RunRecord) -> list[Cell]:
    best = None if record.metrics is None else record.metrics.valid.best_baseline
    if record.manifest is None:
        return [best, None, None, None, None, None]
    tuned = record.manifest.tuned_params
    again = UNDEFINED
    if tuned is not None and tuned.rescored is not None:
        again = Estimate(tuned.rescored.value, tuned.rescored.low, tuned.rescored.high)
    return [best, record.manifest.trials, tuned.score if tuned else None, *again]


def _origin(record: RunRecord) -> list[Cell]:
    manifest, metrics = record.manifest, record.metrics
    judged_in = None if metrics is None else metrics.environment_key
    problem = "; ".join(record.problems) or None
    if manifest is None:
        return [
            None,
            None,
            None,
            None,
            judged_in,
            None,
            None,
            None,
            None,
            None,
            problem,
            record.path,
        ]
    return [
        manifest.data_source,
        manifest.data.sha256,
        manifest.data.path,
        manifest.environment_key,
        judged_in,
        manifest.config_hash,
        manifest.train_key,
        _card(manifest.fill_model),
        manifest.git.commit,
        None if manifest.git.dirty is None else _yes(manifest.git.dirty),
        problem,
        record.path,
    ]


def _card(fill_model: Mapping[str, object] | None) -> str | None:
    if fill_model is None:
        return None
    return "; ".join(f"{name}={_cell(value)}" for name, value in fill_model.items())


def _cell(value: object) -> Cell:
    """Return a setting as a spreadsheet's cell."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str | int | float) or value is None else str(value)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _three(name: str) -> list[str]:
    return [name, f"{name}_low", f"{name}_high"]
