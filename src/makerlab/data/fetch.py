"""Downloading candles: resumable, patient, never filling what the exchange does not have.

Beside the output lie `<output>.json` (which market it holds) and, until the download is done,
`<output>.partial.csv`. Killed at any moment, the same command continues where it stopped and ends
with the same bytes as an undisturbed download; with a later `until` it continues a finished one.
"""

import dataclasses
import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock

from makerlab.data.candles import SUFFIXES, Candles, Gap, load_candles, write_candles
from makerlab.data.exchange import Exchange
from makerlab.data.partial import append_rows, count_rows, open_partial, partial_path
from makerlab.data.rows import iso
from makerlab.errors import UserError, nearest
from makerlab.files import write_json

Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class FetchRequest:
    """What to download.

    `since` and `until` are ISO dates or times, UTC unless they carry an offset. A time `until` is
    excluded; a date `until` is included to its last bar, as in `data_split`. None means now.
    """

    exchange: str
    symbol: str
    timeframe: str
    since: str
    until: str | None
    output: Path
    base_url: str | None = None


def fetch_candles(
    request: FetchRequest,
    *,
    report: Report,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Candles:
    """Download closed candles into `request.output` and return them as loaded from it.

    Raises UserError for a bad request, an output that holds something else, and an exchange that
    refuses or cannot be reached; whatever was loaded until then is kept and continued.
    """
    since_ms, until_ms = _range_ms(request)
    _check_output(request.output)
    exchange = Exchange(
        request.exchange,
        symbol=request.symbol,
        timeframe=request.timeframe,
        base_url=request.base_url,
        report=report,
        clock=clock,
        sleep=sleep,
    )
    # One writer at a time: two appending to one partial file would write every bar twice.
    lock = filelock.FileLock(request.output.with_name(f".{request.output.name}.lock"))
    try:
        with lock.acquire(timeout=0):
            return _fetch(request, exchange, since_ms=since_ms, until_ms=until_ms, report=report)
    except filelock.Timeout:
        raise UserError(f"{request.output}: another download is writing this file") from None


def _fetch(
    request: FetchRequest,
    exchange: Exchange,
    *,
    since_ms: int,
    until_ms: int | None,
    report: Report,
) -> Candles:
    existing = _check_same_market(request, since_ms=since_ms, bar_ms=exchange.bar_ms)
    exchange.check_symbol()
    end_ms = exchange.now_ms() if until_ms is None else min(until_ms, exchange.now_ms())
    if since_ms >= end_ms:
        raise UserError(f"--since {request.since} lies in the future, expected a time before now")
    write_json(_sidecar(request.output), _market(request, since_ms))
    partial = partial_path(request.output)
    last_ms = open_partial(partial, existing)
    if last_ms is not None:
        report(f"{request.output}: continuing after {iso(last_ms)}")
    _download(exchange, partial, last_ms=last_ms, span_ms=(since_ms, end_ms), report=report)
    candles = _finish(request, exchange, existing=existing)
    _report_holes(candles, span_ms=(since_ms, end_ms), report=report)
    return candles


def _download(
    exchange: Exchange,
    partial: Path,
    *,
    last_ms: int | None,
    span_ms: tuple[int, int],
    report: Report,
) -> None:
    """Append pages until the last bar that is closed at the span's end."""
    since_ms, end_ms = span_ms
    cursor = since_ms if last_ms is None else last_ms + exchange.bar_ms
    while cursor + exchange.bar_ms <= end_ms:
        page = exchange.page(cursor)
        closed = [row for row in page if row[0] + exchange.bar_ms <= end_ms]
        append_rows(partial, closed)
        if closed:
            share = (closed[-1][0] + exchange.bar_ms - since_ms) / (end_ms - since_ms)
            report(f"{iso(closed[0][0])} to {iso(closed[-1][0])}: {len(closed)} bars, {share:.0%}")
        cursor = page[-1][0] + exchange.bar_ms if page else exchange.skip_empty_page(cursor)


def _finish(request: FetchRequest, exchange: Exchange, *, existing: Candles | None) -> Candles:
    """Validate the partial file, rename it into place and load the result."""
    partial = partial_path(request.output)
    if count_rows(partial) < 2:  # nothing that a later run could not load again at once
        partial.unlink()
        _sidecar(request.output).unlink()
        raise UserError(
            f"{request.exchange} gave fewer than 2 candles of {request.symbol} "
            f"{request.timeframe} from {request.since} on; nothing written to {request.output}"
        )
    candles = load_candles(partial)
    if candles.bar_ms != exchange.bar_ms:
        raise UserError(
            f"{partial}: the most common spacing is {candles.bar_ms / 1000:g} s, expected the "
            f"{exchange.bar_ms / 1000:g} s of {request.timeframe}; the market trades too rarely"
        )
    if existing is None or len(candles) > len(existing):
        write_candles(request.output, candles)
    partial.unlink()
    return load_candles(request.output)


def _report_holes(candles: Candles, *, span_ms: tuple[int, int], report: Report) -> None:
    """Name every hole: between bars, before the first and after the last. None is filled."""
    source, bar_ms = candles.source, candles.bar_ms
    first_ms = -(-span_ms[0] // bar_ms) * bar_ms
    if source.start_ms - span_ms[0] >= bar_ms:
        report(f"the exchange has no candles from {iso(first_ms)} to {iso(source.start_ms)}")
    for gap in source.gaps:
        report(_describe(gap))
    if span_ms[1] - source.end_ms >= bar_ms:
        report(f"the exchange has no candles from {iso(source.end_ms)} to {iso(span_ms[1])}")
    missing = sum(gap.missing_bars for gap in source.gaps)
    report(
        f"{source.path}: {len(candles)} bars, {iso(source.start_ms)} to {iso(source.end_ms)}, "
        f"{len(source.gaps)} gaps, {missing} bars missing"
    )


def _describe(gap: Gap) -> str:
    return f"gap: {gap.missing_bars} bars missing after {iso(gap.after_ms)}; not filled"


def _range_ms(request: FetchRequest) -> tuple[int, int | None]:
    since_ms = _time_ms(request.since, flag="--since", end_of_day=False)
    if request.until is None:
        return since_ms, None
    until_ms = _time_ms(request.until, flag="--until", end_of_day=True)
    if since_ms >= until_ms:
        raise UserError(f"--since {request.since} is not before --until {request.until}")
    return since_ms, until_ms


def _time_ms(text: str, *, flag: str, end_of_day: bool) -> int:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            f"{flag} '{text}' is no date; expected ISO 8601 such as 2024-12-01 or "
            "2024-12-01T12:00:00Z"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    if end_of_day and _is_date(text):
        moment += datetime.timedelta(days=1)
    ms = (moment - datetime.datetime.fromtimestamp(0, datetime.UTC)) // datetime.timedelta(
        milliseconds=1
    )
    if ms < 0:
        raise UserError(f"{flag} '{text}' lies before 1970, where no exchange has candles")
    return ms


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _check_output(output: Path) -> None:
    if output.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"--output {output}: unknown kind of file '{output.suffix}'; "
            f"{nearest(output.suffix, SUFFIXES)}"
        )
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: the directory {output.parent} does not exist")
    if output.is_dir():
        raise UserError(f"--output {output}: found a directory, expected a file name")


def _check_same_market(request: FetchRequest, *, since_ms: int, bar_ms: int) -> Candles | None:
    """Return the finished candles to continue, if any; raises UserError when they are others."""
    output, sidecar = request.output, _sidecar(request.output)
    if not output.exists() and not count_rows(partial_path(output)):
        return None
    known = _read_sidecar(sidecar, output)
    for key in ("exchange", "symbol", "timeframe"):
        found, wanted = known.get(key), getattr(request, key)
        if found != wanted:
            raise UserError(
                f"{output}: holds {key} '{found}', expected '{wanted}'; choose another --output"
            )
    if since_ms < known["since_ms"]:
        raise UserError(
            f"{output}: was fetched from {iso(known['since_ms'])} on, --since {request.since} is "
            "earlier; choose another --output"
        )
    existing = load_candles(output) if output.exists() else None
    if existing is not None and existing.bar_ms != bar_ms:
        raise UserError(
            f"{output}: holds bars of {existing.bar_ms / 1000:g} s, expected {bar_ms / 1000:g} s"
        )
    return existing


def _read_sidecar(sidecar: Path, output: Path) -> dict[str, Any]:
    try:
        known = json.loads(sidecar.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{output}: exists without {sidecar.name}, which says what it holds; choose another "
            "--output"
        ) from None
    except ValueError:
        known = None
    if not isinstance(known, dict) or not isinstance(known.get("since_ms"), int):
        raise UserError(f"{sidecar}: is damaged, expected exchange, symbol, timeframe and since_ms")
    return known


def _market(request: FetchRequest, since_ms: int) -> dict[str, Any]:
    sidecar = _sidecar(request.output)
    started_ms = since_ms
    if request.output.exists() or count_rows(partial_path(request.output)):
        started_ms = int(_read_sidecar(sidecar, request.output)["since_ms"])
    return {
        "exchange": request.exchange,
        "symbol": request.symbol,
        "timeframe": request.timeframe,
        "since_ms": started_ms,
    }


def _sidecar(output: Path) -> Path:
    return output.with_name(output.name + ".json")
