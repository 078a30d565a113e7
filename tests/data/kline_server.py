"""A local exchange for tests: Binance's market-data endpoints over a made-up series, with faults.

Faults are keyed by the number of the klines request, counted from 1: "429", "418-long", "500",
"451", "reset", "cut", "html", "nan", or "hang", which blocks until `release` is called.
"""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

MINUTE = 60_000
START = 1_733_011_200_000  # 2024-12-01T00:00:00Z

Kline = tuple[int, str, str, str, str, str]


def klines(count: int, *, missing: range = range(0)) -> list[Kline]:
    """Return rows as the exchange writes them: prices as text with trailing zeros."""
    rows: list[Kline] = []
    for bar in range(count):
        opened, close = 96_000 + bar % 97, 96_000 + (bar + 1) % 97
        prices = (opened, max(opened, close) + 0.13, min(opened, close) - 0.07, close)
        texts = [f"{price:.8f}" for price in prices]
        if bar not in missing:
            rows.append((START + MINUTE * bar, *texts, f"{0.1 + bar / 1e5:.8f}"))  # type: ignore[arg-type]
    return rows


class KlineServer:
    """Serves `rows`; the last one is still open at `now_ms`. Records each klines request."""

    def __init__(self, rows: list[Kline], *, page_cap: int = 100, windowed: bool = False) -> None:
        self.rows, self.page_cap, self.windowed = rows, page_cap, windowed
        self.now_ms = rows[-1][0] + MINUTE // 2
        self.faults: dict[int, str] = {}
        self.requests: list[int] = []
        self.paths: list[str] = []
        self.hanging, self._released = threading.Event(), threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def release(self) -> None:
        """Let hanging requests go on."""
        self._released.set()

    def page(self, start_ms: int, limit: int) -> list[list[Any]]:
        """Return one page: from `start_ms` forward, or only the window that begins there."""
        size = min(limit, self.page_cap)
        end_ms = start_ms + size * MINUTE if self.windowed else float("inf")
        chosen = [row for row in self.rows if start_ms <= row[0] < end_ms][:size]
        return [[*row, row[0] + MINUTE - 1, "1.0", 5, "0.5", "0.5", "0"] for row in chosen]

    def exchange_info(self) -> dict[str, Any]:
        """Return the two markets that are traded here."""
        return {"timezone": "UTC", "symbols": [_market("BTC"), _market("ETH")]}

    def wait(self) -> None:
        """Block a request until the test has seen it and released it."""
        self.hanging.set()
        self._released.wait(timeout=30)

    @contextmanager
    def running(self) -> Iterator["KlineServer"]:
        """Serve in a thread."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.release()
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def _market(base: str) -> dict[str, Any]:
    return {
        "symbol": f"{base}USDT",
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "permissions": ["SPOT"],
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01",
                "maxPrice": "1e6",
                "tickSize": "0.01",
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": "0.00001",
                "maxQty": "9000",
                "stepSize": "0.00001",
            },
        ],
    }


def _handler(server: KlineServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: no waiting for a delayed acknowledgement

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            server.paths.append(parts.path)
            if parts.path == "/api/v3/exchangeInfo":
                self._json(200, server.exchange_info())
            elif parts.path == "/api/v3/time":
                self._json(200, {"serverTime": server.now_ms})
            elif parts.path == "/api/v3/klines":
                self._klines({key: values[0] for key, values in parse_qs(parts.query).items()})
            else:
                self._json(404, {"code": -1, "msg": f"no such endpoint {parts.path}"})

        def _klines(self, query: dict[str, str]) -> None:
            server.requests.append(int(query["startTime"]))
            fault = server.faults.get(len(server.requests))
            page = server.page(int(query["startTime"]), int(query["limit"]))
            if fault in {None, "hang"}:
                if fault == "hang":
                    server.wait()
                self._json(200, page)
            elif fault == "429":
                self._json(429, {"code": -1003, "msg": "Too many requests."}, retry_after="7")
            elif fault == "418-long":
                self._json(418, {"code": -1003, "msg": "Banned."}, retry_after="7200")
            elif fault == "500":
                self._send(500, b"<html>Internal Server Error</html>")
            elif fault == "451":
                self._json(451, {"code": 0, "msg": "Service unavailable from your location."})
            elif fault == "html":
                self._send(200, b"<html>Down for maintenance</html>")
            elif fault == "nan":
                self._json(200, [[page[0][0], "x", *page[0][2:]]])
            elif fault == "cut":
                self._send(200, json.dumps(page).encode(), cut=True)
            elif fault == "reset":
                self._reset()

        def _json(self, status: int, content: Any, *, retry_after: str | None = None) -> None:
            self._send(status, json.dumps(content).encode(), retry_after=retry_after)

        def _send(
            self, status: int, body: bytes, *, retry_after: str | None = None, cut: bool = False
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if retry_after is not None:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
            if cut:
                self.close_connection = True

        def _reset(self) -> None:
            """Close with RST instead of FIN, as a crashing peer does."""
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            self.connection.close()

        def handle(self) -> None:
            try:
                super().handle()
            except (OSError, ValueError):
                self.close_connection = True  # the client was killed, or reset above

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Keep test output clean."""

    return Handler
