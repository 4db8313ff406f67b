"""What a connection is answered, and when: whole where it can be, at once where it is a stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from hypercorn.config import Config

from campaign.service.connections import Connections, Limits, serve_connections
from campaign.service.serving import open_listener, serve

Send = Callable[[Any], Awaitable[None]]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"


async def whole(_scope: Any, _receive: Any, send: Send) -> None:
    length = (b"content-length", b"5")
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": b"hello"})


async def begun(_scope: Any, _receive: Any, send: Send) -> None:
    """A head with an empty first piece behind it, and the rest much later."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    await trio.sleep_forever()


async def in_pieces(_scope: Any, _receive: Any, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in (b"hel", b"lo"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def broken(_scope: Any, _receive: Any, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("before its body")


async def answered(app: Any, request: bytes, end: bytes) -> bytes:
    """What comes back on one connection, up to `end`."""
    async with trio.open_nursery() as nursery:
        _, port = await nursery.start(partial(serve, app, "127.0.0.1", 0))
        told = b""
        with trio.fail_after(5):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(request)
                while end not in told:
                    told += await stream.receive_some()
        nursery.cancel_scope.cancel()
    return told


@pytest.mark.parametrize(
    ("app", "request_", "start", "end"),
    [
        pytest.param(whole, GET, b"HTTP/1.1 200 ", b"\r\n\r\nhello", id="whole"),
        pytest.param(whole, HEAD, b"HTTP/1.1 200 ", b"\r\n\r\n", id="head-alone"),
        pytest.param(begun, GET, b"HTTP/1.1 200 ", b"\r\n\r\n", id="stream-before-its-body"),
        pytest.param(in_pieces, GET, b"HTTP/1.1 200 ", b"2\r\nlo\r\n0\r\n\r\n", id="in-pieces"),
        pytest.param(broken, GET, b"HTTP/1.1 500 ", b"\r\n\r\n", id="broken-before-its-body"),
    ],
)
async def test_an_answer_comes_as_far_as_the_application_has_come(
    app: Any, request_: bytes, start: bytes, end: bytes
) -> None:
    told = await answered(app, request_, end)
    assert told.startswith(start)
    assert told.endswith(end)
    assert told.count(b"HTTP/1.1") == 1


async def test_requests_that_come_together_are_answered_one_after_the_other() -> None:
    told = await answered(whole, HEAD + GET + GET, b"hello")
    assert told.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "sent", [pytest.param(GET, id="idle"), pytest.param(b"", id="new"),
             pytest.param(GET + b"GET / HT", id="half-a-head")],
)  # fmt: skip
async def test_a_connection_without_a_request_at_hand_ends_with_the_server(sent: bytes) -> None:
    over = trio.Event()
    listener = await open_listener("127.0.0.1", 0)
    connections = Connections(whole, Config(), Limits())
    serving = partial(serve_connections, connections, listener, shutdown=over.wait, grace=3600)
    address = listener.getsockname()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(serving)
            async with await trio.open_tcp_stream(*address) as stream:
                if sent:
                    await stream.send_all(sent)
                    assert await stream.receive_some()
                await trio.testing.wait_all_tasks_blocked(0.02)
                over.set()
                assert await stream.receive_some() == b""
