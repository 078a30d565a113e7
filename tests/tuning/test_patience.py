"""A server that is away, or there and silent: requests are made again, and none waits for ever."""

import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from tests.tuning.wire import Wire

from makerlab.chaos.postgresql import Server
from makerlab.tuning.address import read_address
from makerlab.tuning.patient import is_unreachable, patiently
from makerlab.tuning.relational import engine_of
from makerlab.tuning.storage import open_storage


def test_a_server_that_falls_silent_is_given_up_and_asked_anew(server: Server) -> None:
    """Whoever holds the line still acknowledges each packet, so the system sees nothing wrong."""
    wire = Wire(server.port)
    there = dataclasses.replace(server, port=wire.port)
    engine = engine_of(read_address(there.url), answer=1.0)
    with engine.connect() as connection:
        cut = threading.Thread(target=wire.cut, kwargs={"seconds": 4.0})
        cut.start()
        began = time.monotonic()
        with pytest.raises(OperationalError) as caught:
            connection.execute(text("select 1"))
        assert 1.0 <= time.monotonic() - began < 3.0
    assert is_unreachable(caught.value)

    def ask() -> int:
        with engine.connect() as again:
            return int(again.execute(text("select 2")).scalar_one())

    assert patiently(ask, seconds=30.0) == 2
    cut.join()


def test_a_slow_answer_is_waited_for(server: Server) -> None:
    engine = engine_of(read_address(server.url), answer=5.0)
    with engine.connect() as connection:
        assert connection.execute(text("select pg_sleep(1), 3")).one()[1] == 3


def test_patience_begins_with_the_first_error() -> None:
    """Who waited an hour for its turn asks again when the server then restarts."""
    now = 0.0

    def clock() -> float:
        return now

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    asked = []

    def ask() -> str:
        asked.append(now)
        if len(asked) == 1:
            sleep(3600.0)
        if len(asked) <= 3:
            raise OperationalError("select 1", {}, Exception("away"))
        return "answered"

    assert patiently(ask, seconds=60.0, clock=clock, sleep=sleep) == "answered"
    asked.clear()
    with pytest.raises(OperationalError):
        patiently(ask, seconds=0.0, clock=clock, sleep=sleep)


def test_many_who_make_the_tables_at_once_all_succeed(server: Server) -> None:
    """Trap: after a crash of the server whoever held the gate goes on beside who holds it now."""
    server.renew()
    together = threading.Barrier(8)

    def open_at_once(_: int) -> int:
        together.wait()
        return len(open_storage(read_address(server.url)).get_all_studies())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(open_at_once, range(8))) == [0] * 8
