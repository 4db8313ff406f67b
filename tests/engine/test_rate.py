"""Limits that change while a campaign runs: at once, kept for resume, told with who and when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
import trio

from campaign.engine.limits import limits_of
from campaign.engine.runtime import Run
from campaign.errors import EngineError, UsageError
from tests.engine.test_standing import hand_over, serving, until_over
from tests.engine.test_steering import beside, do

Numbers = Callable[[int], list[str]]
FAST = {"return-path": "assume"}


def times(world: Any, where: str = "1") -> list[float]:
    """When tasks were written down, in seconds since the world began."""
    start = world.env.wall().timestamp() - trio.current_time() + world.zero
    rows = world.sql(f"SELECT created_ms FROM tasks WHERE {where} ORDER BY id")
    return [at / 1000 - start for (at,) in rows]


def gaps(moments: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(moments)]


Work = Callable[[], Awaitable[None]]


async def test_a_rate_changes_within_a_second_and_resume_keeps_it(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=FAST, sim1={"ports": 16}) as world:

        async def work() -> None:
            await trio.sleep(20.5)  # at 4/min two are claimed: the third would come at 30 s
            changed = await do(world, "rate", name="c", changes={"rate": "2/s"}, by="operator ann")
            assert changed["limits"]["rate"] == "2/s"

        async def run() -> None:
            await beside(world, work, numbers=numbers(60), rate="4/min")

        assert await world.killed(30, run)
        before = [at for at in times(world) if at < 20.5]
        after = [at for at in times(world) if at >= 20.5]
        assert len(before) == 2
        assert after[0] <= 21.5
        assert min(gaps(after)) >= 0.498
        assert len(after) >= 18
        await world.resume()
        assert max(gaps(times(world))[len(before) + len(after) + 1 :]) <= 0.51
        assert world.sql("SELECT why, by FROM decisions WHERE kind = 'limits'") == [
            ("rate 4/min -> 2/s", "operator ann")
        ]
        world.check()


async def test_a_rate_that_is_lowered_holds_from_then_on(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=FAST, sim1={"ports": 16}) as world:

        async def work() -> None:
            await trio.sleep(10)
            await do(world, "rate", name="c", changes={"rate": None, "per_port": "6/min"})

        await beside(world, work, numbers=numbers(150), rate="5/s")
        for port in range(1, 17):
            after = times(world, f"port = {port} AND created_ms > (SELECT max(at_ms) FROM"
                                 f" limit_changes)")  # fmt: skip
            assert min(gaps(after), default=10.0) >= 9.998
        world.check()


async def test_a_gateway_takes_other_limits_without_signing_in_again(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {**FAST, "rate": "6/min"}
    async with make_world(settings=settings, sim1={"ports": 8}) as world:
        looked = []

        async def work() -> None:
            await trio.sleep(21)
            gateway = world.runs[-1].gateways[1]
            looked.append(gateway.device)
            await do(world, "gateway-set", name="sim1", settings={"rate": "1/s", "sim-day": "9"})
            await trio.sleep(20)
            looked.append(world.runs[-1].gateways[1].device)
            assert len(times(world)) - 3 in (19, 20)
            await do(world, "gateway-set", name="sim1", settings={"rate": "", "sim-day": ""})

        await beside(world, work, numbers=numbers(40))
        assert looked[0] is looked[1]
        assert world.sql("SELECT count(*) FROM decisions WHERE kind = 'limits'") == [(2,)]
        world.check()


async def test_a_gateway_that_is_set_up_anew_keeps_its_pace(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={**FAST, "port-rate": "6/min"}, sim1={"ports": 2}) as world:

        async def work() -> None:
            for size in range(5, 11):
                await trio.sleep(7)
                await do(world, "gateway-set", name="sim1", settings={"task-size": str(size)})

        await beside(world, work, numbers=numbers(16))
        for port in (1, 2):
            assert min(gaps(times(world, f"port = {port}"))) >= 9.998
        world.check()


@pytest.mark.parametrize(
    "changes", [{"rate": "soon"}, {"daily_per_sim": 0}, {"retries": 9}, {"interval": "9s-3s"}]
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, changes: Any
) -> None:
    async with make_world(settings=FAST, sim1={"ports": 2}) as world:

        async def work() -> None:
            await trio.sleep(2)
            with pytest.raises(EngineError) as told:
                await do(world, "rate", name="c", changes=changes)
            assert told.value.exit_code == UsageError.exit_code

        await beside(world, work, numbers=numbers(6), rate="1/s")
        assert world.sql("SELECT count(*) FROM limit_changes") == [(0,)]


class _Busy:
    """A store whose dispatchers look at the limits again while a change of them is being read."""

    def __init__(self, run: Run) -> None:
        self._run, self._store = run, run.store

    async def read(self, fn: Any, *args: Any) -> Any:
        found = await self._store.read(fn, *args)
        for gateway in self._run.gateways.values():
            for campaign in self._run.campaigns.values():
                limits_of(self._run, gateway, campaign)
        return found

    async def write(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        return await self._store.write(fn, *args, **kwargs)


async def test_a_change_holds_though_somebody_looks_while_it_is_read(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=FAST, sim1={"ports": 16}) as world:

        async def work() -> None:
            await trio.sleep(5)
            run = world.runs[-1]
            run.store = _Busy(run)
            await do(world, "rate", name="c", changes={"rate": "30/min"})
            (gateway,), (campaign,) = run.gateways.values(), run.campaigns.values()
            assert limits_of(run, gateway, campaign).campaign.gap == 2.0
            await do(world, "cancel", name="c")

        await beside(world, work, numbers=numbers(200), rate="4/s")


async def test_who_is_sent_to_again_after_the_end_waits_for_the_rate_as_before(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    device = {"ports": 2, "fail_rate": 1.0}
    async with make_world(settings=FAST, sim1=device) as world, serving(world) as run:
        await hand_over(world, "c", numbers(1), rate="1/min", retries=0, receipts=False)
        for _ in range(3):
            await until_over(world, "c")
            await trio.sleep(1)
            assert run.campaigns == {}
            await do(world, "retry", name="c", yes=True)
        await until_over(world, "c")
        on_air = [attempt.t for attempt in world.attempts]
        assert len(on_air) == 4
        assert min(gaps(on_air)) >= 59.5
        world.check()
