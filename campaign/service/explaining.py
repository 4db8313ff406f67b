"""What a code means, table by table, and what this program does about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from campaign.errors import CampaignError
from campaign.planner.retry import FailureKind, judge_failure
from campaign.protocol.codes import (
    USABLE_PORT_CODES,
    CodeClass,
    Explanation,
    ReceiptClass,
    TaskCode,
    classify_first_post,
    classify_receipt,
    explain,
    is_permanent,
)

_ON_VERDICT = {
    CodeClass.OK: "the task is accepted; its recipients become sent when they are reported",
    CodeClass.BACK_PRESSURE: "the recipients wait again, the port gets half as much at a time",
    CodeClass.PORT_TROUBLE: "other ports take the recipients, until this one is registered again",
    CodeClass.CREDENTIALS: "an alarm stops the gateway until gateway test succeeds",
    CodeClass.DUPLICATE: "offered again: accepted before; offered first: doubt and an alarm, since "
    "another system numbers tasks there too; in neither case is it sent twice",
    CodeClass.OUR_FAULT: "an alarm stops the gateway, the recipients wait for another",
    CodeClass.BAD_CONTENT: "the recipients fail: the same text would be refused again",
    CodeClass.TRANSIENT: "the recipients wait again; several in a row stop the gateway",
}
_IN_REPORT = {
    FailureKind.PERMANENT: "the recipient fails",
    FailureKind.TRANSIENT: "a proved failure, tried again from another SIM (--retries)",
    FailureKind.PORT: "it never was on air and is tried elsewhere at once",
    FailureKind.UNPROVED: "it may have gone out: the recipient is unknown and never tried again",
}
_ON_RECEIPT = {
    ReceiptClass.DELIVERED: "the recipient becomes delivered",
    ReceiptClass.TRYING: "nothing yet: a final receipt is waited for",
    ReceiptClass.FAILED: "the recipient becomes undelivered; nothing is sent again",
}


@dataclass(frozen=True)
class Reading:
    """One table's reading of a code and what follows from it."""

    explanation: Explanation
    engine: str

    def as_json(self) -> dict[str, Any]:
        return {
            "table": self.explanation.table,
            "code": self.explanation.code,
            "meaning": self.explanation.meaning,
            "class": self.explanation.class_text,
            "engine": self.engine,
        }


def readings(code: int) -> list[Reading]:
    """Every table in which the code occurs. Raises `CampaignError` when none has it."""
    found = [Reading(each, _consequence(each)) for each in explain(code)]
    if not found:
        raise CampaignError(
            f"no table has the code {code}: not the task status, the port status, the network's"
            " causes nor the delivery receipts"
        )
    return found


def _consequence(explanation: Explanation) -> str:
    code = explanation.code
    match explanation.table:
        case "task status":
            answered = _ON_VERDICT[classify_first_post(code)]
            if code == TaskCode.OK:
                return answered
            reported = _IN_REPORT[judge_failure(code, "", None, "").kind]
            return f"as an answer: {answered}. In a report: {reported}"
        case "port status":
            usable = code in USABLE_PORT_CODES
            return "the port is given messages" if usable else "the port is given nothing"
        case "network cause":
            return (
                "the recipient fails at once, without another try"
                if is_permanent(code)
                else "the recipient is tried again, from another SIM if there is one (--retries)"
            )
        case "delivery receipt":
            return _ON_RECEIPT[classify_receipt(code)]
    return ""
