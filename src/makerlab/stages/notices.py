"""What a stage says of its inputs before it begins."""

from makerlab.config import Config, warnings_of
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
    if workbench.source.kind == "synthetic":
        report("note: SYNTHETIC data; results say nothing about a real market")
