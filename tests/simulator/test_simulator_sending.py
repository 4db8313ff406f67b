"""Posting tasks: verdicts, ports, air time, spacing, and the ids the device remembers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import trio
from trio.testing import MockClock

N = "1202555010"  # and one digit: numbers reserved for fiction


@pytest.mark.parametrize(
    ("task", "status"),
    [
        pytest.param({"tid": 1, "to": N + "1", "sms": "a"}, "0 OK", id="good"),
        pytest.param({"to": N + "1", "sms": "a"}, "11 TID Expected", id="no-tid"),
        pytest.param({"tid": 1, "to": N + "1"}, "8 SMS expected", id="no-text"),
        pytest.param({"tid": 1, "sms": "a"}, "9 TO expected", id="no-recipient"),
        pytest.param({"tid": 1, "to": N, "sms": "a", "from": "9"}, "2 Invalid Port", id="no-port"),
        pytest.param({"tid": 1, "to": N, "sms": "a", "from": "x"}, "2 Invalid Port", id="nonsense"),
        pytest.param({"tid": 1, "to": N, "sms": "a", "from": "2B"}, "0 OK", id="letter-slot"),
        pytest.param({"tid": 1, "to": N, "sms": "a", "from": "1.01,2-3"}, "0 OK", id="list"),
    ],
)
async def test_each_task_gets_its_own_verdict_under_a_top_level_200(
    bench: Any, autojump_clock: MockClock, task: dict[str, Any], status: str
) -> None:
    gateway = await bench()
    verdicts = await gateway.post(task)
    assert [text for _, text in verdicts] == [status]


async def test_one_bad_task_does_not_spoil_the_others_of_its_request(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench()
    verdicts = await gateway.post(
        gateway.task(1, N + "1"), gateway.task(2, ""), gateway.task(3, N + "3")
    )
    assert verdicts == [(1, "0 OK"), (2, "9 TO expected"), (3, "0 OK")]


@pytest.mark.parametrize(
    ("where", "spoilt"),
    [
        pytest.param("query", False, id="query"),
        pytest.param("query", True, id="query-wrong-password"),
        pytest.param("body", False, id="body"),
        pytest.param("body", True, id="body-wrong-password"),
        pytest.param("nowhere", True, id="none"),
    ],
)
async def test_credentials_count_in_query_or_body_and_in_any_case(
    bench: Any, autojump_clock: MockClock, where: str, spoilt: bool
) -> None:
    gateway = await bench(password="sesame")
    signs = {"UserName": "root", "PASSWORD": "wrong" if spoilt else "sesame"}
    body = {"type": "send-sms", "tasks": [gateway.task(1, N + "1")]}
    answer = await gateway.client.post(
        "/goip_post_sms.html",
        params=signs if where == "query" else {},
        json=body | (signs if where == "body" else {}),
    )
    assert answer.status_code == 200
    assert answer.json().get("code") == (1 if spoilt else 200)


async def test_one_recipient_and_several_ports_means_one_sms_per_port(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench()
    await gateway.post(gateway.task(1, N + "1", **{"from": "1,3-4"}))
    await trio.sleep(10)
    assert sorted(attempt.port for attempt in gateway.attempts) == ["1.01", "3.01", "4.01"]
    assert gateway.receiver.reports[-1]["sent"] == 3


async def test_several_recipients_and_ports_means_each_recipient_once(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench()
    numbers = [N + str(digit) for digit in range(6)]
    await gateway.post(gateway.task(1, ",".join(numbers), **{"from": "2,5"}))
    await trio.sleep(30)
    assert Counter(attempt.number for attempt in gateway.attempts) == Counter(numbers)
    assert {attempt.port for attempt in gateway.attempts} == {"2.01", "5.01"}


async def test_without_ports_the_device_uses_all_of_them_side_by_side(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=4, sms_seconds=2.0)
    began = trio.current_time()
    numbers = ",".join(f"{N}{digit}" for digit in range(8))
    await gateway.post(gateway.task(1, numbers))
    await trio.sleep(4.1)
    assert Counter(attempt.port for attempt in gateway.attempts) == {
        f"{port}.01": 2 for port in range(1, 5)
    }
    assert trio.current_time() - began < 5


async def test_a_port_keeps_an_absolute_schedule(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(ports=1, sms_seconds=0.3)
    numbers = ",".join(f"{N}{digit}" for digit in range(10))
    await gateway.post(gateway.task(1, numbers))
    await trio.sleep(20)
    times = [attempt.t for attempt in gateway.attempts]
    assert times[-1] - times[0] == pytest.approx(9 * 0.3, abs=0.002)


async def test_spacing_is_kept_between_the_messages_of_a_task_but_not_across_tasks(
    bench: Any,
    autojump_clock: MockClock,
) -> None:
    gateway = await bench(ports=1, sms_seconds=1.0)
    await gateway.post(
        gateway.task(1, f"{N}1,{N}2", intvl="5000"), gateway.task(2, N + "3", **{"from": "1"})
    )
    await trio.sleep(20)
    began = gateway.attempts[0].t
    assert [(attempt.tid, round(attempt.t - began)) for attempt in gateway.attempts] == [
        (1, 0),
        (2, 1),
        (1, 6),
    ]


async def test_a_known_tid_is_a_duplicate_until_the_device_forgets_it(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(tid_memory=60.0)
    task = gateway.task(7, N + "1")
    assert await gateway.post(task) == [(7, "0 OK")]
    assert await gateway.post(task) == [(7, "13 Duplicated TaskId")]
    await trio.sleep(50)
    assert await gateway.post(task) == [(7, "13 Duplicated TaskId")]
    await trio.sleep(20)
    assert await gateway.post(task) == [(7, "0 OK")]


async def test_without_memory_a_tid_is_forgotten_as_soon_as_its_task_is_done(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(tid_memory=0.0)
    task = gateway.task(7, N + "1")
    await gateway.post(task)
    assert await gateway.post(task) == [(7, "13 Duplicated TaskId")]
    await trio.sleep(3)
    assert await gateway.post(task) == [(7, "0 OK")]


async def test_a_tid_beyond_31_bits_comes_back_wrapped(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench()
    assert await gateway.post(gateway.task(2**31 + 5, N + "1")) == [(-(2**31) + 5, "0 OK")]
    await trio.sleep(5)
    assert gateway.receiver.reports[0]["tid"] == -(2**31) + 5


async def test_a_full_queue_answers_too_many_and_recovers(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=1, queue_limit=2)
    verdicts = await gateway.post(*[gateway.task(tid, N + str(tid)) for tid in (1, 2, 3)])
    assert verdicts[2] == (3, "16 Too Many Task")
    await trio.sleep(5)
    assert await gateway.post(gateway.task(3, N + "3")) == [(3, "0 OK")]


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'{"tasks":[1]}', b'{"type":"x"}'])
async def test_a_request_without_tasks_is_an_invalid_command(
    bench: Any, autojump_clock: MockClock, body: bytes
) -> None:
    gateway = await bench()
    answer = await gateway.client.post(
        "/goip_post_sms.html", params={"username": "root", "password": "root"}, content=body
    )
    assert (answer.status_code, answer.json()["code"]) == (200, 15)


@pytest.mark.slow
async def test_ten_thousand_messages_over_eight_ports_are_each_sent_once(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(sms_seconds=0.02)
    for first in range(0, 10_000, 1000):
        tasks = [
            gateway.task(
                1 + first + nth,
                ",".join(f"99900{first + nth + extra:06d}" for extra in range(10)),
                **{"from": str(nth // 10 % 8 + 1)},
            )
            for nth in range(0, 1000, 10)
        ]
        await gateway.post(*tasks, sr_cnt=100)
    await trio.sleep(10_000 / 8 * 0.02 + 1)
    assert len(gateway.attempts) == 10_000
    await trio.sleep(30)
    assert len({attempt.number for attempt in gateway.attempts}) == 10_000
    assert sum(len(report.get("sdr", [])) for report in gateway.receiver.reports) == 10_000
