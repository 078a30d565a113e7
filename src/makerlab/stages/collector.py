"""Reading many runs without looking for garbage among them."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Everything that is read is kept: looking through it again and again for garbage is waste."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        # What was made meanwhile counts as old, or the first collection would go through it all.
        gc.freeze()
        gc.unfreeze()
        if enabled:
            gc.enable()
