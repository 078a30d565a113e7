"""Real stages on a real Ray cluster of several raylets, one of them killed with its jobs."""

from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.matrix.real_matrix import SHORTER_CONFIG, RealMatrix, finish, wait_until

from makerlab.chaos.artefacts import artefacts


@pytest.mark.slow
def test_a_matrix_that_loses_a_raylet_ends_as_a_quiet_local_one(
    ray_cluster: Any, tmp_path: Path
) -> None:
    matrix = RealMatrix(tmp_path, ("--seeds", "0 1", "--device", "cpu"))
    matrix.config("narrow", text=SHORTER_CONFIG)
    matrix.config("wide", text=SHORTER_CONFIG, spread=9.0)
    matrix.run("local")
    process = matrix.start("ray", address=ray_cluster.address)
    wait_until(lambda: matrix.steps("ray") > 2000)
    wait_until(lambda: any(map(trains, ray_cluster.worker_nodes)))
    dying = next(node for node in ray_cluster.worker_nodes if trains(node))
    ray_cluster.remove_node(dying, allow_graceful=False)
    shown = finish(process)
    assert "could not be done" not in shown
    assert len(matrix.begins("ray")) > 4
    assert artefacts(matrix.runs("ray")) == artefacts(matrix.runs("local"))


def trains(node: Any) -> bool:
    """Whether a training is at work below a raylet."""
    (raylet,) = node.all_processes["raylet"]
    below = psutil.Process(raylet.process.pid).children(recursive=True)
    return any("train_mm_sac.py" in " ".join(words_of(process)) for process in below)


def words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
