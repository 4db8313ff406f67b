"""Small HTTP servers on loopback, made to misbehave on purpose."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import trio

OK: Final = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"code":200}'


class Visit:
    """One connection as the server sees it; `requests` are the whole ones it has read."""

    def __init__(self, stream: trio.abc.Stream, nth: int, requests: list[bytes]) -> None:
        self.stream, self.nth, self.requests = stream, nth, requests
        self._rest = b""

    async def read(self) -> bytes:
        """The next whole request; empty when the client has closed."""
        while True:
            head, found, body = self._rest.partition(b"\r\n\r\n")
            if found and len(body) >= (size := _length(head)):
                self._rest = body[size:]
                self.requests.append(head + found + body[:size])
                return self.requests[-1]
            try:
                chunk = await self.stream.receive_some(65536)
            except trio.BrokenResourceError:
                return b""
            if not chunk:
                return b""
            self._rest += chunk

    async def say(self, *pieces: bytes) -> None:
        """Send pieces, each in a packet of its own."""
        for nth, piece in enumerate(pieces):
            if nth:
                await trio.sleep(0.002)
            await self.stream.send_all(piece)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


Behaviour = Callable[[Visit], Awaitable[None]]


class Server:
    """Where it listens, and what it has seen: connections and requests."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.port = 0
        self.visits = 0
        self.requests: list[bytes] = []
        self._behaviour = behaviour

    async def handle(self, stream: trio.abc.Stream) -> None:
        self.visits += 1
        try:
            await self._behaviour(Visit(stream, self.visits, self.requests))
        except (trio.BrokenResourceError, ssl.SSLError):
            pass  # the client was quicker
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await trio.aclose_forcefully(stream)


@asynccontextmanager
async def serving(
    behaviour: Behaviour, context: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """A server on a port of loopback for as long as the block lasts."""
    server = Server(behaviour)
    plain = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = plain[0].socket.getsockname()[1]
    listeners: list[trio.abc.Listener[trio.abc.Stream]] = [
        one if context is None else trio.SSLListener(one, context) for one in plain
    ]
    server.port = port
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, server.handle, listeners)
        yield server
        nursery.cancel_scope.cancel()


async def answer_all(visit: Visit) -> None:
    """The server that does everything right."""
    while await visit.read():
        await visit.say(OK)
