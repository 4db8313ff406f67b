"""One request, one connection: what must not meet a connection that the device just closed.

httpx's own transport keeps a pool, and asks it three times a request; what is sent once over a
connection of its own needs none of that. h11 speaks the protocol, as it does in httpx. Errors are
httpx's, typed by when: none of connecting can follow a byte that was sent.
"""

from __future__ import annotations

import contextlib
import ssl

import h11
import httpx
import trio

_READ = 1 << 16
_LONGEST_HEAD = 100 * 1024
_PORTS = {"http": 80, "https": 443}
_SWITCHED = 101


class OneTimeTransport(httpx.AsyncBaseTransport):
    """Carries requests, one at a time; `trust` is what an `https` address is believed by.

    Of the request's timeouts only `connect` and `pool` are kept: the caller bounds the whole.
    """

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._trust = trust
        self._turn = trio.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer with its whole body. Raises `httpx.TransportError`."""
        times = request.extensions["timeout"]
        await self._take_turn(times["pool"])
        try:
            connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
            wire = _written(connection, request)
            stream = await self._connect(request.url, times["connect"])
            async with stream:
                return await _exchange(stream, connection, wire)
        finally:
            self._turn.release()

    async def _take_turn(self, seconds: float) -> None:
        try:
            self._turn.acquire_nowait()
        except trio.WouldBlock:
            with trio.move_on_after(seconds) as scope:
                await self._turn.acquire()
            if scope.cancelled_caught:
                raise httpx.PoolTimeout("another request took too long") from None

    async def _connect(self, url: httpx.URL, seconds: float) -> trio.abc.Stream:
        if url.scheme not in _PORTS:
            raise httpx.UnsupportedProtocol(f"neither http nor https: {url.scheme!r}")
        host = url.raw_host.decode("ascii")
        try:
            with trio.fail_after(seconds):
                plain = await trio.open_tcp_stream(host, url.port or _PORTS[url.scheme])
                return plain if url.scheme == "http" else await self._secured(plain, host)
        except trio.TooSlowError:
            raise httpx.ConnectTimeout("no connection in time") from None
        except (OSError, trio.BrokenResourceError) as error:
            raise httpx.ConnectError("no connection") from error

    async def _secured(self, plain: trio.SocketStream, host: str) -> trio.abc.Stream:
        secure = trio.SSLStream(plain, self._trust, server_hostname=host, https_compatible=True)
        try:
            await secure.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(plain)
            raise
        return secure


def _written(connection: h11.Connection, request: httpx.Request) -> bytes:
    try:
        head = h11.Request(
            method=request.method, target=request.url.raw_path, headers=request.headers.raw
        )
        parts = [connection.send(head)]
        if request.content:
            parts.append(connection.send(h11.Data(data=request.content)))
        parts.append(connection.send(h11.EndOfMessage()))
    except h11.LocalProtocolError as error:
        raise httpx.LocalProtocolError(str(error)) from error
    return b"".join(part for part in parts if part)


async def _exchange(
    stream: trio.abc.Stream, connection: h11.Connection, wire: bytes
) -> httpx.Response:
    with contextlib.suppress(trio.BrokenResourceError):
        await stream.send_all(wire)  # it may have answered before it had read everything
    head: h11.Response | h11.InformationalResponse | None = None
    body: list[bytes] = []
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(bytes(await stream.receive_some(_READ)))
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.InformationalResponse) and event.status_code != _SWITCHED:
                continue
            else:
                head = event if isinstance(event, h11.InformationalResponse) else head
                break
    except h11.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except trio.BrokenResourceError as error:
        raise httpx.ReadError(str(error)) from error
    if head is None:
        raise httpx.RemoteProtocolError("no answer")
    return httpx.Response(
        head.status_code,
        headers=head.headers.raw_items(),
        stream=httpx.ByteStream(b"".join(body)),
    )
