"""Who could not send for a while has saved nothing: it shares from then on, and takes no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import trio

from campaign.engine.engine import run_engine
from campaign.engine.runtime import Run
from campaign.planner.lanes import Lane
from campaign.store.door import transaction
from campaign.store.lanes import add_lanes
from tests.engine.overtaking import store_campaign
from tests.engine.test_many_campaigns import ASSUME, people, run_for, sent_by

SHORT = {**ASSUME, "port-window": "10s"}
"""Grants are small, so that shares show soon."""


def sent_between(world: Any, begin: float, end: float) -> Counter[str]:
    """Messages by campaign that went out in a span of the world's seconds."""
    found = sent_by(world, end)
    found.subtract(sent_by(world, begin))
    return found


async def test_hours_in_which_every_lane_was_closed_are_not_made_up_for(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    async with make_world(settings=SHORT, sim1={"ports": 1, "sms_seconds": 2}) as world:
        late = store_campaign(world, "a", people(1, 600), window="10:10-23:00", receipts=False)
        with transaction(world.conn):  # by two clocks that say the same
            add_lanes(world.conn, late, [Lane(0, "Africa/Abidjan"), Lane(1, "Europe/London")])
            world.conn.execute("UPDATE recipients SET lane = id % 2")
        other = store_campaign(world, "b", people(2, 600), receipts=False)
        await run_for(world, 830, late, other)
        assert sent_by(world, 600).keys() == {"2"}
        shared = sent_between(world, 620, 820)
        assert shared.total() >= 50
        assert abs(shared["1"] - shared["2"]) <= 15


async def test_a_time_in_which_its_ports_were_locked_is_not_made_up_for(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    async with make_world(settings=SHORT, sim1={"ports": 3, "sms_seconds": 2}) as world:
        await world.command("sim1", op="lock", ports="2,3")
        bound = store_campaign(world, "a", people(1, 900), ports="2-3", receipts=False)
        other = store_campaign(world, "b", people(2, 900), receipts=False)

        async def job(run: Run) -> None:
            run.targets |= {bound, other}

        with trio.move_on_after(540):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run_engine, world.run(), job)
                await trio.sleep(300)
                assert sent_by(world, 300).keys() == {"2"}
                await world.command("sim1", op="unlock", ports="2,3")
        begun = min(a.t for a in world.attempts if a.number[4] == "1")
        begun -= world.env.wall().timestamp() - (world.env.monotonic() - world.zero)
        assert begun < 345
        shared = sent_between(world, begun + 10, begun + 190)
        assert shared.total() >= 120
        # of three ports one and a half each; two to one would be a third of all
        assert abs(shared["1"] - shared["2"]) <= shared.total() / 6
