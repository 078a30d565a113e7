"""Compiled code on disk is used only while every source behind it is the same."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import makerlab
from makerlab import compiling

PACKAGE = Path(makerlab.__file__).parent

# Two compiled functions of simulated_kernel.py: what `begin` writes depends on a helper in
# philox.py, what `observe` writes on a constant in base.py.
PROGRAM = """
import numpy as np
from makerlab.config import EnvSettings
from makerlab.data.split import Segment
from makerlab.market import simulated_kernel as kernel
from makerlab.market.simulated import SimulatedMarket

wanted = {"market": "avellaneda_stoikov", "order_size": 1, "max_inventory": 30}
settings = EnvSettings.model_validate(wanted | {"simulated": {"signal_strength": 1.0}})
batch = SimulatedMarket(Segment("train", 0, 64), settings).episodes(64)
batch.restart(np.arange(64))
batch.state.inventory[:] = 1e9
up = "".join("+" if signal > 0 else "-" for signal in batch.state.signal)
hits = [sum(part.stats.cache_hits.values()) for part in (kernel.begin, kernel.observe)]
print(up, batch.observe()[:, 1].max(), *hits)
"""


def run(program: str, folder: Path) -> list[str]:
    """Return what a new process prints that imports the package from a folder."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("NUMBA_CACHE_DIR", None)
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stdout.split()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"the text has changed: {old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_change_in_another_file_is_noticed(tmp_path: Path) -> None:
    """Numba by itself would go on with the old helper and the old constant."""
    copied = tmp_path / "makerlab"
    shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    signals, limit, *hits = run(PROGRAM, tmp_path)
    assert (limit, hits) == ("10.0", ["0", "0"])
    assert run(PROGRAM, tmp_path) == [signals, limit, "1", "1"]
    edit(copied / "market" / "philox.py", "_ROUNDS = 7", "_ROUNDS = 8")
    drawn_anew = run(PROGRAM, tmp_path)
    assert drawn_anew[0] != signals and drawn_anew[1:] == [limit, "0", "0"]
    edit(copied / "market" / "base.py", "OBSERVATION_LIMIT = 10.0", "OBSERVATION_LIMIT = 7.0")
    assert run(PROGRAM, tmp_path) == [drawn_anew[0], "7.0", "0", "0"]


def test_what_has_no_file_is_compiled_all_the_same() -> None:
    made: dict[str, object] = {"kept": compiling.kept}
    exec("@kept\ndef double(x):\n    return 2.0 * x", made)
    double = made["double"]
    assert callable(double) and double(3.0) == 6.0


def test_nothing_is_kept_on_disk_by_numba_alone() -> None:
    for module in set(PACKAGE.rglob("*.py")) - {Path(compiling.__file__)}:
        text = module.read_text(encoding="utf-8")
        assert not re.search(r"\bcache\s*=\s*True\b|\benable_caching\b", text), module


def compiled_modules() -> list[Path]:
    """Return the modules with functions that are kept on disk, and their helpers."""
    named = "from makerlab.compiling import"
    return [path for path in sorted(PACKAGE.rglob("*.py")) if named in path.read_text("utf-8")]


def names_from_elsewhere(module: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, part of makerlab it comes from) of all that decorated functions use."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    came_from = {
        alias.asname or alias.name: (node.module or "").split(".")[1]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("makerlab.")
        for alias in node.names
    }
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        if function.decorator_list:
            for node in (node for part in function.body for node in ast.walk(part)):
                if isinstance(node, ast.Name) and node.id in came_from:
                    yield node.id, came_from[node.id]


def test_all_that_compiled_code_is_made_of_is_hashed() -> None:
    """Its functions, helpers and constants lie in what the stamp knows."""
    hashed = {name.removesuffix(".py") for name in compiling._SOURCES}
    modules = compiled_modules()
    assert len(modules) > 5
    for module in modules:
        assert module.relative_to(PACKAGE).parts[0] in hashed
        for name, part in names_from_elsewhere(module):
            assert part in hashed, f"{module}: {name} of {part}"
