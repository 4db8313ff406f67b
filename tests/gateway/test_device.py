"""The client of one device: every answer typed by what it proves, and no secret in any error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trio

from campaign.env import Env
from campaign.errors import (
    CredentialsRefused,
    InDoubt,
    LocalProtocolError,
    NotSent,
    RemoteProtocolError,
)
from campaign.gateway.answers import Answered, CredentialsBad, Doubtful, NeverSent
from campaign.gateway.client import Device

Answer = Callable[[httpx.Request], httpx.Response]
ACCEPTED = b'{"code":200,"reason":"OK","type":"task-status","status":[{"tid":7,"status":"0 OK"}]}'


def device(answer: Answer, timeout: float = 10.0) -> Device:
    return Device(
        "gw", "http://192.0.2.1", "root", "s3cret", env=Env(), timeout=timeout,
        transport=httpx.MockTransport(answer),
    )  # fmt: skip


def answering(content: bytes, status: int = 200) -> Answer:
    return lambda request: httpx.Response(status, content=content, request=request)


def raising(error: type[httpx.HTTPError]) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error(f"trouble at {request.url}")

    return answer


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param(answering(ACCEPTED), Answered, id="judged"),
        pytest.param(answering(b'{"code":1,"reason":"Invalid User"}'), CredentialsBad, id="code-1"),
        pytest.param(answering(b"", 401), CredentialsBad, id="http-401"),
        pytest.param(raising(httpx.ConnectError), NeverSent, id="refused"),
        pytest.param(raising(httpx.ConnectTimeout), NeverSent, id="no-connection"),
        pytest.param(raising(httpx.PoolTimeout), NeverSent, id="no-free-connection"),
        pytest.param(raising(httpx.ReadTimeout), Doubtful, id="no-answer"),
        pytest.param(raising(httpx.ReadError), Doubtful, id="broken-while-reading"),
        pytest.param(raising(httpx.WriteError), Doubtful, id="broken-while-writing"),
        pytest.param(raising(httpx.RemoteProtocolError), Doubtful, id="closed-without-answer"),
        pytest.param(answering(b"busy", 503), Doubtful, id="http-503"),
        pytest.param(answering(b"<html>log in</html>"), Doubtful, id="html"),
        pytest.param(answering(b'{"code":200,"status":[{"ti'), Doubtful, id="cut-off"),
        pytest.param(answering(b""), Doubtful, id="empty"),
    ],
)
async def test_a_post_is_typed_by_what_is_known(answer: Answer, outcome: type) -> None:
    found = await device(answer).post(b"{}")
    assert isinstance(found, outcome)
    assert "s3cret" not in repr(found)


async def test_a_silent_device_is_doubt_after_its_time(autojump_clock: object) -> None:
    async def silent(_request: httpx.Request) -> httpx.Response:
        await trio.sleep_forever()

    began = trio.current_time()
    quiet = Device(
        "gw", "http://h", "u", "p", env=Env(), timeout=3, transport=httpx.MockTransport(silent)
    )
    assert isinstance(await quiet.post(b"{}"), Doubtful)
    assert trio.current_time() - began == pytest.approx(3)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(raising(httpx.ConnectError), NotSent, id="refused"),
        pytest.param(raising(httpx.ReadTimeout), InDoubt, id="no-answer"),
        pytest.param(
            answering(b'{"code":14,"reason":"Unauthorized"}'), CredentialsRefused, id="14"
        ),
        pytest.param(answering(b"nonsense"), RemoteProtocolError, id="nonsense"),
        pytest.param(answering(b'{"code":7,"reason":"?"}'), RemoteProtocolError, id="refusal"),
    ],
)
async def test_a_question_fails_with_what_is_known_and_no_secret(
    answer: Answer, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        await device(answer).boot_id()
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None or "s3cret" not in str(caught.value.__cause__)


async def test_a_device_that_was_let_go_is_one_that_nothing_reaches() -> None:
    let_go = device(answering(ACCEPTED))
    await let_go.aclose()
    assert isinstance(await let_go.post(b"{}"), NeverSent)
    with pytest.raises(NotSent, match="gw: its line is closed"):
        await let_go.pause([7])


async def test_credentials_and_version_stand_in_the_query_of_every_request() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=ACCEPTED, request=request)

    await device(answer).post(b'{"type":"send-sms"}')
    (request,) = seen
    assert dict(request.url.params) == {"version": "1.1", "username": "root", "password": "s3cret"}
    assert request.headers["content-type"] == "application/json;charset=utf-8"
    assert request.headers["connection"] == "close"
    assert request.content == b'{"type":"send-sms"}'


async def test_no_command_to_all_tasks_is_ever_made_from_an_empty_list() -> None:
    gateway = device(answering(b"{}"))
    for command in (gateway.pause, gateway.resume, gateway.remove):
        with pytest.raises(LocalProtocolError):
            await command([])


async def test_waiting_tasks_are_read_page_by_page_until_all_are_there() -> None:
    asked: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        asked.append(query)
        first = int(query["pos"])
        rows = ",".join(f'{{"tid":{first + i + 1},"to":"1","state":0}}' for i in range(100))
        body = f'{{"code":200,"reason":"OK","total_num":300,"task_num":100,"tasks":[{rows}]}}'
        return httpx.Response(200, content=body.encode(), request=request)

    swept = await device(answer).waiting_tasks([4])
    assert [query["pos"] for query in asked] == ["0", "100", "200"]
    assert {query["port"] for query in asked} == {"4"}
    assert [task.tid for task in swept.tasks] == list(range(1, 301))


async def test_the_boot_id_is_read_without_fetching_the_inbox() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.params["sms_num"] == "1"
        body = b'{"code":0,"reason":"OK","ssrc":"abc","sms_num":0,"next_sms":1,"data":[]}'
        return httpx.Response(200, content=body, request=request)

    assert (await device(answer).boot_id()).page.ssrc == "abc"
