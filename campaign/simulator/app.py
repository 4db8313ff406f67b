"""The device's web server: one handler per endpoint, answers in the device's envelope.

Refusals are HTTP 200 with a code, as on the wire. Credentials come in the query (any case) or in
the JSON body. A request is carried out before the first await after its body: a client that goes
away afterwards has nevertheless been heard.
"""

from __future__ import annotations

import hmac
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import trio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from campaign.errors import RemoteProtocolError
from campaign.protocol.codes import TaskCode, task_meaning
from campaign.protocol.device_codec import (
    DeviceStyle,
    decode_credentials,
    decode_send_sms,
    decode_tids,
    encode_answer,
    encode_dev_status,
    encode_sms_page,
    encode_sms_stats,
    encode_task_list,
    encode_task_status,
    encode_tids_answer,
)
from campaign.protocol.esims import encode_esims
from campaign.protocol.legacy import SEND_SMS as LEGACY_SMS
from campaign.protocol.legacy import SEND_USSD as LEGACY_USSD
from campaign.protocol.legacy import encode_ussd_answer
from campaign.protocol.messages import Answer, TaskStatus, TidsAnswer, Verdict
from campaign.protocol.session import HANDSHAKE
from campaign.protocol.session_codec import encode_session_answer
from campaign.simulator import queries
from campaign.simulator.commands import read_command, run_command
from campaign.simulator.device import Device
from campaign.simulator.legacy import send_sms, send_ussd
from campaign.simulator.sessions import Refused
from campaign.simulator.status import SHORTEST_PERIOD, Subscription

BODY_LIMIT = 10_000_000
_CATCH_UP = 5_000


@dataclass(frozen=True, slots=True)
class Call:
    """One request: query keys in lower case, the body as it came, the device's time."""

    query: Mapping[str, str]
    body: bytes
    now: float

    def integer(self, name: str, default: int) -> int:
        try:
            return int(self.query.get(name, default))
        except ValueError:
            return default


Handler = Callable[[Call], bytes]


class Face:
    """`app` answers for the device. `rng` decides which posts are never answered."""

    def __init__(
        self, device: Device, style: DeviceStyle, monotonic: Callable[[], float], rng: random.Random
    ) -> None:
        self._device = device
        self._style = style
        self._monotonic = monotonic
        self._rng = rng
        self.unanswered = 0
        handlers: dict[str, Handler] = {
            "/goip_get_status.html": self._get_status,
            "/goip_send_cmd.html": self._send_cmd,
            "/goip_pause_sms.html": lambda call: self._tids(device.pause, call),
            "/goip_resume_sms.html": lambda call: self._tids(device.resume, call),
            "/goip_remove_sms.html": lambda call: self._tids(device.remove, call),
            "/goip_get_tasks.html": self._get_tasks,
            "/goip_get_sms.html": self._get_sms,
            "/goip_get_sms_stat.html": self._get_sms_stat,
            "/goip_get_call_stat.html": self._get_call_stat,
            LEGACY_SMS: lambda call: encode_answer(send_sms(device, call.query, call.now)),
            LEGACY_USSD: lambda call: encode_ussd_answer(send_ussd(device, call.query)),
        }
        if device.settings.dialect == "2.4":
            handlers["/goip_get_esims.html"] = lambda _call: encode_esims(queries.esims(device))
        if device.settings.api == "1.0":
            handlers = {path: handlers[path] for path in (LEGACY_SMS, LEGACY_USSD)}
        routes = [_route(path, self._plain(handler)) for path, handler in handlers.items()]
        if device.settings.api != "1.0":
            routes.append(_route("/goip_post_sms.html", self._post_sms))
            routes.append(_route(HANDSHAKE, self._handshake))
        self.app = Starlette(routes=routes)

    # -- the way in -------------------------------------------------------------------------

    def _plain(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            call = await self._admit(request)
            if isinstance(call, Response):
                return call
            return _json(self._carry_out(handler, call))

        return endpoint

    async def _post_sms(self, request: Request) -> Response:
        call = await self._admit(request)
        if isinstance(call, Response):
            return call
        answer = self._carry_out(self._send_sms, call)
        faults = self._device.settings.fault_plan
        if faults.deaf and self._rng.random() < faults.deaf:
            self.unanswered += 1
            # Hang until the client has given up. Whoever is still there gets no answer either,
            # only a server's error, which says nothing about the tasks.
            await trio.sleep(faults.deaf_seconds)
            return Response(status_code=504)
        return _json(answer)

    async def _admit(self, request: Request) -> Call | Response:
        """Read the body, let time catch up, check who asks; a Response is a refusal."""
        body = await _read_body(request)
        if body is None:
            return Response(status_code=413)
        now = self._monotonic()
        self._device.agenda.run_due(now, _CATCH_UP)
        if not self._device.radio.powered:
            return Response(status_code=503)
        query = {key.lower(): value for key, value in request.query_params.items()}
        return self._recognised(Call(query, body, now), request.url.path)

    def _recognised(self, call: Call, resource: str) -> Call | Response:
        """The call as it was meant, if its session or its credentials let it in."""
        settings = self._device.settings
        if "session" in call.query:
            try:
                body = self._device.sessions.admit(call.query, resource, call.body, call.now)
            except Refused as refused:
                code = settings.session_refusal
                return _json(encode_answer(Answer(code=code, reason=str(refused))))
            except RemoteProtocolError:
                return _json(_refusal(TaskCode.INVALID_CMD))
            return replace(call, body=body)
        if settings.require_session or not self._knows(call):
            return _json(_refusal(TaskCode.INVALID_USER))
        return call

    async def _handshake(self, request: Request) -> Response:
        now = self._monotonic()
        self._device.agenda.run_due(now, _CATCH_UP)
        if not self._device.radio.powered:
            return Response(status_code=503)
        query = {key.lower(): value for key, value in request.query_params.items()}
        return _json(encode_session_answer(self._device.sessions.open(query, now)))

    def _knows(self, call: Call) -> bool:
        settings = self._device.settings
        user, password = call.query.get("username"), call.query.get("password", "")
        if user is None and call.body:
            try:
                user, password = decode_credentials(call.body) or (None, "")
            except RemoteProtocolError:
                user = None
        return user is not None and hmac.compare_digest(
            f"{user}\n{password}".encode(), f"{settings.username}\n{settings.password}".encode()
        )

    def _carry_out(self, handler: Handler, call: Call) -> bytes:
        try:
            return handler(call)
        except RemoteProtocolError:
            return _refusal(TaskCode.INVALID_CMD)

    # -- endpoints --------------------------------------------------------------------------

    def _send_sms(self, call: Call) -> bytes:
        verdicts = self._device.post(decode_send_sms(call.body), call.now)
        status = TaskStatus(code=200, reason="OK", verdicts=verdicts)
        return encode_task_status(status, self._style)

    def _tids(
        self,
        act: Callable[[tuple[int, ...] | None, float], tuple[Verdict, ...] | None],
        call: Call,
    ) -> bytes:
        verdicts = act(decode_tids(call.body), call.now)
        answer = TidsAnswer(code=200, reason="OK", verdicts=verdicts)
        return encode_tids_answer(answer, self._style)

    def _get_status(self, call: Call) -> bytes:
        board = self._device.board
        all_sims = "1" in (call.query.get("all_sims"), call.query.get("all_slots"))
        url = call.query.get("url", "")
        period = call.integer("period", int(SHORTEST_PERIOD))
        if period == 0:
            board.subscribe(None, call.now)
        elif url:
            lasting = max(SHORTEST_PERIOD, float(period))
            board.subscribe(Subscription(url, lasting, all_sims), call.now)
            return encode_dev_status(
                board.snapshot(all_sims=all_sims, expires=int(lasting)), self._style
            )
        return encode_dev_status(board.snapshot(all_sims=all_sims, expires=-1), self._style)

    def _send_cmd(self, call: Call) -> bytes:
        command = read_command(call.body, call.query)
        return queries.write(run_command(self._device, command, call.now))

    def _get_tasks(self, call: Call) -> bytes:
        page = queries.task_page(
            self._device,
            port=call.query.get("port", ""),
            first=call.integer("pos", 0),
            limit=call.integer("num", 10),
            with_text=call.integer("has_content", 0) == 1,
        )
        return encode_task_list(page, self._style)

    def _get_sms(self, call: Call) -> bytes:
        page = queries.sms_page(
            self._device,
            first=call.integer("sms_id", 1),
            limit=call.integer("sms_num", 0),
            delete=call.integer("sms_del", 0) == 1,
        )
        return encode_sms_page(page, self._style)

    def _get_sms_stat(self, call: Call) -> bytes:
        return encode_sms_stats(
            queries.sms_stats(
                self._device,
                ports=call.query.get("ports", "all"),
                slots=call.query.get("slots", ""),
                period=call.integer("type", 0),
            )
        )

    def _get_call_stat(self, call: Call) -> bytes:
        return encode_sms_stats(
            queries.call_stats(
                self._device,
                ports=call.query.get("ports", "all"),
                slots=call.query.get("slots", ""),
            )
        )


def _route(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    return Route(path, endpoint, methods=["GET", "POST"])


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json;charset=utf-8")


def _refusal(code: TaskCode) -> bytes:
    return encode_answer(Answer(code=int(code), reason=task_meaning(code)))


async def _read_body(request: Request) -> bytes | None:
    """The body, or None when it is too long or its client went away."""
    chunks: list[bytes] = []
    length = 0
    try:
        async for chunk in request.stream():
            length += len(chunk)
            if length > BODY_LIMIT:
                return None
            chunks.append(chunk)
    except ClientDisconnect:
        return None
    return b"".join(chunks)
