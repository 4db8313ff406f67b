"""Port states, subscriptions, commands and statistics."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

N = "1202555010"
URL = "http://receiver/status"


@pytest.mark.parametrize(
    ("dialect", "port", "state"),
    [pytest.param("2.0", "1A", "3 OK", id="2.0"), pytest.param("2.4", "1.01", 3, id="2.4")],
)
async def test_a_snapshot_is_a_whole_dev_status_with_the_simulators_mark(
    bench: Any, autojump_clock: MockClock, dialect: str, port: str, state: str | int
) -> None:
    gateway = await bench(ports=3, dialect=dialect)
    status = await gateway.get("goip_get_status")
    assert status["type"] == "dev-status"
    assert status["ver"].startswith("campaign-simulator ")
    assert (status["expires"], status["max-ports"], len(status["status"])) == (-1, 3, 3)
    assert (status["status"][0]["port"], status["status"][0]["st"]) == (port, state)


@pytest.mark.parametrize("key", ["all_sims", "all_slots"])
async def test_every_sim_is_listed_on_demand(
    bench: Any, autojump_clock: MockClock, key: str
) -> None:
    gateway = await bench(ports=1, slots=3)
    status = await gateway.get("goip_get_status", **{key: 1})
    rows = status["status"]
    assert [(row["port"], row["st"][0]) for row in rows] == [("1A", "3"), ("1B", "1"), ("1C", "1")]
    assert len({row["iccid"] for row in rows}) == 3


async def test_a_subscription_pushes_at_once_on_change_and_every_period_until_cancelled(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench()
    status = await gateway.get("goip_get_status", url=URL, period=10)
    assert status["expires"] == 60
    await trio.sleep(30)
    await gateway.send("goip_send_cmd", {"type": "command", "op": "lock", "ports": "2A"})
    await trio.sleep(100)
    await gateway.get("goip_get_status", period=0)
    await trio.sleep(200)
    assert [(round(at), push["type"]) for at, push in gateway.receiver.pushes] == [
        (0, "dev-status"),
        (30, "port-status"),
        (60, "dev-status"),
        (120, "dev-status"),
    ]
    [change] = gateway.receiver.of_type("port-status")
    assert (change["port"], change["status"]) == ("2A", "12 Locked")


async def test_a_locked_port_refuses_tasks_and_holds_its_queue_until_unlocked(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(sms_seconds=2.0, register_seconds=3.0)
    named = {"from": "1"}
    await gateway.post(gateway.task(1, f"{N}1,{N}2", **named))
    await gateway.send("goip_send_cmd", {"op": "lock", "ports": "1"})
    assert await gateway.post(gateway.task(2, N + "3", **named)) == [(2, "5 SIM Unregistered")]
    await trio.sleep(30)
    assert len(gateway.attempts) == 1
    await gateway.send("goip_send_cmd", {"op": "unlock", "ports": "1"})
    await trio.sleep(6)
    assert len(gateway.attempts) == 2


async def test_a_switch_answers_at_once_and_the_new_sim_registers_later(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(slots=2, register_seconds=3.0)
    await gateway.get("goip_get_status", url=URL)
    answer = await gateway.send("goip_send_cmd", {"op": "switch", "ports": "2B"})
    assert answer == {"code": 0, "reason": "OK"}
    await trio.sleep(5)
    changes = gateway.receiver.of_type("port-status")
    assert [(push["port"], push["status"]) for push in changes] == [
        ("2B", "2 Registering"),
        ("2B", "3 OK"),
    ]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        pytest.param({"op": "lock", "ports": "1,9"}, 2, id="no-such-port"),
        pytest.param({"op": "lock"}, 2, id="no-ports"),
        pytest.param({"op": "dance"}, 15, id="unknown-op"),
        pytest.param({"op": "multiple", "ops": "x"}, 15, id="bad-ops"),
        pytest.param({"op": "lock", "ports": "all"}, 0, id="all"),
        pytest.param({"op": "multiple", "ops": [{"op": "reset", "ports": "1"}]}, 0, id="several"),
        pytest.param({"op": "save"}, 0, id="save"),
    ],
)
async def test_commands_answer_with_their_code(
    bench: Any, autojump_clock: MockClock, command: dict[str, Any], code: int
) -> None:
    gateway = await bench()
    assert (await gateway.send("goip_send_cmd", command))["code"] == code


async def test_a_parameter_that_was_set_is_read_back_and_drives_pushes(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench()
    answer = await gateway.get("goip_send_cmd", op="set", sms_url="http://receiver/m")
    assert answer == {"code": 0, "reason": "OK", "par_set": 1}
    answer = await gateway.get("goip_send_cmd", op="get", sms_url="")
    assert answer["sms_url"] == "http://receiver/m"
    gateway.simulator.receive(1, "447700900123", "hi")
    await trio.sleep(1)
    assert len(gateway.receiver.messages) == 1


async def test_statistics_count_each_sim_by_period_and_in_all(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=2, slots=2, magic=True, sms_seconds=1.0)
    numbers = "12025550100,12020000001,12020000002"
    await gateway.post(gateway.task(1, numbers, **{"from": "1"}))
    gateway.simulator.receive(1, "447700900123", "hi")
    await trio.sleep(0.5)
    [row] = (await gateway.get("goip_get_sms_stat", ports=1, type=3))["stats"]
    assert (row["sending"], row["unsent"], row["sent"]) == (1, 2, 0)
    await trio.sleep(3 * 3600)
    answer = await gateway.get("goip_get_sms_stat", ports="all", slots="all", type=3)
    assert (answer["code"], answer["count"]) == (200, 4)
    assert answer["stats"][0] == {
        "port": 1,
        "slot": 1,
        "received": 1,
        "sent": 3,
        "sent_ok": 1,
        "sent_failed": 2,
        "con_failed": 2,
        "unsent": 0,
        "sending": 0,
    }
    by_type = {
        period: (await gateway.get("goip_get_sms_stat", ports=1, type=period))["stats"][0]["sent"]
        for period in range(4)
    }
    assert by_type == {0: 0, 1: 0, 2: 3, 3: 3}


async def test_call_statistics_exist_and_are_empty(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(ports=2)
    answer = await gateway.get("goip_get_call_stat")
    assert [row["calls"] for row in answer["stats"]] == [0, 0]
