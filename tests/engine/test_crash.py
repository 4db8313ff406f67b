"""Killed at any moment, resumed: nobody twice, nobody lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import trio

from campaign.errors import StaleEpoch
from campaign.planner.options import CampaignOptions
from campaign.store.campaigns import NewRecipient, add_recipients, create_campaign
from campaign.store.claims import Claim
from campaign.store.door import transaction
from campaign.store.journal import begin_epoch
from campaign.store.loading import begin_fresh

Numbers = Callable[[int], list[str]]


@pytest.mark.parametrize("seed", range(12))
async def test_a_killed_campaign_resumes_and_everybody_gets_it_exactly_once(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, seed: int
) -> None:
    rng = random.Random(seed)
    async with make_world(seed=seed, sim1={"ports": 3}, sim2={"ports": 3}) as world:
        killed = await world.killed(rng.uniform(0, 30), lambda: world.launch(numbers(60)))
        while killed and world.sql("SELECT 1 FROM campaigns"):
            killed = await world.killed(rng.uniform(0, 60), world.resume)
        if not world.sql("SELECT 1 FROM campaigns WHERE state <> 'importing'"):
            assert not world.attempts
            return
        assert world.on_air() == Counter(numbers(60))
        assert world.states() == {"delivered": 60}
        world.check()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
async def test_a_killed_campaign_on_hostile_gateways_sends_nobody_twice(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, seed: int
) -> None:
    rng = random.Random(seed)
    hostile = {"ports": 3, "profile": "hostile"}
    settings = {"task-size": str(rng.choice((1, 5, 20)))}
    async with make_world(
        seed, settings, sim1=hostile, sim2={**hostile, "seed": seed + 99}
    ) as world:
        killed = await world.killed(rng.uniform(5, 40), lambda: world.launch(numbers(60)))
        while killed:
            killed = await world.killed(rng.uniform(5, 200), world.resume)
        world.check()
        assert world.sql("SELECT state FROM campaigns") == [("finished",)]


async def test_an_import_that_was_killed_is_dropped_and_told(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        assert await world.killed(0.0, lambda: world.launch(numbers(5000)))
        world.conn.execute("UPDATE campaigns SET state = 'importing'")
        if not world.sql("SELECT 1 FROM campaigns"):
            world.conn.execute(
                "INSERT INTO campaigns (name, state, list_name, message, options, created_ms)"
                " VALUES ('c', 'importing', 'l', 'm', '{}', 1)"
            )
        await world.resume()
        assert world.sql("SELECT * FROM campaigns") == []
        assert "import of c was interrupted" in world.notices[0]


async def test_a_first_import_that_was_killed_leaves_no_number_to_be_stored_twice(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        with transaction(world.conn):
            draft = create_campaign(
                world.conn, 1, name="c", list_name="l", message="m", columns=(),
                options=CampaignOptions(),
            )  # fmt: skip
            begin_fresh(world.conn)
            rows = [NewRecipient(line, numbers(1)[0], None, None, 1) for line in (2, 3)]
            add_recipients(world.conn, draft, rows, [], fresh=True)
        await world.resume()
        assert world.sql("SELECT * FROM recipients") == []
        assert world.sql("SELECT 1 FROM sqlite_master WHERE name = 'recipients_number'")
        await world.launch(numbers(3) * 2)
        assert world.on_air() == Counter(numbers(3))


async def test_a_stale_engine_writes_nothing_more(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:

        async def take_over() -> None:
            await trio.sleep(3)
            with transaction(world.conn):
                begin_epoch(world.conn)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_over)
            with pytest.raises(StaleEpoch):
                await world.launch(numbers(50))
        before = len(world.attempts)
        await trio.lowlevel.checkpoint()
        assert world.sql("SELECT count(*) FROM tasks")[0][0] <= before + 1


async def test_an_engine_that_slept_after_its_intent_posts_nothing_once_another_took_over(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:

        def stopped(result: Any) -> None:
            if isinstance(result, Claim) and result.tasks:
                world.slept = timedelta(minutes=20)
                with transaction(world.conn):
                    begin_epoch(world.conn)

        world.after_commit = stopped
        with pytest.raises(StaleEpoch):
            await world.launch(numbers(5))
        assert world.sql("SELECT count(*) > 0 FROM tasks") == [(1,)]
        assert world.board.requests["/goip_post_sms.html"] == 0


async def test_an_engine_that_slept_after_its_intent_and_is_still_alone_posts_it(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:

        def suspended(result: Any) -> None:
            if isinstance(result, Claim) and result.tasks:
                world.slept += timedelta(minutes=20)

        world.after_commit = suspended
        await world.launch(numbers(5))
        assert world.slept
        assert world.states() == {"delivered": 5}
        assert world.on_air() == Counter(numbers(5))


@pytest.mark.slow
async def test_what_a_killed_run_had_planned_is_not_posted_outside_the_window(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={"task-size": "1"}, sim1={"ports": 1}) as world:
        app = world.board.apps["sim1"]

        async def refuse(request: httpx.Request, forward: Any) -> httpx.Response:
            if request.url.path == "/goip_post_sms.html":
                await trio.sleep(0.1)
                raise httpx.ConnectError("refused", request=request)
            answer: httpx.Response = await forward(request)
            return answer

        world.put_between("sim1", refuse)
        hours = {"window": "10:00-11:00", "timezone": "UTC"}
        assert await world.killed(1.5, lambda: world.launch(numbers(2), **hours))
        assert world.sql("SELECT DISTINCT state FROM tasks") == [("planned",)]
        world.board.apps["sim1"] = app
        await trio.sleep(2 * 3600)  # at noon
        with trio.move_on_after(600):
            await world.resume()
        assert not world.attempts
        assert world.states() == {"pending": 2}
