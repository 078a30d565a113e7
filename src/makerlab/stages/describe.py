"""Sentences about settings and metrics, for whoever reads their names in a table or a plot."""

from collections.abc import Callable

from makerlab.config.load import describe as describe_setting


def descriptions() -> Callable[[str], str]:
    """Return what says in a sentence what a setting or a metric is, or nothing."""
    # Metrics live beside the market's kernel, whose import is too slow for runs without plots.
    from makerlab.evaluation.metrics import METRICS
    from makerlab.evaluation.objective import OBJECTIVE_METRICS

    known = {**METRICS, **OBJECTIVE_METRICS}

    def describe(name: str) -> str:
        if name in known:
            return known[name]
        try:
            return describe_setting(name)
        except KeyError:
            return ""

    return describe
