"""No text of an error holds a password, a signature or a number, whatever the device repeats."""

from __future__ import annotations

import html
import json
import traceback
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

import httpx
import pytest

from campaign.env import Env
from campaign.errors import CampaignError
from campaign.gateway.client import Device
from campaign.protocol.ports import Port
from campaign.protocol.session import Crypt

PASSWORD = 'pa+s/wo&rd "x"=é'
NUMBER = "999550000123456"
TASK = f'{{"type":"send-sms","tasks":[{{"tid":1,"to":["{NUMBER}"],"sms":"{PASSWORD}"}}]}}'.encode()
CNONCE = "5ca1ab1e5ca1ab1e"
SESSION = "decafbaddecafbad"

Answer = Callable[[httpx.Request, str], httpx.Response]


def everything(request: httpx.Request) -> str:
    """All that a device could repeat: URL and body, as they came and decoded."""
    query = request.url.query.decode()
    body = request.content.decode("latin-1")
    spoken = unquote_plus(query)
    return " ".join([spoken, html.escape(spoken), query, str(request.url), body, NUMBER])


def json_answer(code: int) -> Answer:
    return lambda _request, said: httpx.Response(200, json={"code": code, "reason": said})


def error_page(status: int) -> Answer:
    return lambda _request, said: httpx.Response(status, text=said)


def late_words(status: int) -> Answer:
    """What matters only behind a long beginning, cut somewhere in the middle."""
    return lambda _request, said: httpx.Response(status, text="x" * 180 + PASSWORD + said)


def only(text: str) -> Answer:
    """A page of a few words, with nothing around them that would tell what they are."""
    return lambda _request, _said: httpx.Response(500, text=f"wrong: {text}")


def failing(kind: type[httpx.RequestError]) -> Answer:
    def fail(request: httpx.Request, said: str) -> httpx.Response:
        raise kind(said, request=request)

    return fail


ANSWERS: dict[str, Answer] = {
    "refused": json_answer(1),
    "a session refused": json_answer(14),
    "another code": json_answer(7),
    "a code nobody knows": json_answer(4711),
    "no JSON": lambda _request, said: httpx.Response(200, text=said),
    "JSON cut off": lambda _request, said: httpx.Response(200, text=json.dumps([said])[:-9]),
    "JSON of another shape": lambda _request, said: httpx.Response(200, json={said: said}),
    "a list": lambda _request, said: httpx.Response(200, json=[said]),
    "401": error_page(401),
    "404": error_page(404),
    "500": error_page(500),
    "a long 500": late_words(500),
    "the password alone": only(PASSWORD),
    "the password as it stood in the URL": only(quote_plus(PASSWORD)),
    "the password quoted": only(quote(PASSWORD, safe="")),
    "the password in HTML": only(html.escape(PASSWORD)),
    "a number alone": only("+" + NUMBER),
    "a redirect": lambda _request, said: httpx.Response(302, headers={"Location": quote(said)}),
    "a broken header": lambda _request, said: httpx.Response(200, headers={"X": quote(said)}),
    **{
        kind.__name__: failing(kind)
        for kind in (
            httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ReadError,
            httpx.ReadTimeout, httpx.WriteError, httpx.RemoteProtocolError,
            httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.ProxyError,
            httpx.CloseError, httpx.DecodingError,
        )
    },
}  # fmt: skip

CALLS: dict[str, Callable[[Device], Awaitable[Any]]] = {
    "post": lambda device: device.post(TASK),
    "post_legacy": lambda device: device.post_legacy(Port(1), [NUMBER], PASSWORD),
    "status": lambda device: device.status(),
    "boot_id": lambda device: device.boot_id(),
    "waiting_tasks": lambda device: device.waiting_tasks([1]),
    "remove": lambda device: device.remove([1]),
    "sms_stats": lambda device: device.sms_stats(),
    "get_parameters": lambda device: device.console.get_parameters(["sms_url"]),
    "set_parameters": lambda device: device.console.set_parameters({"sms_url": PASSWORD}),
    "subscribe": lambda device: device.console.subscribe(f"http://us/p/{PASSWORD}", 60),
    "ussd": lambda device: device.console.ussd(Port(1), "*100#"),
}


def device(answer: Answer, crypt: Crypt | None) -> Device:
    def handle(request: httpx.Request) -> httpx.Response:
        if crypt is not None and request.url.path.endswith("goip_get_session.html"):
            good = {"code": 0, "reason": "OK", "session": SESSION, "nonce": CNONCE, "expires": 60}
            return httpx.Response(200, json=good)
        return answer(request, everything(request))

    return Device(
        "gw", "http://device.example", "root", PASSWORD, env=Env(nonce=lambda _n: CNONCE),
        transport=httpx.MockTransport(handle), crypt=crypt,
    )  # fmt: skip


def texts_of(error: BaseException) -> str:
    """All that a log, a screen or a crash would show of an error."""
    return "".join([str(error), repr(error), *traceback.format_exception(error)])


def assert_no_secret(text: str) -> None:
    spellings = {PASSWORD, quote(PASSWORD), quote(PASSWORD, safe=""), quote_plus(PASSWORD)}
    spellings |= {html.escape(PASSWORD), json.dumps(PASSWORD)[1:-1], repr(PASSWORD)[1:-1]}
    for spelling in spellings | {PASSWORD[:12], NUMBER, "password=", "auth=", SESSION}:
        assert spelling not in text, text


@pytest.mark.parametrize("crypt", [None, Crypt.NONE, Crypt.RC4], ids=["query", "session", "rc4"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_no_error_repeats_what_the_device_repeats(name: str, crypt: Crypt | None) -> None:
    said: list[str] = []
    for call in CALLS.values():
        client = device(ANSWERS[name], crypt)
        try:
            outcome = await call(client)
        except CampaignError as error:
            said.append(texts_of(error))
        else:
            said.append(str(getattr(outcome, "reason", "")))
        finally:
            await client.aclose()
    for text in said:
        assert_no_secret(text)
    assert any(said) or name == "a broken header"
