"""A patient client for one market of one exchange, through ccxt: pages of closed candles."""

import difflib
import email.utils
import math
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from makerlab.errors import UserError, nearest

Row = tuple[int, float, float, float, float, float]  # open time in ms, open, high, low, close, vol

ATTEMPTS = 8
_LONGEST_BACKOFF_S = 60.0
_LONGEST_REQUESTED_WAIT_S = 600.0
# Answers that no repetition mends; 408, 418, 425 and 429 ask for patience instead.
_PATIENCE = frozenset({408, 418, 425, 429})
# What ccxt's parsers raise on an answer that isn't what the exchange documents (an HTML page, say).
_MALFORMED = (TypeError, ValueError, KeyError, IndexError, AttributeError)
# Without a page seen and a documented limit: small enough for every exchange that ccxt knows.
_SMALLEST_PAGE = 100


class Exchange:
    """One market of one exchange.

    Requests that fail for a passing reason (network, 5xx, 429) are repeated with exponential
    backoff, or after the wait that the exchange asks for. `clock` gives seconds since 1970,
    `sleep` waits seconds, `report` takes a line about each repetition.
    """

    def __init__(
        self,
        name: str,
        *,
        symbol: str,
        timeframe: str,
        base_url: str | None,
        report: Callable[[str], None],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self.name, self.symbol, self.timeframe = name, symbol, timeframe
        self._report, self._clock, self._sleep = report, clock, sleep
        self._ccxt = _import_ccxt()
        self._client = _client(self._ccxt, name, symbol=symbol, base_url=base_url)
        self.bar_ms = self._bar_ms()
        self._largest_page = 0

    def check_symbol(self) -> None:
        """Load the exchange's markets; raises UserError for an unknown symbol."""
        markets = self._patiently("the list of markets", self._client.load_markets)
        if self.symbol not in markets:
            raise UserError(
                f"--symbol '{self.symbol}' is not traded on {self.name}; "
                f"{_nearest_symbol(self.symbol, markets)}"
            )

    def now_ms(self) -> int:
        """Return the time in ms, never later than the exchange's own clock.

        A local clock that runs ahead would take the candle that is still open for a closed one.
        """
        local = int(self._clock() * 1000)
        if not self._client.has.get("fetchTime"):
            return local
        remote = self._patiently("the exchange's time", self._client.fetch_time)
        return min(local, int(remote)) if remote else local

    def page(self, since_ms: int) -> list[Row]:
        """Return candles from `since_ms` on, ascending, as many as the exchange gives at once."""
        limit = self._client.feature_value(self.symbol, "fetchOHLCV", "limit")

        def request() -> list[Row]:
            answer = self._client.fetch_ohlcv(self.symbol, self.timeframe, since_ms, limit)
            return _checked_rows(answer)

        rows = self._patiently(f"candles from {since_ms}", request)
        fresh = {row[0]: row for row in rows if row[0] >= since_ms}
        self._largest_page = max(self._largest_page, len(fresh))
        return [fresh[ts_ms] for ts_ms in sorted(fresh)]

    def skip_empty_page(self, since_ms: int) -> int:
        """Return where to ask next after an empty page.

        Some exchanges answer with the window that starts at `since_ms`, empty inside a hole. No
        page is smaller than the largest one seen, so nothing behind the hole is stepped over.
        """
        return since_ms + max(self._largest_page, _SMALLEST_PAGE) * self.bar_ms

    def _bar_ms(self) -> int:
        timeframes = self._client.timeframes or {}
        if self.timeframe not in timeframes:
            raise UserError(
                f"--timeframe '{self.timeframe}' is not offered by {self.name}; "
                f"{nearest(self.timeframe, timeframes)}"
            )
        if self.timeframe.endswith(("M", "y")):
            raise UserError(
                f"--timeframe '{self.timeframe}' has bars of varying length, expected a fixed one"
            )
        return int(self._client.parse_timeframe(self.timeframe)) * 1000

    def _patiently(self, what: str, request: Callable[[], Any]) -> Any:
        """Make a request, repeating it while there is hope; raises UserError when there is none."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._checked(request)
            except self._ccxt.BaseError as error:
                self._refuse_if_final(error, what)
                problem, asked_s = _one_line(error), _retry_after_s(error, now_s=self._clock())
            except _MALFORMED as error:
                problem, asked_s = f"malformed answer: {_one_line(error)}", None
            if attempt < ATTEMPTS:
                self._wait(what, problem, attempt=attempt, asked_s=asked_s)
        raise UserError(
            f"{self.name}: {what}: gave up after {ATTEMPTS} attempts: {problem}; what is loaded is "
            "kept, run the same command again to continue"
        )

    def _checked(self, request: Callable[[], Any]) -> Any:
        """Make a request; raises ValueError when it was answered with something else than JSON.

        ccxt reads a page of HTML as an empty list of candles, which would pass for a hole.
        """
        answer = request()
        if self._client.last_json_response is None:
            raise ValueError("found no JSON")
        return answer

    def _refuse_if_final(self, error: Exception, what: str) -> None:
        status = getattr(_response(error), "status_code", None)
        passing = isinstance(error, self._ccxt.OperationFailed) or (status or 0) >= 500
        refused = status is not None and 400 <= status < 500 and status not in _PATIENCE
        if refused or not passing:
            raise UserError(f"{self.name}: {what}: refused: {_one_line(error)}") from None

    def _wait(self, what: str, problem: str, *, attempt: int, asked_s: float | None) -> None:
        backoff_s = min(_LONGEST_BACKOFF_S, 2.0 ** (attempt - 1))
        if asked_s is not None and asked_s > _LONGEST_REQUESTED_WAIT_S:
            raise UserError(
                f"{self.name}: {what}: the exchange asks to wait {asked_s:.0f} s; what is loaded "
                "is kept, run the same command again then"
            )
        wait_s = max(backoff_s, asked_s or 0.0)
        self._report(f"{what}: {problem}; attempt {attempt + 1} in {wait_s:g} s")
        self._sleep(wait_s)


def _import_ccxt() -> Any:
    try:
        import ccxt
    except ImportError:
        raise UserError(
            "fetching candles needs ccxt, which is not installed; pip install 'makerlab[fetch]'"
        ) from None
    return ccxt


def _client(ccxt: Any, name: str, *, symbol: str, base_url: str | None) -> Any:
    if name not in ccxt.exchanges:
        raise UserError(f"--exchange '{name}' is unknown; {_nearest_name(name, ccxt.exchanges)}")
    # Proxies of the environment (HTTPS_PROXY) count, as they do for pip and curl.
    options = {"enableRateLimit": True, "requests_trust_env": True, "enableLastJsonResponse": True}
    client = getattr(ccxt, name)(options)
    if not client.has.get("fetchOHLCV"):
        raise UserError(f"--exchange '{name}' offers no candles")
    client.has["fetchCurrencies"] = False  # deposits and withdrawals are of no interest here
    if ":" not in symbol:
        _load_spot_markets_only(client)
    if base_url is not None:
        client.urls["api"] = _moved(client.urls["api"], _checked_base(base_url))
    return client


def _load_spot_markets_only(client: Any) -> None:
    """Spare the lists of futures and options, megabytes each, when a spot symbol is wanted."""
    choice = client.options.get("fetchMarkets")
    types = choice.get("types") if isinstance(choice, dict) else None
    if isinstance(types, list) and "spot" in types:
        choice["types"] = ["spot"]


def _checked_base(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise UserError(f"--base_url '{base_url}' is no address; expected https://host[:port]")
    return base_url.rstrip("/")


def _moved(urls: Any, base: str) -> Any:
    """Replace scheme and host of every address in ccxt's nested tables; paths stay."""
    if isinstance(urls, dict):
        return {key: _moved(value, base) for key, value in urls.items()}
    if not isinstance(urls, str):
        return urls
    parts, target = urlsplit(urls), urlsplit(base)
    return urlunsplit((target.scheme, target.netloc, target.path + parts.path, parts.query, ""))


def _checked_rows(answer: Any) -> list[Row]:
    """Return typed rows; raises ValueError or TypeError when the answer is no list of candles."""
    if not isinstance(answer, list):
        raise TypeError(f"found {type(answer).__name__}, expected a list of candles")
    return [_checked_row(row) for row in answer]


def _checked_row(row: Any) -> Row:
    ts_ms, opened, high, low, close, volume = row[:6]
    checked = (int(ts_ms), float(opened), float(high), float(low), float(close), float(volume))
    if checked[0] != ts_ms or not all(map(math.isfinite, checked)):
        raise ValueError(f"found {row!r}, expected a time and five numbers")
    return checked


def _response(error: BaseException) -> Any:
    """Return the HTTP answer behind a ccxt error: requests' error is its context."""
    cause: BaseException | None = error
    while cause is not None:
        response = getattr(cause, "response", None)
        if response is not None:
            return response
        cause = cause.__cause__ or cause.__context__
    return None


def _retry_after_s(error: BaseException, *, now_s: float) -> float | None:
    """Read Retry-After, which is a number of seconds or a date."""
    response = _response(error)
    text = response.headers.get("Retry-After") if response is not None else None
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now_s)
    except ValueError:
        return None


def _one_line(error: BaseException) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 200 else text[:197] + "..."


def _nearest_symbol(symbol: str, symbols: Iterable[str]) -> str:
    by_upper = {name.upper(): name for name in sorted(symbols, reverse=True)}
    close = difflib.get_close_matches(symbol.upper(), by_upper, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{by_upper[close[0]]}'?"
    return f"expected base/quote, such as {', '.join(sorted(by_upper.values())[:3])}"


def _nearest_name(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else "expected a ccxt name such as 'binance'"
