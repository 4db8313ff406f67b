"""A simulated device with our client before it, in memory and virtual time."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import trio

from campaign.env import Env
from campaign.gateway.client import Device
from campaign.simulator import Simulator, SimulatorSettings
from campaign.simulator.truth import Attempt

EPOCH = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Counting(httpx.AsyncBaseTransport):
    """Keeps every request that went through."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        return await self._inner.handle_async_request(request)

    def paths(self) -> list[str]:
        return [request.url.path for request in self.requests]


@dataclass
class Pair:
    """A device and its client."""

    simulator: Simulator
    wire: Counting
    env: Env
    attempts: list[Attempt]

    def client(self, **settings: Any) -> Device:
        known: dict[str, Any] = {"env": self.env, "transport": self.wire} | settings
        return Device("gw", "http://gateway", "root", known.pop("password", "root"), **known)


@pytest.fixture
def pair(nursery: trio.Nursery) -> Callable[..., Awaitable[Pair]]:
    """`await pair(ports=2, …)`: a running gateway with these settings; `seed` defaults to 1."""

    async def start(**settings: Any) -> Pair:
        nonces, attempts = random.Random(7), list[Attempt]()
        env = Env(
            wall=lambda: EPOCH + timedelta(seconds=trio.current_time()),
            rng=random.Random(7),
            nonce=lambda size: nonces.randbytes(size).hex(),
        )

        async def swallow(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        simulator = Simulator(
            SimulatorSettings(**({"seed": 1} | settings)),
            env=env,
            client=httpx.AsyncClient(transport=httpx.ASGITransport(swallow)),
            on_attempt=attempts.append,
        )
        await nursery.start(simulator.run)
        wire = Counting(httpx.ASGITransport(simulator.app))
        return Pair(simulator, wire, env, attempts)

    return start
