"""A pause or resume without an answer may have been carried out, may not, or may be yet to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx
import trio

from tests.engine.test_steering import beside, do

Numbers = Callable[[int], list[str]]
Forward = Callable[[httpx.Request], Awaitable[httpx.Response]]

PAUSE, RESUME = "/goip_pause_sms.html", "/goip_resume_sms.html"
SETTINGS = {"return-path": "assume", "report-period": "10s"}
TALKATIVE = {"ports": 1, "sms_seconds": 6, "idle_reports": True}
"""Its reports go on while it is paused: no silence tells that nothing moves."""


async def answer_lost(request: httpx.Request, forward: Forward) -> httpx.Response:
    """Carried out, but nobody is told."""
    await forward(request)
    raise httpx.ReadError("connection reset", request=request)


async def test_a_pause_whose_answer_was_lost_ends_with_the_continue(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=SETTINGS, sim1=TALKATIVE) as world:

        async def deaf(request: httpx.Request, forward: Forward) -> httpx.Response:
            if request.url.path == PAUSE:
                return await answer_lost(request, forward)
            return await forward(request)

        world.put_between("sim1", deaf)

        async def work() -> None:
            await trio.sleep(20)
            await do(world, "pause", name="c")
            await trio.sleep(20)
            await do(world, "continue", name="c")

        with trio.fail_after(3600):
            await beside(world, work, numbers=numbers(30), receipts=False)
        assert world.states() == {"sent": 30}
        assert world.on_air() == Counter(numbers(30))
        world.check()


async def test_a_pause_that_comes_late_to_the_device_is_undone_all_the_same(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=SETTINGS, sim1=TALKATIVE) as world, trio.open_nursery() as late:

        async def slow(request: httpx.Request, forward: Forward) -> httpx.Response:
            if request.url.path != PAUSE:
                return await forward(request)

            async def arrives() -> None:
                await trio.sleep(15)
                await forward(request)

            late.start_soon(arrives)
            await trio.sleep_forever()
            raise AssertionError

        world.put_between("sim1", slow)

        async def work() -> None:
            await trio.sleep(20)
            await do(world, "pause", name="c")  # gives up after 10 s
            await do(world, "continue", name="c")

        with trio.fail_after(3600):
            await beside(world, work, numbers=numbers(30), receipts=False)
        assert world.states() == {"sent": 30}
        world.check()


async def test_an_engine_killed_while_it_asked_for_a_pause_resumes_what_it_left(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=SETTINGS, sim1=TALKATIVE) as world:
        asked = trio.Event()

        async def slow(request: httpx.Request, forward: Forward) -> httpx.Response:
            answer = await forward(request)
            if request.url.path == PAUSE and not asked.is_set():
                asked.set()
                await trio.sleep_forever()
            return answer

        world.put_between("sim1", slow)

        async def paused() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(world.launch, numbers(30), receipts=False))
                await trio.sleep(20)
                await do(world, "pause", name="c")

        assert await world.killed(25, paused)
        assert asked.is_set()
        world.sql("UPDATE campaigns SET state = 'running'")
        with trio.fail_after(3600):
            await world.resume()
        assert world.states()["sent"] >= 29  # the one on air when the engine died may be unknown
        world.check()


async def test_a_resume_whose_answer_was_lost_is_undone_by_the_next_pause(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=SETTINGS, sim1=TALKATIVE) as world:
        sent: list[int] = []

        async def deaf(request: httpx.Request, forward: Forward) -> httpx.Response:
            if request.url.path == RESUME and not sent:
                return await answer_lost(request, forward)
            return await forward(request)

        world.put_between("sim1", deaf)

        async def work() -> None:
            await trio.sleep(20)
            await do(world, "pause", name="c")
            await trio.sleep(20)
            await do(world, "continue", name="c")
            await do(world, "pause", name="c")
            await trio.sleep(10)  # what was on air ends
            sent.append(len(world.attempts))
            await trio.sleep(100)
            sent.append(len(world.attempts))
            await do(world, "continue", name="c")

        with trio.fail_after(3600):
            await beside(world, work, numbers=numbers(60), receipts=False)
        assert sent[0] == sent[1] < 60
        assert world.states() == {"sent": 60}
        world.check()


async def test_a_resume_that_comes_late_to_the_device_ends_no_proof_of_a_fence(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {**SETTINGS, "task-size": "1"}
    sim = {"ports": 2, "sms_seconds": 6}
    async with make_world(settings=settings, sim1=sim) as world, trio.open_nursery() as late:
        fencing = trio.Event()

        async def slow(request: httpx.Request, forward: Forward) -> httpx.Response:
            if request.url.path == RESUME and not fencing.is_set():

                async def arrives() -> None:
                    await fencing.wait()
                    await forward(request)

                late.start_soon(arrives)
                await trio.sleep_forever()
            answer = await forward(request)
            if request.url.path == "/goip_get_tasks.html" and not fencing.is_set():
                fencing.set()
                await trio.sleep(2)  # the answer is on its way while the resume arrives
            return answer

        world.put_between("sim1", slow)

        async def work() -> None:
            await trio.sleep(20)
            await do(world, "pause", name="c")
            await trio.sleep(10)
            await do(world, "continue", name="c")
            gateway = world.runs[-1].gateways[1]
            gateway.ports[1].rest(trio.current_time(), 60)
            gateway.ports[1].evict = True
            gateway.duties.ring()

        await beside(world, work, numbers=numbers(20), receipts=False)
        assert fencing.is_set()
        assert max(world.on_air().values()) == 1
        world.check()


async def test_a_port_takes_no_more_until_what_was_paused_there_goes_on(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=SETTINGS, sim1={**TALKATIVE, "idle_reports": False}) as world:

        async def slow(request: httpx.Request, forward: Forward) -> httpx.Response:
            if request.url.path == RESUME:
                await trio.sleep(3)
            return await forward(request)

        world.put_between("sim1", slow)

        async def work() -> None:
            await trio.sleep(20)
            await do(world, "pause", name="c")
            await trio.sleep(100)
            await do(world, "continue", name="c")
            assert world.sql("SELECT count(*) FROM attempts WHERE live = 1") <= [(10,)]

        await beside(world, work, numbers=numbers(60), receipts=False)
        assert world.states() == {"sent": 60}
        world.check()


async def test_a_pause_while_its_gateway_is_changed_is_answered_and_carried_out(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=SETTINGS, sim1={"ports": 1, "sms_seconds": 3}) as world:
        sent: list[int] = []
        asked: list[float] = []

        async def slow(request: httpx.Request, forward: Forward) -> httpx.Response:
            if request.url.path == PAUSE:
                asked.append(trio.current_time() - world.zero)
                await trio.sleep(4 if len(asked) == 1 else 0)
                if asked[-1] < 26:
                    raise httpx.ConnectError("connection refused", request=request)
            return await forward(request)

        world.put_between("sim1", slow)

        async def work() -> None:
            await trio.sleep(20)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(do, world, "pause", name="c"))
                await trio.sleep(1)
                nursery.start_soon(partial(do, world, "pause", name="c"))  # waits for the first
                await trio.sleep(1)
                settings = {"max-chars": "200"}
                nursery.start_soon(
                    partial(do, world, "gateway-set", name="sim1", settings=settings)
                )
            await trio.sleep(60)
            sent.append(len(world.attempts))
            await trio.sleep(100)
            sent.append(len(world.attempts))
            await do(world, "continue", name="c")

        with trio.fail_after(3600):
            await beside(world, work, numbers=numbers(60), receipts=False)
        assert sent[0] == sent[1] < 60
        assert world.states()["sent"] >= 59  # what was on air when its gateway was let go
        world.check()
