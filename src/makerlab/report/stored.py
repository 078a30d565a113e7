"""What a report takes from manifest.json and metrics.json, checked while it is parsed.

Keys that no report needs are skipped by the parser, which is what makes thousands of runs fast.
"""

import functools
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from makerlab.errors import UserError
from makerlab.statistics.bootstrap import UNDEFINED, Estimate

_Model = TypeVar("_Model", bound=BaseModel)


NET_PROFIT = "net_profit"
HEADLINES = (NET_PROFIT, "objective")
"""The metrics by which an evaluation may rank policies; reports keep those of baselines too."""


class Stored(BaseModel):
    """Part of a stored file: right types, no NaN, other keys ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class StoredData(Stored):
    """The candles of a run."""

    path: str | None = None
    sha256: str | None = None


class StoredGit(Stored):
    """The code of a run."""

    commit: str | None = None
    dirty: bool | None = None


class StoredError(Stored):
    """Why a run failed."""

    message: str = ""


class StoredRescored(Stored):
    """The tuned parameters' score on fresh seeds."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class StoredTuning(Stored):
    """Where a run's tuned parameters come from."""

    study: str | None = None
    trial: int | None = None
    n_trials: int | None = None
    score: float | None = None
    rescored: StoredRescored | None = None
    params: dict[str, Any] = {}


class StoredManifest(Stored):
    """A run's manifest.json."""

    state: Literal["running", "complete", "failed"]
    config_name: str
    config: dict[str, Any]
    task: str = ""
    profile: str = ""
    notes: str = ""
    seed: int | None = None
    fold: int | None = None
    error: StoredError | None = None
    owner: dict[str, Any] | None = None
    train_key: str | None = None
    config_hash: str | None = None
    environment_key: str | None = None
    git: StoredGit = StoredGit()
    data_source: str | None = None
    data: StoredData = StoredData()
    split: dict[str, Any] | None = None
    tuned_params: StoredTuning | None = None
    fill_model: dict[str, Any] | None = None

    @property
    def tuned(self) -> tuple[str, ...]:
        """The keys of `train` that tuning chose."""
        return () if self.tuned_params is None else tuple(self.tuned_params.params)

    @property
    def walk_forward(self) -> dict[str, Any] | None:
        """The plan that this run is a fold of, without the fold; None when there is none."""
        plan = (self.split or {}).get("walk_forward")
        if not isinstance(plan, dict):
            return None
        return {name: value for name, value in plan.items() if name != "fold"}

    @property
    def trials(self) -> int | None:
        """Trials behind the choice of the parameters: 1 when nothing was tuned."""
        return 1 if self.tuned_params is None else self.tuned_params.n_trials


class StoredCrossEnvironment(Stored):
    """Whose environment a run was judged in, when it was not its own."""

    config_path: str | None = None


class KeptMetrics(Stored):
    """The metrics kept of a baseline; which ones is decided per report."""

    attributes: ClassVar[dict[str, str]] = {}
    """Where each metric is: metrics have any name, attributes must not."""

    def estimate(self, metric: str) -> Estimate:
        """Return one of the kept metrics, undefined for any other."""
        if metric not in self.attributes:
            return UNDEFINED
        found: Estimate = getattr(self, self.attributes[metric])
        return found


class StoredSegment(Stored):
    """How policy and baselines did on one segment; every unnamed key is a metric."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Estimate]

    headline: str = NET_PROFIT
    """The metric by which the baseline to beat was chosen, and by which the policy is judged."""
    episodes: int | None = None
    episodes_asked: int | None = None
    episode_length: int | None = None
    baselines: dict[str, KeptMetrics] = {}
    best_baseline: str | None = None
    difference_to_best_baseline: KeptMetrics = KeptMetrics()

    @property
    def metrics(self) -> dict[str, Estimate]:
        """Every metric of the policy."""
        return self.__pydantic_extra__

    def baseline(self, name: str | None, metric: str | None = None) -> Estimate:
        """Return a kept metric of a baseline (None: the headline); undefined if there is none."""
        kept = self.baselines.get(name or "")
        return UNDEFINED if kept is None else kept.estimate(metric or self.headline)

    def difference(self, metric: str | None = None) -> Estimate:
        """Return a metric (None: the headline) minus the best baseline's, paired."""
        return self.difference_to_best_baseline.estimate(metric or self.headline)


class StoredMetrics(Stored):
    """A run's evaluation/metrics.json, its training segment left out."""

    train_key: str | None = None
    environment_key: str | None = None
    cross_env: StoredCrossEnvironment | None = None
    data_source: str | None = None
    data_sha256: str | None = None
    confidence: float | None = None
    valid: StoredSegment
    test: StoredSegment

    def segment(self, name: str) -> StoredSegment:
        """Return a segment by its name."""
        return self.valid if name == "valid" else self.test


def read_manifest(path: Path) -> StoredManifest:
    """Read a manifest; raises UserError when it is missing or damaged."""
    return read_stored(path, StoredManifest)


def read_metrics(path: Path, *, baseline_metrics: frozenset[str]) -> StoredMetrics | None:
    """Read an evaluation, None when there is none; of baselines the named metrics are kept.

    Raises UserError when it is damaged.
    """
    model = metrics_model(baseline_metrics)
    return read_stored(path, model) if path.exists() else None


@functools.cache
def metrics_model(baseline_metrics: frozenset[str]) -> type[StoredMetrics]:
    """Return the model that parses only the wanted metrics of baselines."""
    attributes = {name: f"metric_{number}" for number, name in enumerate(sorted(baseline_metrics))}
    fields: dict[str, Any] = {
        attribute: (Estimate, Field(UNDEFINED, alias=name))
        for name, attribute in attributes.items()
    }
    kept = create_model("Kept", __base__=KeptMetrics, **fields)
    kept.attributes = attributes
    segment = create_model(
        "Segment",
        __base__=StoredSegment,
        baselines=(dict[str, kept], {}),
        difference_to_best_baseline=(kept, kept()),
    )
    return create_model(
        "Metrics", __base__=StoredMetrics, valid=(segment, ...), test=(segment, ...)
    )


def read_stored(path: Path, model: type[_Model]) -> _Model:
    """Read a stored file; raises UserError when it is missing or damaged."""
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path.name}: missing") from None
    except ValidationError as error:
        raise UserError(f"{path.name}: damaged, {_first_problem(error)}") from None
    except OSError as error:
        raise UserError(f"{path.name}: not readable, {error.strerror}") from None


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"][:1].lower() + problem["msg"][1:]
    return f"'{place}': {message}" if place else message
