"""Going on: what a killed run left on a device keeps the next one from no more than it must."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import trio

Numbers = Callable[[int], list[str]]

FAST = {"ports": 1, "sms_seconds": 0.5}
_GROWN, _BETWEEN = 27.0, 4.5
"""When its window has grown past the first, and how long from then on until one report of several
has come: the next one is seconds away."""


def in_flight(world: Any) -> int:
    ((messages,),) = world.sql("SELECT count(*) FROM attempts WHERE live = 1")
    return int(messages)


async def resumed(world: Any, seconds: float) -> int:
    """How many messages went to the device in the first seconds of a run."""
    await world.killed(seconds, world.resume)
    ((messages,),) = world.sql(
        "SELECT coalesce(sum(size), 0) FROM tasks WHERE epoch = (SELECT max(epoch) FROM tasks)"
        " AND epoch = (SELECT value FROM meta WHERE key = 'epoch')"
    )
    return int(messages)


async def deaf(request: httpx.Request, forward: Any) -> httpx.Response:
    """In place of a receiver: it takes nothing, and the device keeps what it tells."""
    await trio.lowlevel.checkpoint()
    return httpx.Response(503, request=request)


async def test_a_resumed_port_is_given_as_much_as_the_killed_run_gave_it(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={"return-path": "assume"}, sim1=FAST) as world:
        assert await world.killed(_GROWN, lambda: world.launch(numbers(600)))
        given = in_flight(world)
        await trio.sleep(_BETWEEN)
        world.put_between("receiver", deaf)
        told = 10  # by the one report that came meanwhile
        assert await resumed(world, 2) == told
        assert in_flight(world) == given
        world.check()


async def test_a_run_does_not_wait_for_the_first_report_behind_what_a_proved_one_left(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1=FAST) as world:
        assert await world.killed(_GROWN, lambda: world.launch(numbers(600)))
        await trio.sleep(_BETWEEN)
        world.put_between("receiver", deaf)
        # its own way back is not proved: one message a port, however long it hears nothing
        assert await resumed(world, 30) == 1
        assert await resumed(world, 30) == 0
        world.check()


async def test_runs_that_hear_nothing_leave_one_message_on_a_port_however_often_they_are_killed(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1=FAST) as world:
        world.put_between("receiver", deaf)
        assert await world.killed(5, lambda: world.launch(numbers(600)))
        for _ in range(3):
            assert await resumed(world, 5) == 0
        assert in_flight(world) == 1
        world.check()
