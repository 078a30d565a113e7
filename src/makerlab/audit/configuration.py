"""The stored config is the one that was trained: hashes, tuned parameters, flags."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from makerlab.audit.findings import Evidence, Skip
from makerlab.audit.subject import AuditedRun
from makerlab.config import SYNTHETIC
from makerlab.config.load import parse_value
from makerlab.files import content_hash
from makerlab.runs import keys
from makerlab.tuning.stored import stored_trial

_NAMED_FLAGS = {
    "--seed": "train.seed",
    "--fold": "data_split.fold",
    "--total_timesteps": "train.total_timesteps",
    "--run_name": "run.short_name",
    "--notes": "run.notes",
    "--profile": "run.profile",
    "--data": "env.csv_path",
}
_WHOLE = ("--seed", "--fold", "--total_timesteps")
_TRAIN_SCRIPT = "train_mm_sac.py"


def config_is_what_the_manifest_says(run: AuditedRun) -> Evidence:
    """Check config.yaml against the manifest: content, hash, and the keys made of it."""
    evidence = Evidence()
    written = run.written_config
    evidence.equal(run.manifest.get("config"), written, what="the manifest's config")
    without_notes = {**written, "run": dict(written.get("run") or {})}
    without_notes["run"].pop("notes", None)
    evidence.equal(run.manifest.get("config_hash"), content_hash(without_notes), what="config_hash")
    if run.config.to_dict() != written:
        evidence.fact("settings have been added since, so its keys can't be made again")
    elif run.config.env.csv_path == SYNTHETIC or Path(run.config.env.csv_path).is_file():
        expected = keys.environment_key(run.config)
        evidence.equal(run.manifest.get("environment_key"), expected, what="environment_key")
        if run.manifest.get("train_key") != keys.train_key(run.config):
            evidence.fact("train_key is of other source code than today's")
    evidence.fact("config.yaml has the manifest's content and hash")
    return evidence


def flags_are_in_the_config(run: AuditedRun) -> Evidence:
    """Check that each flag of the recorded command is in force."""
    evidence = Evidence()
    command = run.manifest.get("command") or []
    if not command or Path(str(command[0])).name != _TRAIN_SCRIPT:
        raise Skip(f"not started by {_TRAIN_SCRIPT}, no flags are recorded")
    flags = dict(_flags([str(word) for word in command[1:]]))
    for key, value in flags.items():
        evidence.equal(_value(run.written_config, key), value, what=f"{key} in config.yaml")
    evidence.fact(f"{len(flags)} flags of the recorded command are in force")
    return evidence


def tuned_parameters_are_trained(run: AuditedRun) -> Evidence:
    """Check the tuned parameters: the study's trial, its record in the run, the config."""
    evidence = Evidence()
    tuned = run.manifest.get("tuned_params")
    if tuned is None:
        raise Skip("nothing was tuned")
    command = [str(word) for word in run.manifest.get("command") or []]
    flags = dict(_flags(command[1:]))
    for name, value in tuned["params"].items():
        key = f"train.{name}"
        if key in flags:
            evidence.fact(f"{key}: a flag of the command stands above the tuned value")
            continue
        evidence.equal(_value(run.written_config, key), value, what=f"{key} in config.yaml")
    _check_trial(run, tuned, evidence)
    evidence.fact(f"{len(tuned['params'])} tuned parameters are in the config")
    return evidence


def _check_trial(run: AuditedRun, tuned: dict[str, Any], evidence: Evidence) -> None:
    source = Path(str(tuned.get("source")))
    if source.is_file():
        best = json.loads(source.read_bytes())
        if (best.get("study"), best.get("trial")) == (tuned["study"], tuned["trial"]):
            for name in ("params", "score"):
                evidence.equal(tuned[name], best.get(name), what=f"tuned_params.{name}")
        else:
            evidence.fact(f"{source.name} has been written again since, by another trial")
    trial = stored_trial(str(tuned["storage"]), str(tuned["study"]), int(tuned["trial"]))
    if trial is None:
        evidence.fact("the study can't be found from here, its trial was not compared")
        return
    evidence.equal(tuned["params"], trial.params, what="tuned_params.params")
    evidence.equal(tuned["score"], trial.score, what="tuned_params.score")
    if tuned["n_trials"] > trial.finished:
        evidence.fault(
            f"tuned_params.n_trials is {tuned['n_trials']}, the study has {trial.finished}"
        )
    evidence.fact(f"trial {tuned['trial']} of study {tuned['study']} has these values")


def _flags(words: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of the flags that set one."""
    for place, word in enumerate(words):
        name, separator, text = word.partition("=")
        if not separator:
            text = words[place + 1] if place + 1 < len(words) else ""
        if name == "--set":
            key, _, value = text.partition("=")
            yield key, parse_value(value)
        elif name in _NAMED_FLAGS:
            key = _NAMED_FLAGS[name]
            yield key, int(text) if name in _WHOLE else text


def _value(config: dict[str, Any], key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
