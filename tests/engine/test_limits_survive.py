"""Caps and rates hold through crashes, hostile gateways and SIMs that change places."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import trio

from campaign.planner.quotas import Period
from tests.engine.test_limits import CALM, THREE, used

Numbers = Callable[[int], list[str]]


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "seed"), [("lossy", 1), ("reboot", 2), ("hostile", 3)])
async def test_no_cap_and_no_rate_is_exceeded_whatever_crashes(
    autojump_clock: object,
    make_world: Callable[..., Any],
    numbers: Numbers,
    profile: str,
    seed: int,
) -> None:
    rng = random.Random(seed)
    settings = {"sim-hour": "9", "sim-day": "30", "port-rate": "10/min", "push-silence": "10m"}
    device = {"ports": 2, "profile": profile}
    async with make_world(seed, settings, sim1=device, sim2={**device, "seed": seed + 9}) as world:
        world.inbox_every = 60.0
        killed = await world.killed(
            rng.uniform(5, 60), lambda: world.launch(numbers(24), message=THREE, rate="20/min")
        )
        for _ in range(200):
            if not killed:
                break
            killed = await world.killed(rng.choice((5, 30, 300, 3000)), world.resume)
        assert not killed
        assert max(used(world, Period.HOUR).values()) <= 9
        assert max(used(world, Period.DAY).values()) <= 30
        claims = [at for (at,) in world.sql("SELECT created_ms FROM tasks ORDER BY id")]
        # a campaign's rate makes up at most one gap of lateness
        assert min(b - a for a, b in zip(claims, claims[2:], strict=False)) >= 2998
        for place in {tuple(row) for row in world.sql("SELECT gateway_id, port FROM tasks")}:
            times = world.sql(
                "SELECT created_ms FROM tasks WHERE gateway_id = ? AND port = ? ORDER BY id", *place
            )
            assert min((b - a for (a,), (b,) in pairwise(times)), default=6000) >= 5998
        world.check()


@pytest.mark.slow
async def test_a_sim_put_in_while_messages_are_queued_stays_within_its_cap(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {**CALM, "sim-hour": "20", "task-size": "3", "status-period": "15s"}
    async with make_world(settings=settings, sim1={"ports": 1, "slots": 2}) as world:
        world.inbox_every = 60.0

        async def work() -> None:
            await trio.sleep(25)
            await world.command("sim1", op="switch", ports="1B")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            await world.launch(numbers(32))
        by_sim = used(world, Period.HOUR)
        assert len({place for place, _ in by_sim}) == 2
        assert max(by_sim.values()) <= 20
        world.check()
