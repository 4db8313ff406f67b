"""Status reports: cadence, buffer, details, and what happens when nobody takes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

N = "1202555010"


def _numbers(count: int) -> str:
    return ",".join(f"{N}{digit}" for digit in range(count))


async def test_counters_are_cumulative_and_details_are_those_since_the_last_report(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=1, sms_seconds=1.0)
    await gateway.post(gateway.task(1, _numbers(5), sr_cnt=2))
    await trio.sleep(10)
    seen = [
        (report["sent"], report["sending"], report["unsent"], len(report["sdr"]))
        for report in gateway.receiver.reports
    ]
    assert seen == [(2, 0, 3, 2), (4, 0, 1, 2), (5, 0, 0, 1)]


async def test_a_task_reports_each_period_in_which_there_was_news(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=1, sms_seconds=4.0)
    await gateway.post(gateway.task(1, _numbers(3), sr_cnt=100, sr_prd=5))
    await trio.sleep(30)
    assert [(round(at), push["rpts"][0]["sent"]) for at, push in gateway.receiver.pushes] == [
        (5, 1),
        (10, 2),
        (12, 3),
    ]


async def test_sent_details_come_only_when_asked_for_and_failed_ones_by_default(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(magic=True)
    await gateway.post({"tid": 1, "to": "12025550100,12020000001", "sms": "a"})
    await trio.sleep(5)
    [report] = gateway.receiver.reports
    assert (report["sent"], report["failed"]) == (1, 1)
    assert "sdr" not in report
    assert report["fdr"][0][4:] == ["7 Send failed", "1 unassigned number"]


async def test_a_report_period_of_zero_switches_reports_off(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench()
    await gateway.post(gateway.task(1, _numbers(3), sr_prd=0))
    await trio.sleep(120)
    assert (len(gateway.attempts), gateway.receiver.reports) == (3, [])


async def test_the_devices_buffer_waits_for_its_count_or_its_period(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=3, sms_seconds=1.0)
    tasks = [gateway.task(tid, N + str(tid)) for tid in range(5)]
    await gateway.post(*tasks[1:], sr_cnt=3, sr_prd=20)
    await trio.sleep(60)
    assert [(round(at), len(push["rpts"])) for at, push in gateway.receiver.pushes] == [
        (1, 3),
        (22, 1),
    ]


@pytest.mark.parametrize(("base", "first"), [(0, 0), (1, 1)])
async def test_rows_count_recipients_from_the_firmwares_base(
    bench: Any, autojump_clock: MockClock, base: int, first: int
) -> None:
    gateway = await bench(ports=1, index_base=base)
    await gateway.post(gateway.task(1, _numbers(2)))
    await trio.sleep(10)
    assert [row[0] for row in gateway.receiver.rows("sdr")] == [first, first + 1]


@pytest.mark.parametrize(("dialect", "port"), [("2.0", "2A"), ("2.4", "2.01")])
async def test_ports_are_written_in_the_dialects_notation(
    bench: Any, autojump_clock: MockClock, dialect: str, port: str
) -> None:
    gateway = await bench(dialect=dialect)
    await gateway.post(gateway.task(1, N + "1", **{"from": "2"}))
    await trio.sleep(5)
    assert [row[2] for row in gateway.receiver.rows("sdr")] == [port]
    assert [attempt.port for attempt in gateway.attempts] == ["2.01"]


async def test_a_refused_push_is_tried_again_and_then_dropped(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(sms_seconds=1.0, push_retry=(1.0, 5.0))
    gateway.receiver.status = 500
    await gateway.post(gateway.task(1, N + "1"))
    await trio.sleep(60)
    assert gateway.receiver.tries == pytest.approx([1.0, 2.0, 7.0])
    assert gateway.simulator.pusher.dropped == 1


async def test_a_receiver_that_hangs_counts_as_refusing_after_five_seconds(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(sms_seconds=1.0, push_retry=(1.0,))
    gateway.receiver.hang = 30.0
    await gateway.post(gateway.task(1, N + "1"))
    await trio.sleep(60)
    assert gateway.receiver.tries == pytest.approx([1.0, 7.0])
    assert gateway.receiver.pushes == []


async def test_idle_reports_go_on_without_news_where_the_firmware_does_so(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(ports=1, sms_seconds=12.0, idle_reports=True)
    await gateway.post(gateway.task(1, _numbers(2), sr_prd=5))
    await trio.sleep(60)
    assert [report["sent"] for report in gateway.receiver.reports] == [0, 0, 1, 1, 2]


async def test_the_truth_is_written_before_the_report_leaves(
    bench: Any, autojump_clock: MockClock, tmp_path: Any
) -> None:
    ledger = tmp_path / "truth.jsonl"
    gateway = await bench(ledger=ledger, sms_seconds=1.0, name="sim9")
    on_disk: list[str] = []
    gateway.receiver.on_push = lambda: on_disk.append(ledger.read_text("utf-8"))
    await gateway.post(gateway.task(3, N + "1", sms="grüß"), sr_cnt=1)
    await trio.sleep(5)
    [text] = on_disk
    assert json.loads(text) == {
        "t": pytest.approx(1772442001.0),
        "device": "sim9",
        "boot": gateway.simulator.boot,
        "tid": 3,
        "number": N + "1",
        "port": "1.01",
        "text": "grüß",
        "ok": True,
        "cause": None,
    }
