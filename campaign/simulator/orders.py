"""Judging a send request as a device does: each task by itself, bad ones refused by their code."""

from __future__ import annotations

from dataclasses import dataclass

from campaign.errors import LocalProtocolError
from campaign.protocol.codes import TaskCode
from campaign.protocol.messages import Task
from campaign.protocol.ports import AllPorts, parse_selection

_MMS_PARTS = 5
_MMS_BYTES = 100 * 1024
_DEFAULT_REPORT_PERIOD = 60.0
_DEFAULT_REPORT_COUNT = 10


@dataclass(frozen=True, slots=True)
class Order:
    """One task as asked for. `ports` empty: the device chooses. `from_text` is `from` as written.

    `report_count` and `report_period` (seconds, 0 switches reports off) are the task's own cadence;
    `spacing` is the pause between its messages, seconds from and to; `refusal` a task status code.
    """

    tid: int
    numbers: tuple[str, ...] = ()
    text: str = ""
    ports: tuple[int, ...] = ()
    from_text: str = ""
    spacing: tuple[float, float] = (0.0, 0.0)
    timeout: float = 30.0
    sent_rows: bool = False
    failed_rows: bool = True
    receipts: bool = False
    report_period: float = _DEFAULT_REPORT_PERIOD
    report_count: int = _DEFAULT_REPORT_COUNT
    refusal: int = TaskCode.OK
    mms: int | None = None
    """Attachments of an MMS; None for an SMS."""


def read_order(task: Task, *, ports: int) -> Order:
    """The task as a device with this many ports understands it."""
    from_text = task.from_text or (task.port.letter() if task.port is not None else "")
    chosen = _read_ports(from_text, ports)
    numbers = tuple(filter(None, map(digits_of, task.to)))
    period = _DEFAULT_REPORT_PERIOD if task.sr_prd is None else max(0.0, float(task.sr_prd))
    return Order(
        tid=wrap_tid(task.tid),
        numbers=numbers,
        text=task.sms,
        ports=chosen or (),
        from_text=from_text,
        spacing=_spacing(task.intvl),
        timeout=float(max(1, task.tmo)),
        sent_rows=task.sdr == 1,
        failed_rows=task.fdr == 1,
        receipts=task.dr == 1,
        report_period=period,
        report_count=max(0, task.sr_cnt or 0) or _DEFAULT_REPORT_COUNT,
        refusal=_refusal(task, numbers, chosen),
        mms=len(task.attachments) if task.smstype == 1 else None,
    )


def wrap_tid(tid: int) -> int:
    """A tid as firmware keeps it: a signed 32-bit integer; longer ones come back wrapped."""
    return (tid + 2**31) % 2**32 - 2**31


def digits_of(number: str) -> str:
    return "".join(char for char in number if char in "0123456789")


def _refusal(task: Task, numbers: tuple[str, ...], chosen: tuple[int, ...] | None) -> int:
    if not task.tid:
        return TaskCode.TID_EXPECTED
    if len(task.attachments) > _MMS_PARTS:
        return TaskCode.TOO_MANY_MMS_ATTACHMENTS
    if sum(len(part.content) for part in task.attachments) > _MMS_BYTES:
        return TaskCode.MMS_ATTACHMENTS_OVERLIMIT
    if task.smstype == 1 and not task.sms and not task.attachments:
        return TaskCode.MMS_ATTACHMENTS_EXPECTED
    if not task.sms and task.smstype != 1:
        return TaskCode.SMS_EXPECTED
    if not numbers:
        return TaskCode.TO_EXPECTED
    return TaskCode.INVALID_PORT if chosen is None else TaskCode.OK


def _read_ports(text: str, ports: int) -> tuple[int, ...] | None:
    """Port numbers in `from`; empty for the device's choice, None when one does not exist."""
    if not text:
        return ()
    try:
        selection = parse_selection(text)
    except LocalProtocolError:
        return None
    if isinstance(selection, AllPorts):
        return tuple(range(1, ports + 1))
    numbers = tuple(dict.fromkeys(port.number for port in selection))
    return numbers if max(numbers) <= ports else None


def _spacing(text: str) -> tuple[float, float]:
    """Seconds from `"500"` or `"500-2000"` milliseconds; nonsense is no pause."""
    low, _, high = text.partition("-")
    try:
        first = max(0, int(low or 0)) / 1000
        return first, max(first, int(high or low or 0) / 1000)
    except ValueError:
        return 0.0, 0.0
