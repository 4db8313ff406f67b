"""A launch in virtual time: everybody is sent exactly once and the ledger agrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest


async def test_everybody_is_sent_exactly_once_and_delivered(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Callable[[int], list[str]]
) -> None:
    async with make_world(sim1={"ports": 4}, sim2={"ports": 4}) as world:
        ended = await world.launch(numbers(100))
        assert ended.finished == ["c"]
        assert world.on_air() == Counter(numbers(100))
        assert world.states() == {"delivered": 100}
        world.check()
        assert {attempt.device for attempt in world.attempts} == {"sim1", "sim2"}


@pytest.mark.parametrize("profile", ["lossy", "deaf", "full", "reboot", "deadports"])
async def test_no_number_goes_out_twice_whatever_the_device_does(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Callable[[int], list[str]], profile: str
) -> None:
    simulators = {"ports": 4, "profile": profile, "sms_seconds": 1.0}
    async with make_world(sim1=simulators, sim2=simulators) as world:
        ended = await world.launch(numbers(200))
        assert ended.finished == ["c"]
        world.check()
        print(profile, world.states(), world.notices, world.sql("select kind, count(*) from decisions group by 1"), world.sql("select kind,detail,count(*) from incidents group by 1,2"))
