"""Campaigns over firmware with habits of its own, and what our settings put on the wire."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from campaign.simulator.settings import Habits

Numbers = Callable[[int], list[str]]


@pytest.mark.parametrize(
    "device",
    [
        pytest.param({"profile": "quirky"}, id="quirky"),
        pytest.param({"profile": "quirky", "dialect": "2.4"}, id="quirky-2.4"),
        pytest.param({"dialect": "2.4", "slots": 4}, id="2.4"),
        pytest.param({"dialect": "2.4", "sim_pool": "sp256", "slots": 3}, id="sim-pool"),
        pytest.param(
            {"habits": Habits(bare_numbers=True, number_strings=True, sparse_counters=True)},
            id="bare-numbers",
        ),
    ],
)
async def test_facts_are_right_however_the_firmware_spells_them(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, device: dict[str, Any]
) -> None:
    if device.pop("plus", False):
        from campaign.simulator.settings import Habits

        device["habits"] = Habits(bare_numbers=True, number_strings=True, sparse_counters=True)
    settings = {"ports": 3, "magic": True, **device}
    refused, replying, timeout = "9990000880001", "9990000880010", "9990000880006"
    ordinary = numbers(60)[20:]  # the first ones end like magic numbers
    async with make_world(sim1=settings) as world:
        world.subscribe("sim1")
        await world.launch([*ordinary, refused, replying, timeout])
        world.check()
        states = dict(world.sql("SELECT number, state FROM recipients"))
        assert {states[number] for number in ordinary} == {"delivered"}
        assert (states[refused], states[replying]) == ("failed", "delivered")
        assert world.sql("SELECT count(*) FROM inbound WHERE text = 'Hello'") == [(1,)]
        assert world.sql("SELECT count(*) FROM incidents") == [(0,)]


@pytest.mark.parametrize(
    ("settings", "message", "expected"),
    [
        pytest.param({}, "Hello", {"sms": "Hello", "coding": 2}, id="7-bit"),
        pytest.param({}, "你好", {"sms": "你好", "coding": 1}, id="UCS-2"),
        pytest.param({"coding": "device"}, "你好", {"sms": "你好"}, id="the-device-chooses"),
        pytest.param({"chs": "base64"}, "Hello", {"sms": "SGVsbG8=", "chs": "base64"}, id="base64"),
        pytest.param({"smsc": "+447700900999"}, "x", {"smsc": "+447700900999"}, id="smsc"),
        pytest.param({"send-timeout": "45"}, "x", {"tmo": 45}, id="tmo"),
        pytest.param({"keep-plus": "yes"}, "x", {"to": "+9990000000000"}, id="plus"),
    ],
)
async def test_a_setting_is_on_the_wire_and_the_device_understands_it(
    autojump_clock: object,
    make_world: Callable[..., Any],
    numbers: Numbers,
    settings: dict[str, str],
    message: str,
    expected: dict[str, Any],
) -> None:
    posts: list[dict[str, Any]] = []
    async with make_world(sim1={"ports": 1}, settings=settings) as world:

        async def keep(request: httpx.Request, forward: Any) -> httpx.Response:
            if request.url.path == "/goip_post_sms.html":
                posts.append(json.loads(request.content))
            answer = await forward(request)
            assert isinstance(answer, httpx.Response)
            return answer

        world.put_between("sim1", keep)
        await world.launch(numbers(1), message=message)
        assert world.on_air() == Counter(numbers(1))
        assert {attempt.text for attempt in world.attempts} == {message}
    task = posts[0]["tasks"][0]
    assert {key: task[key] for key in expected} == expected
    if settings.get("coding") == "device":
        assert "coding" not in task
