"""Statistics of results: how far a number can be trusted, and what choosing did to it.

The names in `__all__` are loaded when first asked for, so importing this costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from makerlab.statistics.bootstrap import Estimate, mean_interval
    from makerlab.statistics.deflated import deflated_sharpe_ratio, expected_maximum_sharpe
    from makerlab.statistics.interquartile import (
        interquartile_mean,
        interquartile_mean_interval,
        stratified_bootstrap,
    )
    from makerlab.statistics.multiple import holm_adjusted
    from makerlab.statistics.overfitting import (
        overfitting_logits,
        probability_of_backtest_overfitting,
    )
    from makerlab.statistics.resampling import (
        block_bootstrap,
        circular_block_indices,
        paired_bootstrap,
        stationary_indices,
    )
    from makerlab.statistics.sharpe import (
        Moments,
        minimum_track_record_length,
        moments,
        probabilistic_sharpe_ratio,
    )
    from makerlab.statistics.snooping import reality_check

_PLACES = {
    "Estimate": "bootstrap",
    "mean_interval": "bootstrap",
    "Moments": "sharpe",
    "moments": "sharpe",
    "probabilistic_sharpe_ratio": "sharpe",
    "minimum_track_record_length": "sharpe",
    "expected_maximum_sharpe": "deflated",
    "deflated_sharpe_ratio": "deflated",
    "overfitting_logits": "overfitting",
    "probability_of_backtest_overfitting": "overfitting",
    "interquartile_mean": "interquartile",
    "interquartile_mean_interval": "interquartile",
    "stratified_bootstrap": "interquartile",
    "paired_bootstrap": "resampling",
    "block_bootstrap": "resampling",
    "circular_block_indices": "resampling",
    "stationary_indices": "resampling",
    "reality_check": "snooping",
    "holm_adjusted": "multiple",
}

__all__ = [
    "Estimate",
    "Moments",
    "block_bootstrap",
    "circular_block_indices",
    "deflated_sharpe_ratio",
    "expected_maximum_sharpe",
    "holm_adjusted",
    "interquartile_mean",
    "interquartile_mean_interval",
    "mean_interval",
    "minimum_track_record_length",
    "moments",
    "overfitting_logits",
    "paired_bootstrap",
    "probabilistic_sharpe_ratio",
    "probability_of_backtest_overfitting",
    "reality_check",
    "stationary_indices",
    "stratified_bootstrap",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
