"""A campaign that is let go while a device was being asked about its tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import trio

from campaign.engine.standing import let_go
from campaign.engine.steer import steer_all
from campaign.store.door import transaction
from campaign.store.tasks import mark_paused
from tests.engine.overtaking import store_campaign
from tests.engine.test_standing import serving

Numbers = Callable[[int], list[str]]
Forward = Callable[[httpx.Request], Awaitable[httpx.Response]]


async def test_a_resume_is_settled_after_its_campaign_was_let_go(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {"return-path": "assume"}
    async with make_world(settings=settings, sim1={"ports": 1, "sms_seconds": 20}) as world:
        store_campaign(world, "c", numbers(2), receipts=False)
        asked: list[str] = []

        async def gone_meanwhile(request: httpx.Request, forward: Forward) -> httpx.Response:
            answer = await forward(request)
            if request.url.path == "/goip_resume_sms.html":
                asked.append(request.url.path)
                run = world.runs[-1]
                for campaign in list(run.campaigns.values()):
                    run.targets.discard(campaign.id)
                    let_go(run, campaign)
            return answer

        world.put_between("sim1", gone_meanwhile)
        async with serving(world) as run:
            await trio.sleep(5)
            with transaction(world.conn):
                mark_paused(world.conn, [id_ for (id_,) in world.sql("SELECT id FROM tasks")])
            assert await steer_all(run, run.gateways[1])
            assert asked
            await trio.sleep(120)
            assert world.sql("SELECT count(*) FROM tasks WHERE state = 'paused'") == [(0,)]
        assert world.on_air() == Counter(numbers(2))
        assert world.states() == {"sent": 2}
