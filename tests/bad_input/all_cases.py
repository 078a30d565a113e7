"""Every case of bad input, in the order of docs/errors.md."""

from tests.bad_input.audit_cases import AUDITS
from tests.bad_input.capture_cases import CALIBRATIONS, REPLAYS
from tests.bad_input.case import Case
from tests.bad_input.config_cases import CONFIGS, FLAGS
from tests.bad_input.data_cases import DATA, FETCH
from tests.bad_input.disk_cases import DISKS
from tests.bad_input.launcher_cases import LAUNCHERS
from tests.bad_input.matrix_cases import MATRICES, PATHS
from tests.bad_input.model_cases import ANALYSES, MODELS
from tests.bad_input.run_cases import RUNS
from tests.bad_input.simulation_cases import SIMULATIONS
from tests.bad_input.study_cases import PARAMS, STUDIES
from tests.bad_input.walk_forward_cases import WALK_FORWARD

SECTIONS: dict[str, list[Case]] = {
    "Configs": CONFIGS,
    "Flags and environment variables": FLAGS,
    "Walk-forward": WALK_FORWARD,
    "Candles": DATA,
    "Downloads": FETCH,
    "Calibrations": CALIBRATIONS,
    "Replays": REPLAYS,
    "Runs": RUNS,
    "Tuned parameters": PARAMS,
    "Studies": STUDIES,
    "Model files": MODELS,
    "Analyses": ANALYSES,
    "Audits": AUDITS,
    "Simulated markets": SIMULATIONS,
    "Matrices": MATRICES,
    "Launchers": LAUNCHERS,
    "Paths": PATHS,
    "Full and read-only disks": DISKS,
}

CASES = [case for cases in SECTIONS.values() for case in cases]
