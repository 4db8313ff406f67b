"""An urgent campaign goes before what devices already hold of the others, and nothing is lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import trio

from tests.engine.overtaking import hand_over, overtake_once, store_campaign

Numbers = Callable[[int], list[str]]
URGENT = [f"99911{i:06d}" for i in range(100)]


@pytest.mark.slow
async def test_an_urgent_hundred_on_32_busy_ports_is_out_within_a_minute(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    device = {"ports": 32, "sms_seconds": 6}
    async with make_world(sim1=device) as world:
        overtaken = await overtake_once(world, numbers(1500), URGENT)
        # four messages of six seconds on each port, and what was on air there before
        assert overtaken.seconds < 36
        assert world.on_air() == Counter(numbers(1500) + URGENT)
        assert world.states("big") == {"sent": 1500}
        assert world.states("urgent") == {"sent": 100}
        assert not world.sql("SELECT 1 FROM tasks WHERE state <> 'closed'")
        world.check()


@pytest.mark.slow
async def test_what_an_urgent_campaign_does_not_use_goes_on(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    device = {"ports": 8, "sms_seconds": 6}
    async with make_world(sim1=device) as world:
        overtaken = await overtake_once(world, numbers(300), URGENT[:2])
        assert overtaken.seconds < 12
        assert overtaken.others >= 6
        world.check()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
async def test_an_engine_killed_while_others_are_overtaken_leaves_nothing_paused(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, seed: int
) -> None:
    rng = random.Random(seed)
    device = {"ports": 4, "sms_seconds": 3, "pause_started": seed % 2 == 0}
    async with make_world(seed=seed, sim1=device, sim2=device) as world:
        store_campaign(world, "big", numbers(150))
        store_campaign(world, "small", URGENT[50:70], priority="low")

        async def drive() -> None:
            await trio.sleep(20)
            await hand_over(world, "urgent", URGENT[:40], priority="urgent")

        async def first() -> Any:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(drive)
                return await world.resume()

        killed = await world.killed(20 + rng.uniform(0.5, 25), first)
        assert killed
        while killed:
            killed = await world.killed(rng.uniform(5, 90), world.resume)
        urgent = URGENT[:40] if world.sql("SELECT 1 FROM campaigns WHERE id = 3") else []
        assert world.on_air() == Counter(numbers(150) + URGENT[50:70] + urgent)
        assert not world.sql("SELECT 1 FROM tasks WHERE state <> 'closed'")
        world.check()


@pytest.mark.parametrize("seed", range(6))
async def test_overtaking_on_hostile_gateways_sends_nobody_twice(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, seed: int
) -> None:
    device = {"ports": 3, "sms_seconds": 3, "profile": "hostile", "seed": seed}
    async with make_world(seed=seed, settings={"task-size": "5"}, sim1=device) as world:
        await overtake_once(world, numbers(60), URGENT[:15], after=15)
        assert world.sql("SELECT DISTINCT state FROM campaigns") == [("finished",)]
        assert not world.sql("SELECT 1 FROM tasks WHERE state <> 'closed'")
        world.check()
