"""The model files are of the config beside them, and of the training that the manifest tells of."""

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

from makerlab.audit.findings import Evidence, close
from makerlab.audit.subject import AuditedRun
from makerlab.errors import UserError
from makerlab.files import file_hash

# Of a training's settings those that Stable-Baselines3 writes beside the weights.
_WRITTEN = (
    "learning_rate",
    "gamma",
    "batch_size",
    "tau",
    "gradient_steps",
    "learning_starts",
    "buffer_size",
    "seed",
)


def models_are_of_the_config(run: AuditedRun) -> Evidence:
    """Check architecture, hyperparameters, seed and steps of both model files."""
    evidence = Evidence()
    steps = {
        run.directory.model: run.manifest.get("steps"),
        run.directory.best_model: (run.manifest.get("best") or {}).get("step"),
    }
    for path, expected_steps in steps.items():
        policy = run.policy(path)
        written = _settings(path)
        for name in _WRITTEN:
            expected = getattr(run.config.train, name)
            evidence.equal(written.get(name), expected, what=f"{path.name}: {name}")
        layers = list(run.config.train.net_arch)
        evidence.equal(policy.hidden_sizes, layers, what=f"{path.name}: layers of the weights")
        evidence.equal(policy.action_size, run.workbench.action_size, what=f"{path.name}: actions")
        if expected_steps is not None:
            found = written.get("num_timesteps")
            evidence.equal(found, expected_steps, what=f"{path.name}: steps trained")
    evidence.fact(f"both models have the config's {len(_WRITTEN) + 2} settings and its steps")
    return evidence


def models_score_as_recorded(run: AuditedRun) -> Evidence:
    """Score both models again on the validation segment, as the training did to choose one.

    That the number comes out again says that the choice was made there and nowhere else.
    """
    evidence = Evidence()
    recorded = {
        run.directory.best_model: (run.manifest.get("best") or {}).get("score"),
        run.directory.model: _last_score(run.directory.progress),
    }
    for path, expected in recorded.items():
        found = run.workbench.score(run.policy(path))
        if not close(found, expected, relative=1e-6, absolute=1e-6):
            evidence.fault(
                f"{path.name}: {run.config.tune.metric} on the validation segment is {found}, "
                f"the training recorded {expected}"
            )
    _check_judged_model(run, evidence)
    evidence.fact("both models score on the validation segment what the training recorded")
    return evidence


def _check_judged_model(run: AuditedRun, evidence: Evidence) -> None:
    path = run.directory.evaluation.metrics
    if path.is_file():
        model = run.directory.path / str(run.metrics.get("model"))
        if model.is_file():
            stored = run.metrics.get("model_sha256")
            evidence.equal(file_hash(model), stored, what=f"{model.name}: sha256")
        else:
            evidence.fault(f"metrics.json is of {model.name}, which is not there")


def _settings(path: Path) -> dict[str, Any]:
    """Return the settings beside the weights; what is pickled in them stays unread text."""
    try:
        with zipfile.ZipFile(path) as archive:
            content: dict[str, Any] = json.loads(archive.read("data"))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise UserError(f"{path}: damaged, its settings can't be read ({error})") from None
    return content


def _last_score(progress: Path) -> float | None:
    with progress.open(newline="", encoding="utf-8") as file:
        scores = [row["valid_score"] for row in csv.DictReader(file) if row["valid_score"]]
    return float(scores[-1]) if scores else None
