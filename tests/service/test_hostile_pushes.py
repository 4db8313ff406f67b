"""The receiver over real sockets, met by people who mean it no good."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio

from campaign.env import Env
from campaign.errors import UsageError
from campaign.service.connections import Limits
from campaign.service.listening import listen
from campaign.service.sources import parse_sources, sources_text
from campaign.store.inbox import InboxReader, InboxRow, ReceiverBinding
from campaign.store.paths import LedgerPaths

TOKEN = "q7Yt0pXvQ7yT0PxVabcd"
Ask = Callable[[str, int, bytes], Awaitable[bytes]]


@asynccontextmanager
async def receiver(paths: LedgerPaths, **changes: Any) -> AsyncIterator[ReceiverBinding]:
    settings: dict[str, Any] = {
        "env": Env(),
        "tokens": lambda: {TOKEN: 7},
        "finished": lambda: False,
    }
    async with trio.open_nursery() as nursery:
        yield await nursery.start(partial(listen, paths, **(settings | changes)))
        nursery.cancel_scope.cancel()


def kept(paths: LedgerPaths) -> list[InboxRow]:
    with InboxReader.open(paths.inbox) as inbox:
        return inbox.rows_after(0, 10_000)


def push(target: str = f"/p/{TOKEN}", *headers: str, body: str = "{}") -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: x", "Connection: close", *headers]
    if not any(name.lower().startswith(("content-length", "transfer")) for name in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", body]).encode("latin-1")


SWAPPED = TOKEN.swapcase()
UNKNOWN = {
    "another case": push(f"/p/{SWAPPED}"),
    "a prefix": push(f"/p/{TOKEN[:-1]}"),
    "a suffix": push(f"/p/{TOKEN[1:]}"),
    "one more character": push(f"/p/{TOKEN}x"),
    "a space after it": push(f"/p/{TOKEN}%20"),
    "a NUL after it": push(f"/p/{TOKEN}%00"),
    "a newline after it": push(f"/p/{TOKEN}%0a"),
    "encoded twice": push(f"/p/%2571{TOKEN[1:]}"),
    "full-width letters": push("/p/%EF%BD%91" + TOKEN[1:]),
    "a combining mark": push(f"/p/{TOKEN}%CC%81"),
    "broken UTF-8": push(f"/p/{TOKEN}%FF%FE"),
    "very long": push("/p/" + TOKEN * 500),
    "doubled": push(f"/p/{TOKEN}{TOKEN}"),
    "an empty segment": push(f"/p//{TOKEN}"),
    "a double slash": push(f"//p/{TOKEN}"),
    "another door": push(f"/P/{TOKEN}"),
    "climbing": push(f"/healthz/../p/{TOKEN}"),
    "climbing, encoded": push(f"/healthz/%2e%2e/p/{TOKEN}"),
    "a back slash": push(f"/p\\{TOKEN}"),
    "a parameter": push(f"/p/{TOKEN};x=1"),
    "only in the query": push(f"/p/?token={TOKEN}"),
    "only in a header": push("/p/x", f"Authorization: Bearer {TOKEN}"),
    "only in the body": push("/p/x", body=TOKEN),
    "no token": push("/p"),
    "an absolute target": push(f"http://x/p/{TOKEN}"),
    "a stranger's files": push("/p/../../../etc/passwd"),
    "the asterisk": push("*"),
}


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level("DEBUG")
    return caplog


async def test_no_spelling_of_a_token_but_its_own_opens_the_door(
    paths: LedgerPaths, ask: Ask, quiet: pytest.LogCaptureFixture
) -> None:
    async with receiver(paths) as binding:
        answers = {
            name: await ask(binding.host, binding.port, request)
            for name, request in UNKNOWN.items()
        }
    shapes = {name: (head(a), a.partition(b"\r\n\r\n")[2]) for name, a in answers.items()}
    assert set(shapes.values()) == {shapes["a prefix"]}, shapes
    assert shapes["a prefix"] == (
        ("404", frozenset({"content-length", "content-type"})),
        b"Not Found",
    )
    assert kept(paths) == []
    assert_no_token(quiet)


def head(answer: bytes) -> tuple[str, frozenset[str]]:
    """Status and header names, without those that every answer has."""
    first, *lines = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    names = {line.partition(":")[0].lower() for line in lines}
    return first.split()[1], frozenset(names - {"date", "connection"})


def assert_no_token(caplog: pytest.LogCaptureFixture) -> None:
    for record in caplog.records:
        assert TOKEN not in record.getMessage() + str(record.exc_text)


NOT_HTTP = {
    "no Host": push().replace(b"Host: x\r\n", b""),
    "two Hosts": push(f"/p/{TOKEN}", "Host: y"),
    "two lengths": push(f"/p/{TOKEN}", "Content-Length: 2", "Content-Length: 3"),
    "a list of lengths": push(f"/p/{TOKEN}", "Content-Length: 2, 3"),
    "a negative length": push(f"/p/{TOKEN}", "Content-Length: -2"),
    "a length with a sign": push(f"/p/{TOKEN}", "Content-Length: +2"),
    "a length in hex": push(f"/p/{TOKEN}", "Content-Length: 0x2"),
    "a length of many digits": push(f"/p/{TOKEN}", "Content-Length: " + "9" * 400),
    "another transfer coding": push(f"/p/{TOKEN}", "Transfer-Encoding: gzip"),
    "two transfer codings": push(f"/p/{TOKEN}", "Transfer-Encoding: gzip, chunked"),
    "a folded header": push(f"/p/{TOKEN}", "X: a", "\x00b"),
    "a space before the colon": push(f"/p/{TOKEN}", "Content-Length : 2"),
    "a bare NUL in a header": push(f"/p/{TOKEN}", "X: a\x00b"),
    "a bare CR in a header": push(f"/p/{TOKEN}", "X: a\rb"),
    "a control in the target": push(f"/p/{TOKEN}\x01"),
    "a raw byte in the target": push(f"/p/{TOKEN}\xff"),
    "a head without end": push(f"/p/{TOKEN}", "X: " + "x" * 200_000),
    "a broken chunk": push(
        f"/p/{TOKEN}", "Transfer-Encoding: chunked", body="zz\r\n{}\r\n0\r\n\r\n"
    ),
    "a huge chunk": push(f"/p/{TOKEN}", "Transfer-Encoding: chunked", body="f" * 30 + "\r\n{}"),
    "half a body": push(f"/p/{TOKEN}", "Content-Length: 20"),
    "nonsense": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
    "HTTP/0.9": f"GET /p/{TOKEN}?x=1\r\n\r\n".encode(),
}
METHODS = ("PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "HEAD", "CONNECT", "X")
"""All with a valid token."""


async def test_what_is_not_quite_http_is_refused_and_leaves_nothing(
    paths: LedgerPaths, quiet: pytest.LogCaptureFixture
) -> None:
    async with receiver(paths) as binding:
        for name, request in NOT_HTTP.items():
            answer = await bluntly(binding.port, request)
            assert answer == b"" or answer.split()[1] in (b"400", b"413", b"431", b"501"), (
                name,
                answer,
            )
        assert kept(paths) == []
        assert (await bluntly(binding.port, push())).startswith(b"HTTP/1.1 200 ")
    assert_no_token(quiet)
    loud = [record.getMessage() for record in quiet.records if record.levelname != "INFO"]
    assert [line for line in loud if not line.startswith("event=push_refused")] == []


async def bluntly(port: int, request: bytes) -> bytes:
    """Send, say no more, and give back what comes."""
    answer = b""
    with trio.fail_after(5):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            try:
                await stream.send_all(request)
                await stream.send_eof()
                async for chunk in stream:
                    answer += chunk
            except (trio.BrokenResourceError, OSError):
                pass
    return answer


async def test_no_other_method_is_taken_with_or_without_a_token(
    paths: LedgerPaths, ask: Ask, quiet: pytest.LogCaptureFixture
) -> None:
    async with receiver(paths) as binding:
        for method in METHODS:
            for token in (TOKEN, "wrong"):
                request = push(f"/p/{token}?x=1").replace(b"POST", method.encode(), 1)
                answer = await ask(binding.host, binding.port, request)
                assert answer.split()[1] == b"405", (method, token, answer)
                assert b"/p/" not in answer
    assert kept(paths) == []
    assert_no_token(quiet)


ORDINARY = {
    "HTTP/1.0": push().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "chunks": push(f"/p/{TOKEN}", "Transfer-Encoding: chunked", body="2\r\n{}\r\n0\r\n\r\n"),
    "a trailer": push(
        f"/p/{TOKEN}", "Transfer-Encoding: chunked", body="2\r\n{}\r\n0\r\nX: y\r\n\r\n"
    ),
    "an encoded letter": push(f"/p/%71{TOKEN[1:]}"),
    "an expectation": push(f"/p/{TOKEN}", "Expect: 100-continue"),
}


@pytest.mark.parametrize("name", ORDINARY)
async def test_unusual_but_lawful_pushes_are_taken(paths: LedgerPaths, ask: Ask, name: str) -> None:
    async with receiver(paths) as binding:
        answer = await ask(binding.host, binding.port, ORDINARY[name])
    assert b"HTTP/1.1 200 " in answer
    assert [(row.gateway_id, row.body) for row in kept(paths)] == [(7, b"{}")]


async def test_a_length_beside_chunks_smuggles_no_second_push(
    paths: LedgerPaths,
) -> None:
    hidden = push(body="[]")
    outer = push(
        f"/p/{TOKEN}", "Transfer-Encoding: chunked", f"Content-Length: {7 + len(hidden)}",
        body="2\r\n{}\r\n0\r\n\r\n",
    )  # fmt: skip
    async with receiver(paths) as binding:
        answer = await bluntly(binding.port, outer.replace(b"Connection: close\r\n", b"") + hidden)
    # closing on what was not read may take the answer away with it
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert kept(paths) == []


async def test_a_proxy_header_makes_nobody_somebody_else(paths: LedgerPaths, ask: Ask) -> None:
    claims = [
        f"{name}: 192.0.2.7"
        for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Client-IP", "True-Client-IP")
    ]
    claims.append("Forwarded: for=192.0.2.7")
    async with receiver(paths, allow=parse_sources(["192.0.2.0/24"])) as binding:
        answer = await ask(binding.host, binding.port, push(f"/p/{TOKEN}", *claims))
        assert answer.split()[1] == b"404"
    assert kept(paths) == []
    async with receiver(paths, allow=()) as binding:
        await ask(binding.host, binding.port, push(f"/p/{TOKEN}", *claims))
    assert [row.remote for row in kept(paths)] == ["127.0.0.1"]


async def test_whom_the_receiver_hears_is_remembered_until_somebody_says_otherwise(
    paths: LedgerPaths, ask: Ask
) -> None:
    only = parse_sources(["127.0.0.8/29", "2001:db8::/32"])
    statuses: list[bytes] = []
    for allow in (only, None, parse_sources(["any"]), None):
        async with receiver(paths, allow=allow) as binding:
            assert binding.allow == ("any" if statuses[2:] or allow == () else sources_text(only))
            statuses.append((await ask(binding.host, binding.port, push())).split()[1])
    assert statuses == [b"404", b"404", b"200", b"200"]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_an_ipv4_device_is_itself_on_an_ipv6_socket(paths: LedgerPaths, ask: Ask) -> None:
    both = ("::", 0)
    async with receiver(paths, address=both, allow=parse_sources(["127.0.0.1"])) as binding:
        assert (await ask("127.0.0.1", binding.port, push())).split()[1] == b"200"
        assert (await ask("::1", binding.port, push())).split()[1] == b"404"
    assert [row.remote for row in kept(paths)] == ["::ffff:127.0.0.1"]


async def test_a_known_device_outside_the_list_is_told_of_once(
    paths: LedgerPaths, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiver(paths, allow=parse_sources(["192.0.2.7"])) as binding:
        for _ in range(5):
            await ask(binding.host, binding.port, push())
            await ask(binding.host, binding.port, push("/p/wrong"))
    assert caplog.messages == ["event=source_not_allowed gateway=7 remote=127.0.0.1"]


@pytest.mark.parametrize(
    ("given", "kept_as"),
    [
        (["192.0.2.7"], "192.0.2.7/32"),
        (["192.0.2.0/24", "192.0.2.0/24"], "192.0.2.0/24"),
        (["2001:db8::/32,192.0.2.1", "10.0.0.0/8"], "10.0.0.0/8 192.0.2.1/32 2001:db8::/32"),
        (["::ffff:192.0.2.7"], "192.0.2.7/32"),
        (["::ffff:192.0.2.0/120"], "192.0.2.0/24"),
        (["any"], "any"),
    ],
)
def test_ranges_are_kept_in_one_shape(given: list[str], kept_as: str) -> None:
    networks = parse_sources(given)
    assert sources_text(networks) == kept_as
    assert parse_sources([kept_as]) == networks


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["192.0.2.7/24"], r"write 192\.0\.2\.7 for this one or 192\.0\.2\.0/24 for all"),
        (["office"], "write an address or a range"),
        (["192.0.2.0/33"], "write an address or a range"),
        (["any", "192.0.2.0/24"], "stands alone"),
    ],
)
def test_a_range_that_is_none_is_a_usage_error(given: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_sources(given)


@pytest.mark.slow
@pytest.mark.parametrize("knows_the_token", [True, False])
async def test_a_flood_of_slow_connections_keeps_no_report_out(
    paths: LedgerPaths, ask: Ask, knows_the_token: bool
) -> None:
    token = TOKEN if knows_the_token else "wrong"
    slow_head = f"POST /p/{token} HTTP/1.1\r\nHost: x\r\n".encode()
    slow_body = slow_head + b"Content-Length: 1000\r\n\r\n{"
    async with receiver(paths) as binding, trio.open_nursery() as flood:

        async def hold(nth: int) -> None:
            raw = trio.socket.socket()
            await raw.bind((f"127.0.0.{1 + nth % 2}", 0))
            await raw.connect((binding.host, binding.port))
            async with trio.SocketStream(raw) as stream:
                try:
                    await stream.send_all((slow_head, slow_body)[nth // 2 % 2])
                    while True:
                        await trio.sleep(0.2)
                        await stream.send_all(b"x")
                except (trio.BrokenResourceError, OSError):
                    await trio.sleep_forever()

        for nth in range(300):
            flood.start_soon(hold, nth)
        await trio.sleep(0.5)
        for source in ("127.0.0.3", "127.0.0.4"):
            with trio.fail_after(2):
                assert (await from_address(source, binding.port, push())).startswith(
                    b"HTTP/1.1 200 "
                )
        assert [row.remote for row in kept(paths)] == ["127.0.0.3", "127.0.0.4"]
        flood.cancel_scope.cancel()


async def from_address(source: str, port: int, request: bytes) -> bytes:
    raw = trio.socket.socket()
    await raw.bind((source, 0))
    await raw.connect(("127.0.0.1", port))
    async with trio.SocketStream(raw) as stream:
        await stream.send_all(request)
        return b"".join([chunk async for chunk in stream])


async def test_even_when_every_seat_is_taken_a_report_finds_one(
    paths: LedgerPaths, ask: Ask
) -> None:
    async with receiver(paths, limits=Limits(total=20, per_source=10)) as binding:
        streams: list[trio.SocketStream] = []
        for nth in range(60):
            raw = trio.socket.socket()
            await raw.bind((f"127.0.0.{10 + nth % 6}", 0))
            await raw.connect((binding.host, binding.port))
            streams.append(trio.SocketStream(raw))
            await streams[-1].send_all(push(f"/p/{TOKEN}", "Content-Length: 1000"))
        with trio.fail_after(2):
            assert (await from_address("127.0.0.3", binding.port, push())).split()[1] == b"200"
        assert len(kept(paths)) == 1
        for stream in streams:
            await stream.aclose()
