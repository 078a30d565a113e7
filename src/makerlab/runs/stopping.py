"""Asked to stop: SIGTERM, Ctrl-C, or the death of the process that started this one."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from makerlab.errors import Interrupted

PARENT_VARIABLE = "MAKERLAB_PARENT_PID"


def what_continues(alone: str) -> str:
    """Return what continues work that is stopped: the matrix that began it, else `alone`."""
    return alone if _parent() is None else "the next make matrix"


def leave_with_parent(*, every: float = 0.1) -> None:
    """Let this process end, without a word, as soon as the job's parent is gone.

    For work that keeps no state and writes whole files. A process that is no job stays.
    """
    parent = _parent()
    if parent is None:
        return

    def orphaned() -> None:
        while os.getppid() == parent:
            time.sleep(every)

    _leave_after(orphaned)


def leave_with_pool() -> None:
    """Let this process, one of a pool, end with the process that made the pool.

    When that one is killed its pool would wait for work for ever.
    """
    maker = multiprocessing.parent_process()
    if maker is not None:
        _leave_after(maker.join)


def _leave_after(wait: Callable[[], object]) -> None:
    def leave() -> None:
        wait()
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=leave, daemon=True).start()


def _parent() -> int | None:
    """Return the process that began this one as its job, None for what a user began."""
    parent = os.environ.get(PARENT_VARIABLE)
    return int(parent) if parent else None


class StopRequest:
    """Turns signals into a flag that long work looks at between two steps."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._signal: int | None = None
        self._previous: dict[int, Any] = {}
        self._clock = clock
        self._looked = clock()
        self._parent = _parent()

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for."""
        if self._parent is not None and self._clock() - self._looked > 1.0:
            self._looked = self._clock()
            if os.getppid() != self._parent:
                self._signal = self._signal or signal.SIGTERM
        return self._signal is not None

    def interruption(self, message: str) -> Interrupted:
        """Return the exception with which to leave once the state is safe."""
        return Interrupted(message, self._signal or signal.SIGTERM)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        # The second Ctrl-C means now.
        if self._signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = number
