"""Where parts of the scheduler meet: what one campaign waits for must not hold up another."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import trio

from campaign.engine.engine import run_engine
from campaign.engine.intake import LaunchRequest, intake
from campaign.engine.runtime import Run
from campaign.planner.options import CampaignOptions
from tests.engine.conftest import Between, Forward
from tests.engine.overtaking import hand_over, store_campaign
from tests.engine.test_many_campaigns import people

Numbers = Callable[[int], list[str]]
SURE = {"return-path": "assume"}


async def test_a_canary_that_nobody_can_serve_holds_up_no_other_campaign(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=SURE, sim1={"ports": 4, "sms_seconds": 1.0}) as world:
        other = store_campaign(world, "other", people(7, 400), receipts=False)
        path = world.write_list([*(f"9991{i:08d}" for i in range(5)), *numbers(30)])
        options = CampaignOptions(routes=("9991=@nobody",), canary="5", receipts=False)
        request = LaunchRequest(
            name="c", path=str(path), list_name="l", message="Hello", rejects=f"{path}.rejects",
            options=options,
        )  # fmt: skip

        async def job(run: Run) -> None:
            run.targets.add(other)
            await intake(run, request, lambda _rows, _refused: None)

        with trio.move_on_after(150):
            await run_engine(world.run(), job)
        assert world.states("other") == {"sent": 400}
        assert world.states("c") == {"pending": 35}


async def test_a_sim_of_a_held_gateway_is_waited_for_no_longer_than_any_other(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    small = {"ports": 1, "sms_seconds": 1.0}
    async with make_world(sim1=small, sim2={**small, "seed": 7}) as world:
        await world.launch(numbers(12), name="first", gateways=("sim1",))
        world.attempts.clear()
        ((token,),) = world.sql("SELECT token FROM gateways WHERE name = 'sim1'")

        async def lose(request: httpx.Request, forward: Forward) -> httpx.Response:
            if token in request.url.path:
                raise httpx.ConnectError("lost", request=request)
            return await forward(request)

        world.board.apps["receiver"] = Between(world.board.apps["receiver"], lose)
        with trio.move_on_after(900):
            await world.launch(
                numbers(12), spread="sticky", settings={"sticky-wait": "2m"}, again=True
            )
        by = Counter(attempt.device for attempt in world.attempts)
        assert by["sim1"] <= 4  # one to begin with, then the probes
        assert by["sim2"] >= 8


async def test_what_an_urgent_campaign_overtook_goes_on_though_its_gateway_is_stopped(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    async with make_world(settings=SURE, sim1={"ports": 2, "sms_seconds": 3}) as world:
        refusing: list[bool] = []

        async def handle(request: httpx.Request, forward: Forward) -> httpx.Response:
            if not refusing or "post_sms" not in request.url.path:
                return await forward(request)
            rows = [
                {"tid": t["tid"], "status": "9 x"} for t in json.loads(request.content)["tasks"]
            ]
            answer = {"code": 200, "reason": "OK", "type": "task-status", "status": rows}
            return httpx.Response(200, json=answer, request=request)

        world.put_between("sim1", handle)
        big = store_campaign(world, "big", people(1, 500), receipts=False)

        async def job(run: Run) -> None:
            run.targets.add(big)

        async def urgent() -> None:
            await trio.sleep(30)
            await hand_over(world, "urgent", people(2, 60), priority="urgent", receipts=False)
            await trio.sleep(4)
            refusing.append(True)

        with trio.move_on_after(1200):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(urgent)
                ended = await run_engine(world.run(), job)
                assert set(ended.waiting) == {"big", "urgent"}
                nursery.cancel_scope.cancel()
        assert not world.sql("SELECT id FROM tasks WHERE state = 'paused'")
        assert "assigned" not in world.states("big")
