"""Connections are counted and timed: whoever is slow, silent or many makes room for the others."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from functools import partial

import pytest
import trio
import trio.testing
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from campaign.service.connections import Limits, source_of
from campaign.service.serving import capped_descriptors, serve

Connect = Callable[..., Awaitable[trio.SocketStream]]

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def hello(request: Request) -> PlainTextResponse:
    await request.body()
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", hello, methods=["GET", "POST"])])


@asynccontextmanager
async def served(
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> AsyncIterator[Connect]:
    """A server, as a way to connect to it: `connect()` or `connect("127.0.0.2")` as the source."""
    async with trio.open_nursery() as nursery:
        _, port = await nursery.start(partial(serve, APP, "127.0.0.1", 0, limits=limits))

        async def connect(source: str = "127.0.0.1") -> trio.SocketStream:
            raw = trio.socket.socket()
            await raw.bind((source, 0))
            await raw.connect(("127.0.0.1", port))
            return trio.SocketStream(raw)

        with trio.fail_after(10):
            yield connect
        nursery.cancel_scope.cancel()


async def asked(stream: trio.SocketStream) -> bytes:
    """A whole answer; nothing where there is none to be had."""
    answer = b""
    try:
        await stream.send_all(GET)
        while not answer.endswith(b"hello"):
            chunk = await stream.receive_some()
            if not chunk:
                return b""
            answer += chunk
    except (trio.BrokenResourceError, OSError):
        return b""
    return answer


async def is_closed(stream: trio.SocketStream) -> bool:
    """Whether the server has ended it, or does within a moment."""
    with trio.move_on_after(0.2):
        try:
            return await stream.receive_some() == b""
        except (trio.BrokenResourceError, OSError):
            return True
    return False


async def test_a_kept_connection_serves_request_after_request() -> None:
    async with served() as connect, await connect() as stream:
        for _ in range(3):
            assert (await asked(stream)).startswith(b"HTTP/1.1 200 ")


async def test_a_head_that_trickles_is_cut_off_however_it_trickles() -> None:
    async with served(Limits(head=0.3)) as connect, await connect() as stream:
        began = trio.current_time()
        await stream.send_all(b"GET / HTTP/1.1\r\n")
        closed = trio.Event()

        async def trickle() -> None:
            while not closed.is_set():
                try:
                    await stream.send_all(b"X: x\r\n")
                except trio.BrokenResourceError:
                    return
                await trio.sleep(0.02)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            with suppress(trio.BrokenResourceError):
                assert await stream.receive_some() == b""
            closed.set()
        assert 0.25 < trio.current_time() - began < 2


async def test_the_head_of_a_later_request_has_no_longer() -> None:
    async with served(Limits(head=0.2, idle=60)) as connect, await connect() as stream:
        assert await asked(stream)
        await trio.sleep(0.4)  # idle is not slow
        assert await asked(stream)
        await trio.testing.wait_all_tasks_blocked(0.05)  # the answer is really over
        await stream.send_all(b"GET / HT")
        with trio.fail_after(2):
            assert await stream.receive_some() == b""


async def test_an_idle_connection_is_let_go() -> None:
    async with served(Limits(idle=0.2)) as connect, await connect() as stream:
        assert await asked(stream)
        with trio.fail_after(2):
            assert await stream.receive_some() == b""


async def test_a_slow_body_is_the_applications_to_bound() -> None:
    async with served(Limits(head=0.1, idle=0.1)) as connect, await connect() as stream:
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
        await trio.sleep(0.4)
        await stream.send_all(b"}")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")


async def test_a_source_at_its_limit_gives_up_its_oldest_unfinished_connection() -> None:
    async with served(Limits(per_source=3)) as connect:
        first, second, third = [await connect() for _ in range(3)]
        await trio.testing.wait_all_tasks_blocked(0.05)
        fourth = await connect()
        assert await is_closed(first)
        for stream in (second, third, fourth):
            assert await asked(stream)
            await stream.aclose()
        await first.aclose()


async def test_an_idle_connection_stays_while_its_source_has_heads_that_are_not_whole() -> None:
    async with served(Limits(per_source=3)) as connect:
        device = await connect()
        assert await asked(device)
        await trio.testing.wait_all_tasks_blocked(0.05)  # the answer is really over
        flood = [await connect() for _ in range(5)]
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert await asked(device)
        for stream in (device, *flood):
            await stream.aclose()


async def test_heads_that_are_not_whole_go_before_the_idle_ones_of_a_busier_source() -> None:
    async with served(Limits(total=4)) as connect:
        devices = [await connect("127.0.0.9") for _ in range(2)]
        for device in devices:
            assert await asked(device)
        await trio.testing.wait_all_tasks_blocked(0.05)  # the answer is really over
        flood = [await connect(f"127.0.0.{10 + n}") for n in range(6)]
        await trio.testing.wait_all_tasks_blocked(0.05)
        for device in devices:
            assert await asked(device)
        for stream in (*devices, *flood):
            await stream.aclose()


async def test_a_request_at_hand_is_not_ended_while_anybody_is_idle() -> None:
    async with served(Limits(total=3)) as connect:
        posts = [await connect("127.0.0.9") for _ in range(2)]
        for post in posts:
            await post.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
        stranger = await connect("127.0.0.10")
        assert await asked(stranger)
        await trio.testing.wait_all_tasks_blocked(0.05)  # the answer is really over
        newcomer = await connect("127.0.0.11")
        assert await is_closed(stranger)
        for post in posts:
            await post.send_all(b"}")
            assert (await post.receive_some()).startswith(b"HTTP/1.1 200 ")
        for stream in (*posts, stranger, newcomer):
            await stream.aclose()


async def test_a_flood_ends_its_own_connections_and_no_others() -> None:
    async with served(Limits(total=30, per_source=10)) as connect:
        device = await connect("127.0.0.9")
        flood = [await connect(f"127.0.0.{2 + n % 5}") for n in range(100)]
        assert await asked(device), "it came first"
        newcomer = await connect("127.0.0.8")
        assert await asked(newcomer), "it came last"
        open_left: list[trio.SocketStream] = []

        async def look(stream: trio.SocketStream) -> None:
            if not await is_closed(stream):
                open_left.append(stream)

        async with trio.open_nursery() as looking:
            for stream in flood:
                looking.start_soon(look, stream)
        assert len(open_left) == 28
        for stream in (*flood, device, newcomer):
            await stream.aclose()


async def test_connections_opened_and_closed_leave_nothing_behind() -> None:
    with capped_descriptors(120):
        async with served() as connect:
            for _ in range(300):
                await (await connect()).aclose()
            async with await connect() as stream:
                assert await asked(stream)


async def test_who_reads_no_answer_cannot_keep_the_server_from_ending() -> None:
    with trio.fail_after(10), closing(socket.socket()) as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        async with trio.open_nursery() as nursery:
            _, port = await nursery.start(serve, APP, "127.0.0.1", 0)
            greedy.connect(("127.0.0.1", port))
            greedy.setblocking(False)
            for _ in range(100):
                try:
                    greedy.send(GET * 50)
                except BlockingIOError:
                    break
                await trio.sleep(0.002)
            nursery.cancel_scope.cancel()


async def test_who_reads_no_answer_is_cut_off() -> None:
    async with served(Limits(send=0.2)) as connect:
        greedy = socket.socket()
        port = 0
        async with await connect() as probe:
            port = probe.socket.getpeername()[1]
        with closing(greedy):
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            greedy.connect(("127.0.0.1", port))
            stream = trio.SocketStream(trio.socket.from_stdlib_socket(greedy))
            with pytest.raises(trio.BrokenResourceError), trio.fail_after(8):  # noqa: PT012
                while True:
                    await stream.send_all(GET * 50)


@pytest.mark.parametrize(
    "request_",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"),
        GET.replace(b"Host: x", b"Host: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk"),
        GET.replace(
            b"Host: x",
            b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
            b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
    ],
    ids=["h2 by prior knowledge", "h2c upgrade", "websocket"],
)
async def test_nothing_but_http_1_is_answered(
    request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(Limits(head=0.3)) as connect, await connect() as stream:
        await stream.send_all(request_)
        answer = b""
        with trio.fail_after(2):
            try:
                async for chunk in stream:
                    answer += chunk
            except trio.BrokenResourceError:
                pass
    assert b"hello" not in answer
    assert b"200" not in answer
    assert caplog.records == []


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_ipv6_network_is_one_source(host: str, source: str) -> None:
    assert source_of(host) == source
