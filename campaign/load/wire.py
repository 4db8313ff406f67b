"""An HTTP/1.1 client made for load: plain sockets under trio, parsed by httptools.

What costs time in an ordinary client is left out: no pool, no header objects, no redirects, no
cookies; requests come as finished bytes. Three things are not left out. Every exchange has a
deadline, kept by one task for all connections (a cancel scope of its own costs each exchange about
a sixth of its time). What went wrong has a kind. And a request is never sent twice unless it says
that it may be: a POST whose connection broke may have been taken.

This is no general client: no proxies, no upgrades, no pipelining, one exchange at a time on a
connection, and no answer to HEAD.
"""

from __future__ import annotations

import errno
import math
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import httptools
import trio

from campaign.load.link import Address, Answer, Link, dial, shake_hands

_MOST_BYTES: Final = 64 * 1024 * 1024  # of one answer: a page of a task list has some hundred KB
_OURS: Final = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM)
)


class ErrorKind(StrEnum):
    """Why a request has no answer."""

    REFUSED = "refused"  # no connection came about: refused, unreachable, unknown name
    TLS = "tls"  # the handshake failed, or the encrypted stream broke
    RESET = "reset"  # the other side ended the connection before the answer was whole
    TIMEOUT = "timeout"  # the deadline passed
    PROTOCOL = "protocol"  # the answer is not HTTP/1.1, or larger than anything a gateway says
    LOCAL = "local"  # this machine has no port, descriptor or memory left: not the target's fault
    CUT = "cut"  # the run was ended while the answer was awaited


class Request(NamedTuple):
    """A finished request. `repeatable` says that the target may get it twice without harm."""

    data: bytes
    repeatable: bool = False


class Reply(NamedTuple):
    """A whole answer: when the first byte of the request went out, and all bytes that came back."""

    status: int
    body: bytes
    sent: float
    size: int
    repeated: bool = False


class Failure(NamedTuple):
    """No answer. `sent` is None when not one byte of the request can have reached the target."""

    kind: ErrorKind
    sent: float | None
    detail: str = ""


Outcome = Reply | Failure


@dataclass(frozen=True)
class Target:
    """Where requests go. `tls` is ready for use; `server_name` defaults to the host."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_name: str | None = None


def build_request(
    method: str, path: str, host: str, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()
) -> bytes:
    """The bytes of a request. A body's length is always said; the connection stays open."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body or method not in ("GET", "DELETE"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


class Wire:
    """All connections of one worker to one target, and the task that ends what is overdue."""

    def __init__(self, target: Target, clock: Callable[[], float] = trio.current_time) -> None:
        self.target = target
        self.plain = target.tls is None
        self.clock = clock
        self.opened = 0
        self._addresses: list[tuple[int, Address]] = []
        self._connections: list[Connection] = []
        self._nap = trio.CancelScope()
        self.wakes = -math.inf  # nobody need be woken before the watch has begun

    def connection(self) -> Connection:
        """Another connection; it opens with its first exchange, or when told to."""
        connection = Connection(self)
        self._connections.append(connection)
        return connection

    async def watch(self) -> None:
        """Close every connection whose deadline has passed; until cancelled."""
        while True:
            now = self.clock()
            for connection in self._connections:
                if connection.due <= now:
                    connection.expire()
            self.wakes = min((one.due for one in self._connections), default=math.inf)
            with trio.CancelScope(deadline=self.wakes) as self._nap:
                await trio.sleep_forever()

    def hasten(self, deadline: float) -> None:
        """Have the watch look again at `deadline`, which is sooner than it meant to."""
        self.wakes = self._nap.deadline = deadline

    async def connect(self) -> socket.socket:
        """A socket to the target, with TLS where it has it. Raises OSError (SSLError is one)."""
        addresses = await self._resolved()
        for nth, (family, address) in enumerate(addresses, start=1):
            try:
                return await self._connect(family, address)
            except ssl.SSLError:
                raise
            except OSError:
                if nth == len(addresses):
                    raise
        raise OSError(errno.EHOSTUNREACH, f"{self.target.host} has no address")

    async def _connect(self, family: int, address: Address) -> socket.socket:
        target = self.target
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            await dial(sock, address)
            if target.tls is not None:
                sock = secure = target.tls.wrap_socket(
                    sock,
                    server_hostname=target.server_name or target.host,
                    do_handshake_on_connect=False,
                )
                await shake_hands(secure)
        except BaseException:
            sock.close()
            raise
        self.opened += 1
        return sock

    async def _resolved(self) -> list[tuple[int, Address]]:
        if not self._addresses:
            found = await trio.socket.getaddrinfo(
                self.target.host, self.target.port, type=socket.SOCK_STREAM
            )
            self._addresses = [(family, address) for family, _, _, _, address in found]
        return self._addresses


class Connection:
    """One connection, kept open between exchanges and opened anew when it is gone."""

    __slots__ = ("_expired", "_link", "_wire", "due")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._link: Link | None = None
        self._expired = False
        self.due = math.inf

    async def exchange(self, request: Request, deadline: float) -> Outcome:
        """Send a request and read its answer, all before `deadline` (monotonic seconds).

        `Wire.watch` must be running: it is what ends an exchange that is overdue.
        What the other side has closed before is replaced before anything is sent. When the
        connection turns out to be closed only afterwards, and not a byte came back, a repeatable
        request goes out once more on a fresh connection; any other is a RESET.
        """
        link = self._link
        if link is None or link.is_closed():
            opened = await self._open(deadline)
            if isinstance(opened, Failure):
                return opened
            return await self._ask(opened, request, deadline)
        outcome = await self._ask(link, request, deadline)
        if isinstance(outcome, Reply) or outcome.kind is not ErrorKind.RESET:
            return outcome
        if link.answer.head or not request.repeatable:
            return outcome
        return await self._repeat(request, deadline, outcome)

    async def open(self, deadline: float) -> Failure | None:
        """Connect ahead of the first exchange; None once the connection stands."""
        opened = await self._open(deadline)
        return opened if isinstance(opened, Failure) else None

    def close(self) -> None:
        """Close at once; the next exchange opens anew."""
        self.due = math.inf
        if self._link is not None:
            self._link.sock.close()
            self._link = None

    def expire(self) -> None:
        """End the exchange that is going on: its time is over."""
        self._expired = True
        self.due = math.inf
        if self._link is not None:
            trio.lowlevel.notify_closing(self._link.fd)
            self._link.sock.close()

    async def _repeat(self, request: Request, deadline: float, first: Failure) -> Outcome:
        """Once more on a fresh connection; it counts from when it was sent first."""
        opened = await self._open(deadline)
        if isinstance(opened, Failure):
            return opened._replace(sent=first.sent)
        again = await self._ask(opened, request, deadline)
        if isinstance(again, Reply) and first.sent is not None:
            return again._replace(sent=first.sent, repeated=True)
        return again

    async def _open(self, deadline: float) -> Link | Failure:
        self.close()
        with trio.CancelScope(deadline=deadline):
            try:
                sock = await self._wire.connect()
            except ssl.SSLError as error:
                return self._failed(ErrorKind.TLS, None, error)
            except OSError as error:
                ours = error.errno in _OURS
                return self._failed(ErrorKind.LOCAL if ours else ErrorKind.REFUSED, None, error)
            self._expired = False
            self._link = Link(sock)
            return self._link
        return self._failed(ErrorKind.TIMEOUT, None, "no connection in time")

    async def _ask(self, link: Link, request: Request, deadline: float) -> Outcome:
        answer, wire = link.answer, self._wire
        answer.begin()
        size = 0
        self.due = deadline
        if deadline < wire.wakes:
            wire.hasten(deadline)
        sent = wire.clock()
        try:
            await link.send(request.data)
            while not answer.complete and (chunk := await link.receive(wait=wire.plain)):
                size += len(chunk)
                answer.feed(chunk)
                if size > _MOST_BYTES:
                    return self._failed(ErrorKind.PROTOCOL, sent, "the answer has no end")
        except (OSError, trio.ClosedResourceError) as error:
            return self._broken(sent, error)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            return self._failed(ErrorKind.PROTOCOL, sent, error)
        except BaseException:
            self.close()  # half an exchange is on it
            raise
        return self._told(answer, sent, size)

    def _told(self, answer: Answer, sent: float, size: int) -> Outcome:
        self.due = math.inf
        if answer.complete == 1:
            if not answer.reusable:
                self.close()
            return Reply(answer.status, answer.body(), sent, size)
        if answer.complete:
            return self._failed(ErrorKind.PROTOCOL, sent, "two answers to one request")
        if answer.ends_with_the_stream():
            self.close()
            return Reply(answer.status, answer.body(), sent, size)
        return self._failed(ErrorKind.RESET, sent, "closed before the answer was whole")

    def _broken(self, sent: float, error: Exception) -> Failure:
        if self._expired:
            return self._failed(ErrorKind.TIMEOUT, sent, "no whole answer in time")
        kind = ErrorKind.TLS if isinstance(error, ssl.SSLError) else ErrorKind.RESET
        return self._failed(kind, sent, error)

    def _failed(self, kind: ErrorKind, sent: float | None, why: object) -> Failure:
        self.close()
        return Failure(kind, sent, str(why))
