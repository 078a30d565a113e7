"""Audits."""

import shutil
from pathlib import Path

from tests.bad_input.case import Case
from tests.bad_input.lab import RUN


def _no_runs(folder: Path) -> None:
    shutil.rmtree(folder / RUN)


AUDITS = [
    Case("audits a run that is not there", "audit", f"{RUN}7", f"did you mean '{RUN.name}'?"),
    Case("audits a folder that is no run", "audit", "runs/SAC", "holds no config.yaml"),
    Case("audits another directory than that of runs", "audit", "--runs_dir run", "no such"),
    Case("audits before anything was trained", "audit", "", "holds no runs yet", _no_runs),
]
