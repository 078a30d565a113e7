"""Compiled functions, kept on disk until a source behind them changes.

Numba looks only at the file of the function itself, and would go on using a compiled one whose
helpers or constants in other files have changed since.
"""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.extending import intrinsic

Function = Callable[..., Any]

# Where compiled functions, their helpers and their constants stand; a test holds them to it.
_SOURCES = ("compiling.py", "data", "learning", "market")


@functools.cache
def sources_hash() -> str:
    """Return the hash of all that compiled code of this package is made of."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for place in (package / name for name in _SOURCES):
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def kept(function: Function) -> Any:
    """Compile a function that Python calls; `part` compiles what it calls in turn."""
    compiled: Any = numba.njit(error_model="numpy")(function)
    try:
        compiled.enable_caching()
    except RuntimeError:
        # It has no file, or no folder can be written to: every process compiles it anew.
        return compiled
    compiled._cache._cache_file._source_stamp = sources_hash()
    return compiled


def part(*, fast: tuple[str, ...] = (), **options: Any) -> Callable[[Function], Any]:
    """Compile a function that compiled ones call.

    `fast` loosens its arithmetic, as in LLVM; `options` are numba's, such as how to inline it.
    """
    compile_it: Callable[[Function], Any] = numba.njit(
        error_model="numpy", fastmath=set(fast), **options
    )
    return compile_it


def written(function: Function) -> Any:
    """Make a function of types, which writes instructions, callable by compiled ones."""
    return intrinsic(function)
