"""Pause, continue and cancel through the control socket act on the devices within seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx
import msgspec
import pytest
import trio
import trio.testing

from campaign.engine.control import answer_stream
from campaign.engine.conversation import Conversation
from campaign.engine.intake import LaunchRequest
from campaign.engine.verbs import perform
from campaign.errors import EngineError, UsageError
from campaign.planner.options import CampaignOptions
from campaign.store.campaigns import create_campaign
from campaign.store.door import transaction
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
            add_optouts(world.optouts, [OptOut(last, world.env.wall_ms(), "operator")])
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


async def test_settings_changed_during_a_post_leave_nobody_behind(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={"task-size": "1"}, sim1={"ports": 1}) as world:
        posts: list[bytes] = []

        async def first_post_hangs(request: httpx.Request, forward: Any) -> httpx.Response:
            if request.url.path == "/goip_post_sms.html":
                posts.append(request.content)
                await trio.sleep(5 if len(posts) == 1 else 0)
            answer: httpx.Response = await forward(request)
            return answer

        world.put_between("sim1", first_post_hangs)

        async def work() -> None:
            await trio.sleep(2)
            async with trio.open_nursery() as nursery:
                for limit in ("200", "201"):
                    set_ = partial(do, world, "gateway-set", name="sim1")
                    nursery.start_soon(partial(set_, settings={"max-chars": limit}))

        with trio.fail_after(3600):
            await beside(world, work, numbers=numbers(3))
        assert world.states() == {"delivered": 3}
        world.check()


async def test_settings_of_a_gateway_that_contradict_a_running_campaigns_are_refused(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:

        async def work() -> None:
            await trio.sleep(1)
            settings = {"report-period": "20s", "report-horizon": "60s"}
            with pytest.raises(EngineError, match="campaign c: report-horizon=15s"):
                await do(world, "gateway-set", name="sim1", settings=settings)

        await beside(world, work, numbers=numbers(20), settings={"report-horizon": "15s"})
        assert world.states() == {"delivered": 20}


async def test_a_list_handed_over_whose_rejects_cannot_be_written_ends_no_run(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        second = world.folder / "second.csv"
        second.write_text("phone\n+99911110000\nnonsense\n")
        request = LaunchRequest(
            name="two", path=str(second), list_name="second.csv", message="Hi",
            rejects=str(world.folder / "missing" / "rejects.csv"), options=CampaignOptions(),
        )  # fmt: skip

        async def work() -> None:
            await trio.sleep(1)
            with pytest.raises(EngineError, match=r"rejects\.csv"):
                await ask(world, {"cmd": "launch", "request": msgspec.to_builtins(request)})

        await beside(world, work, numbers=numbers(5))
        assert world.states() == {"delivered": 5}


async def test_a_small_second_campaign_is_not_starved_by_a_slow_first_one(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {"return-path": "assume", "task-size": "1"}
    async with make_world(settings=settings, sim1={"ports": 2, "sms_seconds": 8}) as world:
        second = world.write_list(["99911110000"], "second.csv")
        request = LaunchRequest(
            name="two", path=str(second), list_name="second.csv", message="Hi",
            rejects=str(second) + ".rejects.csv", options=CampaignOptions(receipts=False),
        )  # fmt: skip

        async def work() -> None:
            await trio.sleep(60)
            await ask(world, {"cmd": "launch", "request": msgspec.to_builtins(request)})
            await trio.sleep(120)
            assert world.states("two") == {"sent": 1}

        await beside(world, work, numbers=numbers(100), rate="15/min")


async def test_a_list_that_is_still_imported_is_not_cancelled_half(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        with transaction(world.conn):
            create_campaign(
                world.conn, 1, name="c", list_name="l", message="m", columns=(),
                options=CampaignOptions(),
            )  # fmt: skip
            with pytest.raises(UsageError, match="still being imported"):
                perform(world.conn, 2, "cancel", {"name": "c"})
        assert world.sql("SELECT state FROM campaigns") == [("importing",)]
