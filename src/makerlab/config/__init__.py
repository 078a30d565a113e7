"""Settings: typed, validated, merged by precedence, hashed."""

from makerlab.config.load import Config, load_config
from makerlab.config.settings import (
    DataSettings,
    DataSplitSettings,
    EnvSettings,
    EvaluateSettings,
    FillSettings,
    RunSettings,
    SyntheticSettings,
    TrainSettings,
    TuneSettings,
)

__all__ = [
    "Config",
    "DataSettings",
    "DataSplitSettings",
    "EnvSettings",
    "EvaluateSettings",
    "FillSettings",
    "RunSettings",
    "SyntheticSettings",
    "TrainSettings",
    "TuneSettings",
    "load_config",
]
