"""Pause, continue and cancel through the control socket act on the devices within seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from campaign.engine.control import converse
from campaign.errors import EngineError

Numbers = Callable[[int], list[str]]


async def do(socket: Path, verb: str, **parameters: Any) -> dict[str, Any]:
    async with converse(socket) as conversation:
        answer = await conversation.ask({"cmd": "do", "verb": verb, "parameters": parameters})
        result: dict[str, Any] = answer["result"]
        return result


async def beside(world: Any, work: Callable[[], Awaitable[None]], **launch: Any) -> None:
    """Launch, and do something from outside meanwhile."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        await world.launch(control=world.folder / "sock", **launch)


async def test_a_paused_campaign_stops_on_the_device_and_continues(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2, "sms_seconds": 3}) as world:
        paused_at: list[int] = []

        async def work() -> None:
            await trio.sleep(60)
            await do(world.folder / "sock", "pause", name="c")
            await trio.sleep(10)
            paused_at.append(len(world.attempts))
            await trio.sleep(600)
            paused_at.append(len(world.attempts))
            await do(world.folder / "sock", "continue", name="c")

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
            await do(world.folder / "sock", "cancel", name="c")

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
    from campaign.store.optouts import OptOut, add_optouts

    settings = {"task-size": "1"}
    async with make_world(settings=settings, sim1={"ports": 1, "sms_seconds": 10}) as world:
        last = numbers(7)[-1]

        async def work() -> None:
            await trio.sleep(45)
            assert world.sql("SELECT state FROM recipients WHERE number = ?", last) == [
                ("assigned",)
            ]
            add_optouts(world.optouts, [OptOut(last, 1, "operator")])
            await do(world.folder / "sock", "optouts-changed")

        await beside(world, work, numbers=numbers(7))
        assert world.sql("SELECT state, cause FROM recipients WHERE number = ?", last) == [
            ("skipped", "opted_out")
        ]
        assert not world.on_air()[last]
        world.check()


async def test_a_second_list_is_taken_over_by_the_running_engine(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    import msgspec

    from campaign.engine.intake import LaunchRequest
    from campaign.planner.options import CampaignOptions

    async with make_world(sim1={"ports": 2}) as world:
        second = world.write_list(numbers(30)[20:], "second.csv")
        request = LaunchRequest(
            name="two", path=str(second), list_name="second.csv", message="Hi",
            rejects=str(second) + ".rejects.csv", options=CampaignOptions(),
        )  # fmt: skip

        async def work() -> None:
            await trio.sleep(5)
            async with converse(world.folder / "sock") as conversation:
                command = {"cmd": "launch", "request": msgspec.to_builtins(request)}
                answer = await conversation.ask(command)
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
                await do(world.folder / "sock", "pause", name="x")
            assert caught.value.exit_code == 2
            with pytest.raises(EngineError, match="unknown command"):
                await do(world.folder / "sock", "dance")

        await beside(world, work, numbers=numbers(3))
