from __future__ import annotations

from pathlib import Path

import pytest

from campaign.protocol.codec import (
    decode_answer,
    decode_call_stats,
    decode_dev_status,
    decode_push,
    decode_sms_page,
    decode_sms_stats,
    decode_task_status,
    decode_tids_answer,
)
from campaign.protocol.messages import (
    Answer,
    CallStat,
    CallStats,
    DevStatus,
    FailedRow,
    PortState,
    PortStatus,
    ReceivedSms,
    RecvSms,
    SentRow,
    SmsStat,
    SmsStats,
    StatusReport,
    TaskReport,
    TaskStatus,
    TidsAnswer,
    Verdict,
)
from campaign.protocol.ports import Port

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def test_call_statistics() -> None:
    stat = CallStat(
        port=1,
        slot=1,
        calls=100,
        alerted=90,
        connected=80,
        con_failed=20,
        nc="15/20",
        pdd=5,
        acd=120,
        asr=80,
        tcd=160,
        act_tcd=9600,
    )
    body = sample("call_stat_response__skyline_ref_2_4_0")
    assert decode_call_stats(body) == CallStats(code=200, reason="OK", stats=(stat,))


def test_a_real_device_status() -> None:
    body = sample("dev_status_first_port__vendor_spec22_p23_closed")
    state = PortState(
        port=Port(1, 1),
        code=3,
        text="3",
        balance="0.00",
        operator="46001 CHINA UNICOM GSM",
        imei="898647867787788",
        imsi="460016995630427",
        iccid="89864897954984899121",
        seq=8,
        signal=15,
        extra={"sim": "", "tot_dur": "0/-1", "mon_dur": "0/-1", "day_dur": "0/-1"},
    )
    status = DevStatus(
        seq=3,
        expires=60,
        mac="00-30-f1-00-6c-55",
        ip="192.168.1.67",
        ver="532-604-924-041-100-000",
        max_ports=32,
        max_slots=4,
        notation="dotted",
        ports=(state,),
    )
    assert decode_dev_status(body) == status
    assert decode_push(body) == status


def test_an_inbox_page_of_the_specification() -> None:
    page = decode_sms_page(sample("get_sms_response__seed_8_2_3"))
    assert (page.code, page.ssrc, page.count, page.next_sms) == (0, "0123456789abcdef", 2, 3)
    assert [message.at for message in page.messages] == [1466506477, 1466506670]
    first = page.messages[0]
    assert (first.receipt, first.port, first.sender, first.recipient) == (
        False,
        Port(1, 2),
        "10010",
        "13265825775",
    )
    assert first.text.startswith("尊敬的用户，您好！")
    assert first.text.endswith("广东联通。")
    assert page.odd == ()


def test_the_answer_to_a_pause() -> None:
    assert decode_tids_answer(sample("pause_sms_response__vendor_spec22_p24")) == TidsAnswer(
        code=200, reason="OK", verdicts=(Verdict(2, 0, "0 OK"), Verdict(3, 0, "0 OK"))
    )


def test_a_port_status_of_the_specification() -> None:
    assert decode_push(sample("port_status_push__seed_4_1_4_normalised")) == PortStatus(
        PortState(
            port=Port(2, 2),
            code=3,
            text="3 OK",
            balance="100.00",
            operator="46000 China Mobile",
            number="139xxxxxxxxx",
            imei="86xxxxxxxxxxxxx",
            imsi="xxx",
            iccid="xxx",
            seq=1,
        )
    )


def test_a_port_status_of_later_firmware_keeps_unknown_keys() -> None:
    assert decode_push(sample("port_status_push__vendor_openapi_v3")) == PortStatus(
        PortState(
            port=Port(2, 2),
            code=3,
            text="3",
            balance="100",
            operator="46001 CHINA UNICOM GSM",
            imei="8986105994xxxxx",
            imsi="4600149782xxxxx",
            iccid="898601162899100xxxxx",
            seq=8,
            signal=29,
            extra={
                "sim": "",
                "active": 1,
                "inserted": 1,
                "slot_active": 1,
                "led": 1,
                "network": 4,
            },
        )
    )


def test_the_answer_to_a_post() -> None:
    status = decode_task_status(sample("post_sms_response__vendor_spec22_p24"))
    assert status == TaskStatus(code=200, reason="OK", verdicts=(Verdict(1223, 0, "0 OK"),))
    assert status.ok


def test_an_inbound_sms() -> None:
    message = ReceivedSms(
        receipt=False,
        port=Port(1, 1),
        at=1718800000,
        sender="+639947527330",
        recipient="+639159585359",
        text="Hi! Your code is 482910",
        raw="SGkhIFlvdXIgY29kZSBpcyA0ODI5MTA=",
    )
    push = decode_push(sample("recv_sms_push__laravel_test_54998697836"))
    assert push == RecvSms(messages=(message,))
    assert message.recipient_digits == "639159585359"


def test_sms_statistics() -> None:
    stat = SmsStat(
        port=1,
        slot=1,
        received=10,
        sent=50,
        sent_ok=48,
        sent_failed=2,
        con_failed=0,
        unsent=5,
        sending=1,
    )
    body = sample("sms_stat_response__skyline_ref_2_4_0")
    assert decode_sms_stats(body) == SmsStats(code=200, reason="OK", stats=(stat,))


def test_a_status_report_with_both_details() -> None:
    report = TaskReport(
        tid=1223,
        sending=0,
        sent=5,
        failed=1,
        unsent=0,
        sdr=(SentRow(index=0, number="13686876620", port=Port(1, 1), at=1466506477),),
        fdr=(
            FailedRow(
                index=1,
                number="13686876621",
                port=Port(1, 2),
                at=1466506480,
                program=6,
                program_text="6 Timeout",
            ),
        ),
    )
    body = sample("status_report_push__skyline_ref_2_4_0")
    assert decode_push(body) == StatusReport(reports=(report,))


def test_a_status_report_without_failures_and_with_plus() -> None:
    row = SentRow(index=0, number="639998887777", port=Port(1, 1), at=1718800100)
    report = TaskReport(tid=55501, sending=0, sent=1, failed=0, unsent=0, sdr=(row,))
    body = sample("status_report_sent__laravel_test_54998697836")
    assert decode_push(body) == StatusReport(reports=(report,))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("send_cmd_switch_response__vendor_spec22_p23", 0),
        ("set_cmd_response__skyline_ref_2_4_0", 0),
        ("get_esims_response__skyline_ref_2_4_0", 200),
    ],
)
def test_answers_without_a_decoder_of_their_own_have_a_code(name: str, code: int) -> None:
    answer = decode_answer(sample(name))
    assert answer == Answer(code=code, reason="OK")
    assert answer.ok


def test_no_sample_is_forgotten() -> None:
    here = Path(__file__).read_text("utf-8")
    assert [path.stem for path in SAMPLES.glob("*.json") if f'"{path.stem}"' not in here] == []
