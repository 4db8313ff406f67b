"""Tells the engine that the inbox has grown.

A courtesy, never a duty: the engine also looks by itself five times a second, so a wake that
cannot be delivered is dropped and a push is never delayed or refused because of it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from campaign.store.paths import socket_address

_LINE = b'{"cmd":"wake"}\n'
_RECONNECT_SECONDS = 1.0


class Waker:
    """A lazy connection to the engine's control socket at `path`; no call blocks or raises.

    `monotonic()` is in seconds and spaces attempts to connect.
    """

    def __init__(self, path: Path, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._monotonic = monotonic
        self._socket: socket.socket | None = None
        self._try_again_at = float("-inf")

    def wake(self) -> None:
        """Write one wake line, connecting if need be."""
        if self._socket is not None and not self._still_connected(self._socket):
            self.close()
        if self._socket is None:
            self._connect()
        if self._socket is None:
            return
        try:
            self._socket.send(_LINE)
        except BlockingIOError:
            pass  # a full buffer holds more wakes than the engine can use
        except OSError:
            self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> None:
        if self._monotonic() < self._try_again_at:
            return
        self._try_again_at = self._monotonic() + _RECONNECT_SECONDS
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            with socket_address(self._path) as address:
                connection.connect(address)
        except OSError:
            connection.close()
        else:
            self._socket = connection

    @staticmethod
    def _still_connected(connection: socket.socket) -> bool:
        """Drop the engine's answers, lest they fill its buffer, and notice its end."""
        while True:
            try:
                if not connection.recv(4096):
                    return False
            except BlockingIOError:
                return True
            except OSError:
                return False
