"""A headless Chromium driven over a pipe: what a page shows, says, asks the network for.

It speaks the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/) with the
system's own browser, so that no driver has to be installed beside it.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60.0
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Browser:
    """One tab; `requests` and `complaints` collect what the page did since it was opened."""

    def __init__(self, write_to: int, read_from: int) -> None:
        self._write_to, self._read_from = write_to, read_from
        self._pending = b""
        self._number = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result, noting events that come before it."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write_to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                found: dict[str, Any] = answer["result"]
                return found

    def _receive(self) -> dict[str, Any]:
        limit = time.monotonic() + PATIENCE_SECONDS
        while b"\0" not in self._pending:
            assert time.monotonic() < limit, "the browser does not answer"
            if select.select([self._read_from], [], [], 1.0)[0]:
                piece = os.read(self._read_from, 1 << 20)
                assert piece, "the browser has gone"
                self._pending += piece
        text, _, self._pending = self._pending.partition(b"\0")
        answer: dict[str, Any] = json.loads(text)
        self._note(answer.get("method", ""), answer.get("params", {}))
        return answer

    def _note(self, event: str, content: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(content["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(content["exceptionDetails"])[:500])
        elif event == "Log.entryAdded" and content["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(content["entry"]["text"])
        elif event == "Runtime.consoleAPICalled" and content["type"] in {"error", "warning"}:
            self.complaints.append(json.dumps(content["args"])[:500])

    def open(self, page: Path) -> None:
        """Open a file as a double click does, and wait until it stands."""
        self.requests.clear()
        self.complaints.clear()
        self.send("Page.navigate", url=page.resolve().as_uri())
        self.wait("document.readyState === 'complete'")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true."""
        limit = time.monotonic() + PATIENCE_SECONDS
        # Between two pages there is none to ask.
        while self.value(f"document.body !== null && ({expression})") is not True:
            assert time.monotonic() < limit, f"never true: {expression}"
            time.sleep(0.02)

    def value(self, expression: str) -> Any:
        """Return what an expression of the page's own language gives."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def press(self, key: str, *, code: int = 0, shift: bool = False) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        common = {"key": key, "modifiers": 8 if shift else 0, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def screen(self, width: int, height: int, *, phone: bool = False, dark: bool = False) -> None:
        """Take the size of a screen and its reader's wish for light or dark."""
        scale = 2 if phone else 1
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write what is seen, or the whole page, as PNG."""
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self, path: Path) -> None:
        """Write what a printer would print."""
        printed = self.send("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(printed["data"]))


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start a browser with a profile of its own; it is gone afterwards."""
    assert CHROMIUM is not None
    from_us, write_to = os.pipe()
    read_from, to_us = os.pipe()

    # The browser reads commands from descriptor 3 and writes answers to 4.
    placed = f'exec "$@" 3<&{from_us} 4>&{to_us}'
    process = subprocess.Popen(
        ["bash", "-c", placed, "bash", CHROMIUM, *_FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(from_us, to_us),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for end in (from_us, to_us):
        os.close(end)
    try:
        yield Browser(write_to, read_from)
    finally:
        process.terminate()
        process.wait(120)
        for end in (write_to, read_from):
            os.close(end)
