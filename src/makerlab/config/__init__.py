"""Settings: typed, validated, merged by precedence, hashed."""

from makerlab.config.load import Config, load_config
from makerlab.config.settings import (
    SYNTHETIC,
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
from makerlab.config.warnings import warnings_of

__all__ = [
    "SYNTHETIC",
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
    "warnings_of",
]
