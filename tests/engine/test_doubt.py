"""The in-doubt ladder and the fence, one named rule at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import trio

from campaign.engine.engine import run_engine
from campaign.store.alarms import lift_alarms
from campaign.store.campaigns import list_campaigns

Numbers = Callable[[int], list[str]]
ONE = {"task-size": "1"}


class Saboteur(httpx.AsyncBaseTransport):
    """Stands before a device's app and spoils chosen posts: 'request' never arrives, 'answer' is
    lost after the device took it, or a fixed body is answered instead of asking the device."""

    def __init__(self, inner: httpx.AsyncBaseTransport, *faults: str | bytes | None) -> None:
        self._inner = inner
        self._faults = list(faults)
        self.posts: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/goip_post_sms.html":
            return await self._inner.handle_async_request(request)
        self.posts.append(await request.aread())
        fault = self._faults.pop(0) if self._faults else None
        match fault:
            case None:
                return await self._inner.handle_async_request(request)
            case "request":
                raise httpx.ReadError("reset before it was read", request=request)
            case "answer":
                await self._inner.handle_async_request(request)
                raise httpx.ReadTimeout("no answer", request=request)
            case "refused":
                raise httpx.ConnectError("refused", request=request)
            case bytes():
                return httpx.Response(200, content=fault, request=request)
            case _:
                raise AssertionError(fault)


class Answers(httpx.AsyncBaseTransport):
    """Answers the first posts with a code for every task in them."""

    def __init__(self, world: Any, code: str, times: int) -> None:
        self._world, self._code, self._times = world, code, times
        self._inner = world.board.apps["sim1"]
        self.posts = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/goip_post_sms.html" or self.posts >= self._times:
            return await self._inner.handle_async_request(request)  # type: ignore[no-any-return]  # an ASGI app's
        self.posts += 1
        tids = [tid for (tid,) in self._world.sql("SELECT tid FROM tasks WHERE state = 'intent'")]
        items = ",".join(f'{{"tid":{tid},"status":"{self._code}"}}' for tid in tids)
        body = f'{{"code":200,"reason":"OK","type":"task-status","status":[{items}]}}'
        return httpx.Response(200, content=body.encode(), request=request)


def sabotage(world: Any, *faults: str | bytes | None, name: str = "sim1") -> Saboteur:
    world.board.apps[name] = saboteur = Saboteur(world.board.apps[name], *faults)
    return saboteur


@pytest.mark.parametrize("fault", ["request", "answer"])
async def test_a_doubtful_task_goes_out_once_under_the_same_tid_byte_for_byte(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, fault: str
) -> None:
    async with make_world(settings=ONE, sim1={"ports": 1, "sms_seconds": 1}) as world:
        saboteur = sabotage(world, fault)
        await world.launch(numbers(1))
        assert world.on_air() == Counter(numbers(1))
        assert world.states() == {"delivered": 1}
        assert len(set(saboteur.posts)) == 1
        assert len(saboteur.posts) == (2 if fault == "request" else 1)


async def test_a_doubtful_task_is_not_offered_again_before_the_horizon(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ONE, sim1={"ports": 1}) as world:
        sabotage(world, "request")
        await world.launch(numbers(1))
        ((intent, accepted),) = world.sql("SELECT intent_ms, accepted_ms FROM tasks")
        assert accepted - intent >= 30_000


async def test_a_doubtful_task_is_never_offered_again_after_a_restart_of_the_device(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ONE, sim1={"ports": 1}) as world:
        saboteur = sabotage(world, "request")

        async def restart() -> None:
            await trio.sleep(5)
            query = {"username": "root", "password": "root", "version": "1.1"}
            async with httpx.AsyncClient(transport=world.board) as client:
                url = "http://sim1/goip_send_cmd.html"
                body = {"type": "command", "op": "reboot"}
                assert (await client.post(url, params=query, json=body)).status_code == 200

        async with trio.open_nursery() as nursery:
            nursery.start_soon(restart)
            await world.launch(numbers(1))
        assert len(saboteur.posts) == 1
        assert world.sql("SELECT state, cause FROM recipients") == [("unknown", "reboot")]


async def test_with_no_tid_memory_a_doubtful_task_is_fenced_and_unknown(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {"task-size": "1", "tid-memory": "0"}
    async with make_world(settings=settings, sim1={"ports": 1}) as world:
        saboteur = sabotage(world, "request")
        await world.launch(numbers(1))
        assert len(saboteur.posts) == 1
        assert world.sql("SELECT state, cause FROM recipients") == [("unknown", "no_answer")]
        world.check()


async def test_a_connection_that_was_never_made_keeps_the_tid_and_costs_nothing(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ONE, sim1={"ports": 1}) as world:
        saboteur = sabotage(world, "refused")
        await world.launch(numbers(1))
        assert world.states() == {"delivered": 1}
        assert len(set(saboteur.posts)) == 1
        assert world.sql("SELECT posts FROM tasks") == [(1,)]
        assert world.sql("SELECT attempts FROM recipients") == [(1,)]


async def test_13_on_a_first_post_is_a_collision_and_ends_unknown(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ONE, sim1={"ports": 1}) as world:
        world.board.apps["sim1"] = answers = Answers(world, "13 Duplicated TaskId", 1)
        await world.launch(numbers(1))
        assert answers.posts == 1
        assert world.sql("SELECT state, cause FROM recipients") == [("unknown", "collision")]
        assert world.sql("SELECT count(*) FROM decisions WHERE kind = 'alarm'") == [(1,)]
        assert not world.attempts


@pytest.mark.parametrize(
    "code", ["16 Too Many Task", "10 Pending Transaction", "7 Server Error", "99 ?"]
)
async def test_back_pressure_and_passing_trouble_are_waited_out_under_new_tids(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, code: str
) -> None:
    async with make_world(settings=ONE, sim1={"ports": 1}) as world:
        world.board.apps["sim1"] = Answers(world, code, 2)
        await world.launch(numbers(2))
        assert world.on_air() == Counter(numbers(2))
        assert world.sql("SELECT count(*) = count(DISTINCT tid) FROM tasks") == [(1,)]
        assert world.sql("SELECT DISTINCT attempts, failures FROM recipients") == [(1, 0)]
        world.check()


@pytest.mark.parametrize("code", ["8 SMS expected", "17 MMS Title expected"])
async def test_content_the_device_refuses_fails_those_recipients_only(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, code: str
) -> None:
    async with make_world(settings=ONE, sim1={"ports": 1}) as world:
        world.board.apps["sim1"] = Answers(world, code, 1)
        await world.launch(numbers(2))
        assert world.states() == {"failed": 1, "delivered": 1}
        world.check()


@pytest.mark.parametrize("code", ["9 TO expected", "12 FROM Expected", "14 Unauthorized"])
async def test_what_we_or_the_device_misread_stops_the_gateway_with_an_alarm(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, code: str
) -> None:
    async with make_world(settings=ONE, sim1={"ports": 1}) as world:
        world.board.apps["sim1"] = Answers(world, code, 1)
        ended = await world.launch(numbers(2))
        assert code in ended.waiting["c"]
        assert world.states() == {"pending": 2}
        world.board.apps["sim1"] = httpx.ASGITransport(world.simulators["sim1"].app)

        async def lifted(run: Any) -> None:
            await run.write(lift_alarms, await run.store.read(list_campaigns))
            run.targets |= set(run.campaigns)

        await run_engine(world.run(), lifted)
        assert world.states() == {"delivered": 2}


async def test_port_trouble_sends_the_recipients_through_another_port(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ONE, sim1={"ports": 2}) as world:
        world.board.apps["sim1"] = Answers(world, "5 SIM Unregistered", 1)
        await world.launch(numbers(4))
        assert world.on_air() == Counter(numbers(4))


async def test_a_hung_port_is_cleared_and_its_waiting_tasks_go_elsewhere(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    faults = {"ports": 2, "profile": "deadports", "sms_seconds": 2.0}
    settings = {"task-size": "1"}
    async with make_world(3, settings, sim1=faults, sim2={**faults, "seed": 5}) as world:
        await world.launch(numbers(60))
        world.check()
        unknown = world.states().get("unknown", 0)
        assert unknown <= 4, "only what was in the air when a port died cannot be known"


async def test_a_report_that_comes_while_the_boot_id_is_read_ends_the_doubt(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {**ONE, "status-period": "1000s", "push-silence": "3000s"}
    forgetful = {"ports": 1, "tid_memory": 0.0, "sms_seconds": 26.5}
    async with make_world(settings=settings, sim1=forgetful) as world:
        saboteur = sabotage(world, "answer")

        async def slow_boot_id(request: httpx.Request, forward: Any) -> httpx.Response:
            answer: httpx.Response = await forward(request)
            if request.url.path == "/goip_get_sms.html" and len(saboteur.posts) == 1:
                await trio.sleep(4)
            return answer

        world.put_between("sim1", slow_boot_id)
        await world.launch(numbers(2))
        assert len(saboteur.posts) == 2
        assert world.states() == {"delivered": 2}
        world.check()


async def test_while_this_machine_sleeps_the_device_forgets_its_tids(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ONE, sim1={"ports": 1}) as world:
        saboteur = sabotage(world, *["request"] * 9)

        async def suspended() -> None:
            await trio.sleep(5)
            world.slept = timedelta(hours=1)  # the monotonic clock stood still

        async with trio.open_nursery() as nursery:
            nursery.start_soon(suspended)
            await world.launch(numbers(1))
        assert len(saboteur.posts) == 1
        assert world.states() == {"unknown": 1}


async def test_a_machine_that_slept_just_before_a_re_post_does_not_offer_it(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ONE, sim1={"ports": 1}) as world:
        saboteur = sabotage(world, *["request"] * 9)

        def suspended(_result: object) -> None:
            if world.sql("SELECT 1 FROM decisions WHERE kind = 'repost'"):
                world.slept = timedelta(hours=1)

        world.after_commit = suspended
        await world.launch(numbers(1))
        assert world.slept
        assert len(saboteur.posts) == 1
        assert world.states() == {"unknown": 1}


async def test_a_connection_that_is_refused_again_and_again_is_not_tried_without_pause(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ONE, sim1={"ports": 1}) as world:
        sabotage(world, *["refused"] * 50)  # … while questions are answered
        await world.launch(numbers(2))
        assert world.states() == {"delivered": 2}
        assert trio.current_time() - world.zero >= 40
