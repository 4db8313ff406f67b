"""Sending windows on the ground truth: what the simulators really began to send, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

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


async def test_what_waits_at_the_end_of_the_window_is_paused_and_no_attempt_is_burnt(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    """The ports slow down at the end, so that what was queued in good faith is too much."""
    async with make_world(settings=CALM, sim1={"ports": 1, "sms_seconds": 2}) as world:
        calm(world)

        async def slower() -> None:
            await trio.sleep(580)
            world.simulators["sim1"].device.settings.sms_seconds = 15
            await trio.sleep(60)
            assert world.sql("SELECT DISTINCT state FROM tasks WHERE state <> 'closed'") == [
                ("paused",)
            ]
            ((until,),) = world.sql("SELECT DISTINCT until_ms FROM tasks WHERE state = 'paused'")
            assert until == (START + timedelta(minutes=10)).timestamp() * 1000
            assert world.sql("SELECT max(attempts) FROM recipients") == [(1,)]

        await beside(world, slower, numbers=numbers(400), window="10:00-10:10", receipts=False)
        assert outside(starts(world, 15), Window.parse("09:59-10:10")) == []
        assert world.sql("SELECT max(attempts), max(failures) FROM recipients") == [(1, 0)]
        world.check()
