"""One flow of imports, left to right; what is heavy stays out of the way of --help."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "src" / "makerlab"

# A module imports from its own level and from those above it; levels in one tuple share a place.
FLOW: tuple[tuple[str, ...], ...] = (
    ("registration",),
    ("compiling", "errors", "files", "theory"),
    ("cli", "config"),
    ("data",),
    ("statistics",),
    ("calibration",),
    ("market",),
    ("policies",),
    ("envs",),
    ("evaluation",),
    ("learning",),
    ("plotting",),
    ("replay",),
    ("runs",),
    ("tasks",),
    ("tuning",),
    ("report",),
    ("stages",),
    ("audit",),
    ("launchers",),
    ("matrix",),
    ("chaos",),
    ("stage_commands",),
    ("commands", "group_command"),
    # What the package offers to notebooks; imported when asked for, see the last test.
    ("__init__",),
)
PLACE = {name: place for place, names in enumerate(FLOW) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted([*REPOSITORY.glob("*.py"), *(REPOSITORY / "scripts").glob("*.py")])
HEAVY = (
    "torch",
    "optuna",
    "stable_baselines3",
    "matplotlib",
    "ccxt",
    "pandas",
    "numba",
    "hftbacktest",
)
SECONDS = 0.8


# The matrix's flags are command line like the stages', though they lie beside the matrix.
COMMAND_LINE = {PACKAGE / "matrix" / "command.py"}


def owner(module: Path) -> str:
    """Return the part of the package a file belongs to."""
    if module in COMMAND_LINE:
        return "commands"
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(module: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, name below makerlab) of every import, those inside functions included."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: relative import"
            base = node.module or ""
            names = [f"{base}.{alias.name}" for alias in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            if package == "makerlab" and rest:
                yield node.lineno, rest


def imported_parts(module: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, part of makerlab) of every import."""
    for line, name in imports(module):
        target = PACKAGE.joinpath(*name.split(".")[:2]).with_suffix(".py")
        yield line, owner(target) if target in COMMAND_LINE else name.split(".")[0]


def test_every_part_of_the_package_has_its_place() -> None:
    assert {owner(module) for module in MODULES} <= set(PLACE)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_flow_from_left_to_right(module: Path) -> None:
    part = owner(module)
    for line, imported in imported_parts(module):
        assert imported in PLACE, f"{module}:{line}: unknown part {imported}"
        allowed = PLACE[imported] < PLACE[part] or imported == part
        assert allowed, f"{module}:{line}: {part} imports {imported}, which lies to its right"


MARKET_MAKING = {"market", "policies", "envs", "evaluation", "learning"}


@pytest.mark.parametrize("part", ["runs", "statistics", "report", "launchers", "matrix", "tuning"])
def test_what_tasks_to_come_share_knows_neither_market_making_nor_learning(part: str) -> None:
    """Devices are asked for before anything starts; that is all the matrix asks of learning."""
    for module in (PACKAGE / part).rglob("*.py"):
        for line, name in imports(module):
            if not name.startswith("learning.device"):
                assert name.split(".")[0] not in MARKET_MAKING, f"{module}:{line}: {name}"


def test_stages_take_of_statistics_only_what_their_keys_know() -> None:
    """Other modules of `statistics` serve reports; a change there makes no result stale."""
    reports = {"report", "statistics"}
    for module in MODULES:
        if owner(module) not in reports:
            for line, name in imports(module):
                known = (
                    name.startswith("statistics.bootstrap") or name.split(".")[0] != "statistics"
                )
                assert known, f"{module}:{line}: {name} is not in runs/keys.py"


def test_nothing_in_the_package_prints_evaluates_or_unpickles() -> None:
    """Output goes through the command line's streams; records are JSON, YAML and arrays."""
    forbidden = {"print", "eval", "exec", "breakpoint"}
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in forbidden, f"{module}:{node.lineno}"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                loads = node.value.id in {"pickle", "cloudpickle"} and node.attr in {
                    "load",
                    "loads",
                }
                assert not loads, f"{module}:{node.lineno}"
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{module}:{node.lineno}: bare except"


def test_there_is_one_kernel() -> None:
    """Nobody but the market asks a bar whether it fills a quote; all others step the episodes."""
    for module in MODULES:
        part = owner(module)
        names = {name for _, name in imports(module)}
        inner = {"market.kernel.fills", "market.kernel.advance", "market.kernel.quotes"}
        assert part == "market" or not names & {*inner, "market.kernel"}, module


HELP = """
import os, resource, runpy, sys
script = sys.argv[1]
sys.argv = [script, "--help"]
try:
    runpy.run_path(script, run_name="__main__")
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = [name for name in {heavy!r} if name in sys.modules]
used = resource.getrusage(resource.RUSAGE_SELF)
sys.stderr.write(f"{{used.ru_utime + used.ru_stime}} {{' '.join(heavy)}}")
"""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_help_is_quick_and_loads_nothing_heavy(script: Path) -> None:
    """Processor time rather than the clock's: other work on the machine doesn't count."""
    process = subprocess.run(
        [sys.executable, "-c", HELP.format(heavy=HEAVY), str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    seconds, *heavy = process.stderr.split()
    assert process.stdout.startswith("usage: ")
    assert heavy == []
    assert float(seconds) < SECONDS


def test_importing_the_package_names_the_environments_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, makerlab, gymnasium\n"
        "assert 'makerlab/MarketMaking-v0' in gymnasium.registry\n"
        f"assert not [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(*sorted(name for name in sys.modules if name.startswith('makerlab')))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert output.stdout.split() == ["makerlab", "makerlab.registration"]
