"""Two configs side by side, all their seeds: what was set differently, and which earned more."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from makerlab.errors import UserError, nearest
from makerlab.report.behind import behind_all
from makerlab.report.by_config import ConfigSummary, Standing, standings_of
from makerlab.report.compare import Difference
from makerlab.report.pairs import PairedDifference, Results, paired_difference, results_of
from makerlab.report.parameters import IDENTITY, PATHS, Value
from makerlab.report.profits import StoredProfits, read_validation_profits
from makerlab.report.ranking import RankingGroup, ranking_groups
from makerlab.report.records import RunRecord, read_runs
from makerlab.report.stored import HEADLINES
from makerlab.runs.directory import RunDirectory, find_runs, run_of


@dataclass(frozen=True)
class ConfigComparison:
    """Two configs of one ranking; differences are the second's headline metric minus the first's.

    `valid` is of the segment that also chose parameters and checkpoints, so it flatters.
    """

    group: RankingGroup
    first: ConfigSummary
    second: ConfigSummary
    settings: tuple[Difference, ...]
    test: PairedDifference
    valid: PairedDifference


def run_or_config(given: str, *, runs_dir: Path) -> RunDirectory | str:
    """Return the run that is meant by a directory, a model file or a run's name, else a config.

    A config's file means the config. Raises UserError when a path leads to no run.
    """
    path = Path(given)
    if path.suffix in (".yaml", ".yml"):
        return path.stem
    if path.suffix == ".zip" or path.parent != Path() or RunDirectory(path).config.is_file():
        return run_of(path)
    named = [run for run in find_runs(runs_dir) if run.name == given]
    return named[0] if named else given


def compare_configs(first: str, second: str, *, runs_dir: Path) -> list[ConfigComparison]:
    """Compare two configs, by name, in every ranking in which both have runs.

    Raises UserError when there is no such config, when none of its runs can be compared, and when
    both were never judged on the same data and segments under the same profile.
    """
    if first == second:
        raise UserError(f"'{first}': given twice; give two configs")
    records = read_runs(runs_dir, baseline_metrics=frozenset(HEADLINES))
    groups = ranking_groups(records, sort_by=None)
    standings = standings_of(groups, behind_all(runs_dir, records))
    places = [_places(name, standings, records) for name in (first, second)]
    shared = [standing for standing in standings if all(standing[0].id in at for at in places)]
    if not shared:
        told = [
            f"'{name}' in {', '.join(at)}" for name, at in zip((first, second), places, strict=True)
        ]
        raise UserError(
            f"found {' and '.join(told)}; expected two configs judged on the same data and "
            "segments under the same profile"
        )
    return [
        _compared(
            group, _the_one(first, configs, group), _the_one(second, configs, group), runs_dir
        )
        for group, configs in shared
    ]


def _places(name: str, standings: Sequence[Standing], records: Sequence[RunRecord]) -> list[str]:
    """Return the rankings in which a config stands; raises UserError when there are none."""
    found = [group.id for group, configs in standings if _named(name, configs)]
    if found:
        return found
    known = dict.fromkeys(record.config_name for record in records)
    if name in known:
        raise UserError(
            f"'{name}': no run of this config is finished and evaluated; evaluate with "
            "scripts/evaluate_policy.py --model_path RUN_DIR"
        )
    labels = dict.fromkeys(config.label for _, configs in standings for config in configs)
    choices = {**known, **labels, **dict.fromkeys(record.name for record in records)}
    # Runs are told by their time and would crowd out the configs where no name is near.
    hint = nearest(name, choices)
    if not hint.startswith("did you mean"):
        hint = nearest(name, {**known, **labels})
    raise UserError(f"'{name}': no such run or config; {hint}")


def _named(name: str, configs: Iterable[ConfigSummary]) -> list[ConfigSummary]:
    return [config for config in configs if name in (config.label, config.config_name)]


def _the_one(name: str, configs: Sequence[ConfigSummary], group: RankingGroup) -> ConfigSummary:
    found = _named(name, configs)
    exact = [config for config in found if config.label == name]
    if len(found) > 1 and not exact:
        labels = ", ".join(config.label for config in found)
        raise UserError(
            f"'{name}': {len(found)} settings or algorithms have this name in ranking group "
            f"{group.id}; expected one of: {labels}"
        )
    return (exact or found)[0]


def _compared(
    group: RankingGroup, first: ConfigSummary, second: ConfigSummary, runs_dir: Path
) -> ConfigComparison:
    return ConfigComparison(
        group=group,
        first=first,
        second=second,
        settings=tuple(_settings(first.runs, second.runs)),
        test=paired_difference(results_of(second), results_of(first)),
        valid=paired_difference(_on_validation(second, runs_dir), _on_validation(first, runs_dir)),
    )


def _on_validation(config: ConfigSummary, runs_dir: Path) -> Results:
    return {(run.fold, run.seed): _validation(run, runs_dir) for run in config.runs}


def _validation(run: RunRecord, runs_dir: Path) -> StoredProfits | None:
    try:
        return read_validation_profits(RunDirectory(runs_dir / run.path).evaluation.profits)
    except UserError:
        return None


def _settings(first: Sequence[RunRecord], second: Sequence[RunRecord]) -> Iterator[Difference]:
    """Yield the settings that the configs do not share; what tuning chose is told as such."""
    names = dict.fromkeys(name for run in (*first, *second) for name in run.parameters)
    for name in names:
        if name in IDENTITY | PATHS:
            continue
        one, other = _value(name, first), _value(name, second)
        if one != other:
            tuned = any(
                run.manifest is not None and name.removeprefix("train.") in run.manifest.tuned
                for run in (*first, *second)
            )
            yield Difference("tuned" if tuned else "config", name, one, other)


def _value(name: str, runs: Sequence[RunRecord]) -> Value:
    """Return a setting's value; where folds were tuned to several, all of them as text."""
    values = list(dict.fromkeys(run.parameters.get(name) for run in runs))
    return values[0] if len(values) == 1 else ", ".join(str(value) for value in values)
