"""The device's side of the wire, for the simulator: requests in, answers and pushes out.

Reads as tolerantly as firmware does and writes in the dialects firmware is known to write
(`DeviceStyle`); what is odd on purpose the simulator writes by hand.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec

from campaign.errors import RemoteProtocolError
from campaign.protocol import device_rows
from campaign.protocol.device_rows import PLAIN as PLAIN
from campaign.protocol.device_rows import DeviceStyle as DeviceStyle
from campaign.protocol.loose import Json, as_int, as_port, as_text, excerpt, fold, items_of, load
from campaign.protocol.messages import (
    Answer,
    Attachment,
    CallStats,
    DevStatus,
    Envelope,
    PortStatus,
    RecvSms,
    SendSms,
    SmsPage,
    SmsStats,
    StatusReport,
    Task,
    TaskList,
    TaskStatus,
    TidsAnswer,
)
from campaign.protocol.ports import Port
from campaign.protocol.rows import plain_text


def decode_send_sms(body: bytes) -> SendSms:
    """A send request as a device reads it; `RemoteProtocolError` when there are no tasks to judge.

    A task is read however bad it is, so that the device can say what is wrong with it: `tid` 0,
    no `to` or no `sms` were missing, `from_text` is a `from` that is not one port. An absent `sdr`
    is off, as in the specification.
    """
    request = load(body)
    if as_text(request.get("type", "send-sms")) != "send-sms" or "tasks" not in request:
        raise RemoteProtocolError("not a send-sms request", excerpt(body))
    items = items_of(request["tasks"])
    if not all(type(item) is dict for item in items):
        raise RemoteProtocolError("a task that is no object", excerpt(body))
    return SendSms(tasks=tuple(_task(item) for item in items), **_envelope(request))


def decode_task(body: bytes) -> Task:
    """One stored or posted task object."""
    return _task(load(body))


def _envelope(request: Json) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for name in Envelope.__struct_fields__:
        value = request.get(name)
        known[name] = as_int(value) if not name.endswith("_url") else as_text(value) or None
    return known


def _task(item: Json) -> Task:
    port, from_text = _sending_port(item.get("from"))
    to = item.get("to")
    numbers = [as_text(number) for number in to] if type(to) is list else as_text(to).split(",")
    return Task(
        tid=as_int(item.get("tid")) or 0,
        to=tuple(number.strip() for number in numbers if number.strip()),
        sms=plain_text(as_text(item.get("sms")), item.get("chs")),
        port=port,
        chs=as_text(item.get("chs", "utf8")),
        coding=_int(item, "coding", 0),
        smstype=_int(item, "smstype", 0),
        smstitle=as_text(item.get("smstitle")),
        attachments=_attachments(as_text(item.get("attachments"))),
        smsc=as_text(item.get("smsc")),
        intvl=as_text(item.get("intvl")),
        tmo=_int(item, "tmo", 30),
        sdr=_int(item, "sdr", 0),
        fdr=_int(item, "fdr", 1),
        dr=_int(item, "dr", 0),
        sr_prd=as_int(item.get("sr_prd")),
        sr_cnt=as_int(item.get("sr_cnt")),
        from_text=from_text,
    )


def _sending_port(value: object) -> tuple[Port | None, str]:
    text = as_text(value).strip()
    if not text:
        return None, ""
    port = as_port(value)
    return (port, "") if port is not None else (None, text)


def _int(item: Json, name: str, default: int) -> int:
    value = as_int(item.get(name))
    return default if value is None else value


def _attachments(text: str) -> tuple[Attachment, ...]:
    """The attachments that can be read; a device drops the others and then misses them."""
    read: list[Attachment] = []
    for part in filter(None, text.split(";")):
        kind, _, packed = part.partition("|")
        try:
            read.append(Attachment(kind.strip(), base64.b64decode(packed, validate=True)))
        except (binascii.Error, ValueError):
            continue
    return tuple(read)


def decode_tids(body: bytes) -> tuple[int, ...] | None:
    """The tasks to pause, resume or remove; None, absent or empty, is every task of the device."""
    if not body.strip():
        return None
    value = load(body).get("tids")
    items: Sequence[object] = value.split(",") if type(value) is str else items_of(value)
    if not items or items == [""]:
        return None
    tids = tuple(as_int(item) for item in items)
    known = tuple(tid for tid in tids if tid is not None)
    if len(known) != len(tids):
        raise RemoteProtocolError("a task id that is no number", excerpt(body))
    return known


def decode_credentials(body: bytes) -> tuple[str, str] | None:
    """User and password inside a body, where the specification puts them and nobody else does."""
    request = fold(load(body))
    if "username" not in request:
        return None
    return as_text(request["username"]), as_text(request.get("password"))


def _write(value: Json) -> bytes:
    return msgspec.json.encode(value)


def encode_answer(answer: Answer) -> bytes:
    """An envelope alone."""
    return _write({"code": answer.code, "reason": answer.reason})


def encode_task_status(status: TaskStatus, style: DeviceStyle = PLAIN) -> bytes:
    """The answer to a send request; a verdict without a text gets the specification's."""
    return _write(
        {
            "code": status.code,
            "reason": status.reason,
            "type": "task-status",
            "status": [device_rows.verdict(verdict, style) for verdict in status.verdicts],
        }
    )


def encode_tids_answer(answer: TidsAnswer, style: DeviceStyle = PLAIN) -> bytes:
    """The answer to pause, resume or remove; `results` is left out when there are no verdicts."""
    value: Json = {"code": answer.code, "reason": answer.reason}
    if answer.verdicts is not None:
        value["results"] = [device_rows.verdict(verdict, style) for verdict in answer.verdicts]
    return _write(value)


def encode_status_report(report: StatusReport, style: DeviceStyle = PLAIN) -> bytes:
    """The push `status-report`; counters that are None are left out, as some firmware does."""
    rows = [device_rows.report(item, style) for item in report.reports]
    return _write(
        {
            "type": "status-report",
            "rpt_num": style.integer(len(rows)),
            "rpts": rows[0] if style.lone_report and len(rows) == 1 else rows,
        }
    )


def encode_recv_sms(push: RecvSms, style: DeviceStyle = PLAIN) -> bytes:
    """The push `recv-sms`. A message's `raw` goes out as it is; without one its text is wrapped."""
    return _write(
        {
            "type": "recv-sms",
            "sms_num": style.integer(len(push.messages)),
            "sms": [device_rows.received(message, style) for message in push.messages],
        }
    )


def encode_dev_status(status: DevStatus, style: DeviceStyle = PLAIN) -> bytes:
    """The push `dev-status`, and the answer to a status query."""
    value: Json = {"type": "dev-Status" if style.capital_type else "dev-status"}
    named = {
        "seq": status.seq,
        "expires": status.expires,
        "mac": status.mac,
        "ip": status.ip,
        "ver": status.ver,
        "max-ports": status.max_ports,
        **_slots(status.max_slots, style),
    }
    value.update({key: item for key, item in named.items() if item not in (None, "")})
    value.update(status.extra)
    value["status"] = [device_rows.state(state, style) for state in status.ports]
    return _write(value)


def _slots(count: int | None, style: DeviceStyle) -> Json:
    """A string under `max-slots` in specification 2.0, a number under `max-slot` later."""
    if style.port_notation == "letter":
        return {"max-slots": None if count is None else str(count)}
    return {"max-slot": count}


def encode_port_status(push: PortStatus, style: DeviceStyle = PLAIN) -> bytes:
    """The push `port-status`; specification 2.0 calls its state `status`, later firmware `st`."""
    value = device_rows.state(push.state, style)
    if style.port_notation == "letter" and "st" in value:
        value["status"] = value.pop("st")
    return _write({"type": "port-status", **value})


def encode_task_list(tasks: TaskList, style: DeviceStyle = PLAIN) -> bytes:
    """One page of waiting tasks."""
    return _write(
        {
            "code": tasks.code,
            "reason": tasks.reason,
            "total_num": tasks.total,
            "task_num": len(tasks.tasks),
            "tasks": [device_rows.queued(task, style) for task in tasks.tasks],
        }
    )


def encode_sms_page(page: SmsPage, style: DeviceStyle = PLAIN) -> bytes:
    """One page of the inbox."""
    return _write(
        {
            "code": page.code,
            "reason": page.reason,
            "ssrc": page.ssrc,
            "sms_num": style.integer(page.count),
            "next_sms": page.next_sms,
            "data": [device_rows.received(message, style) for message in page.messages],
        }
    )


def encode_sms_stats(stats: SmsStats | CallStats) -> bytes:
    """SMS (or call) statistics."""
    return _write(
        {
            "code": stats.code,
            "reason": stats.reason,
            "count": len(stats.stats),
            "stats": [msgspec.to_builtins(row) for row in stats.stats],
        }
    )
