"""Downloads against a local exchange: whatever goes wrong on the way, the bytes are the same."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kline_server import MINUTE, START, Kline, KlineServer, klines

from makerlab.data import Candles, load_candles
from makerlab.data.fetch import FetchRequest, fetch_candles
from makerlab.data.partial import HEADER, append_rows, count_rows, open_partial, partial_path
from makerlab.errors import UserError

ccxt = pytest.importorskip("ccxt", reason="fetching needs the extra makerlab[fetch]")

BARS = 451  # the last one is still open
SCRIPT = Path(__file__).parents[2] / "scripts" / "fetch_candles.py"


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that is not to the local server, and every proxy."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1", f"a test tried to reach {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(autouse=True)
def no_throttle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The local server needs no pauses between requests."""
    monkeypatch.setattr(ccxt.Exchange, "throttle", lambda *_: None)


@pytest.fixture
def server() -> Iterator[KlineServer]:
    with KlineServer(klines(BARS)).running() as running:
        yield running


class Journal:
    """Collects report lines and sleeps; the local clock runs an hour ahead of the exchange."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.slept: list[float] = []

    def fetch(self, server: KlineServer, output: Path, **changes: Any) -> Candles:
        values: dict[str, Any] = {
            "exchange": "binance",
            "symbol": "BTC/USDT",
            "timeframe": "1m",
            "since": "2024-12-01",
            "until": None,
            "output": output,
            "base_url": server.url,
        }
        return fetch_candles(
            FetchRequest(**(values | changes)),
            report=self.lines.append,
            clock=lambda: server.now_ms / 1000 + 3600,
            sleep=self.slept.append,
        )


def fetch(server: KlineServer, output: Path, **changes: Any) -> Candles:
    return Journal().fetch(server, output, **changes)


def refusal(server: KlineServer, output: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        fetch(server, output, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def undisturbed(rows: list[Kline], folder: Path, name: str = "candles.csv") -> bytes:
    folder.mkdir(exist_ok=True)
    with KlineServer(rows, page_cap=1000).running() as server:
        fetch(server, folder / name)
    return (folder / name).read_bytes()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


# --- what is downloaded ------------------------------------------------------------------------


def test_pages_join_into_the_series_the_exchange_serves(
    server: KlineServer, tmp_path: Path
) -> None:
    candles = fetch(server, tmp_path / "candles.csv")
    expected = klines(BARS)[:-1]
    assert candles.ts_ms.tolist() == [row[0] for row in expected]
    for at, name in enumerate(("open", "high", "low", "close", "volume"), start=1):
        assert getattr(candles, name).tolist() == [float(row[at]) for row in expected]
    assert candles.source.kind == "file"
    assert len(server.requests) == 5
    assert names(tmp_path) == {"candles.csv", "candles.csv.json"}


def test_the_open_candle_is_dropped_even_when_the_local_clock_runs_ahead(
    server: KlineServer, tmp_path: Path
) -> None:
    candles = fetch(server, tmp_path / "candles.csv")
    assert candles.ts_ms[-1] == server.rows[-2][0]
    server.now_ms = server.rows[-1][0] + MINUTE  # now it is closed
    assert fetch(server, tmp_path / "candles.csv").ts_ms[-1] == server.rows[-1][0]


def test_parquet_and_csv_hold_the_same_bars(server: KlineServer, tmp_path: Path) -> None:
    first = fetch(server, tmp_path / "candles.csv")
    second = fetch(server, tmp_path / "candles.parquet")
    assert first.close.tobytes() == second.close.tobytes()
    assert first.ts_ms.tobytes() == second.ts_ms.tobytes()


@pytest.mark.parametrize(
    ("since", "until", "bars"),
    [
        ("2024-12-01T01:00:00Z", "2024-12-01T02:00:00Z", (60, 119)),
        ("2024-12-01T01:00", "2024-12-01T02:00", (60, 119)),
        ("2024-12-01T02:00:00+01:00", "2024-12-01T03:00:00+01:00", (60, 119)),
        ("2024-12-01T01:00:30Z", "2024-12-01T02:00:30Z", (61, 119)),
        ("2024-12-01", "2024-12-01", (0, BARS - 2)),
    ],
)
def test_times_are_utc_a_time_until_is_excluded_and_a_date_until_is_included(
    since: str, until: str, bars: tuple[int, int], server: KlineServer, tmp_path: Path
) -> None:
    candles = fetch(server, tmp_path / "candles.csv", since=since, until=until)
    assert [(ts_ms - START) // MINUTE for ts_ms in candles.ts_ms[[0, -1]]] == list(bars)


# --- what goes wrong on the way ----------------------------------------------------------------


def test_faults_in_the_middle_change_no_byte(server: KlineServer, tmp_path: Path) -> None:
    server.faults = {2: "429", 4: "500", 6: "reset", 8: "cut", 9: "html", 10: "nan"}
    journal = Journal()
    journal.fetch(server, tmp_path / "candles.csv")
    assert len(server.requests) == 5 + 6
    assert (tmp_path / "candles.csv").read_bytes() == undisturbed(server.rows, tmp_path / "calm")
    assert journal.slept == [7.0, 1.0, 1.0, 1.0, 2.0, 4.0]  # 7 as asked for, else backoff


def test_a_hole_is_reported_and_stays_a_hole(tmp_path: Path) -> None:
    rows = klines(BARS, missing=range(120, 340))
    journal = Journal()
    with KlineServer(rows).running() as server:
        candles = journal.fetch(server, tmp_path / "candles.csv")
    assert candles.ts_ms.tolist() == [row[0] for row in rows[:-1]]
    assert [gap.missing_bars for gap in candles.source.gaps] == [220]
    assert "gap: 220 bars missing after 2024-12-01T01:59:00Z; not filled" in journal.lines


def test_a_hole_longer_than_a_page_does_not_end_a_download_by_windows(tmp_path: Path) -> None:
    rows = klines(BARS, missing=range(120, 340))
    with KlineServer(rows, windowed=True).running() as server:
        fetch(server, tmp_path / "candles.csv")
    assert (tmp_path / "candles.csv").read_bytes() == undisturbed(rows, tmp_path / "calm")


def test_candles_missing_at_both_ends_are_reported(tmp_path: Path) -> None:
    rows = [row for row in klines(BARS) if START + 100 * MINUTE <= row[0] < START + 300 * MINUTE]
    journal = Journal()
    with KlineServer(rows, windowed=True).running() as server:
        server.now_ms = START + BARS * MINUTE
        candles = journal.fetch(server, tmp_path / "candles.csv")
    assert len(candles) == 200
    text = "\n".join(journal.lines)
    assert "no candles from 2024-12-01T00:00:00Z to 2024-12-01T01:40:00Z" in text
    assert "no candles from 2024-12-01T05:00:00Z to 2024-12-01T07:31:00Z" in text


def test_an_exchange_that_stays_down_is_given_up_and_what_is_loaded_is_kept(
    server: KlineServer, tmp_path: Path
) -> None:
    server.faults = dict.fromkeys(range(3, 100), "500")
    journal = Journal()
    with pytest.raises(UserError, match="gave up after 8 attempts"):
        journal.fetch(server, tmp_path / "candles.csv")
    assert journal.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
    assert count_rows(partial_path(tmp_path / "candles.csv")) == 200
    assert not (tmp_path / "candles.csv").exists()
    server.faults = {}
    server.requests.clear()
    fetch(server, tmp_path / "candles.csv")
    assert server.requests[0] == START + 200 * MINUTE
    assert (tmp_path / "candles.csv").read_bytes() == undisturbed(server.rows, tmp_path / "calm")


def test_an_answer_that_no_repetition_mends_is_not_repeated(
    server: KlineServer, tmp_path: Path
) -> None:
    server.faults = {1: "451"}
    assert "refused" in refusal(server, tmp_path / "candles.csv")
    assert len(server.requests) == 1


def test_a_ban_of_hours_is_not_waited_for(server: KlineServer, tmp_path: Path) -> None:
    server.faults = {1: "418-long"}
    assert "asks to wait 7200 s" in refusal(server, tmp_path / "candles.csv")
    assert len(server.requests) == 1


# --- resuming ----------------------------------------------------------------------------------


def test_a_finished_download_is_not_touched_again(server: KlineServer, tmp_path: Path) -> None:
    output = tmp_path / "candles.csv"
    fetch(server, output)
    before = output.stat()
    server.requests.clear()
    fetch(server, output)
    assert server.requests == []
    assert (output.stat().st_mtime_ns, output.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_later_until_continues_a_finished_download(
    suffix: str, server: KlineServer, tmp_path: Path
) -> None:
    output = tmp_path / f"candles{suffix}"
    assert len(fetch(server, output, until="2024-12-01T03:00:00Z")) == 180
    server.requests.clear()
    fetch(server, output)
    assert server.requests[0] == START + 180 * MINUTE
    assert output.read_bytes() == undisturbed(server.rows, tmp_path / "calm", output.name)


@given(data=st.data())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_partial_file_cut_or_torn_anywhere_loses_no_whole_line_and_repeats_none(
    data: st.DataObject, tmp_path: Path
) -> None:
    rows = [(row[0], *map(float, row[1:])) for row in klines(20)]
    path = tmp_path / "x.partial.csv"
    path.unlink(missing_ok=True)
    open_partial(path, None)
    append_rows(path, rows)  # type: ignore[arg-type]
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut] + data.draw(st.sampled_from([b"", b"\0" * 64, b"\0\n"])))
    last_ms = open_partial(path, None)
    kept = path.read_bytes()
    complete = whole[: whole.rfind(b"\n", 0, cut) + 1]
    assert kept.startswith(complete or HEADER)
    assert whole.startswith(kept)
    assert last_ms == (rows[count_rows(path) - 1][0] if count_rows(path) else None)


def test_a_kill_between_rename_and_clean_up_is_harmless(
    server: KlineServer, tmp_path: Path
) -> None:
    output = tmp_path / "candles.csv"
    fetch(server, output)
    content = output.read_bytes()
    partial_path(output).write_bytes(content[: len(content) // 2])
    fetch(server, output)
    assert output.read_bytes() == content
    assert names(tmp_path) == {"candles.csv", "candles.csv.json"}


def command(server: KlineServer, output: Path) -> list[str]:
    flags = ["--since", "2024-12-01", "--output", str(output), "--base_url", server.url]
    return [sys.executable, str(SCRIPT), *flags]


def environment() -> dict[str, str]:
    """Anything but the local server would go to a proxy that does not exist."""
    dead = "http://127.0.0.1:9"
    proxies = {"HTTP_PROXY": dead, "HTTPS_PROXY": dead, "ALL_PROXY": dead, "NO_PROXY": "127.0.0.1"}
    return os.environ | proxies | {name.lower(): value for name, value in proxies.items()}


def test_killed_twice_in_the_middle_it_ends_with_the_same_bytes(
    server: KlineServer, tmp_path: Path
) -> None:
    output = tmp_path / "candles.csv"
    for hang_at, rows_kept in [(3, 200), (5, 300)]:
        server.faults = {hang_at: "hang"}
        server.hanging.clear()
        process = subprocess.Popen(
            command(server, output), env=environment(), stdout=subprocess.DEVNULL
        )
        assert server.hanging.wait(timeout=60)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert count_rows(partial_path(output)) == rows_kept
        assert not output.exists()
    server.faults = {}
    done = subprocess.run(
        command(server, output), env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert output.read_bytes() == undisturbed(server.rows, tmp_path / "calm")


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    rows = klines(2001)
    calm = undisturbed(rows, tmp_path / "calm")
    moments = random.Random(0)
    output = tmp_path / "candles.csv"
    with KlineServer(rows, page_cap=50).running() as server:
        for _ in range(15):
            process = subprocess.Popen(
                command(server, output), env=environment(), stdout=subprocess.DEVNULL
            )
            time.sleep(moments.uniform(0.5, 5.0))
            process.kill()
            process.wait()
        subprocess.run(command(server, output), env=environment(), check=True)
    assert output.read_bytes() == calm


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exchange": "binanse"}, "--exchange 'binanse' is unknown; did you mean 'binance'?"),
        ({"exchange": "qqqqqq"}, "expected a ccxt name such as 'binance'"),
        ({"timeframe": "1min"}, "--timeframe '1min' is not offered by binance; did you mean '1m'?"),
        ({"timeframe": "1M"}, "has bars of varying length"),
        ({"symbol": "btcusdt"}, "'btcusdt' is not traded on binance; did you mean 'BTC/USDT'?"),
        ({"symbol": "QQ"}, "expected base/quote, such as BTC/USDT, ETH/USDT"),
        ({"since": "yesterday"}, "--since 'yesterday' is no date; expected ISO 8601"),
        ({"until": "2024-13-01"}, "--until '2024-13-01' is no date; expected ISO 8601"),
        ({"since": "1960-01-01"}, "lies before 1970"),
        ({"since": "2024-12-02", "until": "2024-12-01"}, "is not before --until 2024-12-01"),
        (
            {"since": "2024-12-01T05:00", "until": "2024-12-01T05:00"},
            "--since 2024-12-01T05:00 is not before --until 2024-12-01T05:00",
        ),
        ({"since": "2025-01-01"}, "lies in the future"),
        ({"base_url": "localhost"}, "--base_url 'localhost' is no address"),
    ],
)
def test_a_bad_request_is_one_line_and_leaves_nothing_behind(
    changes: dict[str, str], expected: str, server: KlineServer, tmp_path: Path
) -> None:
    assert expected in refusal(server, tmp_path / "candles.csv", **changes)
    assert names(tmp_path) == set()


def test_an_output_of_unknown_kind_or_in_no_directory_is_refused(
    server: KlineServer, tmp_path: Path
) -> None:
    assert "unknown kind of file '.json'" in refusal(server, tmp_path / "candles.json")
    assert "does not exist" in refusal(server, tmp_path / "nowhere" / "candles.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "found a directory" in refusal(server, tmp_path / "folder.csv")
    assert server.paths == []


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"symbol": "ETH/USDT"}, "holds symbol 'BTC/USDT', expected 'ETH/USDT'"),
        ({"timeframe": "5m"}, "holds timeframe '1m', expected '5m'"),
        ({"exchange": "kraken"}, "holds exchange 'binance', expected 'kraken'"),
        ({"since": "2024-11-30"}, "was fetched from 2024-12-01T00:00:00Z on"),
    ],
)
def test_a_file_of_another_market_is_never_continued(
    finished: bool,
    changes: dict[str, str],
    expected: str,
    server: KlineServer,
    tmp_path: Path,
) -> None:
    output = tmp_path / "candles.csv"
    if finished:
        fetch(server, output)
    else:
        server.faults = {2: "451"}
        refusal(server, output)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    server.paths.clear()
    assert expected in refusal(server, output, **changes)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert server.paths == []


def test_a_file_that_was_not_fetched_is_never_continued(
    server: KlineServer, tmp_path: Path
) -> None:
    output = tmp_path / "candles.csv"
    fetch(server, output)
    sidecar = tmp_path / "candles.csv.json"
    assert json.loads(sidecar.read_text()) == {
        "exchange": "binance",
        "symbol": "BTC/USDT",
        "timeframe": "1m",
        "since_ms": START,
    }
    sidecar.write_text("{")
    assert "is damaged" in refusal(server, output)
    sidecar.unlink()
    assert "exists without candles.csv.json" in refusal(server, output)


def test_too_few_candles_write_nothing(server: KlineServer, tmp_path: Path) -> None:
    text = refusal(server, tmp_path / "candles.csv", until="2024-12-01T00:01:30Z")
    assert "gave fewer than 2 candles" in text
    assert names(tmp_path) == set()


def test_a_second_download_of_the_same_file_at_the_same_time_is_refused(
    server: KlineServer, tmp_path: Path
) -> None:
    output = tmp_path / "candles.csv"
    server.faults = {2: "hang"}
    process = subprocess.Popen(
        command(server, output), env=environment(), stdout=subprocess.DEVNULL
    )
    try:
        assert server.hanging.wait(timeout=60)
        assert "another download is writing this file" in refusal(server, output)
    finally:
        process.kill()
        process.wait()


def test_a_missing_ccxt_names_the_command_that_installs_it(
    server: KlineServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ccxt", None)
    assert "pip install 'makerlab[fetch]'" in refusal(server, tmp_path / "candles.csv")


def test_the_script_refuses_with_one_line_and_exit_code_2(
    server: KlineServer, tmp_path: Path
) -> None:
    flags = command(server, tmp_path / "candles.csv")
    done = subprocess.run(
        [*flags, "--symbol", "BTCUSDT"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: --symbol 'BTCUSDT' is not traded on binance; did you mean 'BTC/USDT'?\n"
    )


def test_what_was_fetched_is_what_load_candles_reads(server: KlineServer, tmp_path: Path) -> None:
    output = tmp_path / "candles.csv"
    assert fetch(server, output).source == load_candles(output).source
