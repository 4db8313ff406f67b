"""Taking back: what was queued goes elsewhere only on proof, and nothing hangs for ever."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import trio

from campaign.engine.engine import run_engine
from campaign.engine.runtime import Run
from campaign.engine.steer import carry_out
from campaign.errors import UsageError
from campaign.planner.states import CampaignState
from campaign.simulator.settings import Faults

Numbers = Callable[[int], list[str]]
ONE = {"task-size": "1"}
MUTE = Faults(push_loss=1.0)


async def resume_all(run: Run) -> None:
    run.targets |= set(run.campaigns)


async def test_what_a_device_would_not_remove_is_never_given_to_another_port(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    stubborn = {"ports": 2, "pause_started": False, "remove_started": False, "sms_seconds": 8}
    async with make_world(settings={"return-path": "assume"}, sim1=stubborn) as world:

        async def port_1_stands_still_for_a_while() -> None:
            await trio.sleep(10)  # each port has sent one message, and the second is on air
            await world.command("sim1", op="lock", ports="1")
            await trio.sleep(200)
            await world.command("sim1", op="unlock", ports="1")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(port_1_stands_still_for_a_while)
            await world.launch(numbers(8))
        await trio.sleep(200)
        world.check()


async def test_a_resume_on_its_way_does_not_let_a_fence_release_what_then_starts(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {**ONE, "return-path": "assume"}
    async with make_world(settings=settings, sim1={"ports": 2, "sms_seconds": 10}) as world:
        slow = False

        async def late(request: httpx.Request, forward: Any) -> httpx.Response:
            if slow and request.url.path == "/goip_resume_sms.html":
                await trio.sleep(2)
            answer: httpx.Response = await forward(request)
            if slow and request.url.path == "/goip_get_tasks.html":
                await trio.sleep(3)
            return answer

        world.put_between("sim1", late)

        async def continued_while_its_port_is_cleared() -> None:
            nonlocal slow
            await trio.sleep(5)
            run = world.runs[-1]
            (campaign,) = run.campaigns.values()
            await carry_out(run, campaign, CampaignState.PAUSED)
            await trio.sleep(15)
            slow = True
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(carry_out, run, campaign, CampaignState.RUNNING))
                await trio.sleep(0.1)
                run.gateways[1].ports[1].rest(trio.current_time(), 60)
                run.gateways[1].duties.ring()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(continued_while_its_port_is_cleared)
            await world.launch(numbers(3))
        world.check()


async def test_one_report_without_detail_does_not_empty_a_port_that_moves(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    people = [f"9990000{i:06d}" for i in range(100, 250)]
    people[2] = "99900010007"  # fails, and the report that says so is lost
    sim = {"ports": 1, "magic": True, "sms_seconds": 3}
    async with make_world(settings={"task-size": "5"}, sim1=sim) as world:
        lost: list[bytes] = []

        async def lose_one(request: httpx.Request, forward: Any) -> httpx.Response:
            body = request.content
            if b'"status-report"' in body and trio.current_time() - world.zero > 60:
                lost.append(body)
                if body == lost[0]:
                    raise httpx.ConnectError("lost", request=request)
            answer: httpx.Response = await forward(request)
            return answer

        world.put_between("receiver", lose_one)
        await world.launch(people, receipts=False)
        assert lost
        assert world.states().get("unknown", 0) <= 6
        assert not any("fell silent" in notice for notice in world.notices)


async def test_a_gateway_that_never_comes_back_leaves_unknowns_not_a_run_without_end(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {"return-path": "assume"}
    mute = {"ports": 1, "faults": MUTE}
    async with make_world(settings=settings, sim1=mute, sim2={"ports": 1}) as world:

        async def is_unplugged() -> None:
            await trio.sleep(10)
            del world.board.apps["sim1"]

        with trio.fail_after(2 * 3600):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(is_unplugged)
                await world.launch(numbers(60))
        world.check()
        assert not set(world.states()) & {"assigned", "pending", "held"}
        assert world.sql("SELECT DISTINCT cause FROM recipients WHERE state = 'unknown'") == [
            ("unreachable",)
        ]


async def test_what_is_in_flight_on_a_gateway_without_its_password_ends_the_run_as_waiting(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {"return-path": "assume"}
    mute = {"ports": 1, "faults": MUTE}
    async with make_world(settings=settings, sim1={"ports": 1}, sim2=mute) as world:
        assert await world.killed(2, lambda: world.launch(numbers(20)))
        run = world.run()
        connect = run.connect

        def without_password(row: Any, settings: Any) -> Any:
            if row.name == "sim2":
                raise UsageError("sim2: its password is not there")
            return connect(row, settings)

        run.connect = without_password
        with trio.fail_after(4 * 3600):
            ended = await run_engine(run, resume_all)
        assert "its password is not there" in ended.waiting["c"]
        with trio.fail_after(4 * 3600):
            await world.resume()
        assert not set(world.states()) & {"assigned", "pending", "held"}
        world.check()


async def test_a_task_on_a_port_that_is_gone_ends_no_run(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {**ONE, "return-path": "assume"}
    async with make_world(settings=settings, sim1={"ports": 2, "faults": MUTE}) as world:

        async def without_port_1(request: httpx.Request, forward: Any) -> httpx.Response:
            answer: httpx.Response = await forward(request)
            if request.url.path != "/goip_get_status.html":
                return answer
            await answer.aread()
            status = answer.json()
            status["status"] = [row for row in status["status"] if row["port"] != "1A"]
            return httpx.Response(200, json=status)

        assert await world.killed(1, lambda: world.launch(numbers(4)))
        await world.command("sim1", op="lock", ports="1")
        world.put_between("sim1", without_port_1)
        with trio.fail_after(3600):
            await world.resume()
        world.check()
        assert not set(world.states()) & {"assigned", "pending", "held"}


async def test_a_port_that_fails_all_it_has_queued_costs_nobody_a_known_outcome(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    good = {"ports": 2, "sms_seconds": 1.0}
    bad = {**good, "fail_rate": 0.95, "seed": 5}
    settings = {"port-window": "60s", "task-size": "5", "port-rest": "20s"}
    async with make_world(settings=settings, good=good, bad=bad) as world:
        await world.launch(numbers(120), retries=6)
        world.check()
        assert "unknown" not in world.states()
        assert any("failed 3 in a row" in line for line in world.notices)
        assert world.states()["delivered"] >= 115
