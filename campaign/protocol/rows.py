"""Decoders of list items: report rows, inbound rows, port states, verdicts, tasks, statistics.

Each takes any JSON value and gives a value, or None when the item cannot be understood; `decoded`
collects the latter as raw JSON. The report rows are the hot path of a campaign: a busy gateway
reports hundreds a second.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from campaign.protocol.loose import (
    Json,
    as_digits,
    as_int,
    as_port,
    as_text,
    fold,
    items_of,
    leading,
    raw_json,
)
from campaign.protocol.messages import (
    CallStat,
    FailedRow,
    PortState,
    QueuedTask,
    ReceivedSms,
    SentRow,
    SmsStat,
    TaskReport,
    Verdict,
)
from campaign.protocol.ports import Notation
from campaign.protocol.text import unwrap_inbound

T = TypeVar("T")


def decoded(
    items: Iterable[object], decode: Callable[[object], T | None]
) -> tuple[tuple[T, ...], tuple[str, ...]]:
    """Decode every item: what was understood, and the raw JSON of what was not."""
    good: list[T] = []
    odd: list[str] = []
    for item in items:
        value = decode(item)
        if value is None:
            odd.append(raw_json(item))
        else:
            good.append(value)
    return tuple(good), tuple(odd)


def task_report(item: object) -> TaskReport | None:
    """One element of `rpts`; None without a task id."""
    if type(item) is not dict or (tid := as_int(item.get("tid"))) is None:
        return None
    sent, failed = item.get("sdr"), item.get("fdr")
    sdr, odd_sdr = ((), ()) if sent is None else decoded(items_of(sent), sent_row)
    fdr, odd_fdr = ((), ()) if failed is None else decoded(items_of(failed), failed_row)
    return TaskReport(
        tid=tid,
        sending=as_int(item.get("sending")),
        sent=as_int(item.get("sent")),
        failed=as_int(item.get("failed")),
        unsent=as_int(item.get("unsent")),
        sdr=sdr,
        fdr=fdr,
        odd=odd_sdr + odd_fdr,
    )


def sent_row(row: object) -> SentRow | None:
    """`[index, number, port, at]`; None when it is no list or holds no number."""
    if type(row) is not list or len(row) < 2 or not (number := as_digits(row[1])):
        return None
    if len(row) < 4:
        row = row + [None] * (4 - len(row))
    index, _, port, at, *_ = row
    return SentRow(
        index=index if type(index) is int else as_int(index),
        number=number,
        port=as_port(port),
        at=at if type(at) is int else as_int(at),
    )


def failed_row(row: object) -> FailedRow | None:
    """`[index, number, port, at, program reason, network reason]`, the reasons perhaps missing."""
    if type(row) is not list or len(row) < 2 or not (number := as_digits(row[1])):
        return None
    if len(row) < 6:
        row = row + [None] * (6 - len(row))
    index, _, port, at, program, network, *_ = row
    program_code, program_text = leading(program)
    network_code, network_text = leading(network)
    return FailedRow(
        index=as_int(index),
        number=number,
        port=as_port(port),
        at=as_int(at),
        program=program_code,
        program_text=program_text,
        network=network_code,
        network_text=network_text,
    )


def received_sms(row: object) -> ReceivedSms | None:
    """`[flag, port, at, sender, recipient, text]`, perhaps with ICCID, IMSI and IMEI behind."""
    if type(row) is not list or len(row) < 6 or (flag := as_int(row[0])) not in (0, 1):
        return None
    raw = as_text(row[5])
    iccid, imsi, imei = (as_text(value) for value in (row[6:9] + [None] * 3)[:3])
    return ReceivedSms(
        receipt=flag == 1,
        port=as_port(row[1]),
        at=as_int(row[2]),
        sender=as_text(row[3]),
        recipient=as_text(row[4]),
        text=raw.rstrip("\0") if flag == 1 else unwrap_inbound(raw).text,
        receipt_code=leading(raw)[0] if flag == 1 else None,
        raw=raw,
        iccid=iccid,
        imsi=imsi,
        imei=imei,
    )


def verdict(item: object) -> Verdict | None:
    """`{"tid": 7, "status": "0 OK"}`; None unless both the task and a code can be read."""
    if type(item) is not dict or (tid := as_int(item.get("tid"))) is None:
        return None
    code, text = leading(item.get("status"))
    return None if code is None else Verdict(tid, code, text)


def agreed(verdicts: tuple[Verdict, ...]) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
    """One verdict a task; those of a task that has two different ones, as raw JSON.

    Taking either could release a message that the device has, or lose one that it has not.
    """
    if len({item.tid for item in verdicts}) == len(verdicts):
        return verdicts, ()
    codes: dict[int, set[int]] = {}
    for item in verdicts:
        codes.setdefault(item.tid, set()).add(item.code)
    kept = {item.tid: item for item in verdicts if len(codes[item.tid]) == 1}
    torn = [item for item in verdicts if len(codes[item.tid]) > 1]
    return tuple(kept.values()), tuple(
        raw_json({"tid": item.tid, "status": item.text}) for item in torn
    )


def notation_of(items: Iterable[object]) -> Notation | None:
    """How a device spells ports: by the first row that names a slot."""
    for item in items:
        text = as_text(item.get("port")).strip() if type(item) is dict else ""
        if text[-1:].isalpha():
            return "letter"
        if "." in text:
            return "dotted"
    return None


_STATE_TEXTS: Final = {
    "bal": "balance",
    "opr": "operator",
    "sn": "number",
    "imei": "imei",
    "imsi": "imsi",
    "iccid": "iccid",
}
_STATE_INTS: Final = {"seq": "seq", "sig": "signal"}


def port_state(item: object) -> PortState | None:
    """One port of a device status, or the body of a port status; None without a port."""
    if type(item) is not dict or (port := as_port(item.get("port"))) is None:
        return None
    rest: Json = {key: value for key, value in item.items() if key != "port"}
    code, text = leading(rest.pop("st" if "st" in rest else "status", None))
    known: dict[str, Any] = {
        name: as_text(rest.pop(key)) for key, name in _STATE_TEXTS.items() if key in rest
    }
    known.update(take_ints(rest, _STATE_INTS))
    return PortState(port=port, code=code, text=text, extra=rest, **known)


def take_ints(rest: Json, names: dict[str, str]) -> dict[str, int]:
    """Move the readable integers out of `rest`; what is not readable stays there."""
    taken: dict[str, int] = {}
    for key, name in names.items():
        number = as_int(rest.get(key))
        if number is not None:
            taken[name] = number
            del rest[key]
    return taken


def queued_task(item: object) -> QueuedTask | None:
    """One waiting task; None without a task id."""
    if type(item) is not dict:
        return None
    rest = fold(item)
    tid = as_int(rest.pop("tid", None))
    if tid is None:
        return None
    numbers = as_text(rest.pop("to", None)).split(",")
    sms = rest.pop("sms", None)
    return QueuedTask(
        tid=tid,
        port_text=as_text(rest.pop("from", None)),
        to=tuple(digits for number in numbers if (digits := as_digits(number))),
        sms=None if sms is None else plain_text(as_text(sms), rest.get("chs")),
        state=take_ints(rest, {"state": "state"}).get("state", 0),
        extra=rest,
    )


def plain_text(text: str, chs: object) -> str:
    """The text behind a task's `chs`; as it came when the declared base64 is none."""
    if chs != "base64":
        return text
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return text


_SMS_COUNTS: Final = tuple(
    name for name in SmsStat.__struct_fields__ if name not in ("port", "slot")
)
_CALL_COUNTS: Final = tuple(
    name for name in CallStat.__struct_fields__ if name not in ("port", "slot", "nc")
)


def sms_stat(item: object) -> SmsStat | None:
    """One port and slot of the SMS statistics; None without a port."""
    place = _place(item)
    if place is None:
        return None
    row, port, slot = place
    return SmsStat(
        port=port, slot=slot, **{name: as_int(row.get(name)) or 0 for name in _SMS_COUNTS}
    )


def call_stat(item: object) -> CallStat | None:
    """One port and slot of the call statistics; None without a port."""
    place = _place(item)
    if place is None:
        return None
    row, port, slot = place
    counts = {name: as_int(row.get(name)) or 0 for name in _CALL_COUNTS}
    return CallStat(port=port, slot=slot, nc=as_text(row.get("nc")), **counts)


def _place(item: object) -> tuple[Json, int, int | None] | None:
    """A statistics row with its port and slot: two integers, or both in a notation like 1A."""
    if type(item) is not dict:
        return None
    row = fold(item)
    port = as_port(row.get("port"))
    if port is None:
        return None
    slot = as_int(row.get("slot"))
    return row, port.number, port.slot if slot is None else slot
