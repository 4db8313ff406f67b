"""Profiles and magic numbers: each fault does what it says, and the truth stays the truth."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from campaign.simulator.settings import PROFILES

N = "1202555010"


def _tasks(gateway: Any, count: int, **more: Any) -> list[dict[str, Any]]:
    return [gateway.task(tid, f"999{tid:09d}", **more) for tid in range(1, count + 1)]


@pytest.mark.parametrize(
    ("suffix", "word", "code", "truth"),
    [
        pytest.param("0001", "fdr", ["7 Send failed", "1 unassigned number"], [False], id="0001"),
        pytest.param("0002", "fdr", ["7 Send failed", "38 network out of order"], [False], id="2"),
        pytest.param("0004", "sdr", [], [True], id="0004"),
        pytest.param("0006", "fdr", ["6 Timeout", ""], [True], id="0006"),
        pytest.param("0007", "fdr", ["6 Timeout", ""], [False], id="0007"),
        pytest.param("0015", "fdr", ["5 SIM Unregistered", ""], [False], id="0015"),
    ],
)
async def test_a_magic_number_meets_its_fate(
    bench: Any,
    autojump_clock: MockClock,
    suffix: str,
    word: str,
    code: list[str],
    truth: list[bool],
) -> None:
    gateway = await bench(magic=True)
    await gateway.post(gateway.task(1, f"9991234{suffix}"))
    await trio.sleep(5)
    [row] = gateway.receiver.rows(word)
    assert row[4:] == code
    assert [attempt.ok for attempt in gateway.attempts] == truth


async def test_0003_fails_once_and_then_passes(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(magic=True)
    for tid in (1, 2, 3):
        await gateway.post(gateway.task(tid, "99912340003"))
        await trio.sleep(5)
    assert [(attempt.ok, attempt.cause) for attempt in gateway.attempts] == [
        (False, 38),
        (True, None),
        (True, None),
    ]


@pytest.mark.parametrize(
    ("suffix", "codes"),
    [("0004", ["70"]), ("0005", []), ("0011", ["34", "0"]), ("0012", ["0", "0"])],
)
async def test_magic_receipts(
    bench: Any, autojump_clock: MockClock, suffix: str, codes: list[str]
) -> None:
    gateway = await bench(magic=True)
    await gateway.post(gateway.task(1, f"9991234{suffix}", dr=1))
    await trio.sleep(20)
    assert [row[5].split()[0] for row in gateway.receiver.messages] == codes


async def test_0008_is_counted_but_never_named(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(magic=True)
    await gateway.post(gateway.task(1, f"99912340008,{N}1"))
    await trio.sleep(5)
    assert gateway.receiver.reports[-1]["sent"] == 2
    assert [row[1] for row in gateway.receiver.rows("sdr")] == [N + "1"]
    assert all(attempt.ok for attempt in gateway.attempts)


@pytest.mark.parametrize(("suffix", "text"), [("0009", "STOP"), ("0010", "Hello")])
async def test_magic_numbers_answer(
    bench: Any, autojump_clock: MockClock, suffix: str, text: str
) -> None:
    gateway = await bench(magic=True)
    await gateway.post(gateway.task(1, f"9991234{suffix}"))
    await trio.sleep(10)
    page = await gateway.get("goip_get_sms")
    assert page["data"][0][3] == f"9991234{suffix}"
    assert len(gateway.receiver.messages) == 1


async def test_magic_is_off_by_default(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench()
    await gateway.post(gateway.task(1, "99912340001"))
    await trio.sleep(5)
    assert [attempt.ok for attempt in gateway.attempts] == [True]


async def test_the_fail_rate_is_a_share_of_proved_failures(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(fail_rate=0.2, sms_seconds=0.1)
    await gateway.post(*_tasks(gateway, 500))
    await trio.sleep(60)
    failed = [attempt for attempt in gateway.attempts if not attempt.ok]
    assert 70 < len(failed) < 130
    assert {attempt.cause for attempt in failed} == {38}
    assert {row[1] for row in gateway.receiver.rows("fdr")} == {item.number for item in failed}


async def test_lossy_loses_repeats_and_delays_pushes(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(profile="lossy", sms_seconds=0.1)
    await gateway.post(*_tasks(gateway, 500))
    await trio.sleep(120)
    losses = gateway.simulator.losses
    assert min(losses.lost, losses.duplicated, losses.delayed) > 5
    seen = Counter(report["tid"] for report in gateway.receiver.reports)
    assert len(seen) == 500 - losses.lost
    assert max(seen.values()) == 2
    order = [report["tid"] for report in gateway.receiver.reports]
    assert order != sorted(order)


async def test_deaf_takes_the_task_and_never_answers(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(profile="deaf")
    unanswered = []
    for task in _tasks(gateway, 60):
        with trio.move_on_after(10) as patience:
            await gateway.post(task)
        if patience.cancelled_caught:
            unanswered.append(task["tid"])
    await trio.sleep(30)
    assert 1 < len(unanswered) < 20
    assert Counter(attempt.tid for attempt in gateway.attempts) == Counter(range(1, 61))


async def test_full_pushes_back(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(profile="full")
    statuses = Counter(status for _, status in await gateway.post(*_tasks(gateway, 40)))
    assert statuses == {"0 OK": 16, "16 Too Many Task": 24}


async def test_a_reboot_loses_the_queue_and_changes_the_boot_id(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(profile="reboot", ports=2)
    before = gateway.simulator.boot
    await gateway.post(*_tasks(gateway, 60))
    for _ in range(100):
        await trio.sleep(0.5)
        if gateway.simulator.boot != before:
            break
    assert len(gateway.attempts) < 60
    assert (await gateway.get("goip_get_tasks"))["total_num"] == 0
    assert (await gateway.get("goip_get_sms"))["ssrc"] == gateway.simulator.boot
    assert await gateway.post(gateway.task(60, N)) == [(60, "5 SIM Unregistered")]
    await trio.sleep(5)
    assert await gateway.post(gateway.task(60, N)) == [(60, "0 OK")]


async def test_a_reboot_that_keeps_its_queue_sends_everything_once(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(profile="reboot", reboot_queue="kept", ports=2)
    await gateway.post(*_tasks(gateway, 60))
    await trio.sleep(200)
    assert gateway.simulator.device.power.boots == 3
    assert Counter(attempt.tid for attempt in gateway.attempts) == Counter(range(1, 61))
    named = gateway.receiver.rows("sdr") + gateway.receiver.rows("fdr")
    assert Counter(row[1] for row in named) == Counter(item.number for item in gateway.attempts)
    assert {row[4] for row in gateway.receiver.rows("fdr")} == {"6 Timeout"}


async def test_a_restarting_device_answers_503(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(reboot_seconds=2.0)
    await gateway.send("goip_send_cmd", {"op": "reboot"})
    await trio.sleep(1)
    answer = await gateway.client.get("/goip_get_sms.html")
    assert isinstance(answer, httpx.Response)
    assert answer.status_code == 503
    await trio.sleep(2)
    assert (await gateway.get("goip_get_sms"))["code"] == 0


async def test_messages_on_air_at_a_restart_are_in_the_truth_and_in_no_report(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=8, sms_seconds=2.0)
    await gateway.post(*_tasks(gateway, 16))
    await trio.sleep(1)
    await gateway.send("goip_send_cmd", {"op": "reboot"})
    await trio.sleep(60)
    assert len(gateway.attempts) == 8
    assert {attempt.ok for attempt in gateway.attempts} == {True, False}
    assert gateway.receiver.reports == []


async def test_receipts_outlive_a_restart(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(ports=1, receipts_seconds=(4.0, 4.0), reboot_seconds=10.0)
    await gateway.send("goip_send_cmd", {"op": "set", "sms_url": "http://receiver/m"})
    await gateway.send("goip_send_cmd", {"op": "save"})
    await gateway.post(gateway.task(1, N, dr=1))
    await trio.sleep(3)
    await gateway.send("goip_send_cmd", {"op": "reboot"})
    await trio.sleep(20)
    assert len(gateway.receiver.messages) == 1


@pytest.mark.parametrize("dialect", ["2.0", "2.4"])
async def test_a_quarter_of_the_ports_die_half_failing_and_half_hanging(
    bench: Any, autojump_clock: MockClock, dialect: str
) -> None:
    gateway = await bench(profile="deadports", ports=8, dialect=dialect)
    tasks = [
        gateway.task(port * 100 + nth, f"999{port * 100 + nth:09d}", **{"from": str(port)})
        for port in range(1, 9)
        for nth in range(10)
    ]
    await gateway.post(*tasks)
    await trio.sleep(300)
    status = await gateway.get("goip_get_status")
    states = Counter(int(str(row["st"]).split()[0]) for row in status["status"])
    hanging = 2 if dialect == "2.0" else 16
    assert states == {3: 6, 6: 1, hanging: 1}
    rows = Counter(row[4] for row in gateway.receiver.rows("fdr"))
    assert set(rows) == {"5 SIM Unregistered", "6 Timeout"}
    tried = Counter(attempt.tid for attempt in gateway.attempts)
    assert set(tried.values()) == {1}
    waiting = (await gateway.get("goip_get_tasks", num=100))["total_num"]
    assert len(tried) + waiting == len(tasks)
    assert 5 <= waiting < 10


async def test_tasks_without_a_port_avoid_dead_ones(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(profile="deadports", ports=4)
    await gateway.post(*_tasks(gateway, 60))
    await trio.sleep(300)
    assert len(gateway.attempts) == 60
    assert len(gateway.receiver.rows("sdr")) >= 58


async def test_the_same_seed_meets_the_same_fates(bench: Any, autojump_clock: MockClock) -> None:
    seen = []
    for _ in range(2):
        gateway = await bench(seed=5, fail_rate=0.3, profile="deadports", sms_seconds=0.5)
        await gateway.post(*_tasks(gateway, 100))
        await trio.sleep(100)
        seen.append([(item.tid, item.port, item.ok) for item in gateway.attempts])
    assert seen[0] == seen[1]


async def test_hostile_never_sends_a_task_twice(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(ports=8, faults=replace(PROFILES["hostile"], deaf_seconds=1.0))
    for task in _tasks(gateway, 200):
        await gateway.client.post(
            "/goip_post_sms.html",
            params={"username": "root", "password": "root"},
            json={"tasks": [task], "sr_url": "http://receiver/r"},
        )
    await trio.sleep(600)
    assert max(Counter(attempt.tid for attempt in gateway.attempts).values()) == 1
