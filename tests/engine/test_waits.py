"""Why a campaign waits, for which gateway and port, and until when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import trio

from campaign.engine.lifecycle import snapshot
from campaign.engine.waits import entry, stored_waits
from campaign.planner.options import CampaignOptions
from campaign.planner.states import CampaignState
from campaign.store.campaigns import CampaignRow
from tests.engine.overtaking import hand_over
from tests.engine.test_steering import beside

Numbers = Callable[[int], list[str]]
Wait = dict[str, Any]


async def waits_after(world: Any, seconds: float, **launch: Any) -> list[Wait]:
    """What `status` says of a campaign so long after its launch."""
    shown: list[Wait] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: world.launch(**launch))
        await trio.sleep(seconds)
        (campaign,) = (await snapshot(world.runs[-1]))["campaigns"]
        shown += campaign["waits"]
        nursery.cancel_scope.cancel()
    return shown


async def shown_after(world: Any, seconds: float, run: Callable[[], Awaitable[Any]]) -> Any:
    """The campaign as `status` shows it, so long after the engine was started; it ends then."""
    shown: list[Any] = []

    async def look() -> None:
        await trio.sleep(seconds - 0.001)
        shown.extend((await snapshot(world.runs[-1]))["campaigns"])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        assert await world.killed(seconds, run)
    return shown[0]


def canary(campaign: Any) -> tuple[str, Any]:
    """What it says of its canary, and until when."""
    (wait,) = [w for w in campaign["waits"] if w["why"].startswith("canary: ")]
    assert (wait["gateway"], wait["port"]) == (None, None)
    return wait["why"].removeprefix("canary: "), wait["until"]


async def test_each_port_says_until_when_its_pace_keeps_it(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}, settings={"return-path": "assume"}) as world:
        waits = await waits_after(world, 20, numbers=numbers(40), per_port="1/min")
        assert [(w["gateway"], w["port"], w["why"]) for w in waits] == [
            ("sim1", "1", "pacing"),
            ("sim1", "2", "pacing"),
        ]
        for wait in waits:
            assert "2026-03-02T10:00:50Z" < wait["until"] < "2026-03-02T10:01:20Z"


async def test_a_closed_window_is_told_with_its_end_for_every_gateway(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}, sim2={"ports": 1}) as world:
        window = {"window": "12:30-13:00", "timezone": "UTC"}
        waits = await waits_after(world, 30, numbers=numbers(4), **window)
        assert {w["gateway"] for w in waits} == {"sim1", "sim2"}
        assert {(w["port"], w["until"]) for w in waits} == {(None, "2026-03-02T12:30:00Z")}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"deadline": "+1m"}, "cannot send any more before the deadline"),
        ({"window": "09:00-10:01", "timezone": "UTC"}, "… before the window closes"),
        (
            {"window": "09:00-10:01", "timezone": "UTC", "recipient_time": True},
            "… before the window closes",
        ),
    ],
    ids=["deadline", "window", "several lanes"],
)
@pytest.mark.parametrize("after", [40, 55])
async def test_too_little_time_is_told_with_what_ends_and_when(
    autojump_clock: object, make_world: Callable[..., Any], options: dict[str, Any], why: str,
    after: int,
) -> None:  # fmt: skip
    settings = {"return-path": "assume", "client-timeout": "10s"}
    people = [*(f"9990000{nth:06d}" for nth in range(9)), "12125550100"]
    async with make_world(settings=settings, sim1={"ports": 1, "sms_seconds": 30}) as world:
        waits = await waits_after(world, after, numbers=people, **options)
        told = [(w["why"], w["until"]) for w in waits]
        assert told == [(why.replace("…", "cannot send any more"), "2026-03-02T10:01:00Z")]


async def test_what_an_urgent_campaign_overtook_says_so_though_nobody_waits_for_a_claim(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {"return-path": "assume", "task-size": "1"}
    async with make_world(settings=settings, sim1={"ports": 2, "sms_seconds": 20}) as world:
        seen: list[Any] = []

        async def work() -> None:
            await trio.sleep(5)
            await hand_over(world, "urgent", numbers(14)[8:], priority="urgent", receipts=False)
            await trio.sleep(35)
            seen.append((await snapshot(world.runs[-1], "c"))["campaigns"][0])
            await trio.sleep(200)
            seen.append((await snapshot(world.runs[-1], "c"))["campaigns"][0])

        await beside(world, work, numbers=numbers(8), receipts=False)
        overtaken, finished = seen
        assert (overtaken["counts"]["pending"], overtaken["counts"]["assigned"]) == (0, 6)
        assert overtaken["waits"] == [entry("sim1", None, "an urgent campaign goes first")]
        assert overtaken["waiting_for"] == "sim1: an urgent campaign goes first"
        assert (finished["state"], finished["waits"]) == ("finished", [])


async def test_what_is_queued_in_a_window_that_is_closed_says_when_it_opens(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    settings = {"return-path": "assume", "task-size": "1"}
    people = [*(f"3319900000{nth}" for nth in range(5)), "999900000001"]
    async with make_world(settings=settings, sim1={"ports": 1, "sms_seconds": 20}) as world:
        waits = await waits_after(
            world, 200, numbers=people, window="09:00-11:01", timezone="UTC", recipient_time=True
        )
        assert not world.sql("SELECT 1 FROM recipients WHERE state = 'pending'")
        assert world.sql("SELECT DISTINCT state FROM tasks WHERE state <> 'closed'") == [
            ("paused",)
        ]
        why = "the sending window opens at 2026-03-03 09:00 in Europe/Paris"
        assert waits == [entry("sim1", None, why, "2026-03-03T08:00:00Z")]


async def test_missing_receipts_are_waited_for_until_they_count_as_none(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1, "receipts_seconds": (900.0, 900.0)}) as world:
        (wait,) = await waits_after(world, 60, numbers=numbers(2))
        assert (wait["gateway"], wait["port"]) == (None, None)
        assert wait["why"].startswith("receipts: 2 missing")
        assert wait["until"] > "2026-03-02T10:09"


async def test_a_canary_on_trial_is_what_a_campaign_waits_for_also_after_a_restart(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    device = {"ports": 2, "sms_seconds": 10, "receipts_seconds": (900.0, 900.0)}
    async with make_world(settings={"return-path": "assume"}, sim1=device) as world:
        launch = partial(
            world.launch, numbers(9), canary="4", pause_if=("undelivered>10%",),
            settings={"receipt-wait": "300s"},
        )  # fmt: skip
        assert canary(await shown_after(world, 15, launch)) == ("0 of 4 outcomes are in", None)
        begun = await shown_after(world, 60, world.resume)
        again = await shown_after(world, 5, world.resume)
        for campaign in (begun, again):
            told, until = canary(campaign)
            assert told == "0 of 4 outcomes are in, at most until 10:05 UTC"
            assert "2026-03-02T10:05:00Z" < until < "2026-03-02T10:05:59Z"
            assert campaign["waiting_for"] == f"canary: {told}"


async def test_the_outcomes_of_a_canary_that_are_in_are_counted_without_receipts(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {"return-path": "assume", "task-size": "1"}
    async with make_world(settings=settings, sim1={"ports": 1, "sms_seconds": 10}) as world:
        launch = partial(world.launch, numbers(9), canary="3", receipts=False)
        assert canary(await shown_after(world, 25, launch)) == ("1 of 3 outcomes are in", None)
        later = await shown_after(world, 30, world.resume)
        assert not [w for w in later["waits"] if w["why"].startswith("canary")]


async def test_a_stopped_gateway_says_so_beside_one_that_sends(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    bad = {"ports": 1, "password": "another"}
    async with make_world(sim1={"ports": 1, "sms_seconds": 30}, sim2=bad) as world:
        waits = await waits_after(world, 30, numbers=numbers(30))
        (stopped,) = [w for w in waits if w["gateway"] == "sim2"]
        assert stopped["why"].startswith("stopped: ")
        assert (stopped["port"], stopped["until"]) == (None, None)


async def test_a_status_costs_a_few_queries_however_many_ports_and_gateways_there_are(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    many = {f"sim{i}": {"ports": 32} for i in range(1, 5)}
    async with make_world(**many) as world, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: world.launch(numbers(200), per_port="1/min"))
        await trio.sleep(20)
        asked: list[str] = []
        world.conn.set_trace_callback(asked.append)
        (campaign,) = (await snapshot(world.runs[-1], "c"))["campaigns"]
        world.conn.set_trace_callback(None)
        assert len(campaign["waits"]) == 4 * 32
        assert len(asked) <= 6
        nursery.cancel_scope.cancel()


def row(state: str, **options: Any) -> CampaignRow:
    chosen = CampaignOptions(**options)
    return CampaignRow(
        1, "c", CampaignState(state), None, "l", "m", (), chosen, None, 0, 0, 0, None
    )


NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (row("finished"), []),
        (row("running", gateways=("sim2",)), []),
        (row("paused"), [(None, "paused", None)]),
        (row("importing"), [(None, "its list is being imported", None)]),
        (row("waiting"), [("sim1", "stopped: refused", None)]),
        (row("waiting", gateways=("sim2",)), [(None, "an alarm", None)]),
        (
            row("running", gateways=("sim2",), window="15:00-16:00", timezone="Asia/Kolkata"),
            [(None, "the sending window", "2026-03-03T09:30:00Z")],
        ),
    ],
    ids=["over", "sending", "paused", "importing", "alarm", "alarm elsewhere", "window"],
)
def test_the_ledger_alone_tells_what_it_can(
    stored: CampaignRow, told: list[tuple[str | None, str, str | None]]
) -> None:
    waits = stored_waits(stored, NOON, {"sim1": "refused"})
    assert [(w["gateway"], w["why"], w["until"]) for w in waits] == told
