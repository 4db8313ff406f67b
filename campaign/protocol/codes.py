"""The protocol's numbers in words, and what a number means for what to do next.

Four tables share the same small integers, so a code means nothing without its place: the verdict
on a task (spec §6.3.1.4), the state of a port (spec §4.1.4), the network's cause of a failure (GSM
04.11 RP-Cause, GSM 03.40 TP-FCS, GSM 07.05 +CMS ERROR) and a delivery receipt's TP-Status (GSM
03.40 §9.2.3.15).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from campaign.protocol.network_causes import MEANINGS, PERMANENT


class TaskCode(enum.IntEnum):
    """The device's verdict on a task; anything but OK was not accepted."""

    OK = 0
    INVALID_USER = 1
    INVALID_PORT = 2
    USSD_EXPECTED = 3
    PENDING_USSD = 4
    SIM_UNREGISTERED = 5
    TIMEOUT = 6
    SERVER_ERROR = 7
    SMS_EXPECTED = 8
    TO_EXPECTED = 9
    PENDING_TRANSACTION = 10
    TID_EXPECTED = 11
    FROM_EXPECTED = 12
    DUPLICATED_TASK_ID = 13
    UNAUTHORIZED = 14
    INVALID_CMD = 15
    TOO_MANY_TASK = 16
    MMS_TITLE_EXPECTED = 17
    TOO_MANY_MMS_ATTACHMENTS = 18
    MMS_ATTACHMENTS_EXPECTED = 19
    MMS_ATTACHMENTS_OVERLIMIT = 20


_TASK_MEANINGS: Final[dict[int, str]] = {
    TaskCode.OK: "OK",
    TaskCode.INVALID_USER: "Invalid User",
    TaskCode.INVALID_PORT: "Invalid Port",
    TaskCode.USSD_EXPECTED: "USSD Expected",
    TaskCode.PENDING_USSD: "Pending USSD",
    TaskCode.SIM_UNREGISTERED: "SIM Unregistered",
    TaskCode.TIMEOUT: "Timeout",
    TaskCode.SERVER_ERROR: "Server Error",
    TaskCode.SMS_EXPECTED: "SMS expected",
    TaskCode.TO_EXPECTED: "TO expected",
    TaskCode.PENDING_TRANSACTION: "Pending Transaction",
    TaskCode.TID_EXPECTED: "TID Expected",
    TaskCode.FROM_EXPECTED: "FROM Expected",
    TaskCode.DUPLICATED_TASK_ID: "Duplicated TaskId",
    TaskCode.UNAUTHORIZED: "Unauthorized",
    TaskCode.INVALID_CMD: "Invalid CMD",
    TaskCode.TOO_MANY_TASK: "Too Many Task",
    TaskCode.MMS_TITLE_EXPECTED: "MMS Title expected",
    TaskCode.TOO_MANY_MMS_ATTACHMENTS: "Too Many MMS Attachments",
    TaskCode.MMS_ATTACHMENTS_EXPECTED: "MMS Attachments expected",
    TaskCode.MMS_ATTACHMENTS_OVERLIMIT: "MMS Attachments Cache size Overlimit",
}


class CodeClass(enum.Enum):
    """What a verdict on a first post asks of the sender; the value is the words for it."""

    OK = "accepted"
    BACK_PRESSURE = "the device is busy: slow down and offer the recipients again later"
    PORT_TROUBLE = "this port cannot send: another may"
    CREDENTIALS = "the device does not know this user: stop and ask the operator"
    DUPLICATE = "the device already has this task: it was accepted before"
    OUR_FAULT = "the request was wrong: a defect of this program"
    BAD_CONTENT = "this message cannot be sent as it is"
    TRANSIENT = "refused for now: try again later"


_TASK_CLASSES: Final = {
    CodeClass.OK: (0,),
    CodeClass.BACK_PRESSURE: (10, 16),
    CodeClass.PORT_TROUBLE: (2, 5),
    CodeClass.CREDENTIALS: (1, 14),
    CodeClass.DUPLICATE: (13,),
    CodeClass.OUR_FAULT: (9, 11, 12, 15),
    CodeClass.BAD_CONTENT: (8, 17, 18, 19, 20),
    CodeClass.TRANSIENT: (3, 4, 6, 7),
}
_CLASS_OF: Final = {code: kind for kind, codes in _TASK_CLASSES.items() for code in codes}


def classify_first_post(code: int) -> CodeClass:
    """The class of a verdict on a task posted for the first time; unknown codes are transient."""
    return _CLASS_OF.get(code, CodeClass.TRANSIENT)


def task_meaning(code: int) -> str:
    """The specification's words for a task's code."""
    return _TASK_MEANINGS.get(code, "unknown task code")


class PortCode(enum.IntEnum):
    """The state of a port; 15 and 16 came with later firmware."""

    NO_SIM = 0
    IDLE_SIM = 1
    REGISTERING = 2
    REGISTERED = 3
    IN_CALL = 4
    NO_BALANCE = 5
    REGISTRATION_FAILED = 6
    LOCKED_BY_DEVICE = 7
    BLOCKED_BY_OPERATOR = 8
    SIM_READ_ERROR = 9
    SIM_DETECTED = 11
    LOCKED_BY_USER = 12
    INTER_CALLING = 13
    AWAITING_INTER_CALL = 14
    MOBILE_DATA = 15
    NOT_RESPONDING = 16


_PORT_MEANINGS: Final[dict[int, str]] = {
    PortCode.NO_SIM: "no SIM",
    PortCode.IDLE_SIM: "a SIM is there but idle",
    PortCode.REGISTERING: "the SIM is registering",
    PortCode.REGISTERED: "registered",
    PortCode.IN_CALL: "in a call",
    PortCode.NO_BALANCE: "no balance, or an alarm",
    PortCode.REGISTRATION_FAILED: "registration failed",
    PortCode.LOCKED_BY_DEVICE: "SIM locked by the device",
    PortCode.BLOCKED_BY_OPERATOR: "SIM blocked by the operator",
    PortCode.SIM_READ_ERROR: "the SIM cannot be read",
    PortCode.SIM_DETECTED: "SIM detected",
    PortCode.LOCKED_BY_USER: "locked by the user",
    PortCode.INTER_CALLING: "in a call between ports",
    PortCode.AWAITING_INTER_CALL: "waiting for a call between ports",
    PortCode.MOBILE_DATA: "mobile data is on",
    PortCode.NOT_RESPONDING: "the module does not respond",
}

USABLE_PORT_CODES: Final = frozenset({PortCode.REGISTERED, PortCode.IN_CALL, PortCode.MOBILE_DATA})
"""States in which a port can send SMS."""


def port_meaning(code: int) -> str:
    """A port's state in words."""
    return _PORT_MEANINGS.get(code, "unknown port state")


def network_meaning(code: int) -> str:
    """The network's cause of a failed SMS in words."""
    return MEANINGS.get(code, "unknown network cause")


def is_permanent(code: int | None) -> bool:
    """Whether the network's cause says that this number will fail again, from any SIM."""
    return code in PERMANENT


class ReceiptClass(enum.Enum):
    """What a delivery receipt says of the message."""

    DELIVERED = "delivered"
    TRYING = "not yet delivered, the network still tries"
    FAILED = "not delivered, the network has given up"


_RECEIPT_MEANINGS: Final[dict[int, str]] = {
    0: "received by the handset",
    1: "forwarded to the handset, delivery not confirmed",
    2: "replaced by the message centre",
    32: "congestion",
    33: "handset busy",
    34: "no response from the handset",
    35: "service rejected",
    36: "quality of service not available",
    37: "error in the handset",
    64: "remote procedure error",
    65: "incompatible destination",
    66: "connection rejected by the handset",
    67: "not obtainable",
    68: "quality of service not available",
    69: "no interworking available",
    70: "validity period expired",
    71: "deleted by the sender",
    72: "deleted by the message centre",
    73: "the message does not exist",
    96: "congestion",
    97: "handset busy",
    98: "no response from the handset",
    99: "service rejected",
    100: "quality of service not available",
    101: "error in the handset",
}


def classify_receipt(code: int) -> ReceiptClass:
    """Only 0 is a delivery that somebody vouches for; 32..63 are not final."""
    if code == 0:
        return ReceiptClass.DELIVERED
    return ReceiptClass.TRYING if 32 <= code <= 63 else ReceiptClass.FAILED


def receipt_meaning(code: int) -> str:
    """A receipt's TP-Status in words."""
    return _RECEIPT_MEANINGS.get(code, "unknown delivery status")


@dataclass(frozen=True, slots=True)
class Explanation:
    """One table's reading of a code."""

    table: str
    code: int
    meaning: str
    class_text: str


def explain(code: int) -> list[Explanation]:
    """Every reading of a code, one for each table that knows it; none when no table does."""
    found: list[Explanation] = []
    if code in _CLASS_OF:
        kind = classify_first_post(code)
        found.append(Explanation("task status", code, task_meaning(code), kind.value))
    if code in _PORT_MEANINGS:
        usable = "can send" if code in USABLE_PORT_CODES else "cannot send"
        found.append(Explanation("port status", code, port_meaning(code), usable))
    if code in MEANINGS:
        again = "permanent: this number will fail again" if is_permanent(code) else "may pass later"
        found.append(Explanation("network cause", code, network_meaning(code), again))
    if code in _RECEIPT_MEANINGS:
        outcome = classify_receipt(code).value
        found.append(Explanation("delivery receipt", code, receipt_meaning(code), outcome))
    return found
