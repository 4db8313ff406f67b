"""Loads under secure sessions, held to the simulated device's own sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import trio

from campaign.env import Env, seeded
from campaign.load.naming import Names
from campaign.load.plan import Plan
from campaign.load.schedule import Constant
from campaign.load.signing import SignedNetwork, Signing
from campaign.load.target import Address
from campaign.load.wire import ErrorKind, Failure, Outcome, Reply, Request
from campaign.load.workload import Mix, Workload
from campaign.protocol.device_codec import encode_answer
from campaign.protocol.messages import Answer
from campaign.protocol.session import HANDSHAKE, AuthOrder, Crypt, Login
from campaign.protocol.session_codec import encode_session_answer
from campaign.simulator.sessions import Refused, Sessions
from campaign.simulator.settings import SimulatorSettings

LOGIN = Login("root", "root")
DONE = b'{"code":200,"reason":"OK"}'


@dataclass
class Guarded:
    """A network to one device that lets in by sessions alone; `carried` are the bodies it read."""

    sessions: Sessions
    opened: int = 0
    carried: list[bytes] = field(default_factory=list)
    failing: bool = False

    def connection(self) -> GuardedLine:
        return GuardedLine(self)

    async def watch(self) -> None:
        await trio.sleep_forever()


@dataclass
class GuardedLine:
    device: Guarded

    async def open(self, deadline: float) -> Failure | None:
        return None

    def close(self) -> None:
        pass

    async def exchange(self, request: Request, deadline: float) -> Outcome:
        now = trio.current_time()
        await trio.sleep(0.01)
        if self.device.failing:
            return Failure(ErrorKind.RESET, now)
        return Reply(200, self._answer(request), now, 50)

    def _answer(self, request: Request) -> bytes:
        head, _, body = request.data.partition(b"\r\n\r\n")
        target = urlsplit(head.split(b" ")[1].decode())
        query, now = dict(parse_qsl(target.query)), trio.current_time()
        resource = target.path.removeprefix("/box")
        if resource == HANDSHAKE:
            return encode_session_answer(self.device.sessions.open(query, now))
        assert "password" not in query
        try:
            self.device.carried.append(self.device.sessions.admit(query, resource, body, now))
        except Refused as refused:
            return encode_answer(Answer(code=1, reason=str(refused)))
        return DONE


def guarded(**settings: Any) -> Guarded:
    nonces = seeded(1)
    chosen = SimulatorSettings(**settings)
    return Guarded(Sessions(chosen, lambda n: nonces.randbytes(n).hex()))


def network(
    device: Guarded, crypt: Crypt, order: AuthOrder = "spec", requests: int | None = None
) -> SignedNetwork:
    nonces = seeded(2)
    signing = Signing("127.0.0.1", "/box", LOGIN, crypt, order, requests)
    return SignedNetwork(
        device, signing, clock=trio.current_time, nonce=lambda n: nonces.randbytes(n).hex()
    )


def workload(mix: str = "send") -> Workload:
    names = Names(10**9, tasks=2)
    return Workload("127.0.0.1", LOGIN, names, "Hello", "/box", mix=Mix.parse(mix), unsigned=True)


def late() -> float:
    return trio.current_time() + 5


@pytest.mark.parametrize("crypt", Crypt)
@pytest.mark.parametrize("order", ["spec", "seq-first"])
async def test_what_is_sent_arrives_under_every_cipher(
    crypt: Crypt, order: AuthOrder, autojump_clock: object
) -> None:
    device = guarded(auth_order=order)
    make = workload().source(0, 1)
    line = network(device, crypt, order).connection()
    assert await line.open(late()) is None
    for nth in range(3):
        outcome = await line.exchange(make(nth), late())
        assert isinstance(outcome, Reply)
        assert outcome.body == DONE
    wanted = [make(nth).data.partition(b"\r\n\r\n")[2] for nth in range(3)]
    assert device.carried == wanted
    assert (device.sessions.opened, device.sessions.refused) == (1, 0)


async def test_a_session_is_replaced_after_its_requests_and_before_its_life_ends(
    autojump_clock: object,
) -> None:
    device = guarded()
    make = workload("status").source(0, 1)
    line = network(device, Crypt.XOR, requests=2).connection()
    for nth in range(5):
        await line.exchange(make(nth), late())
    assert device.sessions.opened == 3
    aged = guarded(session_seconds=10)
    line = network(aged, Crypt.XOR).connection()
    for nth in range(3):
        await line.exchange(make(nth), late())
        await trio.sleep(6)
    assert (aged.sessions.opened, aged.sessions.refused) == (2, 0)


async def test_a_refused_session_is_opened_anew_and_the_request_goes_out_once_more(
    autojump_clock: object,
) -> None:
    device = guarded()
    make = workload().source(0, 1)
    line = network(device, Crypt.RC4).connection()
    await line.exchange(make(0), late())
    device.sessions.forget()
    outcome = await line.exchange(make(1), late())
    assert isinstance(outcome, Reply)
    assert outcome.body == DONE
    assert len(device.carried) == 2
    assert (device.sessions.opened, device.sessions.refused) == (2, 1)


@pytest.mark.parametrize(("password", "failing"), [("another", False), ("root", True)])
async def test_without_a_session_nothing_of_the_request_was_sent(
    password: str, failing: bool, autojump_clock: object
) -> None:
    device = guarded(password=password)
    device.failing = failing
    line = network(device, Crypt.XOR).connection()
    outcome = await line.exchange(workload().source(0, 1)(0), late())
    assert isinstance(outcome, Failure)
    assert outcome.sent is None
    assert device.carried == []


async def test_handshakes_of_the_mix_pass_as_they_are(autojump_clock: object) -> None:
    device = guarded()
    make = workload("session").source(0, 1)
    line = network(device, Crypt.XOR).connection()
    for nth in range(4):
        assert isinstance(await line.exchange(make(nth), late()), Reply)
    assert (device.sessions.opened, device.sessions.refused) == (4, 0)


def test_a_plan_with_sessions_makes_unsigned_requests_and_says_how_they_are_signed() -> None:
    plan = Plan(
        Address("127.0.0.1", 80, LOGIN), Constant(1, 1), crypt=Crypt.AES_ECB, session_requests=9
    )
    made = plan.workload(Env(), "http://127.0.0.1:1/p/x")
    assert b"password" not in made.source(0, 1)(0).data
    task = plan.task(made, "campaign-simulator 1")
    assert task.signing == Signing("127.0.0.1:80", "", LOGIN, Crypt.AES_ECB, "spec", 9)
    assert "secure sessions (aes-ecb), a new one after 9 request(s)" in plan.facts(0).workload
