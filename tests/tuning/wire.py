"""A connection to a server that can be cut in the middle."""

import contextlib
import socket
import threading
import time


class Wire:
    """A connection to a server that can be cut: nothing passes then, and nobody is told."""

    def __init__(self, port: int) -> None:
        self._target, self._open = port, True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, *, seconds: float) -> None:
        """Let nothing pass for a while."""
        self._open = False
        time.sleep(seconds)
        self._open = True

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := one.recv(65536):
                self._wait()
                other.sendall(content)
        # An end that broke is an end too, or whoever is at the other would wait for ever.
        self._wait()
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    def _wait(self) -> None:
        while not self._open:
            time.sleep(0.05)
