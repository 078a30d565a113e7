"""Compiled code on disk is used only while every source behind it is the same."""

import shutil
import subprocess
import sys
from pathlib import Path

from makerlab.learning import compiling

CALLER = """
from copied.compiling import kept
from copied.helper import value

@kept
def call(x):
    return value(x)
"""
HELPER = """
from copied.compiling import part

@part()
def value(x):
    return x + {}
"""
PROGRAM = "from copied.caller import call; print(call(1), *call.stats.cache_hits.values())"


def test_a_change_in_another_file_is_noticed(tmp_path: Path) -> None:
    """Numba by itself would go on with the old helper."""
    package = tmp_path / "copied"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(compiling.__file__, package / "compiling.py")
    (package / "caller.py").write_text(CALLER)
    found = []
    for added in (1, 1, 2):
        (package / "helper.py").write_text(HELPER.format(added))
        command = [sys.executable, "-c", PROGRAM]
        process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        found.append(process.stdout.split())
    assert found == [["2"], ["2", "1"], ["3"]]
