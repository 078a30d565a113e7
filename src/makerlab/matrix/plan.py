"""What is to be done: targets read and checked, then the graph of work."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from makerlab.config import Config, warnings_of
from makerlab.config.unused import replaced_keys, used_settings
from makerlab.errors import UserError, nearest
from makerlab.files import content_hash
from makerlab.matrix.lengths import check_lengths
from makerlab.matrix.options import MatrixOptions
from makerlab.runs.keys import data_key
from makerlab.stages.resolve import profile_path, resolve_config


@dataclass(frozen=True)
class Experiment:
    """One config of the matrix: a row of the target list."""

    path: Path
    config: Config

    @property
    def name(self) -> str:
        """The config's name: its file's, without the ending."""
        return self.path.stem


@dataclass(frozen=True)
class Work:
    """One stage of one config, of one fold and one seed where there are folds and seeds."""

    stage: str
    config_name: str
    seed: int | None = None
    fold: int | None = None

    def __str__(self) -> str:
        fold = "" if self.fold is None else f"fold {self.fold}"
        seed = "" if self.seed is None else f"seed {self.seed}"
        return " ".join(part for part in (self.config_name, fold, seed, self.stage) if part)


ANALYZE = Work("analyze", "")
"""The one piece of work that belongs to no config."""


@dataclass(frozen=True)
class Node:
    """A piece of work and what must be done before it."""

    work: Work
    needs: tuple[Work, ...] = ()


def read_targets(path: Path) -> list[tuple[int, Path]]:
    """Return (line number, config path) of each line of a target list.

    Paths are relative to the working directory; empty lines and `#` comments are passed over.
    Raises UserError naming the line for a missing file, a file listed twice, or two of one name.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such target list{_near(path, ('.txt',))}") from None
    except IsADirectoryError:
        raise UserError(f"{path}: found a directory, expected a list of configs") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text, expected a list of configs") from None
    targets: list[tuple[int, Path]] = []
    lines_by_path: dict[Path, int] = {}
    by_name: dict[str, tuple[int, Path]] = {}
    for number, line in enumerate(lines, start=1):
        entry = line.split(" #")[0].strip()
        if entry and not entry.startswith("#"):
            place, config = f"{path} line {number}", Path(entry)
            _check_target(place, config)
            before = lines_by_path.setdefault(config.resolve(), number)
            if before != number:
                raise UserError(f"{place}: {config} is listed in line {before} already")
            before, other = by_name.setdefault(config.stem, (number, config))
            if before != number:
                raise UserError(
                    f"{place}: {config} has the name of {other} in line {before}; their results "
                    "would share a folder, rename one"
                )
            targets.append((number, config))
    if not targets:
        raise UserError(
            f"{path}: lists no config, expected lines such as configs/env_baseline.yaml"
        )
    return targets


def _check_target(place: str, config: Path) -> None:
    if config.is_dir():
        raise UserError(f"{place}: {config} is a directory, expected a YAML config")
    if not config.is_file():
        raise UserError(f"{place}: no config file {config}{_near(config, ('.yaml', '.yml'))}")


def load_experiments(options: MatrixOptions) -> list[Experiment]:
    """Read every config of the target list under the options' profile and data.

    Raises one UserError that names the problems of all configs, so that nothing is started
    while one of them is bad.
    """
    experiments: list[Experiment] = []
    problems: list[str] = []
    by_hash: dict[str, Path] = {}
    for number, path in read_targets(options.targets):
        try:
            experiments.append(load_experiment(path, options))
            # Two configs with the same settings would be one experiment under two names.
            other = by_hash.setdefault(experiments[-1].config.hash, path)
            if other != path:
                raise UserError(
                    f"{options.targets} line {number}: {path} has the same settings as {other}; "
                    "change env, train or run.short_name"
                )
        except UserError as error:
            problems.append(" ".join(str(error).split()))
    if problems:
        raise UserError("; ".join(dict.fromkeys(problems)))
    return experiments


def load_experiment(path: Path, options: MatrixOptions) -> Experiment:
    """Read one config and find its data; raises UserError."""
    resolved = resolve_config(
        path, profile=options.profile or None, data=options.data, runs_dir=options.runs_dir
    )
    data_key(resolved.config)
    check_lengths(resolved.config, source=str(path))
    return Experiment(path, resolved.config)


def warnings(experiments: list[Experiment]) -> Iterator[str]:
    """Yield what the configs are likely to regret."""
    for experiment in experiments:
        for warning in warnings_of(experiment.config):
            yield f"{experiment.path}: {warning}"


def notes(experiments: list[Experiment], options: MatrixOptions) -> Iterator[str]:
    """Yield which keys of the configs change nothing, and which configs therefore don't differ."""
    tuned = "tune" in options.stages
    chosen: dict[str, None] = {}
    overlaid: dict[str, None] = {}
    for each in experiments:
        overlays = [profile_path(each.path, options.profile)] if options.profile else []
        by_tuning, by_overlay = replaced_keys(each.path, overlays=overlays, tuned=tuned)
        chosen |= dict.fromkeys(by_tuning)
        overlaid |= dict.fromkeys(by_overlay)
    reasons = [f"{', '.join(chosen)} (tuning chooses)"] if chosen else []
    rest = [key for key in overlaid if key not in chosen]
    reasons += [f"{', '.join(rest)} (profile {options.profile} sets)"] if rest else []
    if reasons:
        yield f"what the configs say of these keys is not used: {'; '.join(reasons)}"
    first: dict[str, Experiment] = {}
    for each in experiments:
        other = first.setdefault(content_hash(used_settings(each.config, tuned=tuned)), each)
        if other is not each:
            alike = f"{each.path} differs from {other.path} in nothing that is used"
            yield f"{alike}; expect equal results"


Folds = Mapping[str, tuple[int | None, ...]]
"""The folds of each config by its name; one that is not walked forward has the fold None."""


def folds_of(experiments: Iterable[Experiment]) -> Folds:
    """Return the folds that each config asks for."""
    return {each.name: each.config.data_split.folds for each in experiments}


def build_graph(
    names: list[str],
    seeds: tuple[int, ...],
    stages: tuple[str, ...],
    *,
    folds: Folds = MappingProxyType({}),
) -> dict[Work, Node]:
    """Return all work but the analysis, in the order of targets, folds, seeds and stages.

    Work waits only for stages that were asked for; the results of others must be there. Nothing
    waits for another fold.
    """
    graph: dict[Work, Node] = {}

    def add(work: Work, *needs: Work) -> None:
        if work.stage in stages:
            graph[work] = Node(work, tuple(need for need in needs if need.stage in stages))

    for name, fold in [(each, fold) for each in names for fold in folds.get(each, (None,))]:
        tune = Work("tune", name, fold=fold)
        add(tune)
        for seed in seeds:
            train = Work("train", name, seed, fold)
            add(train, tune)
            add(Work("evaluate", name, seed, fold), *([train] if "train" in stages else [tune]))
    return graph


def weight_of(work: Work, config: Config) -> float:
    """Return the rough cost of work in environment steps, by which time left is estimated."""
    if work.stage == "tune":
        trials = config.tune.n_trials + config.tune.rescore_seeds
        return float(trials * config.tune.train_timesteps)
    # Evaluation plays many episodes at once: about as long as this many steps of training.
    return float(config.train.total_timesteps) if work.stage == "train" else 5_000.0


def _near(path: Path, endings: tuple[str, ...]) -> str:
    if not path.parent.is_dir():
        return f" ({path.parent} is not a directory)"
    names = [entry.name for entry in path.parent.iterdir() if entry.suffix in endings]
    return f"; {nearest(path.name, names)}" if names else ""
