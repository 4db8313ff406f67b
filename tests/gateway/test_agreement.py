"""Client and simulated device over real sockets: a thousand interleaved requests, each answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import pytest
import trio

from campaign.env import Env
from campaign.gateway.answers import Answered, NeverSent
from campaign.gateway.client import Device
from campaign.protocol.codec import encode_send_sms, encode_task
from campaign.protocol.commands import REBOOT
from campaign.protocol.messages import Envelope, Task
from campaign.protocol.ports import Port
from campaign.protocol.session import AuthOrder, Crypt
from campaign.service.serving import serve
from campaign.simulator import Simulator, SimulatorSettings
from campaign.simulator.truth import Attempt

WORKERS, ROUNDS = 10, 20
"""Each round asks five things, so a thousand requests in all."""


@dataclass
class Both:
    simulator: Simulator
    url: str
    attempts: list[Attempt]

    def device(self, crypt: Crypt | None, order: AuthOrder = "spec") -> Device:
        return Device("gw", self.url, "root", "root", env=Env(), crypt=crypt, auth_order=order)


@asynccontextmanager
async def real_device(settings: SimulatorSettings) -> AsyncIterator[Both]:
    attempts: list[Attempt] = []
    async with trio.open_nursery() as nursery:
        simulator = Simulator(settings, env=Env(), on_attempt=attempts.append)
        await nursery.start(simulator.run)
        host, port = await nursery.start(partial(serve, simulator.app, "127.0.0.1", 0))
        yield Both(simulator, f"http://{host}:{port}", attempts)
        nursery.cancel_scope.cancel()


def body_of(tid: int) -> bytes:
    number = f"1202{5550000 + tid % 10000:07d}"
    task = Task(tid=tid, to=(number,), sms=f"nr {tid}", port=Port(1 + tid % 4))
    return encode_send_sms(Envelope(), [encode_task(task)])


async def talk(device: Device, worker: int, wrong: list[object]) -> None:
    for turn in range(ROUNDS):
        tid = 1 + worker * ROUNDS + turn
        outcome = await device.post(body_of(tid))
        taken = isinstance(outcome, Answered) and [
            (verdict.tid, verdict.code) for verdict in outcome.status.verdicts
        ] == [(tid, 0)]
        status = await device.status()
        paused = await device.pause([10**6 + tid])
        stats = await device.sms_stats()
        page = await device.sms_page(sms_id=1, sms_num=1)
        if not (
            taken
            and len(status.ports) == 4
            and paused.codes() == {10**6 + tid: 11}
            and len(stats.stats.stats) == 4
            and page.page.ssrc
        ):
            wrong.append((worker, turn, outcome, status, paused))


@pytest.mark.slow
@pytest.mark.parametrize("crypt", [None, *Crypt])
async def test_a_thousand_interleaved_requests_are_each_answered_rightly(
    crypt: Crypt | None,
) -> None:
    settings = SimulatorSettings(
        ports=4, seed=1, sms_seconds=0.0, require_session=crypt is not None
    )
    wrong: list[object] = []
    async with real_device(settings) as both:
        device = both.device(crypt)
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for worker in range(WORKERS):
                    nursery.start_soon(talk, device, worker, wrong)
        await device.aclose()
        await trio.sleep(0.1)
        sessions = both.simulator.sessions
        assert wrong == []
        assert (sessions.refused, sessions.replayed) == (0, 0)
        assert sessions.opened == (0 if crypt is None else 1)
    texts = [attempt.text for attempt in both.attempts]
    assert sorted(texts) == sorted(f"nr {tid}" for tid in range(1, 1 + WORKERS * ROUNDS))


@pytest.mark.slow
@pytest.mark.parametrize("order", ["spec", "seq-first"])
async def test_expiry_restart_and_the_other_order_are_survived_without_sending_twice(
    order: AuthOrder,
) -> None:
    settings = SimulatorSettings(
        ports=4, seed=1, sms_seconds=0.0, auth_order=order, session_seconds=1,
        session_prolongs=False, reboot_seconds=0.2, register_seconds=0.1, require_session=True,
    )  # fmt: skip
    async with real_device(settings) as both:
        device = both.device(Crypt.AES_ECB)
        with trio.fail_after(60):
            boots = {(await device.boot_id()).page.ssrc}
            for tid in range(1, 25):
                while True:
                    outcome = await device.post(body_of(tid))
                    if isinstance(outcome, Answered) and outcome.status.verdicts[0].code == 0:
                        break
                    # whatever it was, the device says that it took nothing
                    assert isinstance(outcome, Answered | NeverSent), outcome
                    await trio.sleep(0.1)
                if tid == 12:
                    await device.console.command(REBOOT)
                    await trio.sleep(0.5)
                await trio.sleep(0.1)
            boots.add((await device.boot_id()).page.ssrc)
        await device.aclose()
        await trio.sleep(0.1)
        assert len(boots) == 2
        assert both.simulator.sessions.opened >= 3
        assert both.simulator.sessions.replayed == 0
    assert sorted(a.tid for a in both.attempts) == list(range(1, 25))


async def test_a_number_used_twice_is_refused_and_the_client_goes_on() -> None:
    async with real_device(SimulatorSettings(ports=1, seed=1)) as both:
        device = both.device(Crypt.RC4)
        await device.status()
        session = device._line.sign_in._session  # type: ignore[attr-defined]  # what a thief heard
        session.seq -= 1
        await device.status()
        await device.aclose()
        assert both.simulator.sessions.replayed == 1
        assert both.simulator.sessions.opened == 2
