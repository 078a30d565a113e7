"""One matrix of real stages by every launcher: the same artefacts, clock times aside."""

from pathlib import Path
from typing import Any

import pytest
from tests.matrix.real_matrix import RealMatrix
from tests.slurm import Slurm

from makerlab.chaos.artefacts import artefacts

SLURM = {"memory_gb": 0.5, "poll_seconds": 0.5}


@pytest.mark.slow
def test_all_launchers_leave_the_same_artefacts(
    slurm: Slurm, ray_cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tuned, trained, evaluated and analyzed, by single jobs and by packed ones."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    ray = {"address": ray_cluster.address}
    single, packed = make_matrix(tmp_path / "single"), make_matrix(tmp_path / "packed")
    single.run("local")
    expected = artefacts(single.runs("local"))
    for ending in ("model.zip", "progress.csv", "metrics.json", "best_params.json", ":0"):
        assert any(name.endswith(ending) for name in [*expected, *expected["trials"]]), ending
    for matrix, flags in ((single, ()), (packed, ("--group_size", "2"))):
        for kind, settings in (("debug", {}), ("slurm", SLURM), ("ray", ray)):
            shown = matrix.run(kind, *flags, **settings)
            assert "to be done again" not in shown
            assert different(matrix.runs(kind), expected) == [], (kind, flags)


def make_matrix(folder: Path) -> RealMatrix:
    """Return a matrix of two configs and two seeds."""
    folder.mkdir()
    matrix = RealMatrix(folder, ("--seeds", "0 1", "--device", "cpu"))
    matrix.config("narrow")
    matrix.config("wide", spread=9.0)
    return matrix


def different(runs_dir: Path, expected: dict[str, Any]) -> list[str]:
    """Return the names of artefacts that are not what is expected, or not there."""
    found = artefacts(runs_dir)
    names = sorted({*found, *expected})
    return [name for name in names if found.get(name, ...) != expected.get(name, ...)]
