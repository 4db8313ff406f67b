"""Decisions in a running world: one more attempt each, whatever crashes or reports come between."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
import trio

from campaign.engine.verbs import perform
from campaign.errors import NothingToDo
from campaign.store.audit import audit
from campaign.store.door import transaction
from tests.engine.test_steering import beside, do

Numbers = Callable[[int], list[str]]
ASSUME = {"return-path": "assume"}


class LostReports:
    """Stands before the receiver: loses every report while `deaf`, and keeps what it lost."""

    def __init__(self, world: Any) -> None:
        self.deaf = True
        self.lost: list[bytes] = []
        world.put_between("receiver", self._handle)

    async def _handle(
        self, request: httpx.Request, forward: Callable[[httpx.Request], Awaitable[httpx.Response]]
    ) -> httpx.Response:
        if self.deaf and b'"status-report"' in request.content:
            self.lost.append(request.content)
            return httpx.Response(200, json={"code": 0})
        return await forward(request)


async def all_unknown(world: Any, numbers: list[str]) -> LostReports:
    """A finished campaign: everybody was sent to, and every report was lost."""
    reports = LostReports(world)
    await world.launch(numbers, receipts=False)
    reports.deaf = False
    assert world.states() == {"unknown": len(numbers)}
    assert world.on_air() == Counter(numbers)
    return reports


def decide(world: Any, verb: str, **parameters: Any) -> dict[str, Any]:
    """As a command does it while no engine runs."""
    with transaction(world.conn):
        parameters = {"name": "c", "causes": ["all"], "by": "eva", "yes": True, **parameters}
        return perform(world.conn, world.env.wall_ms(), verb, parameters)


def incidents(world: Any) -> dict[str, int]:
    return dict(world.sql("SELECT kind, count(*) FROM incidents GROUP BY 1"))


async def test_a_finished_campaign_sends_again_what_was_decided_and_nothing_else(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ASSUME, sim1={"ports": 2}) as world:
        await all_unknown(world, numbers(6))
        decide(world, "resolve", **{"as": "resend"})
        await world.resume()
        assert world.states() == {"sent": 6}
        assert set(world.on_air().values()) == {2}
        assert world.sql("SELECT state FROM campaigns") == [("finished",)]
        world.check()


async def test_both_sends_told_late_are_duplicates(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ASSUME, sim1={"ports": 2}) as world:
        reports = await all_unknown(world, numbers(6))
        decide(world, "resolve", **{"as": "resend"})
        await world.resume()
        for body in reports.lost:
            world.push(body)
        await world.launch(["99911110000"], name="two")
        assert incidents(world) == {"duplicate": 6}
        world.check()


async def test_late_reports_between_the_decision_and_the_resend_spare_it(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ASSUME, sim1={"ports": 2}) as world:
        reports = await all_unknown(world, numbers(6))
        decide(world, "resolve", **{"as": "resend"})
        for body in reports.lost:
            world.push(body)
        await world.resume()
        assert world.states() == {"sent": 6}
        assert world.on_air() == Counter(numbers(6))
        assert incidents(world) == {}
        world.check()


async def test_late_reports_confirm_what_was_taken_for_sent(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ASSUME, sim1={"ports": 2}) as world:
        reports = await all_unknown(world, numbers(6))
        decide(world, "resolve", **{"as": "sent"})
        for body in reports.lost:
            world.push(body)
        await world.launch(["99911110000"], name="two")
        assert world.sql("SELECT state, evidence, count(*) FROM recipients WHERE campaign_id = 1") \
            == [("sent", "report", 6)]  # fmt: skip
        assert incidents(world) == {}
        world.check()


@pytest.mark.parametrize("seed", range(6))
async def test_crashes_between_a_decision_and_its_resend_leave_one_resend(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, seed: int
) -> None:
    rng = random.Random(seed)
    async with make_world(seed, ASSUME, sim1={"ports": 2}) as world:
        await all_unknown(world, numbers(8))
        decide(world, "resolve", **{"as": "resend"})
        for _ in range(3):
            if not await world.killed(rng.uniform(0, 15), world.resume):
                break
        else:
            await world.resume()
        assert set(world.on_air().values()) == {2}
        assert world.states() == {"sent": 8}
        world.check()


@pytest.mark.slow
async def test_a_running_engine_sends_again_what_is_decided_meanwhile(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ASSUME, sim1={"ports": 2}) as world:
        reports = LostReports(world)
        first: list[int] = []

        async def work() -> None:
            await trio.sleep(30)
            reports.deaf = False
            await trio.sleep(300)
            first.append(world.states()["unknown"])
            told = await do(
                world, "resolve", name="c", causes=["all"], yes=True, by="eva", **{"as": "resend"}
            )
            assert (told["recipients"], told["state"], told["taken_up"]) == (
                *first, "running", True,
            )  # fmt: skip

        await beside(world, work, numbers=numbers(40), rate="4/min", receipts=False)
        assert world.states() == {"sent": 40}
        assert sum(times == 2 for times in world.on_air().values()) == first[0] > 0
        world.check()


@pytest.mark.slow
async def test_an_engine_that_runs_for_another_campaign_takes_a_finished_one_up(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ASSUME, sim1={"ports": 2}) as world:
        await all_unknown(world, numbers(3))

        async def work() -> None:
            await trio.sleep(20)
            told = await do(
                world, "resolve", name="c", causes=["all"], yes=True, by="eva", **{"as": "resend"}
            )
            assert (told["state"], told["taken_up"]) == ("running", True)

        await beside(world, work, numbers=numbers(60)[10:], name="two")
        assert world.states("c") == {"sent": 3}
        assert world.states("two") == {"delivered": 50}
        assert world.sql("SELECT DISTINCT state FROM campaigns") == [("finished",)]
        world.check()


async def test_a_word_about_a_finished_campaign_makes_nobody_take_it_up(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ASSUME, sim1={"ports": 2}) as world:
        await all_unknown(world, numbers(3))

        async def work() -> None:
            await trio.sleep(5)
            told = await do(
                world, "resolve", name="c", causes=["all"], by="eva", **{"as": "failed"}
            )
            assert "taken_up" not in told
            assert 1 not in world.runs[-1].targets

        await beside(world, work, numbers=numbers(30)[10:], name="two")
        assert world.states("c") == {"failed": 3}


async def test_a_retry_of_what_failed_goes_out_once_the_network_is_back(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    refused_once = [f"99977{i}0003" for i in range(4)]
    async with make_world(sim1={"ports": 2, "magic": True}) as world:
        await world.launch(refused_once, retries=0)
        assert world.states() == {"failed": 4}
        decide(world, "retry", codes=[38])
        await world.resume()
        assert world.states() == {"delivered": 4}
        world.check()


async def test_a_resend_that_fails_for_good_calls_nobody_failed_who_may_have_got_it(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=ASSUME, sim1={"ports": 2}) as world:
        await all_unknown(world, numbers(4))
        decide(world, "resolve", **{"as": "resend"})
        async with trio.open_nursery() as nursery:  # in its place one whose network is down
            world.add_simulator("sim1", nursery, ports=2, fail_rate=1.0)
            await world.resume()
            nursery.cancel_scope.cancel()
        assert world.sql("SELECT state, cause, count(*) FROM recipients GROUP BY 1, 2") == [
            ("unknown", "ambiguous", 4)
        ]
        assert world.on_air() == Counter(numbers(4))
        world.check()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
async def test_whatever_is_decided_on_hostile_gateways_every_attempt_has_its_reason(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, seed: int
) -> None:
    rng = random.Random(seed)
    hostile = {"ports": 3, "profile": "hostile", "fail_rate": 0.3}
    settings = {"task-size": str(rng.choice((1, 5, 20)))}
    async with make_world(
        seed, settings, sim1=hostile, sim2={**hostile, "seed": seed + 99}
    ) as world:
        killed = await world.killed(rng.uniform(5, 60), lambda: world.launch(numbers(60)))
        if killed and not world.sql("SELECT 1 FROM campaigns WHERE state <> 'importing'"):
            return
        for _ in range(3):
            with suppress(NothingToDo):
                as_ = rng.choice(("resend", "resend", "sent", "failed"))
                decide(world, "resolve", **{"as": as_})
            with suppress(NothingToDo):
                decide(world, "retry")
            while await world.killed(rng.uniform(5, 300), world.resume):
                world.check()
            world.check()
        assert [found for found in audit(world.conn, 1) if found.verdict == "broken"] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_a_policy_on_hostile_gateways_sends_nobody_more_than_once_again(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, seed: int
) -> None:
    hostile = {"ports": 3, "profile": "hostile"}
    policy = "timeout:resend,reboot:resend,silence:resend,no-answer:resend,ambiguous:assume-sent"
    settings = {"on-unknown": policy, "task-size": "5"}
    async with make_world(
        seed, settings, sim1=hostile, sim2={**hostile, "seed": seed + 99}
    ) as world:
        await world.launch(numbers(120))
        world.check()
        resent = world.sql("SELECT recipient_id, count(*) FROM decisions WHERE kind = 'resend'"
                           " AND by = 'policy' GROUP BY 1")  # fmt: skip
        assert all(times == 1 for _, times in resent)
        assert world.sql("SELECT count(*) FROM decisions WHERE by = 'policy'") != [(0,)]
