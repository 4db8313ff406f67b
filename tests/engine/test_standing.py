"""The engine as a service: nothing but whoever stops it ends it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio
import trio.testing

from campaign.engine.control import answer_stream
from campaign.engine.conversation import Conversation
from campaign.engine.engine import run_engine
from campaign.engine.intake import LaunchRequest
from campaign.engine.runtime import Run
from campaign.engine.standing import stand
from campaign.planner.options import CampaignOptions
from campaign.planner.states import CampaignState
from campaign.store.campaigns import list_campaigns

Numbers = Callable[[int], list[str]]

_NOT_OVER = (CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.WAITING)


@asynccontextmanager
async def serving(world: Any) -> AsyncIterator[Run]:
    """The service for as long as the block lasts; whatever ended it sooner is a failure."""

    async def job(run: Run) -> None:
        stand(run, list_campaigns(world.conn, _NOT_OVER))

    async def serve() -> None:
        await run_engine(world.run(), job)
        raise AssertionError("it ended by itself")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await trio.sleep(1)
        yield world.runs[-1]
        nursery.cancel_scope.cancel()


async def ask(world: Any, request: dict[str, Any]) -> dict[str, Any]:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery, ours:
        nursery.start_soon(answer_stream, world.runs[-1], theirs)
        return await Conversation(ours).ask(request)


async def do(world: Any, verb: str, **parameters: Any) -> None:
    await ask(world, {"cmd": "do", "verb": verb, "parameters": parameters})


async def hand_over(world: Any, name: str, numbers: list[str], **options: Any) -> None:
    path = world.write_list(numbers, f"{name}.csv")
    request = LaunchRequest(
        name=name, path=str(path), list_name=path.name, message="Hi",
        rejects=str(path) + ".rejects.csv", options=CampaignOptions(**options),
    )  # fmt: skip
    await ask(world, {"cmd": "launch", "request": msgspec.to_builtins(request)})


async def until_over(world: Any, name: str) -> None:
    with trio.fail_after(3600):
        over = "SELECT 1 FROM campaigns WHERE name = ? AND state = 'finished'"
        while not world.sql(over, name):  # noqa: ASYNC110 - another process would look, too
            await trio.sleep(1)


async def test_it_waits_for_campaigns_sends_each_and_lets_it_go(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}) as world, serving(world) as run:
        await trio.sleep(300)
        await hand_over(world, "one", numbers(10))
        await until_over(world, "one")
        await trio.sleep(300)
        await hand_over(world, "two", numbers(30)[10:])
        await hand_over(world, "three", numbers(60)[30:])
        await until_over(world, "two")
        await until_over(world, "three")
        await trio.sleep(5)
        assert world.on_air() == Counter(numbers(60))
        assert (run.targets, run.campaigns) == (set(), {})
        assert (await ask(world, {"cmd": "status"}))["serving"]
        world.check()


async def test_nothing_to_do_costs_nothing_but_a_look_at_each_device(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}) as world, serving(world) as run:
        await trio.sleep(60)
        before = sum(world.board.requests.values())
        reads: list[object] = []
        world.conn.set_trace_callback(reads.append)
        await trio.sleep(600)
        world.conn.set_trace_callback(None)
        looks = 600 / run.gateways[1].settings.status_period
        assert sum(world.board.requests.values()) - before <= 4 * looks + 4
        assert len(reads) <= 60 * looks + 60


async def test_a_campaign_that_waits_on_an_alarm_stays_and_goes_on_once_it_is_lifted(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2, "password": "another"}) as world:
        async with serving(world):
            await hand_over(world, "one", numbers(10))
            await trio.sleep(60)
            (shown,) = (await ask(world, {"cmd": "status"}))["campaigns"]
            assert shown["state"] == "waiting"
            assert shown["waiting_for"].startswith("sim1: ")
            decisions = world.sql("SELECT count(*) FROM decisions WHERE kind = 'waiting'")
            await trio.sleep(600)
            assert world.sql("SELECT count(*) FROM decisions WHERE kind = 'waiting'") == decisions
        async with serving(world):  # a restart does not lift it
            await trio.sleep(60)
            assert not world.attempts
            assert world.sql("SELECT state FROM campaigns") == [("waiting",)]
            await do(world, "gateway-set", name="sim1", columns={"secret": "another"}, settings={})
            await until_over(world, "one")
        assert world.on_air() == Counter(numbers(10))
        assert "campaign one goes on: the alarm is lifted" in world.notices
        world.check()


async def test_an_alarm_that_is_lifted_in_vain_is_one_again(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2, "password": "another"}) as world, serving(world):
        await hand_over(world, "one", numbers(10))
        await trio.sleep(60)
        await do(world, "lift-all")
        await trio.sleep(60)
        assert world.sql("SELECT state, waiting_for IS NULL FROM campaigns") == [("waiting", 0)]
        assert world.sql("SELECT count(*) FROM decisions WHERE kind = 'waiting'") == [(2,)]


async def test_a_gateway_that_is_added_while_it_serves_is_used(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1, "sms_seconds": 30}) as world:
        async with trio.open_nursery() as nursery, serving(world):
            await hand_over(world, "one", numbers(40))
            await trio.sleep(60)
            world.add_simulator("sim2", nursery, ports=8)
            await do(
                world, "gateway-add", name="sim2", url="http://sim2", username="root",
                secret="root", token="0123456789abcdef",
            )  # fmt: skip
            await until_over(world, "one")
            nursery.cancel_scope.cancel()
        assert {attempt.device for attempt in world.attempts} == {"sim1", "sim2"}
        assert world.on_air() == Counter(numbers(40))


async def test_a_paused_campaign_stays_paused_over_a_restart_until_continue(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}) as world:
        async with serving(world):
            await hand_over(world, "one", numbers(60))
            await trio.sleep(10)
            await do(world, "pause", name="one")
            await trio.sleep(60)
        sent = len(world.attempts)
        assert 0 < sent < 60
        async with serving(world):
            await trio.sleep(600)
            assert len(world.attempts) == sent
            await do(world, "continue", name="one")
            await until_over(world, "one")
        assert world.on_air() == Counter(numbers(60))
        world.check()


async def test_who_is_sent_to_again_by_decision_is_taken_up_by_an_idle_service(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2, "fail_rate": 1.0}) as world, serving(world):
        await hand_over(world, "one", numbers(3), retries=0)
        await until_over(world, "one")
        assert world.states("one") == {"failed": 3}
        tried = len(world.attempts)
        await do(world, "retry", name="one", yes=True)
        await until_over(world, "one")
        assert len(world.attempts) > tried
        await trio.sleep(5)
        assert world.runs[-1].campaigns == {}
