"""Whole loads over real sockets against the simulator's own process, held to its ground truth."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from campaign.env import Env
from campaign.errors import UsageError
from campaign.gateway.client import Device
from campaign.load.outcome import Outcome
from campaign.load.plan import Plan
from campaign.load.schedule import Constant, Poisson
from campaign.load.target import Address, Leave
from campaign.load.trial import Pulse, trial
from campaign.load.workload import Cadence, Mix
from campaign.service.serving import serve

pytestmark = [pytest.mark.process, pytest.mark.slow]

PROMPT = Cadence(device_count=20, device_period=1, receipts=True)


@dataclass
class Simulated:
    """A simulator's process, and what it truly sent."""

    address: Address
    ledger: Path

    def attempts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ledger.read_text().splitlines()]


@asynccontextmanager
async def simulator(tmp_path: Path, *arguments: str) -> AsyncIterator[Simulated]:
    ledger = tmp_path / "truth.jsonl"
    command = [sys.executable, "-m", "campaign", "simulate", "--ledger", str(ledger), *arguments]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        first = bytes(await process.stdout.receive_some(200)).decode()
        host_port = first.split("http://")[1].strip()
        yield Simulated(Address.parse(f"http://root:root@{host_port}"), ledger)
    finally:
        with trio.CancelScope(shield=True):
            process.terminate()
            await process.wait()
            await process.stdout.aclose()


async def run(plan: Plan, **more: Any) -> Outcome:
    outcome = await trial(plan, Env(), serve=serve, **more)
    assert not any("account" in why for why in outcome.invalid)
    return outcome


async def test_every_message_of_a_load_has_its_report_and_its_receipt(tmp_path: Path) -> None:
    pulses: list[Pulse] = []
    quick = ("--ports", "32", "--sms-seconds", "0.05", "--set", "receipts-seconds=0.1-0.2")
    async with simulator(tmp_path, *quick) as device:
        plan = Plan(
            device.address,
            Poisson(Constant(60, 1.5)),
            tasks=2,
            cadence=PROMPT,
            mix=Mix.parse("send=2,status=1"),
            connections=8,
            workers=2,
            settle=8,
        )
        login = device.address.login
        asked = Device("it", device.address.url, login.username, login.password, env=Env())
        await asked.console.set_parameters({"sms_url": "http://127.0.0.1:9/before"})
        outcome = await run(plan, on_second=pulses.append)
        found = await asked.console.get_parameters(["sms_url"])
        await asked.aclose()
        sent = [attempt["number"] for attempt in device.attempts()]
    assert found == {"sms_url": "http://127.0.0.1:9/before"}
    account = outcome.account
    assert outcome.tally.answered == outcome.facts.planned == 90
    assert len(sent) == len(set(sent)) == account["accepted"] == account["reported"] == 120
    assert account["receipts"] == 120
    assert account["unreported"] == account["in_doubt"] == account["unmatched"] == 0
    assert account["left_in_queue"] == account["odd_pushes"] == 0
    clocks = outcome.clocks
    assert clocks["report"].count == clocks["report_uncorrected"].count == 120
    assert clocks["report"].min > 50_000
    assert clocks["receipt"].min > 150_000
    assert sum(pulse.moment.answered for pulse in pulses) == 90
    assert pulses[-1].heard == 120
    assert outcome.queue


async def test_lost_pushes_and_unanswered_posts_leave_no_message_without_a_place(
    tmp_path: Path,
) -> None:
    faults = ("push-loss=0.2", "push-duplicate=0.3", "push-delay=0", "deaf=0.2", "deaf-seconds=1")
    arguments = [word for fault in faults for word in ("--set", fault)]
    async with simulator(
        tmp_path, "--ports", "32", "--sms-seconds", "0.05", "--seed", "5", *arguments
    ) as device:
        cadence = Cadence(device_count=1, device_period=1)
        plan = Plan(
            device.address,
            Constant(40, 1.5),
            cadence=cadence,
            connections=24,
            timeout=0.7,
            settle=2,
        )
        outcome = await run(plan)
        sent = [attempt["number"] for attempt in device.attempts()]
    account = outcome.account
    assert account["offered"] == 60
    assert account["in_doubt"] == outcome.errors["timeout"] > 0
    assert account["unreported"] > 0
    assert account["duplicated"] > 0
    assert len(sent) == len(set(sent)) == account["accepted"] + account["in_doubt"]


async def test_a_load_that_is_ended_stops_within_a_second_and_leaves_nothing_queued(
    tmp_path: Path,
) -> None:
    ending = trio.CancelScope()

    async with simulator(tmp_path, "--ports", "2", "--sms-seconds", "30") as device:
        plan = Plan(device.address, Constant(200, 60), connections=8)
        ended = 0.0

        def end_soon(pulse: Pulse) -> None:
            nonlocal ended
            if not ending.cancel_called:
                ended = trio.current_time()
                ending.cancel()

        outcome = await run(plan, on_second=end_soon, ending=ending)
        assert trio.current_time() - ended < 1.0
        login = device.address.login
        asked = Device("it", device.address.url, login.username, login.password, env=Env())
        assert await asked.waiting_count(1) == 0
        await asked.aclose()
    account = outcome.account
    assert account["offered"] >= 8
    assert account["removed"] >= account["accepted"] - 2
    assert account["left_in_queue"] == 0


async def test_a_load_beyond_its_caps_sends_nothing(tmp_path: Path) -> None:
    async with simulator(tmp_path) as device:
        plan = Plan(device.address, Constant(10, 10), leave=Leave(messages=99))
        with pytest.raises(UsageError, match="offers 100 messages, and at most 99"):
            await run(plan)
        closed = Plan(device.address, seconds=30, leave=Leave(messages=7), settle=0, connections=2)
        outcome = await run(closed)
        assert outcome.account["offered"] == outcome.account["accepted"] == 7
        assert outcome.facts.model == "closed"
