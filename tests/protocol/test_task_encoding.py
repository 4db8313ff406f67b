from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from campaign.errors import LocalProtocolError
from campaign.protocol.codec import (
    encode_all_tids,
    encode_send_sms,
    encode_task,
    encode_tids,
    task_digest,
)
from campaign.protocol.messages import Attachment, Envelope, Task
from campaign.protocol.ports import Port


def task(**changes: Any) -> Task:
    return msgspec.structs.replace(Task(tid=7, to=("447700900123",), sms="hi"), **changes)


def test_a_plain_task_always_asks_for_both_kinds_of_detail() -> None:
    expected = b'{"tid":7,"to":"447700900123","sms":"hi","sdr":1,"fdr":1,"dr":0}'
    assert encode_task(task()) == expected


def test_a_full_task_has_its_keys_in_one_fixed_order() -> None:
    full = task(
        to=("447700900123", "+447700900124"),
        port=Port(3, 1),
        coding=1,
        smsc="+447700900000",
        intvl="500-2000",
        tmo=60,
        dr=1,
        sr_prd=15,
        sr_cnt=5,
    )
    assert encode_task(full).decode() == (
        '{"tid":7,"from":"3A","to":"447700900123,+447700900124","sms":"hi","coding":1,'
        '"smsc":"+447700900000","intvl":"500-2000","tmo":60,"sdr":1,"fdr":1,"dr":1,'
        '"sr_prd":15,"sr_cnt":5}'
    )


def test_text_goes_out_as_utf8_without_escapes() -> None:
    assert '"sms":"价格 €5 😀 \\"now\\""' in encode_task(task(sms='价格 €5 😀 "now"')).decode()


@pytest.mark.parametrize(
    ("port", "letter", "dotted"),
    [
        (Port(4), b'"from":"4"', b'"from":"4"'),
        (Port(4, 2), b'"from":"4B"', b'"from":"4.02"'),
        (Port(12, 101, "sp256"), b'"from":"12.sp256.101"', b'"from":"12.sp256.101"'),
    ],
    ids=["port alone", "slot", "pool"],
)
def test_a_port_is_named_in_the_gateways_dialect(port: Port, letter: bytes, dotted: bytes) -> None:
    assert letter in encode_task(task(port=port))
    assert dotted in encode_task(task(port=port), "dotted")


def test_a_task_without_a_port_leaves_the_choice_to_the_device() -> None:
    assert b"from" not in encode_task(task())


def test_base64_text_says_so() -> None:
    assert b'"sms":"5L2g5aW9","chs":"base64"' in encode_task(task(sms="你好", chs="base64"))


def test_an_mms_carries_its_attachments_as_kind_and_base64() -> None:
    mms = task(
        sms="",
        smstype=1,
        smstitle="news",
        attachments=(Attachment("txt", b"abc"), Attachment("jpg", b"\xff\xd8")),
    )
    assert b'"smstype":1,"smstitle":"news","attachments":"txt|YWJj;jpg|/9g="' in encode_task(mms)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"tid": 0}, id="tid 0"),
        pytest.param({"tid": -1}, id="negative tid"),
        pytest.param({"tid": 2**31}, id="tid beyond 31 bits"),
        pytest.param({"tid": True}, id="tid that is a truth value"),
        pytest.param({"to": ()}, id="no recipient"),
        pytest.param({"to": ("447700900123", "447700900123")}, id="recipient twice"),
        pytest.param({"to": ("447700900123", "+447700900123")}, id="twice but for the plus"),
        pytest.param({"to": ("44770 0900123",)}, id="blank in a number"),
        pytest.param({"to": ("12",)}, id="two digits"),
        pytest.param({"to": ("1" * 21,)}, id="21 digits"),
        pytest.param({"to": ("１２３４",)}, id="full-width digits"),
        pytest.param({"to": ("447700900123,447700900124",)}, id="two numbers in one"),
        pytest.param({"to": ("447700900123\n",)}, id="line end behind a number"),
        pytest.param({"sms": ""}, id="no text"),
        pytest.param({"sms": "\ud800"}, id="half a surrogate pair"),
        pytest.param({"sms": "\ud800", "chs": "base64"}, id="half a surrogate pair in base64"),
        pytest.param({"sr_prd": 0}, id="sr_prd 0 switches reports off"),
        pytest.param({"sr_prd": -1}, id="negative sr_prd"),
        pytest.param({"sr_cnt": 0}, id="sr_cnt 0"),
        pytest.param({"intvl": "abc"}, id="intvl that is no number"),
        pytest.param({"intvl": "2000-500"}, id="intvl backwards"),
        pytest.param({"intvl": "500-"}, id="intvl half open"),
        pytest.param({"intvl": "-5"}, id="intvl negative"),
        pytest.param({"tmo": 0}, id="no time to send"),
        pytest.param({"chs": "gbk"}, id="charset the protocol does not have"),
        pytest.param({"coding": 3}, id="coding the protocol does not have"),
        pytest.param({"smstype": 2}, id="type the protocol does not have"),
        pytest.param({"sdr": 2}, id="sdr neither on nor off"),
        pytest.param({"smsc": "abc"}, id="SMSC that is no number"),
        pytest.param({"from_text": "1,2"}, id="several ports: one SMS per port"),
        pytest.param({"smstitle": "x"}, id="title on an SMS"),
        pytest.param({"attachments": (Attachment("txt", b""),)}, id="attachment on an SMS"),
        pytest.param(
            {"smstype": 1, "attachments": (Attachment("txt", b""),) * 6}, id="six attachments"
        ),
        pytest.param({"smstype": 1, "attachments": (Attachment("exe", b""),)}, id="unknown kind"),
        pytest.param(
            {"smstype": 1, "attachments": (Attachment("jpg", bytes(100 * 1024)),)}, id="over 100 KB"
        ),
    ],
)
def test_what_a_device_would_misread_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        encode_task(task(**changes))


def test_a_request_carries_stored_tasks_byte_for_byte() -> None:
    first, second = encode_task(task()), encode_task(task(tid=8, sms="你好"))
    envelope = Envelope(
        sr_url="http://192.0.2.1/push",
        sr_cnt=100,
        sr_prd=5,
        sms_url="http://192.0.2.1/push",
        sms_cnt=10,
        sms_prd=5,
    )
    body = encode_send_sms(envelope, [first, second])
    assert body == (
        b'{"type":"send-sms","sr_url":"http://192.0.2.1/push","sr_cnt":100,"sr_prd":5,'
        b'"sms_url":"http://192.0.2.1/push","sms_cnt":10,"sms_prd":5,"task_num":2,"tasks":['
        + first
        + b","
        + second
        + b"]}"
    )
    assert msgspec.json.decode(body)["task_num"] == 2


def test_an_empty_envelope_says_nothing_of_reports() -> None:
    one = encode_task(task())
    expected = b'{"type":"send-sms","task_num":1,"tasks":[' + one + b"]}"
    assert encode_send_sms(Envelope(), [one]) == expected


def test_the_digest_tells_tasks_apart() -> None:
    one = encode_task(task())
    assert task_digest(one) == hashlib.sha256(one).hexdigest()
    assert task_digest(one) != task_digest(encode_task(task(tid=8)))


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope(sr_prd=0),
        Envelope(sr_cnt=0),
        Envelope(sms_prd=0),
        Envelope(sms_cnt=1),
        Envelope(sr_url="ftp://192.0.2.1/"),
        Envelope(sms_url=""),
        Envelope(sr_url="http://\ud800/"),
    ],
    ids=["sr_prd 0", "sr_cnt 0", "sms_prd 0", "sms_cnt 1", "no http", "empty url", "no Unicode"],
)
def test_an_envelope_that_would_silence_the_device_is_refused(envelope: Envelope) -> None:
    with pytest.raises(LocalProtocolError):
        encode_send_sms(envelope, [encode_task(task())])


@pytest.mark.parametrize(
    "tasks",
    [
        pytest.param([], id="none"),
        pytest.param([encode_task(task())] * 2, id="same task twice"),
        pytest.param([encode_task(task()), encode_task(task(sms="other"))], id="same tid twice"),
        pytest.param([b"null"], id="no task"),
        pytest.param([b'{"tid":7}'], id="no more than a tid"),
    ],
)
def test_a_request_of_no_or_repeated_tasks_is_refused(tasks: list[bytes]) -> None:
    with pytest.raises(LocalProtocolError):
        encode_send_sms(Envelope(), tasks)


def test_task_ids_to_pause_are_named() -> None:
    assert encode_tids([2, 3]) == b'{"tids":[2,3]}'


@pytest.mark.parametrize("tids", [[], [0], [2**31], [True]], ids=str)
def test_no_task_id_would_mean_every_task_and_is_refused(tids: list[int]) -> None:
    with pytest.raises(LocalProtocolError):
        encode_tids(tids)


def test_all_tasks_takes_a_call_of_its_own() -> None:
    assert encode_all_tids() == b"{}"
