"""Connections to PostgreSQL that give up a server which does not answer."""

import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import psycopg
from sqlalchemy import make_url

T = TypeVar("T")
_Request = Generator[Any, Any, T]

_LOOK_SECONDS = 0.1


class Connection(psycopg.Connection[Any]):
    """A connection that fails once nothing has come from the server for `answer_seconds`.

    The system's own timers see a peer that is gone. They don't see one whose proxy or tunnel still
    holds the line, or a server that is stopped: those would be waited for without end.
    """

    answer_seconds = 120.0

    def wait(self, gen: _Request[T], interval: float = _LOOK_SECONDS, *more: Any) -> T:
        """Wait for a request's answer; raises psycopg.OperationalError when none comes."""
        try:
            return super().wait(bounded(gen, seconds=self.answer_seconds), interval, *more)
        except SilentError:
            self.close()
            raise


class SilentError(psycopg.OperationalError):
    """Nothing came from a server for too long."""


def connecting(url: str, *, seconds: float, **settings: Any) -> Callable[[], Connection]:
    """Return what opens connections to a server that may be silent for so many seconds."""
    parts = make_url(url)
    arguments, named = parts.get_dialect()().create_connect_args(parts)

    class Bounded(Connection):
        answer_seconds = seconds

    def connect() -> Connection:
        return Bounded.connect(*arguments, **{**settings, **named})

    return connect


def bounded(
    request: _Request[T], *, seconds: float, clock: Callable[[], float] = time.monotonic
) -> _Request[T]:
    """Yield what a request of psycopg yields, until nothing was ready for so many seconds."""
    try:
        wanted, moved = next(request), clock()
        while True:
            ready = yield wanted
            now = clock()
            if ready:
                moved = now
            elif now - moved >= seconds:
                raise SilentError(f"no answer for {seconds:.0f} s")
            wanted = request.send(ready)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
