"""What a stage says of its inputs before it begins."""

from makerlab.config import Config, warnings_of
from makerlab.data.split import SEGMENT_NAMES
from makerlab.market.fill_card import fill_model_line
from makerlab.runs.progress import Report
from makerlab.tasks import Workbench


def report_notices(config: Config, workbench: Workbench, report: Report) -> None:
    """Report what the config is likely to regret, its fill model, its split, and synthetic data."""
    for warning in warnings_of(config, mid=workbench.mean_price):
        report(f"warning: {warning}")
    report(fill_model_line(config.env))
    if workbench.split_record.get("fallback"):
        report(f"note: {workbench.split_record['fallback']}")
    if plan := workbench.split_record.get("walk_forward"):
        number = f"fold {plan['fold']} (of 0 to {plan['folds'] - 1}, {plan['mode']})"
        report(f"note: {number}: {_ranges(workbench)}")
    if workbench.source.kind == "synthetic":
        report("note: SYNTHETIC data; results say nothing about a real market")


def _ranges(workbench: Workbench) -> str:
    """Return the fold's segments; a test that nobody has seen yet is a range like the others."""
    parts = [
        f"{name} {segment['start'][:16]} to {segment['end'][:16]} ({segment['bars']:,} bars)"
        for name, segment in workbench.split_record.items()
        if name in SEGMENT_NAMES
    ]
    return ", ".join(parts)
