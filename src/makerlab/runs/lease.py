"""Leases: one holder at a time, on any file system where a rename is atomic.

A lease is a folder with one empty file, its token. The token's name says how often it was passed
on and who holds it; taking, renewing and giving back are renames of it. Two who rename the same
name can't both succeed, so nothing depends on file locks, which many shared file systems lack. A
holder that died is known at once on its own host. On another one it shows by a token that stays
the same: each observer measures that with its own clock, so clocks of hosts need not agree.
"""

import contextlib
import itertools
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from makerlab.files import naming
from makerlab.runs.owner import is_alive, is_local, this_process

RENEW_SECONDS = 30.0
STALE_SECONDS = 180.0
_LONGEST_WAIT = 0.5
_SEPARATOR = "~"
_numbers = itertools.count()


class Token(NamedTuple):
    """How often a lease was passed on or renewed, and its holder; None when it is free."""

    turns: int
    holder: str | None

    @property
    def file_name(self) -> str:
        """The name of the file that stands for it."""
        return f"{self.turns:012d}{_SEPARATOR}{self.holder or 'free'}"


def read_token(name: str) -> Token:
    """Return the token that a file name stands for."""
    turns, _, holder = name.partition(_SEPARATOR)
    return Token(int(turns), None if holder == "free" else holder)


@dataclass
class Watch:
    """Tells what has stood still for long, by this process's own clock.

    Time counts only between two looks that were close: while a server or this process itself was
    stopped, nothing could have been seen to move.
    """

    seconds: float
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[str, float, float]] = field(default_factory=dict)

    def stands_still(self, name: str, sign: str) -> bool:
        """Look at a sign of life; True once it has been the same for `seconds`."""
        now = self.clock()
        before, still, looked = self._seen.get(name, ("", 0.0, now))
        still = still + min(now - looked, self.seconds / 6) if sign == before else 0.0
        self._seen[name] = (sign, still, now)
        return still >= self.seconds

    def moved(self, name: str, sign: str) -> bool:
        """Return whether a sign of life has changed since it was last looked at."""
        return name in self._seen and self._seen[name][0] != sign


class Lease:
    """The right to do something alone, such as to write a run; see the module's head.

    Whoever is stopped for longer than `stale_seconds` loses it to others, and learns so from
    `renew` and `held`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        stale_seconds: float = STALE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._folder, self._clock, self._sleep = folder, clock, sleep
        self._watch = Watch(stale_seconds, clock)
        self._lock = threading.Lock()
        self._mine: Token | None = None
        self._first: dict[str, int] = {}

    @property
    def held(self) -> bool:
        """Whether this process has the lease, as of the last renewal."""
        return self._mine is not None

    def try_acquire(self) -> bool:
        """Take the lease if it is free or its holder is dead; returns whether it was taken."""
        token = self._read()
        if token.holder is not None and not self._is_dead(token):
            return False
        mine = Token(token.turns + 1, _name_of(this_process()))
        if not self._pass_on(token, mine):
            return False
        self._mine = mine
        return True

    def acquire(
        self, *, seconds: float | None = None, stop: Callable[[], bool] = lambda: False
    ) -> bool:
        """Wait for the lease; False after so many seconds, or when asked to stop."""
        began, pause = self._clock(), 0.001
        while not self.try_acquire():
            if stop() or (seconds is not None and self._clock() - began >= seconds):
                return False
            self._sleep(pause)
            pause = min(2 * pause, _LONGEST_WAIT)
        return True

    def renew(self) -> bool:
        """Show that the holder lives; False when the lease is not, or no more, held."""
        with self._lock:
            if self._mine is None:
                return False
            renewed = self._mine._replace(turns=self._mine.turns + 1)
            held = self._pass_on(self._mine, renewed)
            self._mine = renewed if held else None
            return held

    def release(self) -> None:
        """Give the lease back, if it is still held."""
        with self._lock:
            if self._mine is not None:
                self._pass_on(self._mine, Token(self._mine.turns + 1, None))
            self._mine = None

    def holder(self) -> dict[str, Any] | None:
        """Return the process that holds the lease, None when nobody does."""
        token = self._newest()
        return None if token is None or token.holder is None else _process_of(token.holder)

    def is_seen_alive(self) -> bool:
        """Whether the holder lives for certain: on this host, or seen to renew since first asked.

        One elsewhere that has not moved yet may be either.
        """
        token = self._newest()
        if token is None or token.holder is None:
            return False
        process = _process_of(token.holder)
        if is_local(process):
            return is_alive(process)
        return token.turns != self._first.setdefault(token.holder, token.turns)

    @contextlib.contextmanager
    def kept(self, *, every: float = RENEW_SECONDS) -> Iterator[None]:
        """Renew the lease until the block ends, then give it back; waits for it if need be."""
        if self._mine is None:
            self.acquire()
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(every):
                # A file server that does not answer is no reason to let go.
                with contextlib.suppress(OSError):
                    if not self.renew():
                        return

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.release()

    def _is_dead(self, token: Token) -> bool:
        process = _process_of(token.holder or "")
        if is_local(process):
            return not is_alive(process)
        return self._watch.stands_still("holder", token.file_name)

    def _read(self) -> Token:
        """Return the newest token, making the lease where there is none yet."""
        while (token := self._newest()) is None:
            if not self._folder.is_dir():
                self._make()
        return token

    def _newest(self) -> Token | None:
        """Return the newest token; while one is renamed, a listing may show two names or none."""
        try:
            names = os.listdir(self._folder)  # noqa: PTH208 - one call, no object per name
        except FileNotFoundError:
            return None
        return max((read_token(name) for name in names if name[0].isdigit()), default=None)

    def _make(self) -> None:
        """Create the folder with its first token in it, in one step."""
        ending = f"{os.getpid()}.{next(_numbers)}.new"
        made = self._folder.with_name(f"{self._folder.name}.{ending}")
        with naming(self._folder):
            made.mkdir()
            (made / Token(0, None).file_name).touch()
        try:
            made.rename(self._folder)
        except OSError:
            shutil.rmtree(made, ignore_errors=True)
            if not self._folder.is_dir():
                raise

    def _pass_on(self, before: Token, after: Token) -> bool:
        """Rename the token; False when someone else was faster."""
        target = self._folder / after.file_name
        try:
            with naming(self._folder):
                (self._folder / before.file_name).rename(target)
        except FileNotFoundError:
            # A server's answer may be lost, and the second try then finds the name gone.
            return after.holder is not None and target.exists()
        return True


def _name_of(process: dict[str, Any]) -> str:
    """Return a holder's name: its process, and which of its holdings this is."""
    parts = [process[name] for name in ("host", "boot_id", "pid_namespace", "pid")]
    return _SEPARATOR.join(map(str, [*parts, f"{process['started']:.3f}", next(_numbers)]))


def _process_of(holder: str) -> dict[str, Any]:
    host, boot_id, namespace, pid, started, _ = holder.split(_SEPARATOR)
    return {
        "host": host,
        "boot_id": boot_id,
        "pid_namespace": namespace,
        "pid": int(pid),
        "started": float(started),
    }
