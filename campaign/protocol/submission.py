"""What may be sent: the checks on a task and its envelope, and a task's spelling on the wire."""

from __future__ import annotations

import base64
import re
from typing import Final

from campaign.errors import LocalProtocolError
from campaign.protocol.loose import Json
from campaign.protocol.messages import Attachment, Envelope, Task
from campaign.protocol.ports import Notation

MAX_TID: Final = 2**31 - 1
"""Firmware keeps task ids in a signed 32-bit integer; longer ones come back wrapped."""

MAX_ATTACHMENTS: Final = 5
MAX_ATTACHMENT_BYTES: Final = 100 * 1024
ATTACHMENT_KINDS: Final = ("jpg", "gif", "txt", "mp3")

_NUMBER: Final = re.compile(r"\+?[0-9]{3,20}")
_INTERVAL: Final = re.compile(r"([0-9]{1,7})(?:-([0-9]{1,7}))?")


def check_task(task: Task) -> None:
    """Refuse with `LocalProtocolError` what a device would misread."""
    if type(task.tid) is not int or not 1 <= task.tid <= MAX_TID:
        raise LocalProtocolError(f"task id {task.tid!r} is not within 1..{MAX_TID}")
    if task.from_text:
        raise _refusal(task, "names more than one port: the device would send once per port")
    _check_recipients(task)
    _check_content(task)
    _check_cadence(task)


def _check_recipients(task: Task) -> None:
    if not task.to:
        raise _refusal(task, "has no recipient")
    for number in task.to:
        if not _NUMBER.fullmatch(number):
            raise _refusal(task, f"has a recipient that is no number: {number[:40]!r}")
    if len(task.to) > 1 and len({number.removeprefix("+") for number in task.to}) < len(task.to):
        raise _refusal(task, "names a recipient twice")


def _check_content(task: Task) -> None:
    if task.smstype not in (0, 1):
        raise _refusal(task, f"has smstype {task.smstype!r}, which is neither SMS (0) nor MMS (1)")
    if not task.sms and task.smstype != 1:
        raise _refusal(task, "has no text")
    if task.chs not in ("utf8", "base64"):
        raise _refusal(task, f"has chs {task.chs!r}, which is neither utf8 nor base64")
    if task.coding not in (0, 1, 2):
        raise _refusal(task, f"has coding {task.coding!r}, which is not 0, 1 or 2")
    if task.smsc and not _NUMBER.fullmatch(task.smsc):
        raise _refusal(task, f"has an SMSC that is no number: {task.smsc[:40]!r}")
    if task.smstype != 1 and (task.attachments or task.smstitle):
        raise _refusal(task, "is an SMS with an MMS title or attachments")
    if task.attachments:
        _check_attachments(task)


def _check_attachments(task: Task) -> None:
    if len(task.attachments) > MAX_ATTACHMENTS:
        raise _refusal(task, f"has more than {MAX_ATTACHMENTS} attachments")
    for attachment in task.attachments:
        if attachment.kind not in ATTACHMENT_KINDS:
            raise _refusal(task, f"has an attachment of kind {attachment.kind!r}")
    # The specification does not say whether it counts the files or their base64: take the stricter.
    if len(write_attachments(task.attachments)) > MAX_ATTACHMENT_BYTES:
        raise _refusal(task, f"has attachments of more than {MAX_ATTACHMENT_BYTES} bytes")


def _check_cadence(task: Task) -> None:
    if task.intvl:
        match = _INTERVAL.fullmatch(task.intvl)
        if match is None or (match[2] is not None and int(match[1]) > int(match[2])):
            raise _refusal(task, f"has intvl {task.intvl!r}; write 500 or 500-2000 milliseconds")
    if task.tmo < 1:
        raise _refusal(task, f"has tmo {task.tmo}, less than a second")
    for name, value in (("sdr", task.sdr), ("fdr", task.fdr), ("dr", task.dr)):
        if value not in (0, 1):
            raise _refusal(task, f"has {name} {value!r}, which is neither 0 nor 1")
    if task.sr_prd is not None and task.sr_prd < 1:
        raise _refusal(task, f"has sr_prd {task.sr_prd}, which switches reports off")
    if task.sr_cnt is not None and task.sr_cnt < 1:
        raise _refusal(task, f"has sr_cnt {task.sr_cnt}, less than one")


def _refusal(task: Task, what: str) -> LocalProtocolError:
    return LocalProtocolError(f"task {task.tid} {what}")


def check_envelope(envelope: Envelope) -> None:
    """Refuse report and inbound settings that switch off what we live by."""
    for name in ("sr_cnt", "sr_prd", "sms_prd"):
        value = getattr(envelope, name)
        if value is not None and value < 1:
            raise LocalProtocolError(f"{name} {value} is less than one")
    if envelope.sms_cnt is not None and envelope.sms_cnt < 2:
        # Spec §6.3.1.3: with less than two the device falls back to the old inbound mechanism.
        raise LocalProtocolError(f"sms_cnt {envelope.sms_cnt} is less than two")
    for name in ("sr_url", "sms_url"):
        url = getattr(envelope, name)
        if url is not None and not url.startswith(("http://", "https://")):
            raise LocalProtocolError(f"{name} {url[:60]!r} is no http address")


def task_fields(task: Task, notation: Notation) -> Json:
    """The task under the wire's keys, in one fixed order, defaults left out."""
    fields: Json = {"tid": task.tid}
    if task.port is not None:
        fields["from"] = task.port.write(notation)
    fields["to"] = ",".join(task.to)
    base64_text = task.chs == "base64"
    fields["sms"] = _base64(task.sms.encode()) if base64_text else task.sms
    if base64_text:
        fields["chs"] = task.chs
    if task.coding:
        fields["coding"] = task.coding
    if task.smstype:
        fields["smstype"] = task.smstype
    if task.smstitle:
        fields["smstitle"] = task.smstitle
    if task.smsc:
        fields["smsc"] = task.smsc
    if task.intvl:
        fields["intvl"] = task.intvl
    if task.tmo != _DEVICE_TMO:
        fields["tmo"] = task.tmo
    if task.attachments:
        fields["attachments"] = write_attachments(task.attachments)
    fields["sdr"] = task.sdr
    fields["fdr"] = task.fdr
    fields["dr"] = task.dr
    if task.sr_prd is not None:
        fields["sr_prd"] = task.sr_prd
    if task.sr_cnt is not None:
        fields["sr_cnt"] = task.sr_cnt
    return fields


_DEVICE_TMO: Final = 30
"""Seconds: what a device waits for a message where a task does not say."""


def write_attachments(attachments: tuple[Attachment, ...]) -> str:
    """`kind|base64;kind|base64`, as in the specification's example `txt|zsSxvg==;jpg|4AAQ...`."""
    return ";".join(f"{item.kind}|{_base64(item.content)}" for item in attachments)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
