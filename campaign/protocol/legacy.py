"""The old interface (version 1.0) as far as it is of use: one GET a message, and USSD.

No task id, no report: an answer says that the device took a message, and nothing ever says more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from campaign.errors import LocalProtocolError
from campaign.protocol.codec import decode_answer
from campaign.protocol.loose import Json, as_text, fold, load
from campaign.protocol.messages import Answer, UssdAnswer
from campaign.protocol.ports import Port

SEND_SMS: Final = "/goip_send_sms.html"
SEND_USSD: Final = "/goip_send_ussd.html"

_NUMBER: Final = re.compile(r"\+?[0-9]{3,20}")
_USSD: Final = re.compile(r"[0-9*#+]{1,160}")


def legacy_query(port: Port | None, recipients: Sequence[str], text: str) -> dict[str, str]:
    """The query of `goip_send_sms` beside the credentials."""
    if not recipients or not all(map(_NUMBER.fullmatch, recipients)):
        raise LocalProtocolError("a recipient that is no number")
    if not text:
        raise LocalProtocolError("a message without a text")
    query = {"recipients": ",".join(recipients), "sms": text, "charset": "utf-8"}
    return query if port is None else {"port": str(port.number), **query}


def ussd_query(port: Port, code: str) -> dict[str, str]:
    """The query of `goip_send_ussd`; `code` is what one would dial, as `*100#`."""
    if not _USSD.fullmatch(code):
        raise LocalProtocolError(f"{code[:40]!r} is no USSD code: digits, * and #, as *100#")
    return {"port": str(port.number), "ussd": code}


def decode_legacy_answer(body: bytes) -> Answer:
    """The answer to a 1.0 request; success is 0."""
    return decode_answer(body)


def decode_ussd_answer(body: bytes) -> UssdAnswer:
    """The network's text under `resp`."""
    answer = decode_answer(body)
    value: Json = fold(load(body))
    return UssdAnswer(code=answer.code, reason=answer.reason, resp=as_text(value.get("resp")))


def encode_ussd_answer(answer: UssdAnswer) -> bytes:
    """As a device writes it."""
    return msgspec.json.encode({"code": answer.code, "reason": answer.reason, "resp": answer.resp})
