"""Start and deadline: a campaign begins when its time has come, and is over when its time is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import trio

from campaign.engine.verbs import perform
from campaign.errors import UsageError
from tests.engine.conftest import START
from tests.engine.overtaking import store_campaign
from tests.engine.test_hours import CALM, calm, starts
from tests.engine.test_many_campaigns import people, run_for
from tests.engine.test_steering import beside, do

Numbers = Callable[[int], list[str]]


def state_of(world: Any) -> tuple[str, str | None]:
    ((state, waiting_for),) = world.sql("SELECT state, waiting_for FROM campaigns")
    return state, waiting_for


async def test_a_campaign_is_scheduled_until_its_start_and_says_so(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=CALM, sim1={"ports": 2, "sms_seconds": 2}) as world:
        calm(world)

        async def look() -> None:
            await trio.sleep(7000)
            assert state_of(world) == ("scheduled", "sim1: it starts at 2026-03-02 12:00 UTC")
            assert world.attempts == []

        await beside(
            world, look, numbers=numbers(20), start="13:00", timezone="Europe/Berlin",
            receipts=False,
        )  # fmt: skip
        begun = starts(world, 2)
        assert timedelta() <= begun[0] - (START + timedelta(hours=2)) < timedelta(seconds=1)
        assert world.notices[0] == "campaign c starts at 2026-03-02 12:00:00 UTC"
        assert world.states() == {"sent": 20}
        world.check()


async def test_pause_continue_and_cancel_work_before_the_start(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=CALM, sim1={"ports": 1}) as world:
        calm(world)
        states: list[str] = []

        async def work() -> None:
            await trio.sleep(60)
            for verb in ("pause", "continue", "pause"):
                await do(world, verb, name="c")
                states.append(state_of(world)[0])
            await trio.sleep(7200)
            assert world.attempts == [], "paused over its start"
            await do(world, "continue", name="c")
            states.append(state_of(world)[0])
            await trio.sleep(30)
            await do(world, "cancel", name="c")

        await beside(world, work, numbers=numbers(500), start="+1h", receipts=False)
        assert states == ["paused", "scheduled", "paused", "running"]
        assert state_of(world)[0] == "cancelled"
        assert world.attempts
        world.check()


@pytest.mark.parametrize(
    ("late", "states", "why"),
    [
        ("start", {"sent": 10}, "every recipient is final"),
        ("skip", {"expired": 10}, "nothing ran at its start, and --late is skip"),
    ],
)
async def test_a_start_that_nothing_ran_at_is_late_or_skipped(
    autojump_clock: object,
    make_world: Callable[..., Any],
    numbers: Numbers,
    late: str,
    states: dict[str, int],
    why: str,
) -> None:
    async with make_world(settings=CALM, sim1={"ports": 1, "sms_seconds": 2}) as world:
        calm(world)
        launch = partial(world.launch, numbers(10), start="+10m", late=late, receipts=False)
        assert await world.killed(60, launch)
        await trio.sleep(3600)
        await world.resume()
        assert world.states() == states
        assert world.sql("SELECT why FROM decisions WHERE kind = 'finished'") == [(why,)]
        world.check()


@pytest.mark.parametrize("task_size", ["1", "20"])
async def test_at_the_deadline_who_waits_expires_and_what_is_queued_is_taken_back(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, task_size: str
) -> None:
    settings = {**CALM, "task-size": task_size}
    sim = {"ports": 2, "sms_seconds": 6, "fail_rate": 0.1}
    async with make_world(settings=settings, sim1=sim) as world:
        calm(world)
        await world.launch(numbers(300), deadline="+5m", receipts=False)
        over = START + timedelta(minutes=5)
        assert max(starts(world, 6)) < over
        assert len(world.attempts) * 6 >= 0.9 * 2 * 300
        states = world.states()
        assert states["expired"] > 190
        assert not set(states) & {"pending", "held", "assigned"}
        assert world.sql("SELECT DISTINCT reason FROM recipients WHERE state = 'expired'") == [
            ("the campaign's deadline is over",)
        ]
        assert state_of(world)[0] == "finished"
        world.check()


async def test_a_deadline_that_comes_while_nothing_runs_expires_what_is_left(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {**CALM, "task-size": "1"}
    async with make_world(settings=settings, sim1={"ports": 1, "sms_seconds": 6}) as world:
        calm(world)
        launch = partial(world.launch, numbers(100), deadline="+5m", receipts=False)
        assert await world.killed(120, launch)
        await trio.sleep(3600)
        begun = len(world.attempts)
        await world.resume()
        assert len(world.attempts) == begun
        assert set(world.states()) == {"sent", "expired"}
        world.check()


@pytest.mark.parametrize(
    ("times", "complaint"),
    [
        ({"start": "2026-03-02 09:00"}, "is over already"),
        ({"deadline": "2026-03-02T09:59:00Z"}, "is over already"),
        ({"start": "12:00", "deadline": "2026-03-02 11:00"}, "must be after"),
        ({"start": "tomorrow"}, "is not a time"),
        ({"late": "perhaps"}, "write start or skip"),
    ],
)
async def test_times_that_cannot_be_are_refused_before_anything_is_imported(
    autojump_clock: object,
    make_world: Callable[..., Any],
    numbers: Numbers,
    times: dict[str, str],
    complaint: str,
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        with pytest.raises(UsageError, match=complaint):
            await world.launch(numbers(3), **times)
        assert world.sql("SELECT count(*) FROM campaigns") == [(0,)]


async def test_nobody_is_sent_to_again_after_the_deadline(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    sim = {"ports": 1, "sms_seconds": 2, "fail_rate": 1.0}
    async with make_world(settings=CALM, sim1=sim) as world:
        calm(world)
        await world.launch(numbers(5), deadline="+5m", retries=0, receipts=False)
        assert world.states() == {"failed": 5}
        later = world.env.wall_ms() + 300_000
        with pytest.raises(UsageError, match="deadline of campaign 'c' is over"):
            perform(world.conn, later, "retry", {"name": "c", "yes": True})


async def test_while_many_expire_another_campaign_starts_at_its_time(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    async with make_world(settings=CALM, sim1={"ports": 1, "sms_seconds": 6}) as world:
        calm(world)
        ending = store_campaign(world, "ending", people(1, 2500), receipts=False)
        starting = store_campaign(world, "starting", people(2, 3), receipts=False)
        then = world.env.wall_ms() + 30_000
        world.sql("UPDATE campaigns SET deadline_ms = ? WHERE id = ?", then, ending)
        world.sql(
            "UPDATE campaigns SET state = 'scheduled', start_ms = ? WHERE id = ?", then, starting
        )
        await run_for(world, 60, ending, starting)
        kinds = world.sql("SELECT kind FROM decisions WHERE kind IN ('expire', 'running')")
        assert kinds == [("expire",), ("running",), ("expire",)]
        assert not set(world.states("ending")) & {"pending", "held", "assigned"}
        assert world.states("starting") == {"sent": 3}
        world.check()
