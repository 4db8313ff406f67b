"""Routes and spread on ground truth: each number goes out only where its rule allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import trio

from campaign.errors import UsageError

Numbers = Callable[[int], list[str]]
MANY = {"ports": 4, "sms_seconds": 1.0}
OTHERS = {**MANY, "seed": 7}
"""Devices of one seed hold the same SIMs."""


def port_of(attempt: Any) -> int:
    return int(attempt.port.partition(".")[0])


async def test_each_prefix_goes_to_its_own_ports_and_to_no_other(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    ones, twos, rest = ([f"999{n}0000{i:04d}" for i in range(20)] for n in (1, 2, 3))
    async with make_world(sim1=MANY, sim2=OTHERS) as world:
        ended = await world.launch(
            [*ones, *twos, *rest], routes=("9991=sim1", "9992=sim1:1-2+sim2:4", "*=sim2")
        )
        assert ended.finished == ["c"]
        world.check()
        assert world.on_air() == Counter([*ones, *twos, *rest])
        for attempt in world.attempts:
            where = (attempt.device, port_of(attempt))
            if attempt.number in ones:
                assert attempt.device == "sim1"
            elif attempt.number in twos:
                assert where in {("sim1", 1), ("sim1", 2), ("sim2", 4)}
            else:
                assert attempt.device == "sim2"


async def test_a_number_that_a_route_gives_to_nobody_is_refused_with_its_reason(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1=MANY) as world:
        await world.launch([*numbers(3), "999100000001"], routes=("9991=!",))
        assert world.on_air() == Counter(numbers(3))
        assert world.sql("SELECT code, reason FROM refusals") == [
            ("no_route", "the route 9991=! gives it to nobody")
        ]


async def test_a_route_to_a_gateway_that_is_not_registered_is_an_error_before_the_import(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1=MANY) as world:
        with pytest.raises(UsageError, match="gateway 'sim9'"):
            await world.launch(numbers(1), routes=("9=sim9",))
        assert world.sql("SELECT count(*) FROM campaigns") == [(0,)]


async def test_a_route_to_a_port_that_its_gateway_does_not_have_is_an_error_once_that_is_known(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={**MANY, "ports": 2}) as world:
        await world.launch(numbers(1), name="first", routes=("*=sim1:2",))
        with pytest.raises(UsageError, match=r"--route names port 9 of sim1, which has 1-2$"):
            await world.launch(numbers(1), name="second", routes=("7=sim1:1-2+sim1:9",))
        assert world.sql("SELECT name FROM campaigns") == [("first",)]


async def test_who_no_port_may_serve_waits_with_words_and_holds_up_nobody(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1=MANY) as world:
        waiting = [f"9991{i:08d}" for i in range(5)]
        with trio.move_on_after(300):
            await world.launch([*waiting, *numbers(30)], routes=("9991=@nobody",))
        assert world.on_air() == Counter(numbers(30))
        assert world.states() == {"pending": 5, "delivered": 30}
        ((why,),) = world.sql("SELECT waiting_for FROM campaigns")
        assert "routes: waits for a port of @nobody" in why


async def test_a_port_of_the_operator_is_found_whatever_its_case(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={**MANY, "ports": 2}) as world:
        await world.launch(numbers(1), name="first")
        ((operator,),) = world.sql("SELECT DISTINCT operator FROM ports")
        await world.launch(numbers(4), routes=(f"*=@{operator.swapcase()[1:]}",), again=True)
        assert world.states() == {"delivered": 4}


async def test_in_turn_means_every_port_in_turn(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={**MANY, "ports": 3}) as world:
        await world.launch(numbers(9), spread="round-robin", rate="6/min")
        assert [port_of(attempt) for attempt in world.attempts] == [1, 2, 3] * 3


async def test_the_only_port_of_a_route_gets_even_those_who_failed_there(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    once = "99900000003"
    async with make_world(sim1={**MANY, "magic": True}) as world:
        await world.launch([once], routes=("*=sim1:2",))
        assert world.states() == {"delivered": 1}
        assert [port_of(attempt) for attempt in world.attempts] == [2, 2]


@pytest.mark.parametrize(("ports", "retries"), [(2, 5), (3, 5), (1, 2)])
async def test_after_so_many_failures_a_number_was_tried_on_as_many_sims_as_there_are(
    autojump_clock: object, make_world: Callable[..., Any], ports: int, retries: int
) -> None:
    always = "99900000002"
    sim = {"ports": ports, "magic": True, "sms_seconds": 1.0}
    async with make_world(sim1=sim, sim2=sim) as world:
        await world.launch([always], retries=retries)
        tried = [(attempt.device, attempt.port) for attempt in world.attempts]
        assert len(tried) == retries + 1
        # each SIM once before any a second time, and never the same one twice in a row
        assert len(set(tried[: 2 * ports])) == min(2 * ports, retries + 1)
        assert all(one != other for one, other in pairwise(tried))


async def test_a_sim_that_wrote_before_writes_again(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1=MANY, sim2=OTHERS) as world:
        await world.launch(numbers(30), name="first")
        before = {a.number: (a.device, a.port) for a in world.attempts}
        world.attempts.clear()
        await world.launch(list(reversed(numbers(40))), spread="sticky", again=True)
        after = {a.number: (a.device, a.port) for a in world.attempts}
        assert {number: after[number] for number in before} == before
        assert len(after) == 40


async def test_a_sim_that_is_gone_is_waited_for_so_long_and_no_longer(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={**MANY, "ports": 1}, sim2={**OTHERS, "ports": 2}) as world:
        await world.launch(numbers(2), name="first", gateways=("sim1",))
        await world.command("sim1", op="lock", ports="1A")
        world.attempts.clear()
        await world.launch(
            [*numbers(2), "999100000001"], spread="sticky", settings={"sticky-wait": "120s"},
            again=True,
        )  # fmt: skip
        assert world.states() == {"delivered": 3}
        assert {attempt.device for attempt in world.attempts} == {"sim2"}
        at = {attempt.number: attempt.t for attempt in world.attempts}
        first = min(at.values())
        assert at["999100000001"] == first
        assert all(115 < at[number] - first < 135 for number in numbers(2))


async def test_the_sim_with_the_fewest_parts_of_today_is_first(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={**MANY, "ports": 3}) as world:
        await world.launch(numbers(5), name="first", ports="1", rate="30/min")
        await world.launch(numbers(2), name="second", ports="2", again=True, rate="30/min")
        world.attempts.clear()
        await world.launch(numbers(6), name="third", spread="least-used", rate="6/min", again=True)
        # 5, 2 and 0 parts so far: each next message goes where fewest were sent
        assert [port_of(attempt) for attempt in world.attempts] == [3, 3, 2, 3, 2, 3]


async def test_a_sim_that_is_used_up_gives_its_recipients_to_others_after_the_wait(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={**MANY, "ports": 2}) as world:
        await world.launch(numbers(6), name="first", ports="1")
        world.attempts.clear()
        await world.launch(
            numbers(6), spread="sticky", settings={"sticky-wait": "60s", "sim-day": "8"}, again=True
        )
        assert world.states() == {"delivered": 6}
        used = Counter(port_of(attempt) for attempt in world.attempts)
        assert used == {1: 2, 2: 4}  # its own SIM had room for two more today
        first = min(attempt.t for attempt in world.attempts)
        assert all(a.t - first >= 55 for a in world.attempts if port_of(a) == 2)
        world.check()
