"""The older inbound mechanism: one SMS a request, as text or form fields, not JSON (§6.3.1.3).

No document of it is to be had. Two forms are known from the field: a text that begins with a header
block (`Sender: …`), plain or as base64, and form or query fields under changing names.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from campaign.protocol.loose import as_int, as_port
from campaign.protocol.messages import ReceivedSms, RecvSms
from campaign.protocol.text import InboundText, split_headers, unwrap_inbound

_SENDER: Final = ("sender", "from", "phone", "phonenumber", "number", "src", "srcnum", "caller")
_RECIPIENT: Final = ("receiver", "recipient", "to", "dst", "destination", "called")
_TEXT: Final = ("content", "sms", "text", "message", "msg", "body")
_TIME: Final = ("scts", "timestamp", "time", "date", "recvtime", "recv_time")
_PORT: Final = ("port", "portnum", "port_num", "line", "goip_line")

_UNIX_DIGITS: Final = 10
"""More digits are a date without separators."""

_RECEIVER: Final = re.compile(r'"(?P<port>[^"]{1,40})"\s*(?P<number>.*)')
_STAMP: Final = re.compile(
    r"(\d{2,4})[-/.]?(\d{2})[-/.]?(\d{2})[ T,]?(\d{2}):?(\d{2}):?(\d{2})(?:\s*([+-])(\d{2}))?"
)


def decode_legacy_push(body: bytes, content_type: str = "", query: str = "") -> RecvSms | None:
    """The one message of such a push, or None when it is not understood."""
    text = _as_text(body, content_type)
    message = _from_headers(text) or _from_fields(text) or _from_fields(query)
    return None if message is None else RecvSms(messages=(message,))


def _as_text(body: bytes, content_type: str) -> str:
    match = re.search(r"charset=\"?([\w.-]+)", content_type, re.IGNORECASE)
    for charset in (match[1] if match else "utf-8", "utf-8", "latin-1"):
        try:
            return body.decode(charset).rstrip("\0")
        except (UnicodeDecodeError, LookupError):
            continue
    return ""


def _from_headers(text: str) -> ReceivedSms | None:
    found = unwrap_inbound(text)
    if not found.headers:
        found = InboundText(text, decoded=False) if not found.decoded else found
        headers, rest = split_headers(found.text)
        if not headers:
            return None
        found = InboundText(rest, headers)
    receiver = found.headers.get("Receiver", "")
    match = _RECEIVER.fullmatch(receiver)
    return ReceivedSms(
        receipt=False,
        port=as_port(match["port"] if match else ""),
        at=_stamp(found.headers.get("SCTS", "")),
        sender=found.headers.get("Sender", ""),
        recipient=match["number"].strip() if match else receiver,
        text=found.text,
        raw=text,
    )


def _from_fields(text: str) -> ReceivedSms | None:
    fields = {
        key.strip().lower(): value
        for key, value in parse_qsl(text[:1_000_000], keep_blank_values=True, max_num_fields=None)
    }
    sender, content = _first(fields, _SENDER), _first(fields, _TEXT)
    if sender is None or content is None:
        return None
    return ReceivedSms(
        receipt=False,
        port=as_port(_first(fields, _PORT) or ""),
        at=_stamp(_first(fields, _TIME) or ""),
        sender=sender,
        recipient=_first(fields, _RECIPIENT) or "",
        text=unwrap_inbound(content).text if _looks_packed(content) else content.rstrip("\0"),
        raw=content,
    )


def _looks_packed(content: str) -> bool:
    """Whether a text is surely base64: a short word like STOP also decodes as such."""
    return (len(content) >= 16 and content.endswith("=")) or "Sender: " in unwrap_inbound(
        content
    ).text


def _first(fields: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((fields[name] for name in names if name in fields), None)


def _stamp(text: str) -> int | None:
    """Unix seconds of `1466506477`, `2026-03-02 10:00:00` or `26/03/02,10:00:00+32` (quarters)."""
    number = as_int(text)
    if number is not None and len(text.strip()) <= _UNIX_DIGITS:
        return number
    match = _STAMP.match(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        at = datetime(year + 2000 * (year < 100), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    quarters = int(match[8]) * (1 if match[7] == "+" else -1) if match[7] else 0
    return int(at.timestamp()) - quarters * 900
