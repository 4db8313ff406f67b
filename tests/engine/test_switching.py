"""A planned switch on ground truth: a used-up SIM hands its port over, and no message is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.engine.overtaking import store_campaign
from tests.engine.test_many_campaigns import people, run_for

Forward = Callable[[httpx.Request], Awaitable[httpx.Response]]
Numbers = Callable[[int], list[str]]
SIM = {"ports": 1, "slots": 3, "sms_seconds": 1.0, "register_seconds": 5.0}
CAP = {"sim-hour": "10"}
SWITCHES = {"auto-switch": "yes", "task-size": "2", "port-window": "4s"}


async def test_a_used_up_sim_hands_its_port_to_the_next_slot_and_nobody_is_lost(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=SWITCHES, sim1=SIM) as world:
        await world.launch(numbers(25), settings=CAP)
        assert world.on_air() == Counter(numbers(25))
        assert world.states() == {"delivered": 25}
        world.check()
        used = [attempt.port for attempt in world.attempts]
        # in one piece each: nothing was queued for a SIM when it was put aside
        assert list(dict.fromkeys(used)) == ["1.01", "1.02", "1.03"]
        assert used == sorted(used)
        assert [why for (why,) in world.sql("SELECT why FROM decisions WHERE kind = 'switch'")] == [
            "port 1: from slot 1 to slot 2, SIM used up: 10 of 10 segments this hour",
            "port 1: from slot 2 to slot 3, SIM used up: 10 of 10 segments this hour",
        ]


@pytest.mark.slow
async def test_without_the_setting_no_sim_is_switched(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={"task-size": "2"}, sim1=SIM) as world:
        await world.launch(numbers(12), settings={"sim-hour": "4"})
        assert {attempt.port for attempt in world.attempts} == {"1.01"}
        assert world.sql("SELECT count(*) FROM decisions WHERE kind = 'switch'") == [(0,)]


async def test_a_device_that_goes_on_to_a_third_sim_by_itself_is_followed(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    sim = {**SIM, "slots": 4, "bad_sims": "1.02"}
    async with make_world(settings=SWITCHES, sim1=sim) as world:
        await world.launch(numbers(20), settings=CAP)
        assert world.on_air() == Counter(numbers(20))
        used = list(dict.fromkeys(attempt.port for attempt in world.attempts))
        assert used == ["1.01", "1.03"]
        assert "sim1 port 1 goes on with the SIM of slot 3" in world.notices
        world.check()


@pytest.mark.slow
async def test_without_a_sim_that_registers_the_port_rests_until_the_first_has_room_again(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=SWITCHES, sim1={**SIM, "bad_sims": "1.02,1.03"}) as world:
        await world.launch(numbers(14), settings=CAP)
        assert world.on_air() == Counter(numbers(14))
        assert {attempt.port for attempt in world.attempts} == {"1.01"}
        times = sorted(attempt.t for attempt in world.attempts)
        assert times[10] - times[0] > 3400
        assert [why for (why,) in world.sql("SELECT why FROM decisions WHERE kind = 'alarm'")] == [
            "port 1: the SIM of slot 2 did not register within 120 s"
        ]
        world.check()


@pytest.mark.slow
async def test_with_no_sim_left_the_port_stays_as_it_is(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=SWITCHES, sim1={**SIM, "slots": 1}) as world:
        await world.launch(numbers(6), settings={"sim-hour": "2"})
        assert world.states() == {"delivered": 6}
        times = sorted(attempt.t for attempt in world.attempts)
        assert times[-1] - times[0] > 3600  # it waited for the next hour, and the next
        assert not any("slot" in notice for notice in world.notices)


@pytest.mark.slow
@pytest.mark.parametrize("told", [True, False], ids=["device-switched", "command-lost"])
async def test_a_crash_in_the_middle_of_a_switch_loses_and_doubles_nobody(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, told: bool
) -> None:
    async with make_world(settings=SWITCHES, sim1=SIM) as world:

        async def die(request: httpx.Request, forward: Forward) -> httpx.Response:
            if request.url.path == "/goip_send_cmd.html":
                world.life.dead = True
                if not told:
                    return httpx.Response(503)
            return await forward(request)

        device = world.board.apps["sim1"]
        world.put_between("sim1", die)
        assert await world.killed(300, lambda: world.launch(numbers(25), settings=CAP))
        assert world.sql("SELECT count(*) FROM decisions WHERE kind = 'switch'") == [(1,)]
        world.board.apps["sim1"] = device

        await world.resume()
        assert world.on_air() == Counter(numbers(25))
        used = [attempt.port for attempt in world.attempts]
        assert list(dict.fromkeys(used)) == ["1.01", "1.02", "1.03"]
        world.check()


async def test_a_campaign_on_other_ports_does_not_keep_a_used_up_sim_in_its_place(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    async with make_world(settings=SWITCHES, sim1={**SIM, "ports": 2}) as world:
        capped = store_campaign(
            world, "capped", people(1, 6), ports="1", settings={"sim-hour": "4"}, receipts=False
        )
        other = store_campaign(world, "other", people(2, 200), ports="2", receipts=False)
        await run_for(world, 60, capped, other)
        used = Counter(a.port for a in world.attempts if a.number in people(1, 6))
        assert used == {"1.01": 4, "1.02": 2}
        assert {a.port for a in world.attempts if a.number in people(2, 200)} == {"2.01"}
        world.check()
