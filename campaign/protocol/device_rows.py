"""How a device spells single items: verdicts, report rows, inbound rows, port states, tasks.

The counterpart of `rows`, for the simulator. `DeviceStyle` says which firmware's spelling.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final, Literal

from campaign.protocol.codes import task_meaning
from campaign.protocol.loose import Json
from campaign.protocol.messages import (
    FailedRow,
    PortState,
    QueuedTask,
    ReceivedSms,
    SentRow,
    TaskReport,
    Verdict,
)
from campaign.protocol.ports import Notation, Port

_OTHER_WORDS: Final = {
    0: "Success",
    1: "Bad User",
    2: "Port Unavailable",
    5: "No Register",
    16: "Task Full",
}


@dataclass(frozen=True, slots=True)
class DeviceStyle:
    """How this firmware spells things.

    `index_base` is added to the indexes of report rows, which the simulator counts from 0.
    """

    port_notation: Notation = "letter"
    index_base: Literal[0, 1] = 0
    ints_as_strings: bool = False
    plus_numbers: bool = False
    bare_numbers: bool = False
    other_words: bool = False
    lone_report: bool = False
    sparse_counters: bool = False
    capital_type: bool = False

    def integer(self, value: int | None) -> int | str | None:
        """An integer where firmware differs: tid, counts, timestamps."""
        return str(value) if self.ints_as_strings and value is not None else value

    def port(self, port: Port | None) -> str:
        return "" if port is None else port.write(self.port_notation)

    def phone(self, digits: str) -> str | int:
        if self.bare_numbers:
            return int(digits)
        return f"+{digits}" if self.plus_numbers else digits

    def words(self, code: int) -> str:
        """A verdict's text: the words behind the code are not the same in all firmware."""
        words = _OTHER_WORDS.get(code) if self.other_words else None
        return f"{code} {words or task_meaning(code)}"

    def index(self, index: int | None) -> int | None:
        return None if index is None else index + self.index_base


PLAIN: Final = DeviceStyle()


def verdict(verdict: Verdict, style: DeviceStyle) -> Json:
    """One verdict; without a text it gets the specification's."""
    text = verdict.text or style.words(verdict.code)
    return {"tid": style.integer(verdict.tid), "status": text}


def report(report: TaskReport, style: DeviceStyle) -> Json:
    """One element of `rpts`; counters that are None and empty details are left out."""
    value: Json = {"tid": style.integer(report.tid)}
    for name in ("sending", "sent", "failed", "unsent"):
        count = getattr(report, name)
        if count is not None and (count or not style.sparse_counters):
            value[name] = style.integer(count)
    if report.sdr:
        value["sdr"] = [row_head(row, style) for row in report.sdr]
    if report.fdr:
        value["fdr"] = [
            [
                *row_head(row, style),
                row.program_text or ("" if row.program is None else str(row.program)),
                row.network_text or ("" if row.network is None else str(row.network)),
            ]
            for row in report.fdr
        ]
    return value


def row_head(row: SentRow | FailedRow, style: DeviceStyle) -> list[Any]:
    """The four elements that sdr and fdr rows share."""
    return [
        style.index(row.index),
        style.phone(row.number),
        style.port(row.port),
        style.integer(row.at),
    ]


def received(message: ReceivedSms, style: DeviceStyle) -> list[Any]:
    """One inbound row: six elements, or nine when the SIM is known."""
    wrapped = message.raw or wrap_inbound(message)
    row: list[Any] = [
        int(message.receipt),
        style.port(message.port),
        style.integer(message.at),
        message.sender,
        message.recipient,
        wrapped,
    ]
    if message.iccid or message.imsi or message.imei:
        row += [message.iccid, message.imsi, message.imei]
    return row


def wrap_inbound(message: ReceivedSms) -> str:
    """A message's text as it travels: a receipt plain, an SMS as base64 of UTF-8."""
    if message.receipt:
        return message.text
    return base64.b64encode(message.text.encode()).decode("ascii")


def state(state: PortState, style: DeviceStyle) -> Json:
    """One port; what is empty is left out, as a port without SIM shows only port, seq, st, imei."""
    named = {
        "seq": state.seq,
        "st": state.text or state.code,
        "imei": state.imei,
        "iccid": state.iccid,
        "imsi": state.imsi,
        "sn": state.number,
        "opr": state.operator,
        "bal": state.balance,
        "sig": state.signal,
    }
    value: Json = {"port": style.port(state.port)}
    value.update({key: item for key, item in named.items() if item not in (None, "")})
    value.update(state.extra)
    return value


def queued(task: QueuedTask, style: DeviceStyle) -> Json:
    """One waiting task."""
    value: Json = {
        "tid": style.integer(task.tid),
        "from": task.port_text,
        "to": ",".join(str(style.phone(number)) for number in task.to),
    }
    if task.sms is not None:
        packed = task.extra.get("chs") == "base64"
        value["sms"] = base64.b64encode(task.sms.encode()).decode() if packed else task.sms
    value["state"] = task.state
    value.update(task.extra)
    return value
