"""Maker Lab: an experiment matrix for learned market makers whose numbers can be believed."""

from typing import TYPE_CHECKING, Any

from makerlab.registration import register_environments

if TYPE_CHECKING:
    from makerlab.report.frame import load_runs

__version__ = "0.1.0"
__all__ = ["load_runs"]

register_environments()


def __getattr__(name: str) -> Any:
    """Import what is public when it is asked for: the package itself stays quick to import."""
    if name == "load_runs":
        from makerlab.report.frame import load_runs

        return load_runs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
