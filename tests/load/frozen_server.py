"""A process that answers every request at once, and freezes as a whole when told to.

    python tests/load/frozen_server.py [AFTER LASTING]

It prints its port, and at the end of its input how many requests it has taken. `AFTER` seconds
after the first request it does nothing at all for `LASTING` seconds, as a machine does that swaps.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from typing import Final

ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n"
    b'{"code":200,"reason":"OK"}'
)


class FrozenServer:
    """One epoll loop over all connections; `freeze` is (after, lasting), or None."""

    def __init__(self, freeze: tuple[float, float] | None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.taken = 0
        self._freeze = freeze
        self._first: float | None = None
        self._poll = select.epoll()
        self._open: dict[int, socket.socket] = {}
        self._rest: dict[int, bytes] = {}

    def serve(self) -> None:
        """Until the input ends."""
        self._poll.register(self.listener, select.EPOLLIN)
        self._poll.register(sys.stdin, select.EPOLLIN)
        while True:
            for fd, _ in self._poll.poll():
                if fd == sys.stdin.fileno():
                    return
                if fd == self.listener.fileno():
                    self._accept()
                else:
                    self._answer(fd)

    def _accept(self) -> None:
        accepted, _ = self.listener.accept()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open[accepted.fileno()] = accepted
        self._rest[accepted.fileno()] = b""
        self._poll.register(accepted, select.EPOLLIN)

    def _answer(self, fd: int) -> None:
        try:
            chunk = self._open[fd].recv(65536)
        except ConnectionError:
            chunk = b""
        if not chunk:
            self._open.pop(fd).close()
            return
        whole, self._rest[fd] = _split(self._rest[fd] + chunk)
        self.taken += whole
        self._freeze_in_time()
        if whole:
            self._open[fd].sendall(ANSWER * whole)

    def _freeze_in_time(self) -> None:
        now = time.monotonic()
        self._first = self._first or now
        if self._freeze is not None and now - self._first >= self._freeze[0]:
            time.sleep(self._freeze[1])
            self._freeze = None


def _split(data: bytes) -> tuple[int, bytes]:
    """How many whole requests there are, and what is left."""
    whole = 0
    while (end := data.find(b"\r\n\r\n")) >= 0:
        place = data[:end].lower().find(b"content-length:")
        size = int(data[place + 15 : end].split(b"\r\n")[0]) if place >= 0 else 0
        if len(data) < end + 4 + size:
            break
        data = data[end + 4 + size :]
        whole += 1
    return whole, data


def main() -> None:
    freeze = (float(sys.argv[1]), float(sys.argv[2])) if len(sys.argv) == 3 else None
    server = FrozenServer(freeze)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve()
    sys.stdout.write(f"{server.taken}\n")


if __name__ == "__main__":
    main()
