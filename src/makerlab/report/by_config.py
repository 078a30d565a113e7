"""Configs over their seeds and folds: means with Student t intervals, and what they prove.

The unit is (algorithm, config file, settings); two runs with the same settings, fold and seed are
the same experiment, so only the newest of them counts. A walk-forward is pooled over its folds:
the mean of their means over seeds, with an interval over folds, since times differ more than seeds.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from makerlab.report.behind import Behind
from makerlab.report.evidence import Evidence, GroupEvidence, group_evidence
from makerlab.report.parameters import Value
from makerlab.report.ranking import RankingGroup, smaller_is_better
from makerlab.report.records import SEGMENTS, RunRecord
from makerlab.report.stored import StoredSegment, StoredTuning
from makerlab.report.verdict import Results, Verdict, compare, compare_folds, judge_together
from makerlab.statistics.bootstrap import UNDEFINED, Estimate, mean_interval


@dataclass(frozen=True)
class ConfigSummary:
    """One config of a ranking group, its seeds taken together.

    Where the config is walked forward, `folds` holds a summary of each fold and this one pools
    them; `fold` is the number of a single fold.
    """

    label: str
    algo: str
    config_name: str
    variant: str
    runs: tuple[RunRecord, ...]
    left_out: int
    verdict: Verdict
    evidence: Evidence
    group: GroupEvidence
    fold: int | None = None
    folds: "tuple[ConfigSummary, ...]" = ()

    @property
    def headline(self) -> str:
        """The metric by which the config is judged."""
        return self.runs[0].headline

    @property
    def seeds(self) -> int:
        """Number of seeds, each counted once; of a walk-forward those that every fold has."""
        return min(fold.seeds for fold in self.folds) if self.folds else len(self.runs)

    @property
    def folds_planned(self) -> int | None:
        """Number of folds that the plan asks for; None without walk-forward."""
        plans = [run.manifest.walk_forward for run in self.runs if run.manifest is not None]
        return next((plan["folds"] for plan in plans if plan is not None), None)

    @property
    def lacks_folds(self) -> bool:
        """Whether folds of the plan have no results yet: what is pooled is not what was planned."""
        planned = self.folds_planned
        return bool(self.folds) and planned is not None and len(self.folds) < planned

    @property
    def trials(self) -> int | None:
        """Trials of the config's own study; the most of any seed's run.

        Each fold has its own study, so a walk-forward has the trials of all its folds.
        """
        if self.folds:
            each = [fold.trials for fold in self.folds]
            return None if None in each else sum(trials or 0 for trials in each)
        known = [run.manifest.trials for run in self.runs if run.manifest is not None]
        return max((trials for trials in known if trials is not None), default=None)

    @property
    def tuning_score(self) -> float | None:
        """The best score of the config's study; over folds their mean. None when not tuned."""
        if self.folds:
            return self.over_folds(lambda fold: Estimate(fold.tuning_score, None, None)).value
        tuned = self._tuned
        return None if tuned is None else tuned.score

    @property
    def tuning_rescored(self) -> Estimate:
        """The score of the same parameters on fresh seeds, with the interval that is stored."""
        if self.folds:
            return self.over_folds(lambda fold: fold.tuning_rescored)
        tuned = self._tuned
        if tuned is None or tuned.rescored is None:
            return UNDEFINED
        return Estimate(tuned.rescored.value, tuned.rescored.low, tuned.rescored.high)

    @property
    def _tuned(self) -> StoredTuning | None:
        """What tuning told the runs; all seeds of a config have their parameters of one study."""
        return next((tuned for run in reversed(self.runs) if (tuned := run.tuned_params)), None)

    @property
    def best_baseline(self) -> str:
        """The baseline to beat, chosen on validation; several only if seeds disagree."""
        names = {segment.best_baseline or "" for segment in self.segments("valid")}
        return "/".join(sorted(names - {""}))

    def segments(self, name: str) -> list[StoredSegment]:
        """Return each seed's results on a segment."""
        return [run.metrics.segment(name) for run in self.runs if run.metrics is not None]

    def mean(self, column: str) -> Estimate:
        """Return a summary column's mean over seeds with its t interval; over folds if walked."""
        if self.folds:
            return self.over_folds(lambda fold: fold.mean(column))
        return over_seeds([run.estimate(column) for run in self.runs])

    def over_folds(self, of: "Callable[[ConfigSummary], Estimate]") -> Estimate:
        """Return the mean over folds of something of a fold, with its t interval over folds."""
        return over_seeds([of(fold) for fold in self.folds])

    @property
    def baselines(self) -> list[str]:
        """Names of all baselines."""
        segments = [segment for name in SEGMENTS for segment in self.segments(name)]
        return list(dict.fromkeys(name for segment in segments for name in segment.baselines))

    def baseline(self, segment: str, name: str, metric: str | None = None) -> Estimate:
        """Return a baseline's metric (None: the headline).

        A closed-form maker does the same beside every seed, and keeps its interval over episodes;
        where seeds differ it is their mean.
        """
        if self.folds:
            return self.over_folds(lambda fold: fold.baseline(segment, name, metric))
        found = [each.baseline(name, metric) for each in self.segments(segment)]
        return found[0] if len(set(found)) == 1 else over_seeds(found)


Standing = tuple[RankingGroup, Sequence[ConfigSummary]]
"""A ranking group and its configs, best first."""


def over_seeds(estimates: Sequence[Estimate]) -> Estimate:
    """Return mean and t interval of the values of seeds, or folds; undefined when one is."""
    values = [estimate.value for estimate in estimates if estimate.value is not None]
    return mean_interval(values) if len(values) == len(estimates) else UNDEFINED


def standings_of(
    groups: Sequence[RankingGroup], behind: Mapping[tuple[str, str], Behind]
) -> list[Standing]:
    """Return every group with its configs; `behind` is what `behind_all` found."""
    return [
        (group, config_summaries(group, behind[group.task, group.data_sha256])) for group in groups
    ]


def config_summaries(group: RankingGroup, behind: Behind) -> list[ConfigSummary]:
    """Return the configs of a group, best mean of the sorting column first.

    Those that lack folds come last: their mean is of other times.
    `behind` is all that was tried on the group's data, for which verdicts and Sharpe ratios pay.
    """
    evidence = group_evidence(group, behind)
    members: dict[tuple[str, str, str], list[RunRecord]] = {}
    for record in group.records:
        key = (record.algo, record.config_name, record.variant or "")
        members.setdefault(key, []).append(record)
    label = _labels(members)
    summaries = [_summary(label(key), key, runs, evidence) for key, runs in sorted(members.items())]
    verdicts = judge_together([each.verdict for each in summaries], variants=behind.variants)
    summaries = [
        dataclasses.replace(each, verdict=verdict)
        for each, verdict in zip(summaries, verdicts, strict=True)
    ]
    sign = 1.0 if smaller_is_better(group.sort_by) else -1.0
    means = {id(each): each.mean(group.sort_by).value for each in summaries}

    def place(summary: ConfigSummary) -> tuple[bool, bool, float]:
        value = means[id(summary)]
        return (value is None, summary.lacks_folds, sign * (value or 0.0))

    return sorted(summaries, key=place)


def _labels(keys: Iterable[tuple[str, str, str]]) -> Callable[[tuple[str, str, str]], str]:
    """Return what names a config shortly: its settings' hash only where the name is ambiguous."""
    names: dict[tuple[str, str], int] = {}
    algos = set()
    for algo, name, _ in keys:
        names[algo, name] = names.get((algo, name), 0) + 1
        algos.add(algo)

    def label(key: tuple[str, str, str]) -> str:
        algo, name, variant = key
        shown = f"{name}@{variant[:6]}" if names[algo, name] > 1 else name
        return f"{algo} {shown}" if len(algos) > 1 else shown

    return label


def _summary(
    label: str, key: tuple[str, str, str], runs: Sequence[RunRecord], evidence: GroupEvidence
) -> ConfigSummary:
    folds = sorted({run.fold for run in runs if run.fold is not None})
    if not folds:
        return _one_fold(label, key, runs, evidence, fold=None)
    each = [
        _one_fold(label, key, [run for run in runs if run.fold == fold], evidence, fold=fold)
        for fold in folds
    ]
    return _pooled(each, evidence)


def _one_fold(
    label: str,
    key: tuple[str, str, str],
    runs: Sequence[RunRecord],
    evidence: GroupEvidence,
    *,
    fold: int | None,
) -> ConfigSummary:
    algo, name, variant = key
    newest: dict[int | None, RunRecord] = {}
    in_time = sorted(runs, key=lambda record: record.name)
    for record in in_time:
        # Another study of this fold chose other parameters: its runs are not seeds of these.
        if _chosen(record) == _chosen(in_time[-1]):
            newest[record.seed] = record
    kept = tuple(newest[seed] for seed in sorted(newest, key=lambda seed: (seed is None, seed)))
    return ConfigSummary(
        label=label,
        algo=algo,
        config_name=name,
        variant=variant,
        runs=kept,
        left_out=len(runs) - len(kept),
        verdict=_verdict_of_fold(kept) if fold is not None else compare(*_results(kept)),
        evidence=evidence.of(kept),
        group=evidence,
        fold=fold,
    )


def _chosen(run: RunRecord) -> list[Value]:
    """Return the parameters that tuning chose; nothing for what was not tuned."""
    tuned = () if run.manifest is None else run.manifest.tuned
    return [run.parameters.get(f"train.{name}") for name in sorted(tuned)]


def _verdict_of_fold(runs: Sequence[RunRecord]) -> Verdict:
    """Return a fold's difference without an outcome: the config is judged over all its folds."""
    verdict = compare(*_results(runs))
    reason = verdict.reason or "one fold of a walk-forward, judged together with the others"
    return dataclasses.replace(verdict, reason=reason)


def _results(runs: Sequence[RunRecord]) -> Results:
    segments = [run.metrics.test for run in runs if run.metrics is not None]
    return segments, [run.profits for run in runs]


def _pooled(folds: Sequence[ConfigSummary], evidence: GroupEvidence) -> ConfigSummary:
    runs = tuple(run for fold in folds for run in fold.runs)
    return dataclasses.replace(
        folds[0],
        runs=runs,
        left_out=sum(fold.left_out for fold in folds),
        verdict=compare_folds([_results(fold.runs) for fold in folds]),
        evidence=evidence.of(runs),
        fold=None,
        folds=tuple(folds),
    )
