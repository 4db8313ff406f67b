"""The old interface (1.0), its pushes, and what later firmware added."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import urlencode

import pytest

from campaign.errors import LocalProtocolError, RemoteProtocolError
from campaign.protocol.codec import decode_push, decode_task_status
from campaign.protocol.esims import decode_esims, encode_esims
from campaign.protocol.legacy import (
    decode_legacy_answer,
    decode_ussd_answer,
    encode_ussd_answer,
    legacy_query,
    ussd_query,
)
from campaign.protocol.legacy_push import decode_legacy_push
from campaign.protocol.messages import (
    EsimPort,
    EsimProfile,
    Esims,
    ReceivedSms,
    RecvSms,
    UssdAnswer,
)
from campaign.protocol.ports import Port

SAMPLES = Path(__file__).parent / "samples"


def only(push: object) -> ReceivedSms:
    assert isinstance(push, RecvSms)
    [message] = push.messages
    return message


def test_a_message_is_one_query() -> None:
    assert legacy_query(Port(3, 1), ["999300000001", "+999300000002"], "Grüße") == {
        "port": "3",
        "recipients": "999300000001,+999300000002",
        "sms": "Grüße",
        "charset": "utf-8",
    }
    assert "port" not in legacy_query(None, ["999300000001"], "x")


@pytest.mark.parametrize(("to", "text"), [([], "x"), (["abc"], "x"), (["999300000001"], "")])
def test_a_message_to_nobody_or_of_nothing_is_refused(to: list[str], text: str) -> None:
    with pytest.raises(LocalProtocolError):
        legacy_query(None, to, text)


def test_its_answer_is_a_code() -> None:
    assert decode_legacy_answer(b'{"code":"5","reason":"SIM Unregistered"}').code == 5


def test_ussd_asks_a_code_and_gets_a_text() -> None:
    assert ussd_query(Port(2), "*100#") == {"port": "2", "ussd": "*100#"}
    answer = UssdAnswer(code=0, reason="OK", resp="Your balance is 5.00")
    assert decode_ussd_answer(encode_ussd_answer(answer)) == answer
    with pytest.raises(LocalProtocolError, match="as \\*100#"):
        ussd_query(Port(2), "hello")


HEADERS = (
    'Sender: +447700900111\r\nReceiver: "12.01" 447700900999\r\nSMSC: 4477009\r\n'
    "SCTS: {scts}\r\nSlot: 1\r\n\r\n{text}"
)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "base64"])
@pytest.mark.parametrize(
    ("scts", "at"),
    [
        ("2026-03-02 10:00:00", 1772445600),
        ("260302100000+32", 1772445600 - 8 * 3600),
        ("26/03/02,10:00:00-04", 1772445600 + 3600),
        ("1772445600", 1772445600),
        ("yesterday", None),
        ("260299996161", None),
    ],
)
def test_a_text_behind_headers_is_a_received_sms(packed: bool, scts: str, at: int | None) -> None:
    body = HEADERS.format(scts=scts, text="Stop\r\nplease").encode()
    message = only(decode_push(base64.b64encode(body) if packed else body))
    assert (message.sender, message.recipient) == ("+447700900111", "447700900999")
    assert (message.port, message.at, message.text) == (Port(12, 1), at, "Stop\r\nplease")


@pytest.mark.parametrize(
    "fields",
    [
        {"sender": "447700900111", "receiver": "99", "port": "2B", "content": "你好"},
        {"from": "447700900111", "to": "99", "port": "2.02", "text": "你好"},
        {"Phone": "447700900111", "dst": "99", "line": "2B", "SMS": "你好", "other": "x"},
    ],
)
@pytest.mark.parametrize("where", ["body", "query"])
def test_fields_under_changing_names_are_a_received_sms(fields: dict[str, str], where: str) -> None:
    form = urlencode(fields)
    body = form.encode()
    push = (
        decode_push(body, "application/x-www-form-urlencoded", "")
        if where == "body"
        else decode_push(b"x", "", form)
    )
    message = only(push)
    assert (message.sender, message.recipient, message.text) == ("447700900111", "99", "你好")
    assert message.port == Port(2, 2)


def test_a_text_in_another_charset_is_read_by_its_content_type() -> None:
    body = HEADERS.format(scts="", text="退订").encode("gb18030")
    assert only(decode_push(body, "text/plain; charset=GB18030")).text == "退订"


def test_a_short_text_that_could_be_base64_stays_a_text() -> None:
    assert only(decode_legacy_push(b"sender=447700900111&text=STOP")).text == "STOP"
    packed = base64.b64encode(b"Hello out there").decode()
    body = urlencode({"sender": "1234", "text": packed + "="}).encode()
    assert only(decode_legacy_push(body)).text


@pytest.mark.parametrize("body", [b"hello", b"a=b", b"sender=1", b"\xff\xfe", b"", b"<html>"])
def test_what_is_neither_is_not_taken_for_a_message(body: bytes) -> None:
    assert decode_legacy_push(body) is None
    with pytest.raises(RemoteProtocolError):
        decode_push(body)


def test_the_esims_of_a_vendor_sample() -> None:
    esims = decode_esims((SAMPLES / "get_esims_response__skyline_ref_2_4_0.json").read_bytes())
    [port] = esims.ports
    assert (port.port, port.eid, port.state) == (Port(1), "89001...", 1)
    assert port.profiles[0].provider == "T-Mobile"
    assert port.profiles[0].enabled
    assert "activation" not in repr(esims)


def test_esims_survive() -> None:
    profile = EsimProfile(slot=2, enabled=True, iccid="8901", provider="P", status=0, reason="")
    esims = Esims(code=200, reason="OK", ports=(EsimPort(port=Port(1), eid="8", state=1,
                                                         profiles=(profile,)),))  # fmt: skip
    assert decode_esims(encode_esims(esims)) == esims


def test_two_different_verdicts_for_one_task_are_none() -> None:
    rows = [
        {"tid": 1, "status": "0 OK"},
        {"tid": 2, "status": "0 OK"},
        {"tid": 2, "status": "16 Too Many Task"},
        {"tid": 3, "status": "0 OK"},
        {"tid": 3, "status": "0 Success"},
    ]
    status = decode_task_status(json.dumps({"code": 200, "status": rows}).encode())
    assert [(verdict.tid, verdict.code) for verdict in status.verdicts] == [(1, 0), (3, 0)]
    assert len(status.odd) == 2
