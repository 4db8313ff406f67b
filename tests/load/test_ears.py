"""The return path: a simulator's pushes in virtual time, lost and doubled, and an account that
closes over all of them and agrees with what truly went on air."""

from __future__ import annotations

import random

import httpx
import pytest
import trio
from trio.testing import MockClock

from campaign.env import Env
from campaign.load.account import Account
from campaign.load.driver import Ended
from campaign.load.ears import Ears
from campaign.load.naming import Names
from campaign.load.wire import ErrorKind, Failure, Outcome, Reply
from campaign.load.witness import Witness
from campaign.load.workload import Cadence, Workload
from campaign.protocol.session import Login
from campaign.simulator import Simulator, SimulatorSettings
from campaign.simulator.truth import Attempt

SENDS = 40
NAMES = Names(2**31 - 30, tasks=2, recipients=3)


async def offer(client: httpx.AsyncClient, data: bytes) -> Outcome:
    """One finished request through an in-memory client, as the load client would answer it."""
    head, _, body = data.partition(b"\r\n\r\n")
    path = head.split()[1].decode()
    with trio.move_on_after(2):
        answer = await client.post(f"http://gateway{path}", content=body)
        return Reply(answer.status_code, answer.content, 0.0, 0)
    return Failure(ErrorKind.TIMEOUT, 0.0)


async def play(ports: int, *overrides: str) -> tuple[Account, Ears, list[Attempt]]:
    """A load of `SENDS` requests, eight a second, on a simulator with these settings."""
    attempts: list[Attempt] = []
    env = Env(rng=random.Random(7), nonce=lambda size: "ab" * size)
    account = Account(NAMES)
    ears = Ears(account, env=env, since_start=trio.current_time)
    cadence = Cadence(f"http://ears{ears.path}", 3, 2, 2, 5, receipts=True)
    workload = Workload("gateway", Login("root", "root"), NAMES, "hello", cadence=cadence)
    witness, source = Witness(workload, 0, 1), workload.source(0, 1)
    settings = SimulatorSettings(seed=3, ports=ports, sms_seconds=0.5).with_overrides(overrides)
    pushes = httpx.AsyncClient(transport=httpx.ASGITransport(ears.app))
    simulator = Simulator(settings, env=env, client=pushes, on_attempt=attempts.append)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(simulator.app))

    async def send(nth: int) -> None:
        outcome = await offer(client, source(nth).data)
        witness.see(Ended(nth, nth / 8, outcome, trio.current_time()), 0.0)
        account.take(witness.take())
        account.match_receipts()

    async with pushes, client, trio.open_nursery() as nursery:
        await nursery.start(simulator.run)
        async with trio.open_nursery() as sending:
            for nth in range(SENDS):
                sending.start_soon(send, nth)
                await trio.sleep(1 / 8)
        await trio.sleep(120)
        nursery.cancel_scope.cancel()
    return account, ears, attempts


# What is done to a load, and the figures in which it must show.
FAULTS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    ((), ("reported", "receipts")),
    (("profile=lossy",), ("reported",)),
    (
        ("push-loss=0.3", "push-duplicate=0.3"),
        ("duplicated", "counted", "unreported", "receipts_duplicated"),
    ),
    (("profile=deaf", "deaf=0.3"), ("in_doubt", "doubt_reported")),
    (("profile=full", "queue-limit=5"), ("refused_16",)),
    (("profile=quirky", "fail-rate=0.3"), ("failed",)),
    (("profile=hostile",), ("reported",)),
)


@pytest.mark.parametrize(("faults", "shown"), FAULTS, ids=[" ".join(one[0]) for one in FAULTS])
async def test_the_account_closes_and_names_nothing_that_was_not_on_air(
    faults: tuple[str, ...], shown: tuple[str, ...], autojump_clock: MockClock
) -> None:
    account, ears, attempts = await play(24, *faults)
    books = account.close()
    assert books.broken_laws() == []
    assert books.offered == SENDS * NAMES.messages
    assert books.foreign == books.receipts_foreign == books.unexpected == books.contradicted == 0
    took = {(attempt.tid, attempt.number) for attempt in attempts if attempt.ok}
    assert books.sent + books.doubt_sent <= len(took)
    assert ears.odd == 0
    for figure in shown:
        assert books.figures()[figure] > 0, figure
    if not faults:
        assert books.sent == books.matched == len(took) == books.offered
        assert books.ambiguous == books.unmatched == books.again == 0
        assert account.delays["report"].count == books.sent


async def test_what_is_no_report_is_counted_and_acknowledged() -> None:
    account = Account(NAMES)
    env = Env(nonce=lambda size: "ab" * size)
    ears = Ears(account, env=env, since_start=lambda: 1.0)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(ears.app)) as device:
        url = f"http://ears{ears.path}"
        for body in (b"{not json", b'{"type":"dev-status","status":[]}', b'{"type":"what"}'):
            assert (await device.post(url, content=body)).status_code == 200
        assert (await device.post("http://ears/p/other", content=b"{}")).status_code == 404
    assert (ears.pushes, ears.odd, ears.others) == (3, 1, 2)
    assert account.close().rows == 0
