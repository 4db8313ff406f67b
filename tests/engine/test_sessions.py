"""Campaigns whose every request goes under a secure session, whatever becomes of the session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import trio

Numbers = Callable[[int], list[str]]


@pytest.mark.parametrize("crypt", ["none", "xor", "rc4", "aes-ecb"])
async def test_a_campaign_goes_under_each_cipher(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, crypt: str
) -> None:
    device = {"ports": 4, "require_session": True, "session_seconds": 20}
    async with make_world(crypt=crypt, sim1=device) as world:
        await world.launch(numbers(60), message="Grüße to you")
        assert world.on_air() == Counter(numbers(60))
        assert world.states() == {"delivered": 60}
        assert {attempt.text for attempt in world.attempts} == {"Grüße to you"}
        sessions = world.simulators["sim1"].sessions
        assert (sessions.replayed, sessions.refused) == (0, 0)


async def test_a_session_that_ends_in_the_middle_costs_nobody_anything(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    device = {
        "ports": 2, "require_session": True, "session_seconds": 7, "session_prolongs": False,
    }  # fmt: skip
    async with make_world(crypt="aes-ecb", sim1=device) as world:
        await world.launch(numbers(80), rate="1/s")
        assert world.on_air() == Counter(numbers(80))
        assert world.states() == {"delivered": 80}
        assert world.simulators["sim1"].sessions.opened > 10
        assert not any("cannot be reached" in line for line in world.notices)


@pytest.mark.parametrize("queue", ["lost", "kept"])
async def test_a_device_that_restarts_in_the_middle_sends_nobody_twice(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, queue: str
) -> None:
    device = {"ports": 2, "require_session": True, "reboot_queue": queue, "sms_seconds": 1.0}
    async with make_world(crypt="rc4", sim1=device) as world:
        async with trio.open_nursery() as nursery:

            async def restart_now_and_then() -> None:
                for _ in range(4):
                    await trio.sleep(11)
                    world.simulators["sim1"].device.power.reboot(trio.current_time())

            nursery.start_soon(restart_now_and_then)
            await world.launch(numbers(120))
        world.check()
        assert world.simulators["sim1"].sessions.opened >= 3
        assert not set(world.states()) & {"pending", "held", "assigned"}


async def test_the_order_a_device_knows_is_learned_and_remembered(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    device = {"ports": 2, "require_session": True, "auth_order": "seq-first"}
    async with make_world(crypt="aes-ecb", sim1=device) as world:
        await world.launch(numbers(10))
        assert world.on_air() == Counter(numbers(10))
        assert world.sql("SELECT auth_order FROM gateways") == [("seq-first",)]
        opened = world.simulators["sim1"].sessions.opened
        await world.launch(numbers(10), name="again", again=True)
        assert world.simulators["sim1"].sessions.opened == opened + 1


async def test_a_wrong_password_stops_the_gateway_before_anything_is_claimed(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(crypt="aes-ecb", sim1={"ports": 2, "password": "other"}) as world:
        ended = await world.launch(numbers(5))
        assert ended.refused
        assert world.states() == {"pending": 5}


async def test_a_crash_under_a_session_is_survived_like_any_other(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    device = {"ports": 4, "require_session": True}
    async with make_world(crypt="aes-ecb", sim1=device) as world:
        assert await world.killed(6, lambda: world.launch(numbers(60)))
        await world.resume()
        world.check()
        assert world.on_air() == Counter(numbers(60))
