"""Delivery receipts and inbound SMS: pushed, and kept for polling."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import trio
from trio.testing import MockClock

N = "1202555010"


def _text(row: list[Any]) -> bytes:
    return base64.b64decode(row[5])


async def test_a_receipt_names_the_smsc_and_the_original_recipient(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench(smsc="447700900999")
    await gateway.post(gateway.task(1, N + "1", dr=1, **{"from": "3"}))
    await trio.sleep(10)
    [row] = gateway.receiver.messages
    assert [row[0], row[1], row[3], row[4]] == [1, "3A", "447700900999", N + "1"]
    assert row[5].split()[0] == "0"


async def test_no_receipts_unless_asked_for(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench()
    await gateway.post(gateway.task(1, N + "1"))
    await trio.sleep(10)
    assert gateway.receiver.messages == []


@pytest.mark.parametrize(("per_part", "count"), [(True, 2), (False, 1)])
async def test_a_long_sms_gets_a_receipt_for_each_part(
    bench: Any, autojump_clock: MockClock, per_part: bool, count: int
) -> None:
    gateway = await bench(receipt_per_part=per_part)
    await gateway.post(gateway.task(1, N + "1", sms="x" * 161, dr=1))
    await trio.sleep(10)
    assert len(gateway.receiver.messages) == count
    assert len(gateway.attempts) == 1


@pytest.mark.parametrize(
    ("style", "ends"),
    [
        pytest.param("plain", b"Hi there", id="plain"),
        pytest.param("nul", b"Hi there\0\0\0", id="trailing-nuls"),
        pytest.param("headers", b"\r\n\r\nHi there", id="header-block"),
    ],
)
async def test_inbound_text_travels_as_base64_in_the_firmwares_style(
    bench: Any, autojump_clock: MockClock, style: str, ends: bytes
) -> None:
    gateway = await bench(inbound_text=style)
    await gateway.post(gateway.task(1, N + "1"))
    gateway.simulator.receive(2, "447700900123", "Hi there")
    await trio.sleep(1)
    [row] = gateway.receiver.messages
    assert row[:2] == [0, "2A"]
    assert row[3] == "447700900123"
    assert _text(row).endswith(ends)


async def test_the_push_buffer_waits_for_its_count_or_its_period(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench()
    await gateway.post(gateway.task(1, N + "1", sr_prd=0), sms_cnt=2, sms_prd=5)
    for text in ("one", "two", "three"):
        gateway.simulator.receive(1, "447700900123", text)
    await trio.sleep(10)
    assert [(round(at), push["sms_num"]) for at, push in gateway.receiver.pushes] == [
        (0, 2),
        (5, 1),
    ]


async def test_polling_pages_by_id_and_deletes_only_when_asked(
    bench: Any, autojump_clock: MockClock
) -> None:
    gateway = await bench()
    for text in ("one", "two", "three"):
        gateway.simulator.receive(1, "447700900123", text)
    page = await gateway.get("goip_get_sms", sms_id=1, sms_num=2)
    assert (page["code"], page["sms_num"], page["next_sms"]) == (0, 2, 3)
    assert [_text(row) for row in page["data"]] == [b"one", b"two"]
    page = await gateway.get("goip_get_sms", sms_id=3, sms_del=1)
    assert (page["sms_num"], page["next_sms"]) == (1, 4)
    page = await gateway.get("goip_get_sms")
    assert [_text(row) for row in page["data"]] == [b"one", b"two"]
    assert page["ssrc"] == gateway.simulator.boot
    page = await gateway.get("goip_get_sms", sms_id=4, sms_num=1)
    assert (page["sms_num"], page["next_sms"], page["data"]) == (0, 4, [])


async def test_a_full_inbox_drops_the_oldest(bench: Any, autojump_clock: MockClock) -> None:
    gateway = await bench(inbox_limit=2)
    for text in ("one", "two", "three"):
        gateway.simulator.receive(1, "447700900123", text)
    page = await gateway.get("goip_get_sms")
    assert [_text(row) for row in page["data"]] == [b"two", b"three"]
    assert page["next_sms"] == 4
