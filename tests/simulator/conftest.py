"""A bench: one simulated gateway, an HTTP client for it and a receiver, in memory and virtual time.

The fixture `bench` starts it with the settings a test asks for. A test asks for `autojump_clock`
beside it: pytest-trio takes a clock only from a test's own arguments.
"""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from campaign.env import Env
from campaign.simulator import Simulator, SimulatorSettings
from campaign.simulator.truth import Attempt

EPOCH = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class Receiver:
    """Keeps every push with its time. `status` is its answer, `hang` how long it takes."""

    pushes: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    tries: list[float] = field(default_factory=list)
    status: int = 200
    hang: float = 0.0
    on_push: Callable[[], None] = lambda: None

    def app(self) -> Starlette:
        async def take(request: Request) -> Response:
            self.tries.append(trio.current_time())
            self.on_push()
            await trio.sleep(self.hang)
            if self.status == 200:
                body = json.loads(await request.body())
                self.pushes.append((trio.current_time(), body))
            return Response(status_code=self.status)

        return Starlette(routes=[Route("/{path:path}", take, methods=["POST"])])

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [push for _, push in self.pushes if push["type"] == kind]

    @property
    def reports(self) -> list[dict[str, Any]]:
        return [report for push in self.of_type("status-report") for report in push["rpts"]]

    @property
    def messages(self) -> list[list[Any]]:
        return [row for push in self.of_type("recv-sms") for row in push["sms"]]

    def rows(self, kind: str) -> list[list[Any]]:
        return [row for report in self.reports for row in report.get(kind, [])]


@dataclass
class Bench:
    simulator: Simulator
    client: httpx.AsyncClient
    receiver: Receiver
    attempts: list[Attempt]

    async def get(self, page: str, **query: Any) -> dict[str, Any]:
        answer = await self.client.get(f"/{page}.html", params=_signed(query))
        return self._value(answer)

    async def send(self, page: str, body: dict[str, Any], **query: Any) -> dict[str, Any]:
        answer = await self.client.post(f"/{page}.html", params=_signed(query), json=body)
        return self._value(answer)

    async def post(self, *tasks: dict[str, Any], **envelope: Any) -> list[tuple[int, str]]:
        """Post tasks with details on and prompt reports, as the tests want them; the verdicts."""
        body: dict[str, Any] = {
            "type": "send-sms",
            "task_num": len(tasks),
            "sr_url": "http://receiver/r",
            "sr_cnt": 1,
            "sms_url": "http://receiver/m",
            "sms_cnt": 1,
        }
        answer = await self.send("goip_post_sms", body | envelope | {"tasks": list(tasks)})
        assert answer["code"] == 200
        return [(item["tid"], item["status"]) for item in answer["status"]]

    @staticmethod
    def _value(answer: httpx.Response) -> dict[str, Any]:
        assert answer.status_code == 200
        value = answer.json()
        assert isinstance(value, dict)
        return value

    @staticmethod
    def task(tid: int, to: str, sms: str = "hello", **more: Any) -> dict[str, Any]:
        return {"tid": tid, "to": to, "sms": sms, "sdr": 1, "fdr": 1} | more


def _signed(query: dict[str, Any]) -> dict[str, Any]:
    return {"version": "1.1", "username": "root", "password": "root"} | query


@pytest.fixture
def bench(nursery: trio.Nursery) -> Callable[..., Awaitable[Bench]]:
    """`await bench(ports=2, seed=1, …)`: a running gateway; `seed` defaults to 1."""
    nonces = random.Random(7)

    async def start(**settings: Any) -> Bench:
        receiver, attempts = Receiver(), list[Attempt]()
        env = Env(
            wall=lambda: EPOCH + timedelta(seconds=trio.current_time()),
            rng=random.Random(7),
            nonce=lambda size: nonces.randbytes(size).hex(),
        )
        pushes = httpx.AsyncClient(transport=httpx.ASGITransport(receiver.app()))
        simulator = Simulator(
            SimulatorSettings(**({"seed": 1} | settings)),
            env=env,
            client=pushes,
            on_attempt=attempts.append,
        )
        await nursery.start(simulator.run)
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(simulator.app), base_url="http://gateway"
        )
        return Bench(simulator, client, receiver, attempts)

    return start
