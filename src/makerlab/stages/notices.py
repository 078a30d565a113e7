"""What a stage says of its inputs before it begins."""

from makerlab.config import Config, warnings_of
from makerlab.runs.progress import Report
from makerlab.tasks import Workbench


def report_notices(config: Config, workbench: Workbench, report: Report) -> None:
    """Report what the config is likely to regret, what its split became, and synthetic data."""
    for warning in warnings_of(config, mid=workbench.mean_price):
        report(f"warning: {warning}")
    if workbench.split_record.get("fallback"):
        report(f"note: {workbench.split_record['fallback']}")
    if workbench.source.kind == "synthetic":
        report("note: SYNTHETIC data; results say nothing about a real market")
