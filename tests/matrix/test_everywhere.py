"""One matrix of real stages by every launcher: the same artefacts, clock times aside."""

from pathlib import Path
from typing import Any

import pytest
from tests.artefacts import artefacts
from tests.matrix.real_matrix import RealMatrix
from tests.slurm import Slurm


@pytest.mark.slow
def test_all_launchers_leave_the_same_artefacts(
    slurm: Slurm, ray_cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tuned, trained, evaluated and analyzed; packed in groups as well as one by one."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    matrix = RealMatrix(tmp_path, ("--seeds", "0 1", "--device", "cpu"))
    matrix.config("narrow")
    matrix.config("wide", spread=9.0)
    settings = {
        "local": {},
        "debug": {},
        "slurm": {"memory_gb": 0.5, "poll_seconds": 0.5},
        "ray": {"address": ray_cluster.address},
    }
    found = {}
    for kind, extra in settings.items():
        matrix.run(kind, **extra)
        found[kind] = artefacts(matrix.runs(kind))
    for suffix in ("model.zip", "progress.csv", "metrics.json", "best_params.json", "trials"):
        assert any(name.endswith(suffix) for name in found["local"]), suffix
    for kind in settings:
        assert found[kind].keys() == found["local"].keys()
        different = [name for name in found[kind] if found[kind][name] != found["local"][name]]
        assert not different, (kind, different)
