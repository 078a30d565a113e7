"""One clean run for all tests of the audit."""

from pathlib import Path

import pytest
from tests.audit.lab import analyze, make_run


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tuned, trained, judged and analyzed run; never to be changed."""
    folder = tmp_path_factory.mktemp("audited")
    make_run(folder, "--set", "train.gamma=0.97", tuned=True)
    analyze(folder)
    return folder
