"""One established connection: its socket, its parser, and a look at whether it still stands.

Sockets are plain and never block; trio only waits for them. Its own streams would try to receive
before they wait, and check for cancellation at every step, which costs as much as the exchange.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
from typing import Final

import httptools
import trio

_CHUNK: Final = 65536
_FRAMED: Final = (b"content-length:", b"transfer-encoding:")
_PROVISIONAL: Final = (b"http/1.1 1", b"http/1.0 1")
Address = tuple[str | int | bytes, ...]  # of the family it comes with


class Answer:
    """What the parser has understood so far of one answer."""

    __slots__ = ("complete", "head", "headed", "on_body", "parser", "parts", "reusable", "status")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.on_body = self.parts.append  # the parser takes its callbacks now, once
        self.parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        self.parts.clear()
        self.head = b""
        self.headed = self.reusable = False
        self.complete = self.status = 0

    def feed(self, chunk: bytes) -> None:
        if not self.headed:
            self.head += chunk  # of an empty one: no copy
        self.parser.feed_data(chunk)

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.headed = self.status >= 200

    def body(self) -> bytes:
        return b"".join(self.parts)  # of one part: no copy

    def on_message_complete(self) -> None:
        if self.status >= 200:  # "100 Continue" is no answer yet
            self.complete += 1
            self.reusable = self.parser.should_keep_alive()

    def ends_with_the_stream(self) -> bool:
        """Whether it is whole only when the other side has closed (RFC 9112, section 6.3)."""
        blocks = self.head.lower().split(b"\r\n\r\n")
        head = next((one for one in blocks if not one.startswith(_PROVISIONAL)), b"")
        return self.headed and not any(name in head for name in _FRAMED)


class Link:
    """One established connection: its socket, its parser, and a look at whether it still stands."""

    __slots__ = ("answer", "fd", "sock", "still")

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.fd = sock, sock.fileno()
        self.answer = Answer()
        self.still = select.poll()
        self.still.register(self.fd, select.POLLIN)

    def is_closed(self) -> bool:
        """Whether an idle connection is of no use any more: ended, or speaking unasked."""
        if not self.still.poll(0):
            return False
        try:
            self.sock.recv(1)
        except (ssl.SSLWantReadError, BlockingIOError):
            return False  # TLS said something of its own, such as a session ticket
        except OSError:
            return True
        return True

    async def send(self, data: bytes) -> None:
        """Send it all. A request fits the kernel's buffer as a rule, and nothing waits."""
        gone = 0
        while True:
            try:
                gone += self.sock.send(memoryview(data)[gone:] if gone else data)
            except (BlockingIOError, ssl.SSLWantWriteError):
                await trio.lowlevel.wait_writable(self.fd)
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(self.fd)
            if gone == len(data):
                return

    async def receive(self, *, wait: bool) -> bytes:
        """What came next; empty at the end. `wait` saves a try that is in vain as a rule."""
        if wait:
            await trio.lowlevel.wait_readable(self.fd)
        while True:
            try:
                return self.sock.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError):
                await trio.lowlevel.wait_readable(self.fd)
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(self.fd)


async def dial(sock: socket.socket, address: Address) -> None:
    """Connect a fresh socket. Raises OSError."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    code = sock.connect_ex(address)
    if code == errno.EINPROGRESS:
        await trio.lowlevel.wait_writable(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, f"cannot connect: {errno.errorcode.get(code, code)}")


async def shake_hands(secure: ssl.SSLSocket) -> None:
    """The TLS handshake. Raises SSLError, or another OSError when the connection breaks."""
    while True:
        try:
            secure.do_handshake()
        except ssl.SSLWantReadError:
            await trio.lowlevel.wait_readable(secure)
        except ssl.SSLWantWriteError:
            await trio.lowlevel.wait_writable(secure)
        else:
            return
