"""A push is authenticated, bounded, committed and only then answered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network

import httpx
import pytest
import trio
from starlette.types import Message
from trio.testing import MockClock

from campaign.env import Env
from campaign.errors import StoreError
from campaign.receiver.app import receiver_app
from campaign.store.inbox import Arrived

TOKEN = "q7Yt0pXv"
WALL = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


class ListSink:
    """Keeps what it is given; takes `seconds` over it, or fails."""

    def __init__(self, seconds: float = 0, failure: StoreError | None = None) -> None:
        self.kept: list[Arrived] = []
        self.seconds = seconds
        self.failure = failure

    async def commit(self, arrived: Arrived) -> None:
        await trio.sleep(self.seconds)
        if self.failure is not None:
            raise self.failure
        self.kept.append(arrived)


def client(
    sink: ListSink,
    *,
    tokens: Callable[[], Mapping[str, int]] = lambda: {"old": 3, TOKEN: 3, "other": 4},
    sources: tuple[IPv4Network | IPv6Network, ...] = (),
    remote: str = "192.0.2.7",
) -> httpx.AsyncClient:
    app = receiver_app(tokens, sink, env=Env(wall=lambda: WALL), sources=sources)
    transport = httpx.ASGITransport(app, client=(remote, 40000))
    return httpx.AsyncClient(transport=transport, base_url="http://receiver")


async def test_a_push_is_kept_as_it_came_and_answered_as_devices_expect() -> None:
    sink = ListSink()
    answer = await client(sink).post(
        f"/p/{TOKEN}?id=%31",
        content=b'{"type":"status-report"\xff',
        headers={"Content-Type": "text/whatever"},
    )
    assert (answer.status_code, answer.content) == (200, b'{"code":0,"reason":"OK"}')
    assert answer.headers["content-type"] == "application/json"
    assert sink.kept == [
        Arrived(
            gateway_id=3,
            received_ms=1_772_352_000_000,
            remote="192.0.2.7",
            content_type="text/whatever",
            query="id=%31",
            body=b'{"type":"status-report"\xff',
        )
    ]


@pytest.mark.parametrize(
    "path",
    [f"/p/{TOKEN}", f"/p/{TOKEN}/", f"/p/{TOKEN}/goip/report.html", "/p/old"],
    ids=["bare", "slash", "trailing path", "a rotated token"],
)
async def test_anything_may_follow_a_valid_token(path: str) -> None:
    sink = ListSink()
    answer = await client(sink).post(path, content=b"{}")
    assert answer.status_code == 200
    assert [(row.gateway_id, row.body) for row in sink.kept] == [(3, b"{}")]


@pytest.mark.parametrize(
    "path",
    ["/", "/p/", "/p/wrong", f"/p/{TOKEN}x", f"/p/{TOKEN[:-1]}", "/p/%FF%00", "/q/x", "/docs"],
)
async def test_without_a_valid_token_there_is_nothing_here(path: str) -> None:
    sink = ListSink()
    answer = await client(sink).post(path, content=b"{}")
    assert (answer.status_code, answer.text) == (404, "Not Found")
    assert sink.kept == []


async def test_an_empty_token_never_matches() -> None:
    answer = await client(ListSink(), tokens=lambda: {"": 1}).post("/p//x", content=b"{}")
    assert answer.status_code == 404


async def test_a_legacy_push_in_the_query_is_kept_as_the_body_too() -> None:
    sink = ListSink()
    answer = await client(sink).get(f"/p/{TOKEN}?recvsms=hi%20there&port=1A")
    assert answer.status_code == 200
    (row,) = sink.kept
    assert (row.query, row.body) == (
        "recvsms=hi%20there&port=1A",
        b"recvsms=hi%20there&port=1A",
    )


async def test_a_legacy_push_in_form_fields_is_kept_raw() -> None:
    sink = ListSink()
    await client(sink).post(f"/p/{TOKEN}", data={"sms": "a b", "port": "1A"})
    (row,) = sink.kept
    assert row.content_type == "application/x-www-form-urlencoded"
    assert (row.query, row.body) == ("", b"sms=a+b&port=1A")


async def test_a_request_that_carries_nothing_is_no_push() -> None:
    sink = ListSink()
    answer = await client(sink).get(f"/p/{TOKEN}")
    assert answer.status_code == 204
    assert sink.kept == []


async def test_a_push_that_cannot_be_stored_is_not_acknowledged() -> None:
    sink = ListSink(failure=StoreError("disk full"))
    answer = await client(sink).post(f"/p/{TOKEN}", content=b"{}")
    assert (answer.status_code, answer.text) == (503, "Not stored")


async def test_unreadable_tokens_ask_the_device_to_come_again() -> None:
    def unreadable() -> Mapping[str, int]:
        raise StoreError("ledger busy")

    answer = await client(ListSink(), tokens=unreadable).post(f"/p/{TOKEN}", content=b"{}")
    assert answer.status_code == 503


async def test_the_answer_waits_for_the_commit(autojump_clock: MockClock) -> None:
    sink = ListSink(seconds=3)
    answer = await client(sink).post(f"/p/{TOKEN}", content=b"{}")
    assert answer.status_code == 200
    assert trio.current_time() == 3


async def test_a_body_declared_too_long_is_refused_unread() -> None:
    read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b"x" * (1 << 20) + b"x"

    sink = ListSink()
    answer = await client(sink).post(
        f"/p/{TOKEN}", content=body(), headers={"Content-Length": str((1 << 20) + 1)}
    )
    assert answer.status_code == 413
    assert not read
    assert sink.kept == []


async def test_a_streamed_body_is_cut_off_at_the_limit() -> None:
    served = 0
    answers: list[Message] = []

    async def receive() -> Message:
        nonlocal served
        served += 1
        return {"type": "http.request", "body": bytes(1 << 18), "more_body": True}

    async def send(message: Message) -> None:
        answers.append(message)

    sink = ListSink()
    app = receiver_app(lambda: {TOKEN: 3}, sink, env=Env())
    scope = {"type": "http", "method": "POST", "path": f"/p/{TOKEN}", "headers": []}
    await app(scope | {"query_string": b"", "client": ("192.0.2.7", 40000)}, receive, send)
    assert answers[0]["status"] == 413
    assert served == 5
    assert sink.kept == []


async def test_a_body_of_exactly_the_limit_is_taken() -> None:
    sink = ListSink()
    answer = await client(sink).post(f"/p/{TOKEN}", content=bytes(1 << 20))
    assert answer.status_code == 200
    assert len(sink.kept[0].body) == 1 << 20


async def test_a_body_that_trickles_is_given_up(autojump_clock: MockClock) -> None:
    async def body() -> AsyncIterator[bytes]:
        while True:
            await trio.sleep(1)
            yield b"x"

    sink = ListSink()
    answer = await client(sink).post(f"/p/{TOKEN}", content=body())
    assert answer.status_code == 408
    assert trio.current_time() == 10
    assert sink.kept == []


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 415), ("identity", 200)])
async def test_an_encoded_body_is_refused(encoding: str, status: int) -> None:
    answer = await client(ListSink()).post(
        f"/p/{TOKEN}", content=b"{}", headers={"Content-Encoding": encoding}
    )
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("remote", "status"),
    [
        ("192.0.2.7", 200),
        ("::ffff:192.0.2.7", 200),
        ("2001:db8::1", 200),
        ("198.51.100.1", 404),
        ("2001:db9::1", 404),
        ("not an address", 404),
    ],
)
async def test_only_listed_sources_are_heard(remote: str, status: int) -> None:
    sources = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    answer = await client(ListSink(), sources=sources, remote=remote).post(
        f"/p/{TOKEN}", content=b"{}"
    )
    assert answer.status_code == status


async def test_health_tells_nothing_but_that() -> None:
    answer = await client(ListSink()).get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")


async def test_other_methods_are_not_taken() -> None:
    sink = ListSink()
    answer = await client(sink).put(f"/p/{TOKEN}", content=b"{}")
    assert answer.status_code == 405
    assert sink.kept == []


async def test_the_log_tells_of_refusals_without_tokens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await client(ListSink()).post(
        f"/p/{TOKEN}", content=b"{}", headers={"Content-Encoding": "gzip"}
    )
    await client(ListSink(failure=StoreError("disk full"))).post(f"/p/{TOKEN}", content=b"{}")
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("campaign")]
    assert ours == [
        "event=push_refused status=415 remote=192.0.2.7",
        "event=push_not_stored remote=192.0.2.7 error='disk full'",
    ]
