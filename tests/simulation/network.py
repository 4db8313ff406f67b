"""The networks of a simulated world: requests to devices, pushes to the receiver, in memory.

A request that has left is delivered by the world, not by the process that sent it: it arrives (or
not) even if that process dies meanwhile, as on a real network. What httpx would raise for a broken
connection is raised here; its own timeouts do not exist in memory, so silence is real silence.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import trio

from campaign.protocol.codec import decode_task_status
from campaign.protocol.device_codec import encode_task_status
from campaign.protocol.messages import TaskStatus
from tests.simulation.weather import Weather, coalesced

_HANGS = 15.0
"""Seconds of silence at most: longer than anybody waits."""


class Killed(BaseException):
    """Raised in a process that is dead, so that it cannot go on; nothing may catch it."""


@dataclass
class Life:
    """Whether a process still runs."""

    dead: bool = False
    ended: bool = False

    def check(self) -> None:
        if self.dead:
            raise Killed


@dataclass
class Host:
    """Whatever answers under a name. `down`: connections are refused."""

    app: httpx.AsyncBaseTransport
    down: bool = False


Trace = Callable[..., None]


@dataclass
class Network:
    """All hosts, and what is under way between them."""

    nursery: trio.Nursery
    trace: Trace
    reached: Callable[[str], None]
    """Told the name of every fault that really hit something."""
    hosts: dict[str, Host] = field(default_factory=dict)
    weathers: dict[str, Weather] = field(default_factory=dict)
    unplugged: set[str] = field(default_factory=set)
    """Devices whose pushes reach nobody."""
    latency: dict[str, tuple[float, float]] = field(default_factory=dict)
    """(usual, slowest) seconds, by device."""
    arriving: Callable[[], None] = lambda: None
    """Called when a push arrives at the receiver."""
    answered: Callable[[bytes], None] = lambda _body: None
    """Called with every push that the receiver answered 200."""

    async def deliver(self, request: httpx.Request) -> httpx.Response:
        """Let the world carry a request; whoever waits may be cancelled, the request is not."""
        done = trio.Event()
        result: list[httpx.Response | Exception] = []

        async def carry() -> None:
            try:
                result.append(await self._reach(request))
            except (httpx.HTTPError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                result.append(error)
            done.set()

        self.nursery.start_soon(carry)
        await done.wait()
        outcome = result[0]
        if isinstance(outcome, httpx.Response):
            return outcome
        raise httpx.ReadError("the connection broke", request=request) from outcome

    async def _reach(self, request: httpx.Request) -> httpx.Response:
        host = self.hosts[request.url.host]
        answer = await host.app.handle_async_request(request)
        await answer.aread()
        return answer

    def refuses(self, name: str) -> bool:
        host = self.hosts.get(name)
        return host is None or host.down


class ToDevices(httpx.AsyncBaseTransport):
    """The engine's side: one process, which may be dead."""

    def __init__(self, network: Network, life: Life) -> None:
        self._net = network
        self._life = life

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._life.check()
        answer = await self._exchange(request)
        self._life.check()
        return answer

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        net, name, path = self._net, request.url.host, request.url.path
        weather = net.weathers[name]
        usual, slowest = net.latency[name]
        fault, _, exactly = (weather.draw_request(path) or "").partition("@")
        net.trace("request", device=name, path=path, fault=fault)
        if net.refuses(name) or fault == "refuse":
            await trio.sleep(usual)
            if fault == "refuse":
                net.reached(fault)
            raise httpx.ConnectError("connection refused", request=request)
        await request.aread()
        await trio.sleep(usual * weather.rng.random())
        self._life.check()
        if fault is not None:
            net.reached(fault)
        if fault == "busy-503":
            return httpx.Response(503, request=request)
        if fault == "request-lost":
            await self._silence(weather, request, exactly)
        if fault in ("storm-16", "stranger-13"):
            weather.at_the_device = fault
        if fault == "slow":
            return await self._slow(request, weather, slowest)
        answer = await net.deliver(request)
        await trio.sleep(usual * weather.rng.random())
        if fault in ("answer-lost", "post-answer-lost"):
            await self._silence(weather, request, exactly)
        return self._spoilt(fault, answer, weather, request)

    async def _slow(
        self, request: httpx.Request, weather: Weather, slowest: float
    ) -> httpx.Response:
        """The device gets it late, whether or not anybody still waits for the answer."""
        delay = weather.rng.uniform(0, slowest)
        done = trio.Event()
        answers: list[httpx.Response] = []

        async def later() -> None:
            await trio.sleep(delay)
            if not self._net.refuses(request.url.host):
                with contextlib.suppress(httpx.HTTPError):
                    answers.append(await self._net.deliver(request))
            done.set()

        self._net.nursery.start_soon(later)
        await done.wait()
        if not answers:
            raise httpx.ReadError("the connection broke", request=request)
        return answers[0]

    async def _silence(self, weather: Weather, request: httpx.Request, exactly: str) -> None:
        """No answer: a reset at once, after a while, or for as long as anybody waits."""
        if exactly:
            await trio.sleep(float(exactly))
        elif weather.rng.random() < 0.7:
            await trio.sleep(weather.rng.uniform(0, _HANGS))
        raise httpx.ReadError("connection reset", request=request)

    def _spoilt(
        self, fault: str, answer: httpx.Response, weather: Weather, request: httpx.Request
    ) -> httpx.Response:
        body = answer.content
        match fault:
            case "error-page":
                return httpx.Response(500, html="<h1>Internal error</h1>", request=request)
            case "truncated":
                return _json(request, body[: max(1, len(body) * 2 // 3)])
            case "wrong-charset":
                return _json(request, body.decode("utf-8", "replace").encode("utf-16"))
            case "reordered" | "left-out":
                return _json(request, _shuffled(body, weather, drop=fault == "left-out"))
        return answer


def _json(request: httpx.Request, body: bytes) -> httpx.Response:
    headers = {"Content-Type": "application/json;charset=utf-8"}
    return httpx.Response(200, content=body, headers=headers, request=request)


def _shuffled(body: bytes, weather: Weather, *, drop: bool) -> bytes:
    try:
        status = decode_task_status(body)
    except Exception:  # noqa: BLE001 - not an answer about tasks: as it is
        return body
    verdicts = list(status.verdicts)
    weather.rng.shuffle(verdicts)
    if drop and verdicts:
        verdicts.pop()
    return encode_task_status(
        TaskStatus(code=status.code, reason=status.reason, verdicts=tuple(verdicts))
    )


class ToReceiver(httpx.AsyncBaseTransport):
    """A device's side: what it pushes, on the way to the receiver."""

    def __init__(self, network: Network, device: str) -> None:
        self._net = network
        self._device = device
        self._held: tuple[httpx.Request, bytes] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        net, weather = self._net, self._net.weathers[self._device]
        body = weather.counters(await request.aread())
        fault = weather.draw_push()
        net.trace("push", device=self._device, fault=fault, size=len(body))
        await trio.sleep(0.01)
        if net.refuses(request.url.host) or self._device in net.unplugged:
            raise httpx.ConnectError("connection refused", request=request)
        if fault is not None and fault not in ("coalesced", "split", "rewritten"):
            net.reached(fault)
        match fault:
            case "push-lost":
                return httpx.Response(200, request=request)
            case "push-late":
                net.nursery.start_soon(self._later, request, body, weather.rng.uniform(1, 120))
                return httpx.Response(200, request=request)
            case "push-twice":
                net.nursery.start_soon(self._later, request, body, weather.rng.uniform(0, 60))
            case "coalesced":
                return await self._hold(request, body)
            case "push-unanswered":
                await self._send(request, body)
                return httpx.Response(503, request=request)
            case str():
                return await self._changed(request, fault, body)
        return await self._send(request, body)

    async def _changed(self, request: httpx.Request, fault: str, body: bytes) -> httpx.Response:
        bodies = self._net.weathers[self._device].changed(fault, body)
        if fault in ("split", "rewritten") and bodies != [body]:
            self._net.reached(fault)
        answer = httpx.Response(200, request=request)
        for part in bodies:
            answer = await self._send(request, part)
        return answer

    async def _hold(self, request: httpx.Request, body: bytes) -> httpx.Response:
        """Keep it back until the next push, or for a moment; then both arrive as one."""
        if self._held is not None:
            return await self._send(request, body)
        self._held = (request, body)
        self._net.nursery.start_soon(self._release, request)
        return httpx.Response(200, request=request)

    async def _release(self, request: httpx.Request) -> None:
        await trio.sleep(8.0)
        held, self._held = self._held, None
        if held is not None and held[0] is request:
            await self._later(request, held[1], 0.0)

    async def _later(self, request: httpx.Request, body: bytes, seconds: float) -> None:
        await trio.sleep(seconds)
        if not self._net.refuses(request.url.host):
            await self._send(request, body)

    async def _send(self, request: httpx.Request, body: bytes) -> httpx.Response:
        held, self._held = self._held, None
        if held is not None and held[0] is not request:
            both = coalesced(held[1], body)
            if both is None:
                await self._one(request, held[1])
            else:
                self._net.reached("coalesced")
                body = both
        return await self._one(request, body)

    async def _one(self, request: httpx.Request, body: bytes) -> httpx.Response:
        kind = request.headers.get("content-type", "")
        self._net.arriving()
        again = httpx.Request("POST", request.url, content=body, headers={"Content-Type": kind})
        try:
            answer = await self._net.deliver(again)
        except httpx.HTTPError:
            return httpx.Response(502, request=request)
        if answer.status_code == httpx.codes.OK:
            self._net.answered(body)
        return answer
