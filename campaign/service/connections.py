"""The connections of an HTTP face: how many there may be, and how long each may take over what.

Hypercorn speaks HTTP/1.1 on a connection. What it leaves open is closed here: it has no limit on
their number; it bounds a request's head only by its idle time; it holds a connection that its peer
has closed until that time is over; and it waits for ever, uncancellable, for a peer that does not
read. HTTP/2 and WebSockets, which it would also speak, are refused: no device does.

When there are too many, room is made among those that have not yet sent a whole request head, then
among the idle, and only then among those with a request at hand; there where the most are, oldest
first: a flood from some addresses crowds out itself, and no push is cut off for a stranger's sake.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any, cast

import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ASGIFramework, ConnectionState
from hypercorn.utils import wrap_app

from campaign.service.answering import WholeAnswers

App = Callable[..., Awaitable[None]]
"""An ASGI application; Starlette and Hypercorn each have their own exact type for it."""

_log = logging.getLogger(__name__)

_TELL_EVERY = 60.0
_FRAMINGS = {b"content-length", b"transfer-encoding"}


@dataclass(frozen=True)
class Limits:
    """Times in seconds. `total` and `per_source` None: as many as come.

    `head`: from a request's first byte (of a connection's first: from its beginning) to the end of
    its head. `idle`: between requests; devices report every few seconds on a kept connection, and
    closing it sooner than they speak would meet a push half way. `send`: for the peer to take an
    answer. A source is an IPv4 address or an IPv6 /64, which is one customer's.
    """

    total: int | None = None
    per_source: int | None = None
    head: float = 10.0
    idle: float = 75.0
    send: float = 20.0


class _Stage(IntEnum):
    """What a connection is at; who is at less makes room first."""

    HEAD = 0
    IDLE = 1
    BUSY = 2


class Connections:
    """Serves every accepted connection within `limits`."""

    def __init__(self, app: App, config: Config, limits: Limits) -> None:
        self._app = app
        self._config = config
        self._limits = limits
        self._open: dict[str, list[_Connection]] = {}
        self._told_at = float("-inf")

    async def handle(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end."""
        try:
            source = source_of(stream.socket.getpeername()[0])
        except OSError:  # gone already
            await trio.aclose_forcefully(stream)
            return
        connection = _Connection(stream, source, self._limits)
        if not self._make_room(source):
            self._tell(source)
            await trio.aclose_forcefully(stream)
            return
        self._open.setdefault(source, []).append(connection)
        try:
            await connection.run(self._app, self._config)
        finally:
            self._forget(connection)

    async def finish(self) -> None:
        """Let every connection end once the request at hand is answered."""
        for connection in self._all():
            await connection.finish()

    def _make_room(self, source: str) -> bool:
        """Whether one more from `source` may come in; may end another one for it."""
        own = self._open.get(source, [])
        if self._limits.per_source is not None and len(own) >= self._limits.per_source:
            return self._end_one(source, [c for c in own if not c.busy])
        if self._limits.total is not None and len(self._all()) >= self._limits.total:
            return self._end_one(source, self._all())
        return True

    def _end_one(self, newcomer: str, among: list[_Connection]) -> bool:
        """End who is at the least; of those, the oldest of the source that has the most."""
        self._tell(newcomer)
        if not among:
            return False
        chosen = min(among, key=lambda c: (c.stage, -len(self._open[c.source])))
        self._forget(chosen)
        chosen.end()
        return True

    def _tell(self, source: str) -> None:
        now = trio.current_time()
        if now - self._told_at >= _TELL_EVERY:  # a flood must not fill the disk with its own story
            self._told_at = now
            _log.warning(
                "event=connections_full source=%s from_source=%d total=%d",
                source, len(self._open.get(source, ())), len(self._all()),
            )  # fmt: skip

    def _all(self) -> list[_Connection]:
        return [connection for some in self._open.values() for connection in some]

    def _forget(self, connection: _Connection) -> None:
        some = self._open.get(connection.source, [])
        if connection in some:
            some.remove(connection)
        if not some:
            self._open.pop(connection.source, None)


class _Connection:
    """One connection, and the part of a stream that Hypercorn's server uses."""

    def __init__(self, stream: trio.SocketStream, source: str, limits: Limits) -> None:
        self.source = source
        self._stream = stream
        self._limits = limits
        self._requests = 0
        self._held: bytearray | None = None
        self._in_head = True
        self._reading = trio.CancelScope(deadline=trio.current_time() + limits.head)
        self._life = trio.CancelScope()
        self._server: WholeAnswers
        # one for each connection: Hypercorn closes it after its answer once this has ended
        self._context = WorkerContext(None)

    @property
    def busy(self) -> bool:
        """Whether a request with a whole head is at hand."""
        return self._requests > 0

    @property
    def stage(self) -> _Stage:
        if self.busy:
            return _Stage.BUSY
        return _Stage.HEAD if self._in_head else _Stage.IDLE

    @property
    def socket(self) -> trio.socket.SocketType:
        return self._stream.socket

    async def run(self, app: App, config: Config) -> None:
        wrapped: AppWrapper = wrap_app(cast(ASGIFramework, partial(self._answer, app)), 0, "asgi")
        with self._life:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._close_when_cancelled)
                self._server = WholeAnswers(
                    wrapped, config, self._context, ConnectionState({}), cast(Any, self)
                )
                await self._server
                nursery.cancel_scope.cancel()

    def end(self) -> None:
        """End it now, whatever it is at."""
        self._life.cancel()

    async def finish(self) -> None:
        await self._context.terminated.set()
        if not self.busy:
            self._reading.cancel()

    async def receive_some(self, most: int) -> bytes:
        if self._context.terminated.is_set() and not self.busy:
            raise trio.TooSlowError
        self._reading = trio.CancelScope(deadline=self._reading.deadline)
        data = b""
        try:
            with self._reading:
                data = await self._stream.receive_some(most)
            if self._reading.cancelled_caught:
                raise trio.TooSlowError
        finally:
            if not data:
                await self.finish()
        if not self.busy and not self._in_head:
            self._in_head = True
            self._reading.deadline = trio.current_time() + self._limits.head
        return bytes(data)

    def holds_back(self, data: bytes) -> bool:
        """Whether there is nothing to be sent now: no data, or a head whose body comes at once."""
        if self._held is not None:
            self._held += data
        return self._held is not None or not data

    async def send_all(self, data: bytes) -> None:
        # Hypercorn shields this from cancellation: only a deadline in here, or closing, ends it
        with trio.move_on_after(self._limits.send) as scope:
            await self._stream.send_all(data)
        if scope.cancelled_caught:
            self._stream.socket.close()
            raise trio.BrokenResourceError("the peer does not read")

    async def send_eof(self) -> None:
        # without the stream's wait, in which an answer on its way would fail noisily
        with contextlib.suppress(OSError):
            self._stream.socket.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def _close_when_cancelled(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self._stream.socket.close()

    async def _answer(self, app: App, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["http_version"] not in ("1.0", "1.1"):
            self._stream.socket.close()
            return
        self._requests += 1
        self._in_head = False
        self._reading.deadline = float("inf")  # an application bounds its own bodies
        try:
            if _FRAMINGS.issubset(name.lower() for name, _ in scope["headers"]):
                await _refuse_framing(send)
                return
            await app(scope, receive, self._server.whole(send))
        finally:
            self._requests -= 1
            if not self.busy:  # a head that began meanwhile has the idle time
                self._reading.deadline = trio.current_time() + self._limits.idle


async def _refuse_framing(send: Any) -> None:
    """A length beside chunks: whoever reads it another way sees another request in it, so that
    nothing more is taken from this connection (RFC 9112 §6.3)."""
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def source_of(host: str) -> str:
    """What counts as one source: an IPv4 address (mapped ones too), or an IPv6 /64."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address, 64), strict=False))


async def serve_connections(
    connections: Connections,
    listener: socket.socket,
    *,
    shutdown: Callable[[], Awaitable[None]] | None,
    grace: float,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept on `listener` (taken over and closed) until `shutdown()` returns; then connections
    have `grace` seconds to answer what is at hand."""
    async with trio.open_nursery() as open_connections:
        accepting = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        async with accepting, trio.open_nursery() as nursery:
            if shutdown is not None:
                nursery.start_soon(_cancel_after, shutdown, nursery.cancel_scope)
            nursery.start_soon(
                partial(
                    trio.serve_listeners,
                    connections.handle,
                    [accepting],
                    handler_nursery=open_connections,
                )
            )
            task_status.started()
        await connections.finish()
        open_connections.cancel_scope.deadline = trio.current_time() + grace


async def _cancel_after(event: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
    await event()
    scope.cancel()
