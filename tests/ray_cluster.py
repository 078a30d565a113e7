"""A Ray cluster of several raylets on this machine, for tests."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

MEMORY = 80 << 20


def start_ray(*, nodes: int = 2) -> Iterator[Any]:
    """Start raylets of one CPU each and stop them at the end; skips where Ray is not installed."""
    pytest.importorskip("ray", reason="ray is not installed (extra `ray`)")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": MEMORY},
    )
    for _ in range(nodes - 1):
        cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    yield cluster
    cluster.shutdown()
