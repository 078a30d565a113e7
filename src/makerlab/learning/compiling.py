"""Compiled functions, kept on disk until a source behind them changes.

Numba looks only at the file of the function itself, and would go on using a compiled one whose
helpers in other files have changed since.
"""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.extending import intrinsic

Function = Callable[..., Any]


@functools.cache
def sources_hash() -> str:
    """Return the hash of all that compiled code of this package is made of."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def kept(function: Function) -> Any:
    """Compile a function that Python calls; `part` compiles what it calls in turn."""
    compiled: Any = numba.njit(cache=True, error_model="numpy")(function)
    # Not there when no folder can be written to.
    cache = getattr(compiled._cache, "_cache_file", None)
    if cache is not None:
        cache._source_stamp = sources_hash()
    return compiled


def part(*, fast: tuple[str, ...] = ()) -> Callable[[Function], Any]:
    """Compile a function that compiled ones call; `fast` loosens its arithmetic, as in LLVM."""
    compile_it: Callable[[Function], Any] = numba.njit(error_model="numpy", fastmath=set(fast))
    return compile_it


def written(function: Function) -> Any:
    """Make a function of types, which writes instructions, callable by compiled ones."""
    return intrinsic(function)
