"""The values of the protocol: what one side says to the other, free of wire spelling.

All frozen. Field names are ours; the wire's keys stand in the codec. Timestamps are the device's
UTC seconds, for display only: its clock may be wrong. Phone numbers in reports are digits only,
because devices write them with or without `+`. Indexes of rows are as the device wrote them:
firmware counts from 0 or from 1, so match by number first. `odd` holds, as JSON text, the items of
a list that could not be understood: nothing a device said is dropped.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from campaign.protocol.ports import Notation, Port


class Attachment(msgspec.Struct, frozen=True):
    """One part of an MMS: `kind` is jpg, gif, txt or mp3."""

    kind: str
    content: bytes


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One SMS text to one or more recipients (spec §6.3.1.3).

    A task names one port or none: with one recipient and several ports the device sends one SMS
    *per port*. `from_text` is only ever set by the device side, for a `from` that is not one port
    (`"1,2"`, `"4-32"`, nonsense); it is refused on encoding.
    """

    tid: int
    to: tuple[str, ...]
    sms: str
    port: Port | None = None
    chs: str = "utf8"
    coding: int = 0
    smstype: int = 0
    smstitle: str = ""
    attachments: tuple[Attachment, ...] = ()
    smsc: str = ""
    intvl: str = ""
    tmo: int = 30
    sdr: int = 1
    fdr: int = 1
    dr: int = 0
    sr_prd: int | None = None
    sr_cnt: int | None = None
    from_text: str = ""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What a send request says beside its tasks: where and how often the device reports."""

    sr_url: str | None = None
    sr_cnt: int | None = None
    sr_prd: int | None = None
    sms_url: str | None = None
    sms_cnt: int | None = None
    sms_prd: int | None = None


class SendSms(Envelope, frozen=True, kw_only=True):
    """A whole send request, as the device reads it."""

    tasks: tuple[Task, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope of any answer. 0 and 200 both mean success, by endpoint."""

    code: int
    reason: str = ""

    @property
    def ok(self) -> bool:
        return self.code in (0, 200)


class Verdict(msgspec.Struct, frozen=True):
    """The device's word on one task: the leading integer of a status, and the whole raw text."""

    tid: int
    code: int
    text: str


class TaskStatus(Answer, frozen=True, kw_only=True):
    """Answer to a send request. A task without a readable verdict is in doubt, see `odd`."""

    verdicts: tuple[Verdict, ...] = ()
    odd: tuple[str, ...] = ()


class TidsAnswer(Answer, frozen=True, kw_only=True):
    """Answer to pause, resume and remove; `verdicts` is None when the device listed none."""

    verdicts: tuple[Verdict, ...] | None = None
    odd: tuple[str, ...] = ()


class SentRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of `sdr`: this recipient's SMS was taken by the network."""

    index: int | None = None
    number: str
    port: Port | None = None
    at: int | None = None


class FailedRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of `fdr`: the program's reason and, if it says so, the network's; texts verbatim."""

    index: int | None = None
    number: str
    port: Port | None = None
    at: int | None = None
    program: int | None = None
    program_text: str = ""
    network: int | None = None
    network_text: str = ""


class TaskReport(msgspec.Struct, frozen=True, kw_only=True):
    """Counters are cumulative for the task; rows are those since the previous report."""

    tid: int
    sending: int | None = None
    sent: int | None = None
    failed: int | None = None
    unsent: int | None = None
    sdr: tuple[SentRow, ...] = ()
    fdr: tuple[FailedRow, ...] = ()
    odd: tuple[str, ...] = ()


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """The push `status-report` (spec §6.3.2)."""

    reports: tuple[TaskReport, ...]
    odd: tuple[str, ...] = ()


class ReceivedSms(msgspec.Struct, frozen=True, kw_only=True):
    """One inbound SMS, or with `receipt` one delivery receipt (spec §7.2.3).

    In a receipt `sender` is the SMSC and `recipient` the original message's recipient. `raw` is
    the text as it came; `sender` and `recipient` are verbatim (a sender may be alphanumeric).
    """

    receipt: bool
    port: Port | None = None
    at: int | None = None
    sender: str = ""
    recipient: str = ""
    text: str = ""
    receipt_code: int | None = None
    raw: str = ""
    iccid: str = ""
    imsi: str = ""
    imei: str = ""

    @property
    def recipient_digits(self) -> str:
        """The recipient as reports name it, for matching."""
        return "".join(char for char in self.recipient if char in "0123456789")


class RecvSms(msgspec.Struct, frozen=True, kw_only=True):
    """The push `recv-sms`."""

    messages: tuple[ReceivedSms, ...]
    odd: tuple[str, ...] = ()


class PortState(msgspec.Struct, frozen=True, kw_only=True):
    """One port, or one SIM of it (spec §4.1.4); `extra` keeps every key not named here."""

    port: Port
    code: int | None = None
    text: str = ""
    balance: str = ""
    operator: str = ""
    number: str = ""
    imei: str = ""
    imsi: str = ""
    iccid: str = ""
    seq: int | None = None
    signal: int | None = None
    extra: dict[str, Any] = {}


class DevStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The push `dev-status`, which is also the answer to a status query (spec §4.1.3).

    `notation` is how the device spelt its ports; None where no row names a slot.
    """

    seq: int | None = None
    expires: int | None = None
    mac: str = ""
    ip: str = ""
    ver: str = ""
    max_ports: int | None = None
    max_slots: int | None = None
    notation: Notation | None = None
    ports: tuple[PortState, ...] = ()
    extra: dict[str, Any] = {}
    odd: tuple[str, ...] = ()


class PortStatus(msgspec.Struct, frozen=True):
    """The push `port-status`: one port changed."""

    state: PortState


class QueuedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task still waiting in the device (spec §6.3.6). `state`: 0 normal, 1 paused."""

    tid: int
    port_text: str = ""
    to: tuple[str, ...] = ()
    sms: str | None = None
    state: int = 0
    extra: dict[str, Any] = {}


class TaskList(Answer, frozen=True, kw_only=True):
    """One page of waiting tasks; `total` counts all of them."""

    total: int = 0
    tasks: tuple[QueuedTask, ...] = ()
    odd: tuple[str, ...] = ()


class SmsPage(Answer, frozen=True, kw_only=True):
    """Answer to an inbox query (spec §8). `next_sms` is valid only with its `ssrc`; 0: not told."""

    ssrc: str = ""
    count: int = 0
    next_sms: int = 0
    messages: tuple[ReceivedSms, ...] = ()
    odd: tuple[str, ...] = ()


class SmsStat(msgspec.Struct, frozen=True, kw_only=True):
    """The device's own SMS ledger of one port and slot (spec §9)."""

    port: int
    slot: int | None = None
    received: int = 0
    sent: int = 0
    sent_ok: int = 0
    sent_failed: int = 0
    con_failed: int = 0
    unsent: int = 0
    sending: int = 0


class SmsStats(Answer, frozen=True, kw_only=True):
    """Answer to an SMS statistics query."""

    stats: tuple[SmsStat, ...] = ()
    odd: tuple[str, ...] = ()


class CallStat(msgspec.Struct, frozen=True, kw_only=True):
    """The device's call ledger of one port and slot (spec §10); `nc` is `"successes/total"`."""

    port: int
    slot: int | None = None
    calls: int = 0
    alerted: int = 0
    connected: int = 0
    con_failed: int = 0
    nc: str = ""
    pdd: int = 0
    acd: int = 0
    asr: int = 0
    tcd: int = 0
    act_tcd: int = 0


class CallStats(Answer, frozen=True, kw_only=True):
    """Answer to a call statistics query."""

    stats: tuple[CallStat, ...] = ()
    odd: tuple[str, ...] = ()


class CommandAnswer(Answer, frozen=True, kw_only=True):
    """Answer to a command (spec §5): `values` a `get` told, and how many a `set` took."""

    par_set: int | None = None
    values: dict[str, str] = {}


class SessionAnswer(Answer, frozen=True, kw_only=True):
    """Answer to the handshake of a secure session (spec §3.2.2); `expires` is in seconds."""

    session: str = ""
    expires: int = 180


class UssdAnswer(Answer, frozen=True, kw_only=True):
    """Answer to a USSD request; `resp` is the network's text."""

    resp: str = ""


class EsimProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One profile of an eSIM (firmware 2.4). Activation codes are secrets and not kept."""

    slot: int | None = None
    enabled: bool = False
    iccid: str = ""
    provider: str = ""
    status: int | None = None
    reason: str = ""


class EsimPort(msgspec.Struct, frozen=True, kw_only=True):
    """The eSIM of one port; `eid` is its chip's number."""

    port: Port
    eid: str = ""
    state: int | None = None
    profiles: tuple[EsimProfile, ...] = ()


class Esims(Answer, frozen=True, kw_only=True):
    """Answer to an eSIM query (firmware 2.4)."""

    ports: tuple[EsimPort, ...] = ()
    odd: tuple[str, ...] = ()


class UnknownPush(msgspec.Struct, frozen=True):
    """A push of a type this package does not know; `body` is kept whole."""

    type: str
    body: bytes


Push: TypeAlias = StatusReport | RecvSms | DevStatus | PortStatus | UnknownPush
