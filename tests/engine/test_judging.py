"""Canary, --pause-if and --test: a campaign that goes wrong pauses itself, and nobody is lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio

from campaign.errors import UsageError
from tests.engine.overtaking import store_campaign
from tests.engine.test_steering import do

Numbers = Callable[[int], list[str]]

TWO = {"sim1": {"ports": 4, "sms_seconds": 1}, "sim2": {"ports": 4, "sms_seconds": 1, "seed": 9}}
REFUSED = [f"99910{nth:05d}0001" for nth in range(100)]
"""Numbers the network refuses for good (simulator with magic numbers)."""
ALL_FAIL = {"ports": 4, "sms_seconds": 1, "fail_rate": 1.0}


async def launched(world: Any, work: Callable[[], Awaitable[None]], **launch: Any) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        await world.launch(**launch)


async def until(world: Any, state: str, name: str = "c") -> str:
    """Wait until a campaign is in this state; returns what it waits for."""
    with trio.fail_after(3600):
        while True:
            rows = world.sql("SELECT state, waiting_for FROM campaigns WHERE name = ?", name)
            if rows and rows[0][0] == state and (state != "paused" or rows[0][1]):
                return str(rows[0][1])
            await trio.sleep(0.5)


async def test_a_canary_sends_to_exactly_the_first_and_then_to_the_rest(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(**TWO) as world:
        await world.launch(numbers(200), canary="5%", receipts=False)
        first = [attempt.number for attempt in world.attempts[:10]]
        assert set(first) == set(numbers(10))
        judged = world.sql("SELECT at_ms FROM decisions WHERE kind = 'canary'")[0][0] / 1000
        assert sum(attempt.t < judged for attempt in world.attempts) == 10
        assert world.on_air() == Counter(numbers(200))
        world.check()


async def test_a_canary_that_breaks_pauses_and_continue_lets_the_rest_go(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 4, "sms_seconds": 1, "magic": True}) as world:
        waits: list[str] = []

        async def work() -> None:
            waits.append(await until(world, "paused"))
            assert {a.number for a in world.attempts} == set(REFUSED[:7])
            await trio.sleep(300)
            assert {a.number for a in world.attempts} == set(REFUSED[:7])
            await do(world, "continue", name="c")

        everybody = [*REFUSED[:7], *numbers(40)[16:]]
        await launched(world, work, numbers=everybody, canary="7", receipts=False)
        assert waits == ["paused: canary failed+unknown>10%: 7 of 7 (100 %)"]
        kinds = world.sql("SELECT kind, by FROM decisions WHERE kind IN ('paused', 'running')")
        assert kinds == [("paused", "engine"), ("running", "operator")]
        assert world.states() == {"failed": 7, "sent": 24}
        world.check()


@pytest.mark.parametrize("seed", range(6))
async def test_a_canary_survives_crashes(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, seed: int
) -> None:
    rng = random.Random(seed)
    async with make_world(seed=seed, **TWO) as world:
        what: Callable[[], Awaitable[Any]] = partial(
            world.launch, numbers(60), canary="12", receipts=False
        )
        while await world.killed(rng.uniform(1, 12), what):
            what = world.resume
        judged = world.sql("SELECT at_ms FROM decisions WHERE kind = 'canary'")[0][0] / 1000
        before = {attempt.number for attempt in world.attempts if attempt.t < judged}
        assert before <= set(numbers(12))
        assert world.on_air() == Counter(numbers(60))
        world.check()


async def test_retries_of_a_canary_are_waited_for(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    device = {"ports": 3, "sms_seconds": 1, "fail_rate": 0.4}
    async with make_world(seed=4, sim1=device) as world:
        await world.launch(
            numbers(40), canary="10", pause_if=("failed>99%",), retries=5, receipts=False
        )
        (judged,) = world.sql("SELECT at_ms FROM decisions WHERE kind = 'canary'")
        first, rest = set(numbers(10)), set(numbers(40)[10:])
        last_of_first = max(a.t for a in world.attempts if a.number in first)
        assert any(n > 1 for n in Counter(a.number for a in world.attempts).values())
        assert (
            last_of_first
            <= judged[0] / 1000
            <= min(a.t for a in world.attempts if a.number in rest)
        )
        world.check()


async def test_a_campaign_that_goes_wrong_pauses_itself_and_is_judged_anew_after_continue(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 4, "sms_seconds": 1, "magic": True}) as world:
        good = [f"99920{nth:05d}9999" for nth in range(200)]
        waits: list[str] = []
        finals: list[int] = []

        async def work() -> None:
            waits.append(await until(world, "paused"))
            finals.append(len(world.attempts))
            await trio.sleep(300)
            finals.append(len(world.attempts))
            await do(world, "continue", name="c")

        everybody = [*good[:20], *REFUSED[:8], *good[20:]]
        await launched(world, work, numbers=everybody, pause_if=("failed>10%",), receipts=False)
        assert waits[0].startswith("paused: failed>10%: ")
        assert 20 <= finals[0] <= 80  # a report after ten each on four ports, and it is seen
        assert finals[1] - finals[0] <= 4  # what was on air
        # eight failures would have been above ten percent for long after the pause
        assert len(world.sql("SELECT 1 FROM decisions WHERE kind = 'paused'")) == 1
        assert world.states() == {"failed": 8, "sent": 200}
        world.check()


async def test_own_numbers_get_it_first_with_the_first_rows_values(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(**TWO) as world:
        path = world.folder / "names.csv"
        rows = "".join(f"+{number},N{nth}\n" for nth, number in enumerate(numbers(30)))
        path.write_text("phone,name\n" + rows)
        own = ["+999 555 000001", "+999555000002"]
        await world.launch(
            [], path=path, message="Hi {name}", test=tuple(own), priority="low", receipts=False
        )
        assert {a.number for a in world.attempts[:2]} == {"999555000001", "999555000002"}
        assert {a.text for a in world.attempts[:2]} == {"Hi N0"}
        assert world.attempts[1].t < world.attempts[2].t
        assert world.states("c") == {"sent": 30}
        assert world.states("c.test") == {"sent": 2}
        assert world.sql("SELECT DISTINCT state FROM campaigns") == [("finished",)]
        world.check()


async def test_a_test_that_does_not_arrive_pauses_the_campaign(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1=ALL_FAIL) as world:
        waits: list[str] = []

        async def work() -> None:
            waits.append(await until(world, "paused"))
            assert {a.number for a in world.attempts} == {"999555000001"}
            await do(world, "cancel", name="c")

        await launched(world, work, numbers=numbers(9), test=("+999555000001",), receipts=False)
        assert waits == ["paused: the test c.test did not arrive: 1 failed"]
        assert world.states("c") == {"cancelled": 9}
        world.check()


@pytest.mark.parametrize("seed", range(4))
async def test_a_test_survives_crashes(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, seed: int
) -> None:
    rng = random.Random(seed)
    async with make_world(seed=seed, **TWO) as world:
        what: Callable[[], Awaitable[Any]] = partial(
            world.launch, numbers(30), test=("+999555000001",), receipts=False
        )
        while await world.killed(rng.uniform(1, 8), what):
            what = world.resume
        assert world.attempts[0].number == "999555000001"
        assert world.on_air() == Counter([*numbers(30), "999555000001"])
        world.check()


async def test_an_own_number_that_is_none_is_refused_before_anything_is_kept(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        with pytest.raises(UsageError, match="--test '12'"):
            await world.launch(numbers(3), test=("12",))
        assert world.sql("SELECT count(*) FROM campaigns") == [(0,)]


async def test_a_name_that_is_taken_for_the_test_is_refused_before_the_list_is_read(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        store_campaign(world, "c.test", numbers(1))
        with pytest.raises(UsageError, match=r"named 'c.test' exists already"):
            await world.launch([], path=world.folder / "missing.csv", test=("+999555000001",))
        assert world.sql("SELECT name FROM campaigns") == [("c.test",)]


async def test_own_numbers_take_the_routes_of_the_campaign(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(**TWO) as world:
        own = tuple(f"+99955500000{nth}" for nth in range(1, 5))
        routes = ("999555=sim2", "*=sim1")
        await world.launch(numbers(4), test=own, routes=routes, receipts=False)
        assert {a.device for a in world.attempts[:4]} == {"sim2"}
        assert {a.device for a in world.attempts[4:]} == {"sim1"}
        assert world.states("c.test") == {"sent": 4}
        world.check()


async def test_an_own_number_that_a_route_gives_to_nobody_is_refused_before_anything_is_kept(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        with pytest.raises(UsageError, match=r"--test \+999555000001: the route 999555=! gives"):
            await world.launch(numbers(3), test=("+999555000001",), routes=("999555=!",))
        assert world.sql("SELECT count(*) FROM campaigns") == [(0,)]


async def test_a_test_that_does_not_arrive_pauses_the_campaign_long_before_its_start(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1=ALL_FAIL) as world:
        states: list[str] = []

        async def work() -> None:
            await trio.sleep(300)
            for verb in ("pause", "continue", "cancel"):
                states.extend(*world.sql("SELECT state FROM campaigns WHERE name = 'c'"))
                await do(world, verb, name="c")

        own = ("+999555000001",)
        await launched(
            world, work, numbers=numbers(9), test=own, start="+1h", receipts=False, retries=0
        )
        assert states == ["paused", "paused", "scheduled"]
        assert world.states("c") == {"cancelled": 9}
        world.check()


async def test_a_canary_whose_receipts_never_come_is_judged_when_their_time_is_over(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    device = {"ports": 2, "sms_seconds": 1, "receipts_seconds": (90000.0, 90001.0)}
    async with make_world(settings={"return-path": "assume"}, sim1=device) as world:
        with trio.move_on_after(400):
            await world.launch(
                numbers(9), canary="4", pause_if=("undelivered>10%",),
                settings={"receipt-wait": "300s"},
            )  # fmt: skip
        (judged,) = world.sql("SELECT at_ms FROM decisions WHERE kind = 'canary'")
        (closed,) = world.sql("SELECT max(closed_ms) FROM tasks WHERE closed_ms < ?", judged[0])
        assert 300 <= (judged[0] - closed[0]) / 1000 < 305
