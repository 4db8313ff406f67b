"""Secure sessions as a device grants them (spec §3): who gets in, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from campaign.protocol.session import HANDSHAKE, AuthOrder, Crypt, Login, Session

LOGIN = Login("root", "root")
REMOVE = "/goip_remove_sms.html"
STATUS = "/goip_get_status.html"


@dataclass
class Client:
    """A session's client written by hand, so that it can also do what no client should."""

    gateway: Any
    session: Session

    async def send(self, path: str, body: bytes | None = None, **more: str) -> dict[str, Any]:
        query, sealed = self.session.next(path, body)
        return await raw(self.gateway, path, query | more, sealed)


async def raw(
    gateway: Any, path: str, query: dict[str, str], body: bytes | None = None
) -> dict[str, Any]:
    method = "GET" if body is None else "POST"
    answer: httpx.Response = await gateway.client.request(method, path, params=query, content=body)
    value = answer.json()
    assert isinstance(value, dict)
    return value


async def handshake(
    gateway: Any,
    crypt: str = "aes-ecb",
    order: AuthOrder = "spec",
    **change: str,
) -> Client:
    auth = LOGIN.initial_auth("abc")
    query = {"username": "root", "cnonce": "abc", "auth": auth, "crypt": crypt} | change
    answer = await raw(gateway, HANDSHAKE, query)
    assert answer["code"] == 0, answer
    session = Session(LOGIN, Crypt(crypt), order, auth, answer["session"], answer["expires"])
    return Client(gateway, session)


@pytest.mark.parametrize("crypt", list(Crypt))
async def test_a_body_is_understood_under_each_cipher_and_answered_in_the_clear(
    bench: Any, autojump_clock: MockClock, crypt: str
) -> None:
    client = await handshake(await bench(), crypt)
    answer = await client.send(REMOVE, b'{"tids":[7]}')
    assert answer == {
        "code": 200,
        "reason": "OK",
        "results": [{"tid": 7, "status": "11 TID Expected"}],
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"auth": "0" * 32}, 1, id="wrong-auth"),
        pytest.param({"username": "admin"}, 1, id="other-user"),
        pytest.param({"crypt": "rot13"}, 15, id="unknown-cipher"),
    ],
)
async def test_a_handshake_that_does_not_fit_is_refused_and_says_why(
    bench: Any, autojump_clock: MockClock, change: dict[str, str], code: int
) -> None:
    auth = LOGIN.initial_auth("abc")
    answer = await raw(
        await bench(), HANDSHAKE, {"username": "root", "cnonce": "abc", "auth": auth} | change
    )
    assert answer["code"] == code
    assert answer["desc"]
    assert "session" not in answer


async def test_a_request_heard_on_the_way_cannot_be_played_again(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench()
    client = await handshake(gateway)
    query, body = client.session.next(REMOVE, b'{"tids":[7]}')
    assert (await raw(gateway, REMOVE, query, body))["code"] == 200
    assert (await raw(gateway, REMOVE, query, body))["code"] == 1
    assert gateway.simulator.sessions.replayed == 1


async def test_gets_are_numbered_too_and_a_lower_number_is_refused(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench()
    client = await handshake(gateway)
    late, _ = client.session.next(STATUS)
    assert "status" in await client.send(STATUS)
    assert (await raw(gateway, STATUS, late))["code"] == 1


async def test_the_signature_holds_for_one_resource_only(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench()
    client = await handshake(gateway)
    query, _ = client.session.next(STATUS)
    assert (await raw(gateway, "/goip_get_sms.html", query))["code"] == 1


@pytest.mark.parametrize("order", ["spec", "seq-first"])
@pytest.mark.parametrize("asked", ["spec", "seq-first"])
async def test_a_device_takes_the_one_order_it_knows(
    bench: Any, autojump_clock: MockClock, order: str, asked: AuthOrder
) -> None:
    client = await handshake(await bench(auth_order=order), order=asked)
    assert ("status" in await client.send(STATUS)) is (order == asked)


async def test_a_session_ends_with_its_life_and_lives_longer_when_asked(
    bench: Any, autojump_clock: MockClock
) -> None:
    client = await handshake(await bench(), expires="60")
    assert client.session.expires == 60
    await trio.sleep(50)
    assert "status" in await client.send(STATUS, expires="60")
    await trio.sleep(50)
    assert "status" in await client.send(STATUS)
    await trio.sleep(10)
    assert (await client.send(STATUS))["code"] == 1


async def test_a_life_is_capped_and_a_device_may_not_prolong(
    bench: Any, autojump_clock: MockClock
) -> None:
    client = await handshake(await bench(session_seconds=30, session_prolongs=False), expires="900")
    assert client.session.expires == 30
    await trio.sleep(25)
    assert "status" in await client.send(STATUS, expires="900")
    await trio.sleep(6)
    assert (await client.send(STATUS))["code"] == 1


async def test_the_oldest_session_goes_when_there_are_too_many(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(session_limit=2)
    first, second, third = [await handshake(gateway) for _ in range(3)]
    assert (await first.send(STATUS))["code"] == 1
    assert "status" in await second.send(STATUS)
    assert "status" in await third.send(STATUS)


async def test_a_restart_forgets_every_session(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(reboot_seconds=1.0)
    client = await handshake(gateway)
    await client.send("/goip_send_cmd.html", b'{"type":"command","op":"reboot"}')
    await trio.sleep(2)
    assert (await client.send(STATUS))["code"] == 1


async def test_a_device_may_take_no_password_in_a_url(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(require_session=True)
    assert (await gateway.get("goip_get_status"))["code"] == 1
    client = await handshake(gateway)
    assert "status" in await client.send(STATUS)


async def test_a_body_no_cipher_wrote_is_no_command(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench()
    client = await handshake(gateway)
    query, _ = client.session.next(REMOVE)
    assert (await raw(gateway, REMOVE, query, json.dumps({"tids": [1]}).encode()))["code"] == 15
