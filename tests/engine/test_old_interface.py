"""Devices of the old interface: each message once, sent on their word, unknown without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trio

from campaign.protocol.legacy import SEND_SMS

Numbers = Callable[[int], list[str]]
OLD = {"api-version": "1.0", "legacy-ports": "2", "legacy-gap": "1s"}
DEVICE = {"ports": 2, "sms_seconds": 0.5, "api": "1.0"}


async def test_what_an_old_device_takes_is_sent_on_its_word(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=OLD, sim1=DEVICE) as world:
        ended = await world.launch(numbers(20), message="Grüße 你好")
        await trio.sleep(30)
        assert ended.finished == ["c"]
        assert world.on_air() == Counter(numbers(20))
        assert {attempt.text for attempt in world.attempts} == {"Grüße 你好"}
        assert world.sql("SELECT DISTINCT state, evidence FROM recipients") == [
            ("sent", "accepted")
        ]
        assert any("no report or receipt will come" in line for line in world.notices)


async def test_an_old_device_is_given_one_message_a_port_and_gap(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={**OLD, "legacy-gap": "10s"}, sim1=DEVICE) as world:
        began = trio.current_time()
        await world.launch(numbers(8))
        # two ports, four messages each, ten seconds apart; no receipt is waited for
        assert 30 <= trio.current_time() - began < 40


async def test_a_lost_answer_of_an_old_device_is_unknown_and_never_sent_again(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=OLD, sim1=DEVICE) as world:
        lost = 0

        async def lose_every_third(request: httpx.Request, forward: Any) -> httpx.Response:
            nonlocal lost
            answer = await forward(request)
            if request.url.path == SEND_SMS:
                lost += 1
                if lost % 3 == 0:
                    raise httpx.ReadError("gone", request=request)
            assert isinstance(answer, httpx.Response)
            return answer

        world.put_between("sim1", lose_every_third)
        await world.launch(numbers(12), settings={"receipt-wait": "0"})
        await trio.sleep(30)
        world.check()
        assert world.on_air() == Counter(numbers(12))
        assert world.states() == {"sent": 8, "unknown": 4}
        assert world.sql("SELECT DISTINCT cause FROM recipients WHERE state = 'unknown'") == [
            ("no_answer",)
        ]


@pytest.mark.parametrize("after", [0.5, 1.5, 2.2, 3.01])
async def test_a_crash_between_intent_and_answer_sends_nobody_twice(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, after: float
) -> None:
    async with make_world(settings=OLD, sim1=DEVICE) as world:

        async def slowly(request: httpx.Request, forward: Any) -> httpx.Response:
            answer = await forward(request)
            await trio.sleep(0.4)
            assert isinstance(answer, httpx.Response)
            return answer

        world.put_between("sim1", slowly)
        assert await world.killed(after, lambda: world.launch(numbers(10)))
        await world.resume()
        await trio.sleep(30)
        world.check()
        assert max(world.on_air().values()) == 1
        assert sum(world.states().values()) == 10
        assert set(world.states()) <= {"sent", "unknown"}
        assert world.states().get("unknown", 0) <= 1


async def test_a_refusing_port_of_an_old_device_rests_and_the_other_goes_on(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=OLD, sim1={**DEVICE, "bad_sims": "1.01"}) as world:
        await world.launch(numbers(6))
        await trio.sleep(30)
        assert world.on_air() == Counter(numbers(6))
        assert world.states() == {"sent": 6}
        assert {attempt.port for attempt in world.attempts} == {"2.01"}


async def test_an_old_device_that_does_not_know_us_stops_with_an_alarm(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings=OLD, sim1={**DEVICE, "password": "other"}) as world:
        ended = await world.launch(numbers(3))
        assert ended.refused
        assert "credentials refused" in ended.waiting["c"]
        assert world.states() == {"pending": 3}


async def test_an_old_and_a_new_device_share_a_campaign_and_only_one_waits_for_receipts(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2, "sms_seconds": 1.0}) as world:
        async with trio.open_nursery() as nursery:
            world.add_simulator("old", nursery, **DEVICE)
            world.register("old", **OLD)
            await world.launch(numbers(30))
            await trio.sleep(10)
            nursery.cancel_scope.cancel()
        assert world.on_air() == Counter(numbers(30))
        assert set(world.states()) == {"delivered", "sent"}
