"""What a trial may choose."""

from typing import Any

import optuna

from makerlab.config.settings import LogRange, SearchSpace


def suggest(trial: optuna.trial.Trial, space: SearchSpace) -> dict[str, Any]:
    """Return the parameters of a trial by the names they have in the `train` section."""
    networks = {network_name(layers): list(layers) for layers in space.net_arch}
    return {
        "net_arch": networks[trial.suggest_categorical("net_arch", list(networks))],
        "learning_rate": _number(trial, "learning_rate", space.learning_rate),
        "gamma": _number(trial, "gamma", space.gamma),
        "batch_size": trial.suggest_categorical("batch_size", list(space.batch_size)),
        "tau": _number(trial, "tau", space.tau),
    }


def network_name(layers: tuple[int, ...]) -> str:
    """Return a network as text, such as 64x64; a study stores only plain values."""
    return "x".join(str(size) for size in layers)


def _number(trial: optuna.trial.Trial, name: str, limits: LogRange) -> float:
    return float(trial.suggest_float(name, limits.low, limits.high, log=limits.log))
