"""Training and tuning kept to their segments: ranges, hashes, and whose environment was tuned."""

import datetime
import json
from pathlib import Path
from typing import Any

from makerlab.audit.findings import Evidence
from makerlab.audit.subject import AuditedRun
from makerlab.config import DataSplitSettings
from makerlab.data.split import SEGMENT_NAMES, SegmentName
from makerlab.errors import UserError

_IN_ORDER: tuple[tuple[SegmentName, SegmentName], ...] = (
    ("train", "valid"),
    ("valid", "test"),
    ("train", "test"),
)

_EPISODE = "episode "


def segments_are_apart(run: AuditedRun) -> Evidence:
    """Check the recorded segments: disjoint, an embargo apart, as config and data give them."""
    evidence = Evidence()
    recorded = run.manifest.get("split")
    if not isinstance(recorded, dict):
        raise UserError(f"{run.directory.manifest}: damaged, 'split' is {recorded!r}")
    ranges = {name: _range(recorded, name) for name in SEGMENT_NAMES}
    unit = 1 if run.config.env.simulates else run.candles.bar_ms
    needed = _bars_between(run.config.data_split)
    for earlier, later in _IN_ORDER:
        gap = (ranges[later][0] - ranges[earlier][1]) / unit
        if gap < 0:
            evidence.fault(
                f"the {earlier} segment ends {recorded[earlier]['end']}, after the {later} "
                f"segment starts, {recorded[later]['start']}: they overlap"
            )
        elif gap < needed:
            evidence.fault(
                f"between {earlier} and {later} lie {gap:g} bars, the config asks for {needed}"
            )
    for name in SEGMENT_NAMES:
        expected = run.markets.split_record[name]
        evidence.equal(recorded.get(name), expected, what=f"split.{name} of the manifest")
    evidence.fact(f"three segments at least {needed} bars apart, as config and data give them")
    return evidence


def all_stages_had_the_same_data(run: AuditedRun) -> Evidence:
    """Hash the data again and compare with what training, tuning and judging recorded.

    The environment's key covers data, segments and market: parameters tuned under the run's own
    were tuned on its training and judged on its validation segment, and on no other bars.
    """
    evidence = Evidence()
    found = run.markets.source.sha256
    evidence.equal(
        (run.manifest.get("data") or {}).get("sha256"), found, what="manifest data.sha256"
    )
    if run.directory.evaluation.metrics.is_file():
        evidence.equal(run.metrics.get("data_sha256"), found, what="metrics.json data_sha256")
        evidence.equal(
            run.metrics.get("environment_key"),
            run.manifest.get("environment_key"),
            what="metrics.json environment_key",
        )
    _check_tuning(run, found, evidence)
    evidence.fact(f"data sha256 {found[:12]} everywhere")
    return evidence


def _check_tuning(run: AuditedRun, sha256: str, evidence: Evidence) -> None:
    tuned = run.manifest.get("tuned_params")
    if tuned is None:
        evidence.fact("nothing was tuned")
        return
    source = Path(str(tuned.get("source")))
    best = json.loads(source.read_bytes()) if source.is_file() else {}
    if (best.get("study"), best.get("trial")) != (tuned.get("study"), tuned.get("trial")):
        evidence.fact("the tuned parameters' own file is gone or of another trial by now")
        return
    evidence.equal(best.get("data_sha256"), sha256, what=f"{source.name} data_sha256")
    evidence.equal(
        best.get("environment_key"),
        run.manifest.get("environment_key"),
        what=f"{source.name} environment_key",
    )


def _bars_between(settings: DataSplitSettings) -> int:
    """Return how many bars the config leaves out between two segments."""
    plan = settings.walk_forward
    return plan.purge_bars + plan.embargo_bars if plan.folds else settings.embargo_bars


def _range(split: dict[str, Any], name: str) -> tuple[int, int]:
    """Return start and end in milliseconds, or in the numbers of a simulation's episodes."""
    part: Any = split.get(name)
    try:
        start, end = (_place(part[key]) for key in ("start", "end"))
    except (TypeError, KeyError, ValueError):
        raise UserError(f"manifest.json: damaged, split.{name} is {part!r}") from None
    return start, end


def _place(text: str) -> int:
    if text.startswith(_EPISODE):
        return int(text.removeprefix(_EPISODE))
    return int(datetime.datetime.fromisoformat(text).timestamp() * 1000)
