"""No number stands alone: interval, baselines, fill assumptions, trials behind it."""

from collections.abc import Iterator
from typing import Any

from makerlab.audit.findings import Evidence
from makerlab.audit.subject import AuditedRun
from makerlab.data.split import SEGMENT_NAMES
from makerlab.evaluation.metrics import METRICS
from makerlab.evaluation.objective import NET_PROFIT, headline_metric
from makerlab.market.fill_card import fill_model_card
from makerlab.policies.simulated import OPTIMUM
from makerlab.statistics.bootstrap import FEWEST_EPISODES


def baselines_and_intervals_are_there(run: AuditedRun) -> Evidence:
    """Check that each segment has every metric with its interval, of every policy."""
    evidence = Evidence()
    names = set(run.workbench.baselines())
    for segment in SEGMENT_NAMES:
        stored = run.metrics[segment]
        found = set(stored.get("baselines") or {})
        if found != names:
            missing = ", ".join(sorted(names - found)) or "none"
            evidence.fault(f"{segment}: baselines missing: {missing}; there: {len(found)}")
        for place, metrics in _sections(stored):
            _check_metrics(f"{segment}.{place}", metrics, stored.get("episodes"), evidence)
    _check_best(run, evidence)
    evidence.fact(f"{len(METRICS)} metrics with intervals, of policy and {len(names)} baselines")
    return evidence


def assumptions_and_trials_are_there(run: AuditedRun) -> Evidence:
    """Check the fill card against the config, and that the number of trials is told."""
    evidence = Evidence()
    for name, content in (("manifest.json", run.manifest), ("metrics.json", run.metrics)):
        _check_card(run, name, content.get("fill_model") or {}, evidence)
    confidence = run.metrics.get("confidence")
    if not isinstance(confidence, float) or not 0.5 < confidence < 1.0:
        evidence.fault(f"metrics.json: confidence is {confidence!r}, intervals mean nothing")
    if "tuned_params" not in run.manifest:
        evidence.fault("manifest.json: says nothing of tuning (tuned_params)")
        return evidence
    tuned = run.manifest["tuned_params"]
    trials = 1 if tuned is None else tuned.get("n_trials")
    if not isinstance(trials, int) or trials < 1:
        evidence.fault(f"manifest.json: tuned_params.n_trials is {trials!r}")
    evidence.fact(f"fill card of the config in force, {trials} trials behind the choice")
    return evidence


def _check_card(run: AuditedRun, name: str, card: dict[str, Any], evidence: Evidence) -> None:
    env = run.written_config["env"]
    expected = {"fee_rate": env["fee_rate"]}
    if not run.config.env.simulates:
        expected |= {"taker_fee_rate": env["taker_fee_rate"], **env["fill"]}
    if run.config.to_dict() == run.written_config:
        expected = fill_model_card(run.config.env)
    for key, value in expected.items():
        evidence.equal(card.get(key), value, what=f"{name}: fill_model.{key}")


def _sections(stored: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "policy", stored
    for name, metrics in (stored.get("baselines") or {}).items():
        yield f"baselines.{name}", metrics
    yield "difference_to_best_baseline", stored.get("difference_to_best_baseline") or {}


def _check_metrics(place: str, metrics: dict[str, Any], episodes: Any, evidence: Evidence) -> None:
    for name in METRICS:
        estimate = metrics.get(name)
        if not isinstance(estimate, dict) or not {"value", "low", "high"} <= set(estimate):
            evidence.fault(f"{place}.{name} has no interval, found {estimate!r}")
            continue
        value, low, high = (estimate[part] for part in ("value", "low", "high"))
        if low is not None and high is not None and low > high:
            evidence.fault(f"{place}.{name}: the interval [{low}, {high}] is upside down")
        # A ratio may be undefined in many resamples; money never is.
        many = isinstance(episodes, int) and episodes >= FEWEST_EPISODES
        if name == NET_PROFIT and many and None in {value, low, high}:
            evidence.fault(f"{place}.{name} of {episodes} episodes lacks its interval")


def _check_best(run: AuditedRun, evidence: Evidence) -> None:
    """The baseline to beat is the best on validation, in every segment."""
    headline = headline_metric(run.config.env)
    values = {
        name: metrics.get(headline, {}).get("value")
        for name, metrics in (run.metrics["valid"].get("baselines") or {}).items()
        if name != OPTIMUM
    }
    defined = {name: value for name, value in values.items() if value is not None}
    if not defined:
        return
    best = max(defined.values())
    for segment in SEGMENT_NAMES:
        name = run.metrics[segment].get("best_baseline")
        if defined.get(name) != best:
            evidence.fault(f"{segment}: best_baseline is '{name}', not the best on validation")
