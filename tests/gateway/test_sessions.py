"""Our side of a secure session (spec §3): opened, numbered, prolonged, and opened again."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import trio
from trio.testing import MockClock

from campaign.env import Env
from campaign.errors import CredentialsRefused, InDoubt, NotSent
from campaign.gateway.answers import Answered, CredentialsBad, NeverSent
from campaign.gateway.client import Device
from campaign.gateway.line import SESSION_ENDED
from campaign.protocol.codec import encode_send_sms, encode_task
from campaign.protocol.commands import REBOOT
from campaign.protocol.messages import Envelope, Task
from campaign.protocol.session import HANDSHAKE, Crypt

SECRET = "s3cret-password"


def post_body(tid: int = 7) -> bytes:
    task = encode_task(Task(tid=tid, to=("12025550101",), sms="hello"))
    return encode_send_sms(Envelope(), [task])


def numbers(pair: Any) -> list[int]:
    found = [parse_qs(urlsplit(str(request.url)).query) for request in pair.wire.requests]
    return [int(query["seq"][0]) for query in found if "seq" in query]


@pytest.mark.parametrize("crypt", list(Crypt))
async def test_posts_and_questions_are_understood_under_each_cipher(
    pair: Any, autojump_clock: MockClock, crypt: Crypt
) -> None:
    gateway = await pair(require_session=True)
    device = gateway.client(crypt=crypt)
    assert (await device.status()).max_ports == 8
    outcome = await device.post(post_body())
    assert isinstance(outcome, Answered)
    assert outcome.status.verdicts[0].code == 0
    assert (await device.remove([99])).codes() == {99: 11}
    assert numbers(gateway) == [1, 2, 3]
    assert device.negotiated is not None
    assert device.negotiated.crypt is crypt


async def test_neither_password_nor_text_stands_in_a_sealed_request(
    pair: Any, autojump_clock: MockClock
) -> None:
    gateway = await pair(password=SECRET)
    device = gateway.client(crypt=Crypt.AES_ECB, password=SECRET)
    await device.status()
    await device.post(post_body())
    for request in gateway.wire.requests:
        assert SECRET not in str(request.url)
        assert b"hello" not in request.content
    assert gateway.wire.requests[-1].headers.get("content-type") is None


async def test_requests_of_several_tasks_arrive_in_the_order_of_their_numbers(
    pair: Any, autojump_clock: MockClock
) -> None:
    gateway = await pair()
    device = gateway.client(crypt=Crypt.RC4)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(device.status)
            nursery.start_soon(device.sms_stats)
    assert numbers(gateway) == list(range(1, 41))
    assert gateway.simulator.sessions.refused == 0


async def test_a_request_that_was_given_up_has_spent_its_number(
    pair: Any, autojump_clock: MockClock
) -> None:
    gateway = await pair()
    app, slow = gateway.wire._inner, True

    async def dawdle(scope: Any, receive: Any, send: Any) -> None:
        await trio.sleep(30 if slow and scope["path"] == "/goip_get_status.html" else 0)
        await gateway.simulator.app(scope, receive, send)

    gateway.wire._inner = httpx.ASGITransport(dawdle)
    device = gateway.client(crypt=Crypt.AES_ECB, timeout=2)
    with pytest.raises(InDoubt):
        await device.status()
    slow, gateway.wire._inner = False, app
    await device.status()
    assert numbers(gateway) == [1, 2]


@pytest.mark.parametrize("prolongs", [True, False], ids=["prolonged", "not-prolonged"])
async def test_a_session_outlives_its_life_whether_or_not_the_device_prolongs_it(
    pair: Any, autojump_clock: MockClock, prolongs: bool
) -> None:
    gateway = await pair(session_prolongs=prolongs, session_seconds=100)
    device = gateway.client(crypt=Crypt.AES_ECB)
    for _ in range(60):
        await device.status()
        await trio.sleep(10)
    sessions = gateway.simulator.sessions
    # a device that does not prolong refuses once; from then on a new session comes in time
    assert sessions.refused == (0 if prolongs else 1)
    assert sessions.opened == (1 if prolongs else 8)


async def test_after_a_long_silence_a_new_session_is_opened_before_the_request(
    pair: Any, autojump_clock: MockClock
) -> None:
    gateway = await pair()
    device = gateway.client(crypt=Crypt.AES_ECB)
    await device.status()
    await trio.sleep(1000)
    assert isinstance(await device.post(post_body()), Answered)
    assert (gateway.simulator.sessions.opened, gateway.simulator.sessions.refused) == (2, 0)


async def test_a_question_to_a_device_that_restarted_is_asked_again(
    pair: Any, autojump_clock: MockClock
) -> None:
    gateway = await pair(reboot_seconds=1.0)
    device = gateway.client(crypt=Crypt.AES_ECB)
    await device.console.command(REBOOT)
    await trio.sleep(2)
    assert (await device.boot_id()).page.ssrc == gateway.simulator.boot
    assert gateway.simulator.sessions.opened == 2


async def test_a_post_to_a_device_that_restarted_was_never_sent(
    pair: Any, autojump_clock: MockClock
) -> None:
    gateway = await pair(reboot_seconds=1.0)
    device = gateway.client(crypt=Crypt.AES_ECB)
    await device.console.command(REBOOT)
    await trio.sleep(2)
    assert await device.post(post_body()) == NeverSent(SESSION_ENDED)
    await trio.sleep(3)  # the SIMs register
    # nothing of it was taken: the same task is new to the device
    outcome = await device.post(post_body())
    assert isinstance(outcome, Answered)
    assert outcome.status.verdicts[0].code == 0


@pytest.mark.parametrize("known", ["spec", "seq-first"])
@pytest.mark.parametrize("order", ["spec", "seq-first"])
async def test_the_order_a_device_knows_is_found_and_kept(
    pair: Any, autojump_clock: MockClock, known: str, order: str
) -> None:
    gateway = await pair(auth_order=order)
    device = gateway.client(crypt=Crypt.AES_ECB, auth_order=known)
    await device.status()
    assert device.auth_order == order
    handshakes = gateway.wire.paths().count(HANDSHAKE)
    assert handshakes == (1 if known == order else 3)
    assert isinstance(await device.post(post_body()), Answered)
    assert gateway.wire.paths().count(HANDSHAKE) == handshakes


async def test_a_wrong_password_is_told_by_the_handshake(
    pair: Any, autojump_clock: MockClock
) -> None:
    gateway = await pair()
    device = gateway.client(crypt=Crypt.AES_ECB, password="wrong")
    with pytest.raises(CredentialsRefused, match="the handshake: 1 Invalid User"):
        await device.status()
    assert isinstance(await device.post(post_body()), CredentialsBad)
    assert gateway.wire.paths() == [HANDSHAKE, HANDSHAKE]


async def test_a_device_that_refuses_every_signature_refuses_us(
    pair: Any, autojump_clock: MockClock
) -> None:
    async def app(request: httpx.Request) -> httpx.Response:
        if request.url.path == HANDSHAKE:
            return httpx.Response(200, json={"code": 0, "session": "x"})
        return httpx.Response(200, json={"code": 1, "reason": "Invalid User"})

    device = Device(
        "gw", "http://h", "u", "p", env=Env(), crypt=Crypt.NONE, transport=httpx.MockTransport(app)
    )
    with pytest.raises(CredentialsRefused):
        await device.status()
    outcomes = [await device.post(post_body()) for _ in range(3)]
    assert [type(outcome) for outcome in outcomes] == [NeverSent, NeverSent, CredentialsBad]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(httpx.Response(404, text="Not Found /crypt_sess.json?auth=1"), id="404"),
        pytest.param(httpx.Response(200, text="<html>login</html>"), id="html"),
        pytest.param(httpx.Response(200, json={"type": "dev-status"}), id="something-else"),
    ],
)
async def test_a_device_without_sessions_is_no_doubt_and_says_what_to_do(
    answer: httpx.Response,
) -> None:
    device = Device(
        "gw", "http://h", "u", "p", env=Env(), crypt=Crypt.AES_ECB,
        transport=httpx.MockTransport(lambda request: answer),
    )  # fmt: skip
    with pytest.raises(NotSent, match="register it without --crypt"):
        await device.status()
    assert isinstance(await device.post(post_body()), NeverSent)


async def test_a_handshake_whose_answer_got_lost_sent_nothing(autojump_clock: MockClock) -> None:
    async def silent(_request: httpx.Request) -> httpx.Response:
        await trio.sleep_forever()
        raise AssertionError

    device = Device(
        "gw", "http://h", "u", SECRET, env=Env(), crypt=Crypt.AES_ECB, timeout=2,
        transport=httpx.MockTransport(silent),
    )  # fmt: skip
    outcome = await device.post(post_body())
    assert outcome == NeverSent("no secure session: no answer within 2 s")
    assert SECRET not in repr(outcome)


async def test_an_error_page_that_repeats_the_request_shows_nothing_of_it() -> None:
    page = httpx.Response(500, text="error in /goip_get_status.html?username=root&password=p4ss")
    device = Device(
        "gw", "http://h", "root", "p4ss", env=Env(),
        transport=httpx.MockTransport(lambda request: page),
    )  # fmt: skip
    with pytest.raises(InDoubt) as caught:
        await device.status()
    assert "p4ss" not in str(caught.value)
