"""Pause, continue and cancel through the control socket act on the devices within seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from campaign.engine.control import Conversation, answer_stream
from campaign.engine.intake import LaunchRequest
from campaign.errors import EngineError
from campaign.planner.options import CampaignOptions
from campaign.store.optouts import OptOut, add_optouts

Numbers = Callable[[int], list[str]]


async def ask(world: Any, request: dict[str, Any]) -> dict[str, Any]:
    """One question over the control protocol, in memory (real sockets know no virtual time)."""
    ours, theirs = trio.testing.memory_stream_pair()
    answers: list[dict[str, Any] | EngineError] = []
    async with trio.open_nursery() as nursery, ours:
        nursery.start_soon(answer_stream, world.runs[-1], theirs)
        try:
            answers.append(await Conversation(ours).ask(request))
        except EngineError as error:
            answers.append(error)
    if isinstance(answers[0], EngineError):
        raise answers[0]
    return answers[0]


async def do(world: Any, verb: str, **parameters: Any) -> dict[str, Any]:
    answer = await ask(world, {"cmd": "do", "verb": verb, "parameters": parameters})
    result: dict[str, Any] = answer["result"]
    return result


async def beside(world: Any, work: Callable[[], Awaitable[None]], **launch: Any) -> None:
    """Launch, and do something from outside meanwhile."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        await world.launch(**launch)


async def test_a_paused_campaign_stops_on_the_device_and_continues(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2, "sms_seconds": 3}) as world:
        paused_at: list[int] = []

        async def work() -> None:
            await trio.sleep(60)
            await do(world, "pause", name="c")
            await trio.sleep(10)
            paused_at.append(len(world.attempts))
            await trio.sleep(600)
            paused_at.append(len(world.attempts))
            await do(world, "continue", name="c")

        await beside(world, work, numbers=numbers(80))
        assert 0 < paused_at[0] == paused_at[1] < 80
        assert world.on_air() == Counter(numbers(80))
        assert world.states() == {"delivered": 80}
        world.check()


async def test_a_cancelled_campaign_takes_back_what_is_queued(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2, "sms_seconds": 3}) as world:
        at_cancel: list[int] = []

        async def work() -> None:
            await trio.sleep(60)
            at_cancel.append(len(world.attempts))
            await do(world, "cancel", name="c")

        await beside(world, work, numbers=numbers(200))
        states = world.states()
        assert len(world.attempts) <= at_cancel[0] + 4
        assert states["cancelled"] >= 150
        assert not set(states) & {"pending", "held", "assigned"}
        assert world.sql("SELECT state FROM campaigns") == [("cancelled",)]
        world.check()


async def test_an_opt_out_takes_the_number_back_from_the_device(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {"task-size": "1"}
    async with make_world(settings=settings, sim1={"ports": 1, "sms_seconds": 10}) as world:
        last = numbers(7)[-1]

        async def work() -> None:
            await trio.sleep(45)
            assert world.sql("SELECT state FROM recipients WHERE number = ?", last) == [
                ("assigned",)
            ]
            add_optouts(world.optouts, [OptOut(last, 1, "operator")])
            await do(world, "optouts-changed")

        await beside(world, work, numbers=numbers(7))
        assert world.sql("SELECT state, cause FROM recipients WHERE number = ?", last) == [
            ("skipped", "opted_out")
        ]
        assert not world.on_air()[last]
        world.check()


async def test_a_second_list_is_taken_over_by_the_running_engine(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}) as world:
        second = world.write_list(numbers(30)[20:], "second.csv")
        request = LaunchRequest(
            name="two", path=str(second), list_name="second.csv", message="Hi",
            rejects=str(second) + ".rejects.csv", options=CampaignOptions(),
        )  # fmt: skip

        async def work() -> None:
            await trio.sleep(5)
            answer = await ask(world, {"cmd": "launch", "request": msgspec.to_builtins(request)})
            assert answer == {"launched": "two", "recipients": 10, "refused": 0}

        await beside(world, work, numbers=numbers(20))
        assert world.states("c") == {"delivered": 20}
        assert world.states("two") == {"delivered": 10}


async def test_a_command_that_cannot_be_is_answered_with_its_reason(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:

        async def work() -> None:
            await trio.sleep(1)
            with pytest.raises(EngineError, match="no campaign named 'x'") as caught:
                await do(world, "pause", name="x")
            assert caught.value.exit_code == 2
            with pytest.raises(EngineError, match="unknown command"):
                await do(world, "dance")

        await beside(world, work, numbers=numbers(3))
