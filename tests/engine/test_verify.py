"""Ledgers held against each other: what agrees, what is within the unknown, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from campaign.protocol.codec import encode_send_sms, encode_task
from campaign.protocol.messages import Envelope, Task
from campaign.protocol.ports import Port
from campaign.store.audit import Finding, audit
from campaign.store.door import transaction
from campaign.store.invariants import invariants
from campaign.store.replayed import replayed

Numbers = Callable[[int], list[str]]


def findings(world: Any) -> list[Finding]:
    """As `campaign verify` lists them, and every invariant over the whole ledger."""
    return [
        *audit(world.conn, 1), *invariants(world.conn), *replayed(world.conn, world.inbox_reader, 1)
    ]  # fmt: skip


def broken(world: Any) -> list[Finding]:
    return [finding for finding in findings(world) if finding.verdict == "broken"]


def verdicts(world: Any) -> dict[str, str]:
    return {finding.law: finding.verdict for finding in findings(world)}


def of(world: Any, word: str) -> Finding:
    return next(finding for finding in findings(world) if word in finding.law)


async def test_after_an_ordinary_campaign_every_ledger_agrees(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    device = {"ports": 3, "fail_rate": 0.2}
    async with make_world(sim1=device, sim2={**device, "seed": 9}) as world:
        await world.launch(numbers(60))
        found = verdicts(world)
        assert set(found.values()) == {"holds"}
        # three ledgers with one statistic a port, the invariants (two of them the same), the replay
        assert len(found) == (3 + 6) + (15 - 2) + 7


@pytest.mark.parametrize(
    "profile", ["lossy", "deaf", "full", "reboot", "deadports", "hostile", "quirky"]
)
async def test_after_any_campaign_nothing_contradicts(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, profile: str
) -> None:
    device = {"ports": 4, "profile": profile, "sms_seconds": 1.0}
    async with make_world(sim1=device, sim2={**device, "seed": 7}) as world:
        await world.launch(numbers(120))
        assert broken(world) == []


async def test_what_another_system_sent_there_is_seen(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}) as world:
        stranger = encode_task(Task(tid=5, to=("999111222",), sms="x", port=Port(1)))

        async def between(request: httpx.Request, forward: Any) -> httpx.Response:
            nonlocal stranger
            if stranger and request.url.path == "/goip_post_sms.html":
                body, stranger = encode_send_sms(Envelope(), [stranger]), b""
                await forward(httpx.Request("POST", request.url, content=body))
            answer = await forward(request)
            assert isinstance(answer, httpx.Response)
            return answer

        world.put_between("sim1", between)
        await world.launch(numbers(10))
        assert of(world, "port 1").verdict == "broken"
        assert "does another system send there?" in of(world, "port 1").detail
        assert of(world, "port 2").verdict == "holds"


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        ("UPDATE attempts SET outcome = 'failed' WHERE task_id = 1 AND idx = 1", "port 1"),
        ("UPDATE tallies SET n = n + 1 WHERE state = 'delivered'", "one state"),
        ("UPDATE attempts SET live = 1 WHERE task_id = 1 AND idx = 1", "in flight"),
        ("UPDATE tasks SET c_sent = c_sent - 1, c_unsent = c_unsent + 1 WHERE id = 1", "counters"),
    ],
)
async def test_a_ledger_that_was_tampered_with_is_told(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, harm: str, word: str
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        await world.launch(numbers(6))
        assert of(world, word).verdict == "holds"
        with transaction(world.conn):
            world.conn.execute(harm)
        assert of(world, word).verdict == "broken"


async def test_a_lost_detail_is_within_the_unknown(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {"task-size": "5", "port-failures": "9"}
    device = {"ports": 1, "magic": True}
    async with make_world(sim1=device, settings=settings) as world:
        # one is counted but never named, one is refused: which is which cannot be told
        await world.launch([*numbers(2), "9990000770008", "9990000770001"], retries=0)
        assert broken(world) == []


async def test_what_the_device_called_a_timeout_and_a_receipt_proves_is_no_contradiction(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1, "magic": True}) as world:
        await world.launch([*numbers(2), "9990000770006"])
        assert dict(world.sql("SELECT number, state FROM recipients"))["9990000770006"] == (
            "delivered"
        )
        assert of(world, "port 1").verdict == "holds"


async def test_without_a_sample_on_either_side_nothing_is_claimed(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        await world.launch(numbers(3))
        with transaction(world.conn):
            world.conn.execute("DELETE FROM sms_samples")
        assert of(world, "port 1").verdict == "cannot be told"
