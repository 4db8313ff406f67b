"""What devices have been seen to answer, one row of the table a case."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from campaign.errors import RemoteProtocolError
from campaign.protocol.codec import (
    decode_answer,
    decode_dev_status,
    decode_push,
    decode_sms_page,
    decode_sms_stats,
    decode_task_list,
    decode_task_status,
    decode_tids_answer,
)
from campaign.protocol.messages import (
    DevStatus,
    FailedRow,
    PortState,
    PortStatus,
    ReceivedSms,
    RecvSms,
    SentRow,
    StatusReport,
    TaskReport,
    UnknownPush,
    Verdict,
)
from campaign.protocol.ports import Port

PHONE = "447700900123"


def wire(value: object) -> bytes:
    return msgspec.json.encode(value)


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def report_of(**fields: Any) -> TaskReport:
    push = decode_push(wire({"type": "status-report", "rpt_num": 1, "rpts": [fields]}))
    assert isinstance(push, StatusReport)
    assert push.odd == ()
    (report,) = push.reports
    return report


def sent(row: object) -> SentRow:
    (decoded,) = report_of(tid=1, sdr=[row]).sdr
    return decoded


def failed(row: object) -> FailedRow:
    (decoded,) = report_of(tid=1, fdr=[row]).fdr
    return decoded


def received(row: list[Any], **envelope: Any) -> ReceivedSms:
    push = decode_push(wire({"type": "recv-sms", "sms_num": "1", "sms": [row], **envelope}))
    assert isinstance(push, RecvSms)
    (message,) = push.messages
    return message


def state_of(**fields: Any) -> PortState:
    push = decode_push(wire({"type": "port-status", "port": "1A", **fields}))
    assert isinstance(push, PortStatus)
    return push.state


def status_of(**fields: Any) -> DevStatus:
    return decode_dev_status(wire({"type": "dev-status", "status": [], **fields}))


@pytest.mark.parametrize("tid", [1223, "1223", " 1223 ", 1223.0], ids=repr)
def test_a_tid_is_an_integer_or_digits(tid: object) -> None:
    assert report_of(tid=tid).tid == 1223
    body = wire({"code": 200, "reason": "OK", "status": [{"tid": tid, "status": "0 OK"}]})
    assert decode_task_status(body).verdicts == (Verdict(1223, 0, "0 OK"),)
    assert decode_task_list(wire({"code": 200, "tasks": [{"tid": tid}]})).tasks[0].tid == 1223


def test_a_tid_that_firmware_wrapped_is_shown_as_it_is() -> None:
    assert report_of(tid=-2147483648).tid == -2147483648


@pytest.mark.parametrize("count", [3, "3"], ids=repr)
def test_counts_and_timestamps_are_integers_or_digits(count: object) -> None:
    page = decode_sms_page(
        wire({"code": 0, "sms_num": count, "next_sms": count, "ssrc": "a", "data": []})
    )
    assert (page.count, page.next_sms) == (3, 3)
    assert sent([0, PHONE, "1A", count]).at == 3
    assert received([0, "1A", count, "x", "y", ""]).at == 3
    tasks = decode_task_list(wire({"code": 200, "total_num": count, "task_num": count}))
    assert (tasks.total, tasks.tasks) == (3, ())
    assert report_of(tid=1, sending=count, sent=count, failed=count, unsent=count) == TaskReport(
        tid=1, sending=3, sent=3, failed=3, unsent=3
    )


@pytest.mark.parametrize("key", ["st", "status"])
@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        pytest.param(3, 3, "3", id="integer"),
        pytest.param("3", 3, "3", id="digits"),
        pytest.param("3 OK", 3, "3 OK", id="with words"),
        pytest.param("OK", None, "OK", id="words alone"),
        pytest.param(None, None, "", id="null"),
        pytest.param("12345678901 x", None, "12345678901 x", id="no code is that long"),
    ],
)
def test_a_port_code_under_either_key(
    key: str, status: object, code: int | None, text: str
) -> None:
    state = state_of(**{key: status})
    assert (state.code, state.text, state.extra) == (code, text, {})


@pytest.mark.parametrize(
    ("balance", "text"), [("0.00", "0.00"), (100, "100"), (1.5, "1.5"), (None, "")], ids=repr
)
def test_a_balance_is_text_or_a_number(balance: object, text: str) -> None:
    assert state_of(bal=balance).balance == text


@pytest.mark.parametrize("operator", ["46001 CHINA UNICOM GSM", "0 ", ""])
def test_an_operator_is_verbatim(operator: str) -> None:
    assert state_of(opr=operator).operator == operator


@pytest.mark.parametrize("key", ["max-slots", "max-slot"])
@pytest.mark.parametrize("value", [4, "4"], ids=repr)
def test_the_slots_of_a_device_under_either_key(key: str, value: object) -> None:
    status = status_of(**{key: value, "max-ports": "32"})
    assert (status.max_slots, status.max_ports, status.extra) == (4, 32, {})


@pytest.mark.parametrize("kind", ["dev-status", "dev-Status", "DEV-STATUS"])
def test_a_device_status_in_any_capitals(kind: str) -> None:
    push = decode_push(wire({"type": kind, "seq": 1, "status": [{"port": "1A"}]}))
    assert push == DevStatus(seq=1, notation="letter", ports=(PortState(port=Port(1, 1)),))


def test_an_empty_port_has_four_keys_and_gaps_do_not_matter() -> None:
    rows = [
        {"port": "1.01", "seq": 1, "st": 0, "imei": "35"},
        {"port": "1.04", "st": 3, "iccid": "8986", "active": 1, "led": 0},
    ]
    assert status_of(status=rows).ports == (
        PortState(port=Port(1, 1), seq=1, code=0, text="0", imei="35"),
        PortState(port=Port(1, 4), code=3, text="3", iccid="8986", extra={"active": 1, "led": 0}),
    )


def test_unknown_keys_of_a_device_are_kept() -> None:
    assert status_of(seq="soon", model={"a": 1}).extra == {"seq": "soon", "model": {"a": 1}}


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("1A", Port(1, 1)),
        ("1.01", Port(1, 1)),
        ("12.sp256.101", Port(12, 101, "sp256")),
        ("4", Port(4)),
        (4, Port(4)),
        (1.01, Port(1, 1)),
        (1.1, Port(1, 10)),
        ("", None),
        ("?", None),
        (0, None),
        (True, None),
        (["1A"], None),
        ("1" * 100, None),
    ],
    ids=repr,
)
def test_a_port_in_any_notation_or_none(text: object, port: Port | None) -> None:
    assert sent([0, PHONE, text, 1]).port == port


def test_a_status_row_without_a_readable_port_is_kept_raw() -> None:
    assert status_of(status=[{"port": "?"}, 7]).odd == ('{"port":"?"}', "7")
    with pytest.raises(RemoteProtocolError):
        decode_push(wire({"type": "port-status", "port": "?"}))


@pytest.mark.parametrize(
    "number", [PHONE, "+" + PHONE, int(PHONE), float(PHONE), " +44 7700-900123"], ids=repr
)
def test_a_phone_is_digits_however_it_is_written(number: object) -> None:
    assert sent([0, number, "1A", 1]).number == PHONE
    assert failed([0, number, "1A", 1, "7", ""]).number == PHONE


def test_a_report_may_lack_everything_but_its_tid() -> None:
    assert report_of(tid=1) == TaskReport(tid=1)


def test_a_reports_details_may_be_null() -> None:
    assert report_of(tid=1, sdr=None, fdr=None, sent=None) == TaskReport(tid=1)


@pytest.mark.parametrize("base", [0, 1])
def test_an_index_comes_as_the_device_counts(base: int) -> None:
    assert sent([base, PHONE, "1A", 1]).index == base
    assert sent([str(base), PHONE, "1A", 1]).index == base
    assert sent([None, PHONE, "1A", 1]).index is None


def test_the_reports_may_be_one_object() -> None:
    push = decode_push(wire({"type": "status-report", "rpt_num": "1", "rpts": {"tid": "5"}}))
    assert push == StatusReport(reports=(TaskReport(tid=5),))


def test_a_report_may_say_nothing() -> None:
    assert decode_push(b'{"type":"status-report","rpt_num":0}') == StatusReport(reports=())


def test_counters_need_not_add_up() -> None:
    assert report_of(tid=1, sent=9, failed=-1, sdr=[]).sent == 9


@pytest.mark.parametrize(
    ("reasons", "program", "network"),
    [
        pytest.param(["6 Timeout", ""], (6, "6 Timeout"), (None, ""), id="timeout"),
        pytest.param(["7 Send failed", "38 net"], (7, "7 Send failed"), (38, "38 net"), id="both"),
        pytest.param([7, 27], (7, "7"), (27, "27"), id="integers"),
        pytest.param(["", ""], (None, ""), (None, ""), id="empty"),
        pytest.param([None, None], (None, ""), (None, ""), id="null"),
        pytest.param(["6 Timeout"], (6, "6 Timeout"), (None, ""), id="network absent"),
        pytest.param([], (None, ""), (None, ""), id="both absent"),
        pytest.param(["failed", {"a": 1}], (None, "failed"), (None, '{"a":1}'), id="words"),
        pytest.param(["6", "", "more"], (6, "6"), (None, ""), id="an element more"),
    ],
)
def test_a_failure_has_codes_by_their_leading_integer(
    reasons: list[object], program: tuple[int | None, str], network: tuple[int | None, str]
) -> None:
    row = failed([3, PHONE, "2B", 1718800000, *reasons])
    assert (row.index, row.port, row.at) == (3, Port(2, 2), 1718800000)
    assert (row.program, row.program_text) == program
    assert (row.network, row.network_text) == network


def test_a_short_row_is_still_a_row() -> None:
    assert sent([0, PHONE]) == SentRow(index=0, number=PHONE)
    assert failed([0, PHONE, "1A"]) == FailedRow(index=0, number=PHONE, port=Port(1, 1))


@pytest.mark.parametrize(
    "row", [7, "x", None, [], [0], [0, ""], [0, None], [0, True], [0, "abc", "1A", 1], {"a": 1}]
)
def test_a_row_not_understood_is_kept_raw_and_the_others_are_decoded(row: object) -> None:
    report = report_of(tid=1, sdr=[row, [0, PHONE]], fdr=[[1, PHONE], row])
    raw = msgspec.json.encode(row).decode()
    assert report.odd == (raw, raw)
    assert (len(report.sdr), len(report.fdr)) == (1, 1)


def test_details_that_are_no_list_are_kept_raw() -> None:
    assert report_of(tid=1, sdr="none", fdr={"a": 1}).odd == ('"none"', '{"a":1}')


def test_a_report_without_a_tid_is_kept_raw() -> None:
    push = decode_push(b'{"type":"status-report","rpts":[{"sent":1},{"tid":2},7]}')
    assert push == StatusReport(reports=(TaskReport(tid=2),), odd=('{"sent":1}', "7"))


def test_an_inbound_row_of_six_or_nine() -> None:
    six = [0, "1.01", 1718800000, "+" + PHONE, "", packed("hi")]
    message = received(six, extra="key")
    assert (message.port, message.sender, message.recipient) == (Port(1, 1), "+" + PHONE, "")
    assert (message.text, message.raw, message.iccid) == ("hi", packed("hi"), "")
    nine = received([*six, "8986", "2340", "35"])
    assert (nine.iccid, nine.imsi, nine.imei) == ("8986", "2340", "35")
    assert received([*six, "8986"]).iccid == "8986"


def test_a_sender_may_be_a_name_or_a_number_without_quotes() -> None:
    assert received([0, "1A", 1, "ACME", PHONE, packed("hi")]).sender == "ACME"
    assert received([0, "1A", 1, 10010, PHONE, packed("hi")]).sender == "10010"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(packed("hello\0\0\0"), "hello", id="trailing NULs"),
        pytest.param(
            packed('Sender: a\r\nReceiver: "12.01" b\r\nSMSC: c\r\nSCTS: d\r\n\r\nhello'),
            "hello",
            id="header block",
        ),
        pytest.param("hello, plain", "hello, plain", id="not base64"),
    ],
)
def test_an_inbound_text_is_unwrapped_and_kept_raw(raw: str, text: str) -> None:
    message = received([0, "1A", 1, "a", "b", raw])
    assert (message.text, message.raw) == (text, raw)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("0 20240619121500", 0, id="delivered"),
        pytest.param("32 x", 32, id="still trying"),
        pytest.param("70", 70, id="failed"),
        pytest.param("", None, id="empty"),
        pytest.param("delivered", None, id="words"),
    ],
)
def test_a_receipt_is_a_code_and_a_token(text: str, code: int | None) -> None:
    message = received(["1", "1A", 1, "+447700900000", PHONE, text])
    assert message.receipt
    assert (message.receipt_code, message.text, message.raw) == (code, text, text)


@pytest.mark.parametrize("row", [[0, "1A", 1, "a", "b"], [2, "1A", 1, "a", "b", ""], "x", None])
def test_an_inbound_row_not_understood_is_kept_raw(row: object) -> None:
    push = decode_push(wire({"type": "recv-sms", "sms": [row]}))
    assert push == RecvSms(messages=(), odd=(msgspec.json.encode(row).decode(),))


@pytest.mark.parametrize(
    ("text", "code"), [("2 Invalid Port", 2), ("2 Port Unavailable", 2), ("13", 13), (16, 16)]
)
def test_a_verdict_is_its_leading_integer(text: object, code: int) -> None:
    body = wire({"code": 200, "status": [{"tid": 7, "status": text}]})
    assert decode_task_status(body).verdicts == (Verdict(7, code, str(text)),)


@pytest.mark.parametrize(
    "item", [{"tid": 7}, {"status": "0 OK"}, {"tid": 7, "status": "OK"}, "0 OK"], ids=repr
)
def test_a_verdict_that_cannot_be_read_accepts_and_refuses_nothing(item: object) -> None:
    status = decode_task_status(wire({"code": 200, "status": [item]}))
    assert (status.verdicts, status.odd) == ((), (msgspec.json.encode(item).decode(),))


def test_a_refusal_of_the_whole_request_has_no_verdicts() -> None:
    status = decode_task_status(b'{"code":1,"reason":"Invalid User"}')
    assert (status.code, status.reason, status.verdicts, status.ok) == (
        1,
        "Invalid User",
        (),
        False,
    )


def test_verdicts_without_an_envelope_code_still_count() -> None:
    assert decode_task_status(b'{"status":{"tid":7,"status":"0 OK"}}').verdicts[0].code == 0
    with pytest.raises(RemoteProtocolError, match="without a code"):
        decode_task_status(b'{"reason":"OK"}')


def test_an_answer_to_all_tids_has_no_results() -> None:
    assert decode_tids_answer(b'{"code":200,"reason":"OK"}').verdicts is None
    assert decode_tids_answer(b'{"code":200,"results":[]}').verdicts == ()


@pytest.mark.parametrize("code", [0, 200, "0", "200 OK"], ids=repr)
def test_zero_and_200_are_both_success(code: object) -> None:
    assert decode_answer(wire({"code": code})).ok


def test_an_answer_may_say_desc_for_reason() -> None:
    assert decode_answer(b'{"code":3,"desc":"expired"}').reason == "expired"


@pytest.mark.parametrize("capital", [False, True], ids=["as on the wire", "as in the document"])
def test_a_task_list_in_either_capitals(capital: bool) -> None:
    def key(name: str) -> str:
        return name.capitalize() if capital else name

    task = {
        key("tid"): 1,
        key("from"): "1A,2-4",
        key("to"): f"{PHONE},+447700900124",
        key("sms"): "hi",
        key("state"): "1",
        key("coding"): 0,
    }
    listed = decode_task_list(
        wire({"code": 200, key("total_num"): 9, key("task_num"): 5, key("tasks"): [task, {}]})
    )
    assert (listed.total, listed.odd) == (9, ("{}",))
    (queued,) = listed.tasks
    assert (queued.tid, queued.port_text, queued.state) == (1, "1A,2-4", 1)
    assert (queued.to, queued.sms) == ((PHONE, "447700900124"), "hi")
    assert queued.extra == {"coding": 0}


def test_a_queued_text_in_base64_is_read() -> None:
    task = {"tid": 1, "sms": packed("你好"), "chs": "base64"}
    assert decode_task_list(wire({"code": 200, "tasks": [task]})).tasks[0].sms == "你好"
    task["sms"] = "no base64!"
    assert decode_task_list(wire({"code": 200, "tasks": [task]})).tasks[0].sms == "no base64!"


def test_statistics_may_name_port_and_slot_in_one() -> None:
    rows = [{"Port": "2B", "Sent": "5"}, {"port": 3, "slot": "1"}, {"sent": 1}]
    stats = decode_sms_stats(wire({"code": 200, "stats": rows}))
    assert [(row.port, row.slot, row.sent) for row in stats.stats] == [(2, 2, 5), (3, 1, 0)]
    assert stats.odd == ('{"sent":1}',)


@pytest.mark.parametrize("body", [b'{"type":"esim-status","x":1}', b'{"x":1}', b'{"type":7}'])
def test_a_push_of_an_unknown_type_is_kept_whole(body: bytes) -> None:
    push = decode_push(body)
    assert isinstance(push, UnknownPush)
    assert push.body == body


def test_a_byte_order_mark_and_trailing_nuls_do_not_matter() -> None:
    assert decode_answer(b'\xef\xbb\xbf{"code":0}\r\n\0\0').code == 0


def test_a_refused_status_query_is_no_status() -> None:
    body = b'{"code":1,"reason":"Invalid User"}'
    with pytest.raises(RemoteProtocolError):
        decode_dev_status(body)
    assert decode_answer(body).code == 1
