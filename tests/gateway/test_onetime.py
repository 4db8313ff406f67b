"""Posts over a connection of their own: what an answer may look like, and what an error proves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from campaign.errors import GatewayError, InDoubt, NotSent
from campaign.gateway.credentials import Credentials
from campaign.gateway.line import Line
from campaign.protocol.session import Login

PATH = "/goip_post_sms.html"
ANSWER = b'{"code":200}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + ANSWER
CHUNKED = (
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"cod\r\n7\r\ne":200}\r\n0\r\n\r\n'
)


class Server:
    """A device's web server that gives prepared bytes and closes, and keeps what it was sent."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.heard: list[bytes] = []
        self.open = self.most_open = 0

    async def answer(self, stream: trio.SocketStream) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        async with stream:
            heard = b""
            while not heard.endswith(b"}") and b"GET" not in heard:
                more = await stream.receive_some(65536)
                if not more:
                    return
                heard += more
            self.heard.append(heard)
            await stream.send_all(self._answers.pop(0))
            self.open -= 1


class Silent(Server):
    """One that never answers."""

    async def answer(self, stream: trio.SocketStream) -> None:
        async with stream:
            await trio.sleep_forever()


@asynccontextmanager
async def line_to(server: Server, seconds: float = 5.0) -> AsyncIterator[Line]:
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, server.answer, 0, host="127.0.0.1")
        (listener,) = await nursery.start(serve)
        port = listener.socket.getsockname()[1]
        line = Line(
            "gw", f"http://127.0.0.1:{port}", Credentials(Login("root", "root")), timeout=seconds
        )
        yield line
        await line.aclose()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(WHOLE, id="with-its-length"),
        pytest.param(CHUNKED, id="in-chunks"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + ANSWER, id="up-to-the-end"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n" + ANSWER, id="of-http-1.0"),
        pytest.param(b"HTTP/1.1 200\r\nContent-Length: 12\r\n\r\n" + ANSWER, id="without-a-reason"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE, id="after-an-interim-one"),
        pytest.param(WHOLE + b"\r\n\r\n", id="with-something-behind"),
    ],
)
async def test_an_answer_is_read_however_it_is_framed(wire: bytes) -> None:
    async with line_to(Server(wire)) as line:
        assert await line.post(PATH, b"{}") == ANSWER


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"", id="none"),
        pytest.param(WHOLE[:-1], id="half-a-body"),
        pytest.param(WHOLE[:20], id="half-a-head"),
        pytest.param(CHUNKED[:-5], id="a-chunk-too-few"),
        pytest.param(b"hello\r\n\r\n", id="no-http"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", id="another-protocol"),
        pytest.param(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", id="moved"),
    ],
)
async def test_a_post_without_a_whole_answer_is_in_doubt(wire: bytes) -> None:
    server = Server(wire)
    async with line_to(server) as line:
        with pytest.raises(InDoubt):
            await line.post(PATH, b"{}")
    assert len(server.heard) == 1


async def test_a_post_that_nobody_listens_for_was_not_sent() -> None:
    line = Line("gw", "http://127.0.0.1:1", Credentials(Login("root", "root")), timeout=5.0)
    with pytest.raises(NotSent, match="connection refused"):
        await line.post(PATH, b"{}")


async def test_every_post_has_a_connection_of_its_own_and_one_at_a_time() -> None:
    server = Server(*[WHOLE] * 5)
    async with line_to(server) as line, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(line.post, PATH, b"{}")
    assert (len(server.heard), server.most_open) == (5, 1)
    assert all(b"connection: close" in heard.lower() for heard in server.heard)


async def test_a_post_behind_one_that_takes_too_long_was_not_sent() -> None:
    told: list[GatewayError] = []

    async def post(line: Line) -> None:
        try:
            await line.post(PATH, b"{}")
        except GatewayError as error:
            told.append(error)

    async with line_to(Silent(), seconds=0.2) as line, trio.open_nursery() as nursery:
        nursery.start_soon(post, line)
        nursery.start_soon(post, line)
    assert sorted(type(error).__name__ for error in told) == ["InDoubt", "NotSent"]


async def test_a_cookie_is_not_sent_back() -> None:
    server = Server(*[WHOLE.replace(b"\r\n", b"\r\nSet-Cookie: session=1\r\n", 1)] * 4)
    async with line_to(server) as line:
        for _ in range(2):
            await line.post(PATH, b"{}")
            await line.ask(PATH, body=b"{}")
    assert len(server.heard) == 4
    assert not any(b"session=1" in heard for heard in server.heard)
