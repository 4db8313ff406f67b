"""Sending windows on the ground truth: what the simulators really began to send, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import trio

from campaign.planner.windows import Window
from tests.engine.conftest import START
from tests.engine.test_steering import beside

Numbers = Callable[[int], list[str]]

# nights are long: a device that is looked at every half minute costs a test seconds
CALM = {"return-path": "assume", "status-period": "4h", "push-silence": "12h"}


def calm(world: Any) -> Any:
    """What is durable is tested elsewhere; whole days pass here."""
    world.inbox_every = 3600.0
    world.conn.execute("PRAGMA synchronous = OFF")
    return world


def starts(world: Any, seconds: float) -> list[datetime]:
    """When each message went on air; the truth's own times are when it landed."""
    begun = (attempt.t - seconds for attempt in world.attempts)
    # the truth is kept to the millisecond
    return sorted(datetime.fromtimestamp(at + 0.002, UTC) for at in begun)


def outside(moments: list[datetime], window: Window) -> list[datetime]:
    return [at for at in moments if not window.is_open(at)]


@pytest.mark.slow
@pytest.mark.parametrize("pauses", [True, False], ids=["pauses", "pauses-nothing-begun"])
@pytest.mark.parametrize("seconds", [1.5, 6.0, 25.0])
async def test_no_message_starts_outside_the_window_and_the_window_is_used(
    autojump_clock: object,
    make_world: Callable[..., Any],
    numbers: Numbers,
    seconds: float,
    pauses: bool,
) -> None:
    sim = {"ports": 2, "sms_seconds": seconds, "pause_started": pauses}
    minutes = 10
    count = round(2 * minutes * 60 / seconds * 1.3)
    async with make_world(settings=CALM, sim1=sim) as world:
        calm(world)
        await world.launch(numbers(count), window="10:00-10:10", receipts=False)
        window = Window.parse("10:00-10:10")
        begun = starts(world, seconds)
        assert outside(begun, window) == []
        first = [at for at in begun if at < START + timedelta(minutes=minutes)]
        assert len(first) * seconds >= 0.95 * 2 * minutes * 60
        assert len(begun) == count == sum(world.on_air().values())
        assert world.states() == {"sent": count}
        world.check()


@pytest.mark.slow
async def test_what_waits_at_the_end_of_the_window_is_paused_and_no_attempt_is_burnt(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    """The network slows down tenfold, so that what was queued in good faith is too much."""
    slow = [f"99911{i:04d}0013" for i in range(30)]
    sim = {"ports": 1, "sms_seconds": 2, "magic": True}
    async with make_world(settings=CALM, sim1=sim) as world:
        calm(world)

        async def look() -> None:
            await trio.sleep(600 + 25)
            ((state, until),) = world.sql(
                "SELECT DISTINCT state, until_ms FROM tasks WHERE state <> 'closed'"
            )
            assert (state, until) == ("paused", (START.timestamp() + 600) * 1000)
            assert world.sql("SELECT max(attempts) FROM recipients") == [(1,)]

        listed = [*(f"9992{i:06d}99" for i in range(250)), *slow]
        await beside(world, look, numbers=listed, window="10:00-10:10", receipts=False)
        quick = [a for a in world.attempts if not a.number.endswith("0013")]
        window = Window.parse("10:00-10:10")
        late = [a for a in world.attempts if a.number.endswith("0013")]
        begun = [a.t - 2 for a in quick] + [a.t - 20 for a in late]
        assert outside([datetime.fromtimestamp(t + 0.002, UTC) for t in begun], window) == []
        assert len(begun) == 280
        assert world.sql("SELECT max(attempts), max(failures) FROM recipients") == [(1, 0)]
        world.check()


def fictional(area: str, count: int) -> list[str]:
    """North American numbers of no one, in the zone of their area code."""
    return [f"1{area}55501{i:02d}" for i in range(count)]


ZONES = {"212": "America/New_York", "310": "America/Los_Angeles", "808": "Pacific/Honolulu"}


@pytest.mark.slow
async def test_every_recipient_is_sent_to_by_the_clocks_of_their_own_zone(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    listed = [number for area in ZONES for number in fictional(area, 60)] + numbers(20)
    async with make_world(settings=CALM, sim1={"ports": 2, "sms_seconds": 6}) as world:
        calm(world)
        told: list[str] = []

        async def look() -> None:
            for hours in (1, 4, 4):  # 11:00, 15:00 and 19:00 UTC
                await trio.sleep(hours * 3600)
                told.extend(row[0] or "" for row in world.sql("SELECT waiting_for FROM campaigns"))

        await beside(
            world, look, numbers=listed, window="08:00-08:02", timezone="Asia/Tokyo",
            recipient_time=True, receipts=False,
        )  # fmt: skip
        for attempt in world.attempts:
            zone = ZONES.get(attempt.number[1:4], "Asia/Tokyo")
            window = Window.parse("08:00-08:02", timezone=zone)
            assert outside([datetime.fromtimestamp(attempt.t - 5.998, UTC)], window) == []
        assert world.states() == {"sent": len(listed)}
        assert len(world.attempts) == len(listed)
        # in each zone's first two minutes, the two ports did what they could
        for area, zone in ZONES.items():
            opens = datetime(2026, 3, 2, 8, tzinfo=ZoneInfo(zone)).timestamp()
            done = [a for a in world.attempts if a.number[1:4] == area and a.t < opens + 300]
            assert len(done) * 6 >= 0.95 * 2 * 120
        assert told == [
            f"sim1: the sending window opens at 2026-03-{day} 08:00 in {zone} ({n} recipients)"
            for day, zone, n in (
                ("02", "America/New_York", 60),
                ("02", "America/Los_Angeles", 60),
                ("03", "Asia/Tokyo", 20),
            )
        ]
        world.check()


@pytest.mark.slow
async def test_an_engine_that_starts_again_after_the_window_pauses_what_is_queued_at_once(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    slow = [f"99911{i:04d}0013" for i in range(20)]
    sim = {"ports": 1, "sms_seconds": 2, "magic": True}
    async with make_world(settings=CALM, sim1=sim) as world:
        calm(world)
        listed = [*(f"9992{i:06d}99" for i in range(270)), *slow]
        launch = partial(world.launch, listed, window="10:00-10:10", receipts=False)
        assert await world.killed(590, launch)
        await trio.sleep(20)  # 10:10:10, and nobody was there to pause
        begun = len(world.attempts)
        with trio.move_on_after(120):
            await world.resume()
        assert len(world.attempts) <= begun + 1, "only what was on air"
        assert world.sql("SELECT DISTINCT state FROM tasks WHERE state <> 'closed'") == [
            ("paused",)
        ]
        await world.resume()
        assert world.states() == {"sent": 290}
        world.check()


@pytest.mark.slow
@pytest.mark.parametrize("step", [timedelta(hours=3), timedelta(hours=-3)], ids=str)
async def test_a_clock_that_is_set_stops_what_is_queued_and_what_waits(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, step: timedelta
) -> None:
    """Where the civil clock says that the window is closed, it is."""
    async with make_world(settings=CALM, sim1={"ports": 2, "sms_seconds": 6}) as world:
        calm(world)
        at_step: list[int] = []

        async def set_clock() -> None:
            await trio.sleep(300)
            at_step.append(len(world.attempts))
            world.slept = step
            await trio.sleep(1800)
            at_step.append(len(world.attempts))
            world.slept = timedelta()  # 10:35 again

        await beside(world, set_clock, numbers=numbers(250), window="09:00-12:00", receipts=False)
        before, after = at_step
        assert after - before <= 4, "two were on air, two began before the clock was looked at"
        assert world.states() == {"sent": 250}
        assert sum(world.on_air().values()) == 250


@pytest.mark.slow
async def test_a_post_without_an_answer_is_not_repeated_outside_the_window(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {**CALM, "task-size": "1"}
    async with make_world(settings=settings, sim1={"ports": 1, "sms_seconds": 6}) as world:
        calm(world)
        posts: list[float] = []

        async def swallow(request: httpx.Request, forward: Any) -> httpx.Response:
            """From 09:40 of the window on, posts never arrive and are never answered."""
            if request.url.path == "/goip_post_sms.html":
                posts.append(world.env.monotonic() - world.zero)
                if 580 <= posts[-1] < 3600:
                    await trio.sleep_forever()
            answer: httpx.Response = await forward(request)
            return answer

        world.put_between("sim1", swallow)
        await world.launch(
            numbers(130), window="10:00-10:10", receipts=False, rate="10/min", retries=0
        )
        assert not [at for at in posts if 597 < at < 85_000]
        assert outside(starts(world, 6), Window.parse("10:00-10:10")) == []
        states = world.states()
        assert states["sent"] + states.get("unknown", 0) == 130
        world.check()


@pytest.mark.slow
async def test_a_device_that_does_not_answer_the_pause_is_asked_until_it_does(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    slow = [f"99911{i:04d}0013" for i in range(12)]
    sim = {"ports": 1, "sms_seconds": 2, "magic": True}
    async with make_world(settings=CALM, sim1=sim) as world:
        calm(world)
        asked: list[float] = []

        async def deaf(request: httpx.Request, forward: Any) -> httpx.Response:
            at = world.env.monotonic() - world.zero
            if request.url.path == "/goip_pause_sms.html":
                asked.append(at)
                if at < 612:
                    raise httpx.ConnectError("connection refused", request=request)
            answer: httpx.Response = await forward(request)
            return answer

        world.put_between("sim1", deaf)
        listed = [*(f"9992{i:06d}99" for i in range(272)), *slow]
        await world.launch(listed, window="10:00-10:10", receipts=False)
        assert 597 <= asked[0] < 597.5
        assert len([at for at in asked if at < 612]) > 5
        complaints = [line for line in world.notices if "did not answer the pause" in line]
        assert complaints == ["sim1 did not answer the pause: what is queued there goes on"]
        assert world.states() == {"sent": 284}
        world.check()
