"""Pause, resume, remove and the list of waiting tasks, under every answer nobody knows."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

N = "1202555010"


async def _two_tasks(bench: Any, **settings: Any) -> Any:
    """One port: task 1 (three messages) is started, task 2 waits."""
    gateway = await bench(ports=1, sms_seconds=2.0, **settings)
    await gateway.post(gateway.task(1, f"{N}1,{N}2,{N}3"), gateway.task(2, f"{N}4"))
    return gateway


async def test_only_tasks_of_which_nothing_started_are_listed(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await _two_tasks(bench)
    answer = await gateway.get("goip_get_tasks", port=1, pos=0)
    assert (answer["code"], answer["total_num"], answer["task_num"]) == (200, 1, 1)
    [task] = answer["tasks"]
    assert (task["tid"], task["from"], task["to"], task["state"]) == (2, "", N + "4", 0)
    assert "sms" not in task


async def test_the_list_is_paged_and_filtered_by_port_and_may_show_the_text(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=2, sms_seconds=60.0)
    await gateway.post(gateway.task(1, N + "1", **{"from": "1"}), gateway.task(2, N + "2"))
    later = [gateway.task(tid, N + "3", f"text {tid}", **{"from": "1"}) for tid in range(3, 15)]
    await gateway.post(*later, gateway.task(20, N + "4"))
    answer = await gateway.get("goip_get_tasks", port=1, pos=11, has_content=1)
    assert answer["total_num"] == 13
    assert [(task["tid"], task["sms"]) for task in answer["tasks"]] == [
        (14, "text 14"),
        (20, "hello"),
    ]
    answer = await gateway.get("goip_get_tasks", port="2A")
    assert [task["tid"] for task in answer["tasks"]] == [20]


async def test_a_paused_task_waits_until_it_is_resumed(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await _two_tasks(bench)
    answer = await gateway.send("goip_pause_sms", {"tids": [2]})
    assert answer == {"code": 200, "reason": "OK", "results": [{"tid": 2, "status": "0 OK"}]}
    await trio.sleep(30)
    assert {attempt.tid for attempt in gateway.attempts} == {1}
    assert (await gateway.get("goip_get_tasks"))["tasks"][0]["state"] == 1
    await gateway.send("goip_resume_sms", {"tids": [2]})
    await trio.sleep(3)
    assert {attempt.tid for attempt in gateway.attempts} == {1, 2}


@pytest.mark.parametrize(
    ("stops", "status", "sent"),
    [
        pytest.param(True, "0 OK", 1, id="pause-stops-the-rest"),
        pytest.param(False, "11 TID Expected", 3, id="pause-is-for-waiting-tasks"),
    ],
)
async def test_pausing_a_started_task(
    bench: Any, autojump_clock: MockClock, stops: bool, status: str, sent: int
) -> None:
    gateway = await _two_tasks(bench, pause_started=stops)
    answer = await gateway.send("goip_pause_sms", {"tids": [1]})
    assert answer["results"] == [{"tid": 1, "status": status}]
    await trio.sleep(30)
    assert sum(attempt.tid == 1 for attempt in gateway.attempts) == sent


@pytest.mark.parametrize("body", [{}, {"tids": []}])
async def test_no_tids_means_every_task_and_no_results(
    bench: Any, autojump_clock: MockClock, body: dict[str, Any]
) -> None:
    gateway = await _two_tasks(bench)
    assert await gateway.send("goip_remove_sms", body) == {"code": 200, "reason": "OK"}
    await trio.sleep(30)
    assert [attempt.number for attempt in gateway.attempts] == [N + "1"]


@pytest.mark.parametrize(("setting", "status"), [(11, "11 TID Expected"), (0, "0 OK")])
async def test_an_unknown_tid_gets_the_answer_of_the_setting(
    bench: Any, autojump_clock: MockClock, setting: int, status: str
) -> None:
    gateway = await _two_tasks(bench, unknown_tid=setting)
    answer = await gateway.send("goip_remove_sms", {"tids": [99]})
    assert answer["results"] == [{"tid": 99, "status": status}]


@pytest.mark.parametrize(
    ("settings", "last"),
    [
        pytest.param({}, (1, 2), id="reported-as-unsent"),
        pytest.param({"removed_unsent": False}, (1, 0), id="reported-not-counted"),
        pytest.param({"removed_reports": False}, None, id="not-reported"),
    ],
)
async def test_removing_a_half_sent_task_lets_the_message_on_air_end(
    bench: Any,
    autojump_clock: MockClock,
    settings: dict[str, Any],
    last: tuple[int, int] | None,
) -> None:
    gateway = await _two_tasks(bench, **settings)
    answer = await gateway.send("goip_remove_sms", {"tids": [1]})
    assert answer["results"] == [{"tid": 1, "status": "0 OK"}]
    await trio.sleep(30)
    assert [attempt.tid for attempt in gateway.attempts] == [1, 2]
    reports = [report for report in gateway.receiver.reports if report["tid"] == 1]
    assert [(report["sent"], report["unsent"]) for report in reports] == ([last] if last else [])


async def test_a_device_may_refuse_to_remove_a_started_task(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await _two_tasks(bench, remove_started=False)
    answer = await gateway.send("goip_remove_sms", {"tids": [1, 2]})
    assert [item["status"] for item in answer["results"]] == ["11 TID Expected", "0 OK"]
    await trio.sleep(30)
    assert [attempt.tid for attempt in gateway.attempts] == [1, 1, 1]


async def test_a_removed_tid_is_still_remembered(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await _two_tasks(bench)
    await gateway.send("goip_remove_sms", {"tids": [2]})
    assert await gateway.post(gateway.task(2, N + "4")) == [(2, "13 Duplicated TaskId")]


async def test_tids_that_are_no_numbers_do_not_act_on_every_task(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await _two_tasks(bench)
    assert (await gateway.send("goip_remove_sms", {"tids": ["x"]}))["code"] == 15
    await trio.sleep(30)
    assert len(gateway.attempts) == 4
