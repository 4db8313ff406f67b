"""The HTTP server: real ports, clear errors, bounded bodies and headers, a graceful end."""

from __future__ import annotations

import resource
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial

import pytest
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from campaign.errors import UsageError
from campaign.service.serving import capped_descriptors, open_listener, serve
from campaign.service.site import shown

Ask = Callable[[str, int, bytes], Awaitable[bytes]]

GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def hello(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def broken(_request: Request) -> PlainTextResponse:
    raise RuntimeError("a bug")


APP = Starlette(routes=[Route("/", hello, methods=["GET", "POST"]), Route("/broken", broken)])


def has_ipv6() -> bool:
    try:
        with closing(socket.socket(socket.AF_INET6)) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", *(["::1"] if has_ipv6() else [])],
)
async def test_port_zero_becomes_a_real_port(host: str, ask: Ask) -> None:
    async with trio.open_nursery() as nursery:
        bound = await nursery.start(serve, APP, host, 0)
        assert bound[0] == host
        assert bound[1] > 0
        answer = await ask(host, bound[1], GET)
        nursery.cancel_scope.cancel()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"hello")
    assert b"hypercorn" not in answer.lower()


async def test_a_port_in_use_is_somebody_elses() -> None:
    with closing(await open_listener("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} on 127.0.0.1 is held by somebody else"):
            await serve(APP, "127.0.0.1", port)


async def test_a_port_is_free_again_at_once(ask: Ask) -> None:
    port = 0
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            _, port = await nursery.start(serve, APP, "127.0.0.1", port)
            await ask("127.0.0.1", port, GET)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("192.0.2.1", 0, "192.0.2.1 is not an address of this machine"),
        ("no such host", 0, "cannot listen on no such host:0"),
        ("127.0.0.1", 65536, "cannot listen on 127.0.0.1:65536"),
        ("x" * 70, 0, "cannot listen on xxx"),
    ],
)
async def test_an_address_that_cannot_be_had_is_a_usage_error(
    host: str, port: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message), trio.fail_after(5):
        await serve(APP, host, port)


async def test_a_shutdown_lets_the_request_at_hand_finish(ask: Ask) -> None:
    entered, leave, shutdown = trio.Event(), trio.Event(), trio.Event()

    async def slow(_request: Request) -> PlainTextResponse:
        entered.set()
        await leave.wait()
        return PlainTextResponse("finished")

    answers: list[bytes] = []

    async def ask_slowly(port: int) -> None:
        answers.append(await ask("127.0.0.1", port, GET))

    app = Starlette(routes=[Route("/", slow)])
    async with trio.open_nursery() as nursery:
        _, port = await nursery.start(partial(serve, app, "127.0.0.1", 0, shutdown=shutdown.wait))
        nursery.start_soon(ask_slowly, port)
        await entered.wait()
        shutdown.set()
        await trio.sleep(0.01)
        with pytest.raises(OSError, match=r"refused|connect"):
            await trio.open_tcp_stream("127.0.0.1", port)
        leave.set()
    assert answers[0].endswith(b"finished")


async def test_a_head_without_end_is_refused(ask: Ask) -> None:
    async with trio.open_nursery() as nursery:
        _, port = await nursery.start(serve, APP, "127.0.0.1", 0)
        answer = await ask("127.0.0.1", port, b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000)
        nursery.cancel_scope.cancel()
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_an_unread_body_neither_blocks_the_answer_nor_the_end(ask: Ask) -> None:
    shutdown = trio.Event()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            _, port = await nursery.start(
                partial(serve, APP, "127.0.0.1", 0, shutdown=shutdown.wait)
            )
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            async with stream:
                head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
                await stream.send_all(head + bytes(1000))
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
            shutdown.set()


async def test_it_is_quiet_but_for_errors(
    ask: Ask, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with trio.open_nursery() as nursery:
        _, port = await nursery.start(serve, APP, "127.0.0.1", 0)
        await ask("127.0.0.1", port, GET)
        assert caplog.records == []
        answer = await ask("127.0.0.1", port, GET.replace(b" / ", b" /broken "))
        nursery.cancel_scope.cancel()
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert [record.name for record in caplog.records] == ["campaign.http"]
    assert capfd.readouterr() == ("", "")


def test_open_files_are_capped_and_given_back() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with capped_descriptors(100):
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (100, before[1])
        with capped_descriptors(200):
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 100
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


@pytest.mark.parametrize(
    ("host", "text"), [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"), ("a.b", "a.b:80")]
)
def test_an_address_is_shown_as_a_url_writes_it(host: str, text: str) -> None:
    assert shown(host, 80) == text
