"""Settings: typed, validated, merged by precedence, hashed."""

from makerlab.config.load import Config, load_config
from makerlab.config.segments import DataSplitSettings, WalkForwardSettings
from makerlab.config.settings import (
    CANDLES,
    SYNTHETIC,
    DataSettings,
    EnvSettings,
    EvaluateSettings,
    FillSettings,
    RunSettings,
    SyntheticSettings,
    TrainSettings,
    TuneSettings,
)
from makerlab.config.simulated import SimulatedSettings
from makerlab.config.warnings import warnings_of

__all__ = [
    "CANDLES",
    "SYNTHETIC",
    "Config",
    "DataSettings",
    "DataSplitSettings",
    "EnvSettings",
    "EvaluateSettings",
    "FillSettings",
    "RunSettings",
    "SimulatedSettings",
    "SyntheticSettings",
    "TrainSettings",
    "TuneSettings",
    "WalkForwardSettings",
    "load_config",
    "warnings_of",
]
