"""The old interface, later firmware, and firmware with habits of its own."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

N = "1202555010"
NUMBERS = f"{N}1,{N}2"


async def test_the_old_interface_sends_each_recipient_once_and_tells_nothing_more(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=2)
    answer = await gateway.get("goip_send_sms", port="2", recipients=NUMBERS, sms="你好")
    assert answer == {"code": 0, "reason": "OK"}
    await trio.sleep(30)
    assert [(a.number, a.port, a.text, a.tid) for a in gateway.attempts] == [
        (f"{N}1", "2.01", "你好", 0),
        (f"{N}2", "2.01", "你好", 0),
    ]
    assert gateway.receiver.reports == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        pytest.param({"recipients": N + "1"}, 8, id="no-text"),
        pytest.param({"sms": "hi"}, 9, id="nobody"),
        pytest.param({"recipients": N + "1", "sms": "hi", "port": "9"}, 2, id="no-such-port"),
        pytest.param({"recipients": N, "sms": "hi", "password": "x"}, 1, id="wrong-password"),
    ],
)
async def test_the_old_interface_refuses_by_code(
    bench: Any, autojump_clock: MockClock, query: dict[str, str], code: int
) -> None:
    gateway = await bench(ports=2)
    assert (await gateway.get("goip_send_sms", **query))["code"] == code


async def test_old_firmware_has_nothing_but_the_old_interface(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(api="1.0")
    for page in ("goip_get_status", "goip_get_sms", "goip_post_sms", "goip_get_tasks"):
        answer = await gateway.client.get(f"/{page}.html")
        assert answer.status_code == 404
    assert (await gateway.get("goip_send_sms", recipients=N + "1", sms="hi"))["code"] == 0


async def test_ussd_tells_the_balance_that_sending_lowers(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=1, balance=1.0, sms_price=0.25)
    await gateway.post(gateway.task(1, N + "1"))
    await trio.sleep(5)
    answer = await gateway.get("goip_send_ussd", port="1", ussd="*100#")
    assert answer == {"code": 0, "reason": "OK", "resp": "Your balance is 0.75."}
    assert (await gateway.get("goip_send_ussd", port="1"))["code"] == 3
    assert (await gateway.get("goip_send_ussd", port="7", ussd="*100#"))["code"] == 2


async def test_a_sim_without_money_stops_with_state_5(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=1, balance=0.5, sms_price=0.25)
    await gateway.post(gateway.task(1, ",".join(N + str(n) for n in range(4))))
    await trio.sleep(60)
    status = await gateway.get("goip_get_status")
    assert len(gateway.attempts) == 2
    assert (status["status"][0]["st"], status["status"][0]["bal"]) == ("5 No Balance", "0.00")


@pytest.mark.parametrize(
    ("switch", "ends"),
    [pytest.param("1", ("1B", "3 OK"), id="on"), pytest.param("0", ("1A", "6"), id="off")],
)
async def test_a_sim_that_cannot_register_is_replaced_if_that_is_switched_on(
    bench: Any, autojump_clock: MockClock, switch: str, ends: tuple[str, str]
) -> None:
    gateway = await bench(ports=1, slots=2, bad_sims="1.01", register_seconds=1.0)
    command = {"op": "reset", "ports": "1", "auto_fail_sim_switch": switch}
    await gateway.send("goip_send_cmd", command)
    await trio.sleep(5)
    row = (await gateway.get("goip_get_status"))["status"][0]
    assert (row["port"], row["st"][: len(ends[1])]) == ends


async def test_locking_another_slot_leaves_the_port_at_work(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=1, slots=2)
    await gateway.send("goip_send_cmd", {"op": "lock", "ports": "1B"})
    assert (await gateway.get("goip_get_status"))["status"][0]["st"] == "3 OK"
    await gateway.send("goip_send_cmd", {"op": "switch", "ports": "1B"})
    assert (await gateway.get("goip_get_status"))["status"][0]["st"] == "12 Locked"
    await gateway.send("goip_send_cmd", {"op": "unlock", "ports": "1"})
    await trio.sleep(5)
    assert (await gateway.get("goip_get_status"))["status"][0]["st"] == "3 OK"


async def test_a_switch_without_a_slot_is_refused(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(slots=2)
    assert (await gateway.send("goip_send_cmd", {"op": "switch", "ports": "1"}))["code"] == 2


async def test_the_number_of_a_sim_can_be_set_and_shows_in_the_status(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=2, dialect="2.4")
    answer = await gateway.client.post(
        "/goip_send_cmd.html",
        params={"username": "root", "password": "root", "op": "set"},
        content=b"sim_number(1)=99912345&name=x",
        headers={"Content-Type": "text/plain"},
    )
    assert answer.json() == {"code": 0, "reason": "OK", "par_set": 2}
    assert (await gateway.get("goip_get_status"))["status"][1]["sn"] == "99912345"


async def test_later_firmware_tells_more_and_writes_ports_with_dots(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=1, slots=2, dialect="2.4")
    status = await gateway.get("goip_get_status", all_slots=1)
    assert (status["max-slot"], status["status"][1]["port"]) == (2, "1.02")
    assert status["status"][0].keys() >= {"active", "inserted", "slot_active", "network", "tot_dur"}
    esims = await gateway.get("goip_get_esims")
    assert [len(port["profiles"]) for port in esims["ports"]] == [2]


async def test_the_specifications_firmware_counts_slots_in_a_string_and_has_no_esims(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(slots=4)
    assert (await gateway.get("goip_get_status"))["max-slots"] == "4"
    assert (await gateway.client.get("/goip_get_esims.html")).status_code == 404


async def test_a_sim_pool_stands_in_the_ports_name(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(ports=1, dialect="2.4", sim_pool="sp256")
    await gateway.post(gateway.task(1, N + "1"))
    await trio.sleep(10)
    assert (await gateway.get("goip_get_status"))["status"][0]["port"] == "1.sp256.1"
    assert gateway.receiver.rows("sdr")[0][2] == "1.sp256.1"


async def test_calls_are_counted_where_there_were_any(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=1, calls=100)
    [row] = (await gateway.get("goip_get_call_stat", ports="1"))["stats"]
    assert (row["calls"], row["connected"], row["nc"], row["asr"], row["act_tcd"]) == (
        100, 80, "80/100", 80, 9600,
    )  # fmt: skip


async def test_an_mms_is_told_apart_in_the_ground_truth_and_by_its_refusals(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=1)
    mms = {"smstype": 1, "smstitle": "spring"}
    verdicts = await gateway.post(
        gateway.task(1, N + "1", sms="", attachments="txt|aGk=;jpg|AAAA", **mms),
        gateway.task(2, N + "2", sms="", **mms),
        gateway.task(3, N + "3", attachments=";".join(["txt|aGk="] * 6), **mms),
        gateway.task(4, N + "4", attachments="jpg|" + "A" * 140_000, **mms),
        gateway.task(5, N + "5", sms="text alone", **mms),
    )
    assert [int(text.split()[0]) for _, text in verdicts] == [0, 19, 18, 20, 0]
    await trio.sleep(30)
    assert [(a.number[-1], a.mms) for a in gateway.attempts] == [("1", 2), ("5", 0)]


async def test_a_quirky_firmware_says_the_same_in_its_own_spelling(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=1, profile="quirky", magic=True)
    assert await gateway.post(gateway.task(1, "12025550010")) == [("1", "0 Success")]
    await trio.sleep(20)
    [report] = gateway.receiver.of_type("status-report")
    lone = report["rpts"]
    assert (lone["tid"], lone["sent"], "failed" in lone) == ("1", "1", False)
    assert lone["sdr"][0][:2] == [1, "+12025550010"]
    [reply] = gateway.receiver.messages
    assert len(reply) == 9
    assert (await gateway.get("goip_get_status"))["type"] == "dev-Status"


async def test_the_older_push_is_one_text_a_message(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(ports=1, inbound_push="legacy")
    bodies: list[bytes] = []
    gateway.simulator.pusher.push = lambda _url, body, _kind: bodies.append(body)
    gateway.simulator.device.power.config["sms_url"] = "http://receiver/m"
    gateway.simulator.receive(1, "447700900111", "Hello there")
    assert bodies[0].startswith(b"Sender: 447700900111\r\nReceiver: ")
    assert bodies[0].endswith(b"\r\n\r\nHello there")
