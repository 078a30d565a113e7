"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

# One thread per process: results don't depend on the machine's load, and tests don't fight.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real market data beside the checkout; tests that need it skip without it."""
    folder = Path(os.environ.get("MAKERLAB_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real market data not found at {folder} (set MAKERLAB_SHARED_DATA)")
    return folder
