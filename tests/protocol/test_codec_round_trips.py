from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.errors import RemoteProtocolError
from campaign.protocol import codec, device_codec
from campaign.protocol.codes import task_meaning
from campaign.protocol.device_codec import DeviceStyle
from campaign.protocol.messages import (
    Answer,
    Attachment,
    CallStat,
    CallStats,
    DevStatus,
    Envelope,
    FailedRow,
    PortState,
    PortStatus,
    QueuedTask,
    ReceivedSms,
    RecvSms,
    SendSms,
    SentRow,
    SmsPage,
    SmsStat,
    SmsStats,
    StatusReport,
    Task,
    TaskList,
    TaskReport,
    TaskStatus,
    TidsAnswer,
    Verdict,
)
from campaign.protocol.ports import Port

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TOKEN = st.text("abc XYZ019.-", max_size=12)
COUNT = st.integers(0, 2**31 - 1)
MAYBE = st.none() | COUNT
TID = st.integers(1, 2**31 - 1)
DIGITS = st.from_regex(r"[1-9][0-9]{2,14}", fullmatch=True)
PORT = st.builds(Port, st.integers(1, 512), st.none() | st.integers(1, 40)) | st.builds(
    Port, st.integers(1, 512), st.integers(1, 999), st.just("sp256")
)
SEEN_PORT = st.none() | PORT
NOTATION = st.sampled_from(["letter", "dotted"])
STYLE = st.builds(
    DeviceStyle,
    port_notation=NOTATION,
    ints_as_strings=st.booleans(),
    plus_numbers=st.booleans(),
)
EXTRA = st.dictionaries(
    st.sampled_from(["sim", "led", "active", "network"]), st.integers(0, 9) | TOKEN, max_size=3
)

ENVELOPE: dict[str, st.SearchStrategy[Any]] = {
    "sr_url": st.none() | st.just("http://192.0.2.1/p?a=é"),
    "sr_cnt": st.none() | st.integers(1, 500),
    "sr_prd": st.none() | st.integers(1, 500),
    "sms_url": st.none() | st.just("https://192.0.2.1/"),
    "sms_cnt": st.none() | st.integers(2, 500),
    "sms_prd": st.none() | st.integers(1, 500),
}
CONTENT: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"sms": TEXT.filter(bool)},
    optional={"chs": st.just("base64"), "coding": st.integers(1, 2)},
) | st.fixed_dictionaries(
    {
        "sms": TEXT,
        "smstype": st.just(1),
        "smstitle": TEXT,
        "attachments": st.lists(
            st.builds(Attachment, st.sampled_from(["txt", "jpg"]), st.binary(max_size=9)),
            max_size=5,
        ).map(tuple),
    }
)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    numbers = draw(st.lists(DIGITS, min_size=1, max_size=4, unique=True))
    plus = draw(st.booleans())
    low = draw(st.integers(0, 5000))
    return Task(
        tid=draw(TID),
        to=tuple(f"+{number}" if plus else number for number in numbers),
        port=draw(SEEN_PORT),
        smsc=draw(st.just("") | DIGITS),
        intvl=draw(st.sampled_from(["", str(low), f"{low}-{low + 500}"])),
        tmo=draw(st.integers(1, 600)),
        sdr=draw(st.integers(0, 1)),
        fdr=draw(st.integers(0, 1)),
        dr=draw(st.integers(0, 1)),
        sr_prd=draw(st.none() | st.integers(1, 3600)),
        sr_cnt=draw(st.none() | st.integers(1, 3600)),
        **draw(CONTENT),
    )


@pytest.mark.slow
@given(
    st.lists(tasks(), min_size=1, max_size=4, unique_by=lambda task: task.tid),
    st.fixed_dictionaries(ENVELOPE),
    NOTATION,
)
def test_a_device_reads_the_request_we_meant(
    sent: list[Task], envelope: dict[str, Any], notation: Any
) -> None:
    stored = [codec.encode_task(task, notation) for task in sent]
    body = codec.encode_send_sms(Envelope(**envelope), stored)
    assert device_codec.decode_send_sms(body) == SendSms(tasks=tuple(sent), **envelope)


@pytest.mark.slow
@given(tasks())
def test_the_same_task_gives_the_same_bytes(task: Task) -> None:
    assert codec.encode_task(task) == codec.encode_task(task)


@given(st.lists(TID, min_size=1))
def test_a_device_reads_the_task_ids_we_meant(tids: list[int]) -> None:
    assert device_codec.decode_tids(codec.encode_tids(tids)) == tuple(tids)


def test_a_device_reads_all_tasks_in_every_spelling() -> None:
    for body in (codec.encode_all_tids(), b"", b'{"tids":[]}', b'{"tids":""}', b'{"tids":null}'):
        assert device_codec.decode_tids(body) is None
    assert device_codec.decode_tids(b'{"tids":"2,3"}') == (2, 3)
    with pytest.raises(RemoteProtocolError):
        device_codec.decode_tids(b'{"tids":[2,"x"]}')


CODE = st.sampled_from([0, 200, 1, 7])
VERDICT = st.builds(
    lambda tid, code: Verdict(tid, code, f"{code} {task_meaning(code)}"), TID, st.integers(0, 25)
)
VERDICTS = st.lists(VERDICT, max_size=4, unique_by=lambda verdict: verdict.tid).map(tuple)


@given(st.builds(TaskStatus, code=CODE, reason=TEXT, verdicts=VERDICTS), STYLE)
def test_a_task_status_survives(status: TaskStatus, style: DeviceStyle) -> None:
    assert codec.decode_task_status(device_codec.encode_task_status(status, style)) == status


def test_a_verdict_without_words_gets_those_of_the_specification() -> None:
    status = TaskStatus(code=200, verdicts=(Verdict(7, 13, ""),))
    body = device_codec.encode_task_status(status)
    assert codec.decode_task_status(body).verdicts == (Verdict(7, 13, "13 Duplicated TaskId"),)


@given(st.builds(TidsAnswer, code=CODE, reason=TEXT, verdicts=st.none() | VERDICTS), STYLE)
def test_an_answer_about_task_ids_survives(answer: TidsAnswer, style: DeviceStyle) -> None:
    assert codec.decode_tids_answer(device_codec.encode_tids_answer(answer, style)) == answer


@given(st.builds(Answer, code=CODE, reason=TEXT))
def test_an_answer_survives(answer: Answer) -> None:
    assert codec.decode_answer(device_codec.encode_answer(answer)) == answer


SENT = st.builds(SentRow, index=MAYBE, number=DIGITS, port=SEEN_PORT, at=MAYBE)


@st.composite
def failed_rows(draw: st.DrawFn) -> FailedRow:
    reasons: dict[str, Any] = {}
    for name in ("program", "network"):
        code = draw(st.none() | st.integers(0, 500))
        words = draw(st.sampled_from(["", " Timeout", " failed, 3 times"]))
        reasons[name] = code
        reasons[f"{name}_text"] = words if code is None else f"{code}{words}"
    head = draw(SENT)
    return FailedRow(index=head.index, number=head.number, port=head.port, at=head.at, **reasons)


REPORT = st.builds(
    TaskReport,
    tid=TID,
    sending=MAYBE,
    sent=MAYBE,
    failed=MAYBE,
    unsent=MAYBE,
    sdr=st.lists(SENT, max_size=4).map(tuple),
    fdr=st.lists(failed_rows(), max_size=4).map(tuple),
)
REPORTS = st.builds(StatusReport, reports=st.lists(REPORT, max_size=3).map(tuple))


@pytest.mark.slow
@given(REPORTS, STYLE)
def test_a_status_report_survives(push: StatusReport, style: DeviceStyle) -> None:
    assert codec.decode_push(device_codec.encode_status_report(push, style)) == push


def test_a_device_that_counts_from_one_writes_its_indexes_so() -> None:
    row = SentRow(index=0, number="447700900123", port=Port(1, 1), at=5)
    push = StatusReport(reports=(TaskReport(tid=1, sdr=(row,)),))
    body = device_codec.encode_status_report(push, DeviceStyle(index_base=1))
    assert b'"sdr":[[1,"447700900123","1A",5]]' in body


@st.composite
def inbound(draw: st.DrawFn) -> ReceivedSms:
    receipt = draw(st.booleans())
    code = draw(st.integers(0, 255)) if receipt else None
    text = f"{code} token" if receipt else "x" + draw(TEXT).rstrip("\0")
    return ReceivedSms(
        receipt=receipt,
        port=draw(SEEN_PORT),
        at=draw(MAYBE),
        sender=draw(TEXT),
        recipient=draw(TOKEN),
        text=text,
        receipt_code=code,
        raw=text if receipt else base64.b64encode(text.encode()).decode(),
        iccid=draw(TOKEN),
        imsi=draw(TOKEN),
        imei=draw(TOKEN),
    )


INBOUND = st.lists(inbound(), max_size=4).map(tuple)


@given(st.builds(RecvSms, messages=INBOUND), STYLE)
def test_inbound_messages_survive(push: RecvSms, style: DeviceStyle) -> None:
    assert codec.decode_push(device_codec.encode_recv_sms(push, style)) == push


def test_an_inbound_text_without_its_raw_form_is_wrapped() -> None:
    push = RecvSms(messages=(ReceivedSms(receipt=False, sender="ACME", text="价格"),))
    decoded = codec.decode_push(device_codec.encode_recv_sms(push))
    assert isinstance(decoded, RecvSms)
    assert (decoded.messages[0].text, decoded.messages[0].raw) == ("价格", "5Lu35qC8")


@pytest.mark.slow
@given(
    st.builds(
        SmsPage,
        code=CODE,
        reason=TEXT,
        ssrc=TOKEN,
        count=COUNT,
        next_sms=COUNT,
        messages=INBOUND,
    ),
    STYLE,
)
def test_an_inbox_page_survives(page: SmsPage, style: DeviceStyle) -> None:
    assert codec.decode_sms_page(device_codec.encode_sms_page(page, style)) == page


@st.composite
def port_states(draw: st.DrawFn) -> PortState:
    code = draw(st.none() | st.integers(0, 16))
    words = draw(st.sampled_from(["", " OK"]))
    return PortState(
        port=draw(PORT),
        code=code,
        text="" if code is None else f"{code}{words}",
        balance=draw(TOKEN),
        operator=draw(TEXT),
        number=draw(TOKEN),
        imei=draw(TOKEN),
        imsi=draw(TOKEN),
        iccid=draw(TOKEN),
        seq=draw(MAYBE),
        signal=draw(MAYBE),
        extra=draw(EXTRA),
    )


@given(port_states(), STYLE)
def test_a_port_status_survives(state: PortState, style: DeviceStyle) -> None:
    push = PortStatus(state)
    assert codec.decode_push(device_codec.encode_port_status(push, style)) == push


def test_a_port_state_without_words_is_written_as_its_code() -> None:
    body = device_codec.encode_port_status(PortStatus(PortState(port=Port(1, 1), code=0)))
    assert body == b'{"type":"port-status","port":"1A","status":0}'


def test_later_firmware_calls_a_pushed_state_st() -> None:
    state = PortState(port=Port(1, 1), code=3)
    body = device_codec.encode_port_status(PortStatus(state), DeviceStyle(port_notation="dotted"))
    assert body == b'{"type":"port-status","port":"1.01","st":3}'


@pytest.mark.slow
@given(
    st.builds(
        DevStatus,
        seq=MAYBE,
        expires=st.none() | st.integers(-1, 3600),
        mac=TOKEN,
        ip=TOKEN,
        ver=TOKEN,
        max_ports=MAYBE,
        max_slots=MAYBE,
        ports=st.lists(port_states(), max_size=3).map(tuple),
        extra=EXTRA,
    ),
    STYLE,
)
def test_a_device_status_survives(status: DevStatus, style: DeviceStyle) -> None:
    body = device_codec.encode_dev_status(status, style)
    decoded = codec.decode_dev_status(body)
    assert msgspec.structs.replace(decoded, notation=None) == status
    assert codec.decode_push(body) == decoded


QUEUED = st.builds(
    QueuedTask,
    tid=TID,
    port_text=TOKEN,
    to=st.lists(DIGITS, max_size=3).map(tuple),
    sms=st.none() | TEXT,
    state=st.integers(0, 1),
    extra=st.fixed_dictionaries({}, optional={"chs": st.sampled_from(["utf-8", "base64"])}),
)


@pytest.mark.slow
@given(
    st.builds(
        TaskList, code=CODE, reason=TEXT, total=COUNT, tasks=st.lists(QUEUED, max_size=3).map(tuple)
    ),
    STYLE,
)
def test_a_task_list_survives(listed: TaskList, style: DeviceStyle) -> None:
    assert codec.decode_task_list(device_codec.encode_task_list(listed, style)) == listed


SMS_STAT = st.builds(
    SmsStat,
    port=st.integers(1, 512),
    slot=st.none() | st.integers(1, 9),
    **dict.fromkeys(SmsStat.__struct_fields__[2:], COUNT),
)
CALL_STAT = st.builds(
    CallStat,
    port=st.integers(1, 512),
    slot=st.none() | st.integers(1, 9),
    nc=st.just("15/20"),
    **{name: COUNT for name in CallStat.__struct_fields__[2:] if name != "nc"},
)


@given(st.lists(SMS_STAT, max_size=3), st.lists(CALL_STAT, max_size=3))
def test_statistics_survive(sms: list[SmsStat], calls: list[CallStat]) -> None:
    sms_stats = SmsStats(code=200, reason="OK", stats=tuple(sms))
    assert codec.decode_sms_stats(device_codec.encode_sms_stats(sms_stats)) == sms_stats
    call_stats = CallStats(code=200, reason="OK", stats=tuple(calls))
    assert codec.decode_call_stats(device_codec.encode_sms_stats(call_stats)) == call_stats
