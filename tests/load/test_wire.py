"""The load client against servers on loopback that do it right, and that do not."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trustme

from campaign.load.wire import (
    Connection,
    ErrorKind,
    Failure,
    Outcome,
    Reply,
    Request,
    Target,
    Wire,
    build_request,
)
from tests.load.servers import OK, Behaviour, Server, Visit, answer_all, serving

POST = Request(build_request("POST", "/goip_post_sms.html", "127.0.0.1", b'{"tasks":[]}'))
STATUS = Request(build_request("GET", "/goip_get_status.html", "127.0.0.1"), repeatable=True)


@asynccontextmanager
async def connected(
    behaviour: Behaviour, *, patience: float = 10.0
) -> AsyncIterator[tuple[Server, Wire, Connection]]:
    async with serving(behaviour) as server:
        wire = Wire(Target("127.0.0.1", server.port))
        connection = wire.connection()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wire.watch)
            with trio.fail_after(patience):
                yield server, wire, connection
            connection.close()
            nursery.cancel_scope.cancel()


def soon() -> float:
    return trio.current_time() + 5


def kind_of(outcome: Outcome) -> ErrorKind:
    assert isinstance(outcome, Failure), outcome
    return outcome.kind


async def test_two_exchanges_share_one_connection() -> None:
    async with connected(answer_all) as (server, wire, connection):
        before = trio.current_time()
        first = await connection.exchange(POST, soon())
        second = await connection.exchange(STATUS, soon())
        assert isinstance(first, Reply)
        assert isinstance(second, Reply)
        assert (first.status, first.body, first.size) == (200, b'{"code":200}', len(OK))
        assert before <= first.sent <= second.sent <= trio.current_time()
        assert server.requests == [POST.data, STATUS.data]
        assert (server.visits, wire.opened) == (1, 1)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "status", "body"),
    [
        ((b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno",), 500, b"no"),
        ((b"HTTP/1.1 200 OK\r\nConte", b"nt-Length: 4\r\n\r\nab", b"cd"), 200, b"abcd"),
        ((CHUNKED, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"), 200, b"abcde"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", OK), 200, b'{"code":200}'),
        ((b"HTTP/1.1 100 Continue\r\n\r\n" + OK,), 200, b'{"code":200}'),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), 204, b""),
    ],
    ids=["error", "pieces", "chunked", "continue", "continue-at-once", "empty"],
)
async def test_an_answer_is_read_whole(pieces: tuple[bytes, ...], status: int, body: bytes) -> None:
    async def answer(visit: Visit) -> None:
        while await visit.read():
            await visit.say(*pieces)

    async with connected(answer) as (server, _, connection):
        for _ in range(2):
            outcome = await connection.exchange(POST, soon())
            assert isinstance(outcome, Reply), outcome
            assert (outcome.status, outcome.body) == (status, body)
        assert server.visits == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok",
    ],
    ids=["said", "old", "length-unsaid"],
)
async def test_an_answer_that_ends_the_connection_is_whole(answer: bytes) -> None:
    async def once(visit: Visit) -> None:
        await visit.read()
        await visit.say(answer)

    async with connected(once) as (server, _, connection):
        for _ in range(2):
            outcome = await connection.exchange(POST, soon())
            assert isinstance(outcome, Reply), outcome
            assert outcome.body == b"ok"
        assert (server.visits, len(server.requests)) == (2, 2)


async def test_a_connection_that_is_said_to_close_is_used_no_more_though_it_stands() -> None:
    async def linger(visit: Visit) -> None:
        await visit.read()
        await visit.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        await visit.read()

    async with connected(linger) as (server, _, connection):
        for _ in range(2):
            assert isinstance(await connection.exchange(POST, soon()), Reply)
        assert server.visits == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", ErrorKind.RESET),
        (b"HTTP/1.1 200 OK\r\nContent-Len", ErrorKind.RESET),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", ErrorKind.RESET),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n", ErrorKind.RESET),
        (CHUNKED + b"3\r\nabc\r\n", ErrorKind.RESET),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK[:-1], ErrorKind.RESET),
        (b"SSH-2.0-OpenSSH\r\n\r\n", ErrorKind.PROTOCOL),
        (b"HTTP/1.1 101 Other\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", ErrorKind.PROTOCOL),
        (OK + OK, ErrorKind.PROTOCOL),
    ],
    ids=[
        "none",
        "in-head",
        "in-body",
        "in-last",
        "in-chunks",
        "continued",
        "foreign",
        "upgrade",
        "two",
    ],
)
async def test_no_whole_answer_is_an_error_of_its_kind(answer: bytes, kind: ErrorKind) -> None:
    async def once(visit: Visit) -> None:
        await visit.read()
        await visit.say(answer)

    async with connected(once) as (server, _, connection):
        for request in (POST, STATUS):  # on a fresh connection nothing is repeated
            outcome = await connection.exchange(request, soon())
            assert kind_of(outcome) is kind
            assert outcome.sent is not None
        assert len(server.requests) == 2


async def test_who_listens_no_more_refuses_and_nothing_was_sent() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound, but it does not listen
        wire = Wire(Target("127.0.0.1", bound.getsockname()[1]))
        outcome = await wire.connection().exchange(POST, soon())
    assert (kind_of(outcome), outcome.sent, wire.opened) == (ErrorKind.REFUSED, None, 0)


async def test_a_deadline_ends_the_exchange_and_the_next_one_is_served_anew() -> None:
    async def first_hangs(visit: Visit) -> None:
        while await visit.read():
            if visit.nth == 1:
                await trio.sleep(30)
            await visit.say(OK)

    async with connected(first_hangs) as (server, _, connection):
        asked = trio.current_time()
        outcome = await connection.exchange(STATUS, asked + 0.03)
        assert kind_of(outcome) is ErrorKind.TIMEOUT
        assert trio.current_time() >= asked + 0.03
        assert isinstance(await connection.exchange(POST, soon()), Reply)
        assert server.visits == 2


async def test_each_of_many_connections_keeps_its_own_deadline() -> None:
    async def hang(visit: Visit) -> None:
        await visit.read()
        await trio.sleep(30)

    ended: list[int] = []
    async with connected(hang) as (_, wire, _):

        async def ask(nth: int) -> None:
            outcome = await wire.connection().exchange(POST, trio.current_time() + 0.04 * nth)
            assert kind_of(outcome) is ErrorKind.TIMEOUT
            ended.append(nth)

        async with trio.open_nursery() as nursery:
            for nth in (5, 1, 3):
                nursery.start_soon(ask, nth)
    assert ended == [1, 3, 5]


async def test_a_target_that_does_not_accept_is_given_up_at_the_deadline() -> None:
    class Deaf(Wire):
        async def connect(self) -> socket.socket:
            await trio.sleep_forever()
            raise AssertionError

    outcome = await Deaf(Target("127.0.0.1", 9)).connection().exchange(
        POST, trio.current_time() + 0.01
    )  # fmt: skip
    assert (kind_of(outcome), outcome.sent) == (ErrorKind.TIMEOUT, None)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EADDRNOTAVAIL])
async def test_what_this_machine_lacks_is_not_the_targets_fault(code: int) -> None:
    class Exhausted(Wire):
        async def connect(self) -> socket.socket:
            raise OSError(code, "out of something")

    outcome = await Exhausted(Target("127.0.0.1", 9)).connection().exchange(POST, soon())
    assert kind_of(outcome) is ErrorKind.LOCAL


async def test_a_connection_closed_while_it_was_idle_is_replaced_before_anything_is_sent() -> None:
    async def once(visit: Visit) -> None:
        await visit.read()
        await visit.say(OK)

    async with connected(once) as (server, wire, connection):
        for _ in range(3):
            outcome = await connection.exchange(POST, soon())
            assert isinstance(outcome, Reply), outcome
            assert not outcome.repeated
            await trio.sleep(0.02)  # its end has arrived by then
        assert (len(server.requests), wire.opened) == (3, 3)


async def close_at_the_second(visit: Visit) -> None:
    """Take the second request of the first connection, and close without a byte."""
    await visit.read()
    await visit.say(OK)
    while await visit.read():
        if visit.nth == 1:
            return
        await visit.say(OK)


async def test_a_repeatable_request_is_sent_again_when_not_a_byte_came_back() -> None:
    async with connected(close_at_the_second) as (server, wire, connection):
        await connection.exchange(STATUS, soon())
        outcome = await connection.exchange(STATUS, soon())
        assert isinstance(outcome, Reply), outcome
        assert outcome.repeated
        assert (len(server.requests), wire.opened) == (3, 2)


async def test_a_post_that_may_have_been_taken_is_never_sent_again() -> None:
    async with connected(close_at_the_second) as (server, _, connection):
        await connection.exchange(POST, soon())
        outcome = await connection.exchange(POST, soon())
        assert kind_of(outcome) is ErrorKind.RESET
        assert len(server.requests) == 2


async def test_a_repeatable_request_is_not_sent_again_once_a_byte_came_back() -> None:
    async def break_off(visit: Visit) -> None:
        await visit.read()
        await visit.say(OK)
        await visit.read()
        await visit.say(b"HTTP")

    async with connected(break_off) as (server, _, connection):
        await connection.exchange(STATUS, soon())
        outcome = await connection.exchange(STATUS, soon())
        assert kind_of(outcome) is ErrorKind.RESET
        assert len(server.requests) == 2


async def test_a_request_larger_than_every_buffer_arrives_whole() -> None:
    large = Request(build_request("POST", "/", "127.0.0.1", b"x" * 6_000_000))

    async def read_late(visit: Visit) -> None:
        await trio.sleep(0.05)
        await answer_all(visit)

    async with connected(read_late) as (server, _, connection):
        assert isinstance(await connection.exchange(large, soon()), Reply)
        assert server.requests == [large.data]


async def test_a_cancelled_exchange_leaves_no_half_answer_for_the_next() -> None:
    async def slow_once(visit: Visit) -> None:
        while await visit.read():
            if visit.nth == 1:
                await trio.sleep(0.05)
            await visit.say(OK)

    async with connected(slow_once) as (server, _, connection):
        with trio.move_on_after(0.02):
            await connection.exchange(POST, soon())
        assert isinstance(await connection.exchange(POST, soon()), Reply)
        assert server.visits == 2


async def test_tls_is_spoken_with_a_context_and_a_stranger_is_an_error_of_its_kind() -> None:
    authority = trustme.CA()
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    trusting, strange = ssl.create_default_context(), ssl.create_default_context()
    authority.configure_trust(trusting)
    async with serving(answer_all, theirs) as server:
        wire = Wire(Target("127.0.0.1", server.port, trusting))
        connection = wire.connection()
        for request in (POST, STATUS, POST):
            outcome = await connection.exchange(request, soon())
            assert isinstance(outcome, Reply), outcome
            await trio.sleep(0.01)  # session tickets come by themselves and end nothing
        connection.close()
        outcome = await Wire(Target("127.0.0.1", server.port, strange)).connection().exchange(
            POST, soon()
        )  # fmt: skip
        assert kind_of(outcome) is ErrorKind.TLS
        assert outcome.sent is None
        assert (len(server.requests), wire.opened) == (3, 1)


def test_a_request_says_its_length_and_whom_it_is_for() -> None:
    built = build_request("POST", "/a?b=c", "10.0.0.1:80", b"{}", (("Content-Type", "text/x"),))
    assert built == (
        b"POST /a?b=c HTTP/1.1\r\nHost: 10.0.0.1:80\r\nContent-Type: text/x\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )
    assert build_request("GET", "/", "h") == b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
