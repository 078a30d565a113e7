"""Tasks: what is learned, how it is trained and judged. The stages know only this."""

from makerlab.tasks.base import SegmentResult, Workbench
from makerlab.tasks.registry import open_workbench

__all__ = ["SegmentResult", "Workbench", "open_workbench"]
