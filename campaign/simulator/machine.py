"""The device with a clock and a network: what a program starts.

Two tasks: one lets the agenda run when something is due, one sends pushes. Requests come by the
ASGI application, which looks at the clock before it answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import assert_never

import httpx
import trio
from starlette.applications import Starlette

from campaign.env import Env
from campaign.protocol.device_codec import (
    DeviceStyle,
    encode_dev_status,
    encode_port_status,
    encode_recv_sms,
    encode_status_report,
)
from campaign.protocol.messages import DevStatus, PortStatus, RecvSms, StatusReport
from campaign.simulator.app import Face
from campaign.simulator.device import Device, Pushed
from campaign.simulator.faults import Losses
from campaign.simulator.inbox import legacy_body
from campaign.simulator.pusher import Pusher
from campaign.simulator.settings import SimulatorSettings
from campaign.simulator.truth import Attempt, TruthLedger

_BATCH = 500


class Simulator:
    """A simulated gateway.

    `app` is its web server. `run` makes time pass for it, until cancelled; it opens its own HTTP
    client when `client` is None. `on_attempt` hears of every transmission attempt, beside the
    ledger file of the settings.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        *,
        env: Env,
        client: httpx.AsyncClient | None = None,
        on_attempt: Callable[[Attempt], None] | None = None,
    ) -> None:
        self.settings = settings
        self._env = env
        self._client = client
        self._truth = TruthLedger(settings.ledger, on_attempt)
        self._style = DeviceStyle(
            port_notation="letter" if settings.dialect == "2.0" else "dotted",
            index_base=settings.first_index,
            ints_as_strings=settings.spelling.number_strings,
            plus_numbers=settings.spelling.plus_numbers,
            bare_numbers=settings.spelling.bare_numbers,
            other_words=settings.spelling.other_words,
            lone_report=settings.spelling.lone_report,
            sparse_counters=settings.spelling.sparse_counters,
            capital_type=settings.spelling.capital_type,
        )
        self._earlier = trio.Event()
        seed = env.rng.getrandbits(64) if settings.seed is None else settings.seed
        self.losses = Losses(settings, random.Random(f"{seed}/losses"))
        self.pusher = Pusher(self.losses, settings.push_retry, env.monotonic)
        self.device = Device(
            settings,
            seed=seed,
            env=env,
            truth=self._truth,
            outlet=self._push,
            forget_pushes=self.pusher.forget,
        )
        self.sessions = self.device.sessions
        self.device.agenda.on_earlier = self._wake
        self.app: Starlette = Face(
            self.device, self._style, env.monotonic, random.Random(f"{seed}/deaf")
        ).app

    @property
    def boot(self) -> str:
        """The id of the present run, `ssrc` on the wire."""
        return self.device.power.boot

    def receive(self, port: int, sender: str, text: str) -> None:
        """Let an SMS come in on a port."""
        self.device.receive(port, sender, text, self._env.monotonic())

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Let the device live until cancelled; then its ground truth is closed."""
        with self._truth:
            async with AsyncExitStack() as stack:
                client = self._client
                if client is None:
                    client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self.pusher.run, client)
                    nursery.start_soon(self._keep_agenda)
                    task_status.started()

    async def _keep_agenda(self) -> None:
        agenda = self.device.agenda
        while True:
            self._earlier = trio.Event()
            if not agenda.run_due(self._env.monotonic(), _BATCH):
                await trio.lowlevel.checkpoint()
                continue
            # The absolute time: a difference may round to a sleep that ends before it is due.
            with trio.move_on_at(agenda.next_due()):
                await self._earlier.wait()

    def _wake(self) -> None:
        self._earlier.set()

    def _push(self, url: str, push: Pushed) -> None:
        match push:
            case StatusReport():
                body = encode_status_report(push, self._style)
            case RecvSms():
                if self.settings.inbound_push == "legacy":
                    for message in push.messages:
                        self.pusher.push(url, legacy_body(message), "text/plain;charset=utf-8")
                    return
                body = encode_recv_sms(push, self._style)
            case DevStatus():
                body = encode_dev_status(push, self._style)
            case PortStatus():
                body = encode_port_status(push, self._style)
            case _:
                assert_never(push)
        self.pusher.push(url, body)
