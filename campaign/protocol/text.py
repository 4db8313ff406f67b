"""SMS text: which alphabet it needs, how many parts it takes, and how inbound text is wrapped."""

from __future__ import annotations

import base64
import binascii
import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""GSM 03.38 §6.2.1 default alphabet, without its escape (0x1B)."""

_EXTENSION: Final = "\f^{}\\[~]|€"
"""GSM 03.38 §6.2.1.1: each of these is an escape and a second septet."""

_GSM7: Final = re.compile(f"[{re.escape(_BASIC + _EXTENSION)}]*")

_GSM7_SINGLE, _GSM7_PART = 160, 153
_UCS2_SINGLE, _UCS2_PART = 70, 67
"""140 octets in one part; 134 in each of several, which carry a six-octet header (GSM 03.40)."""


class Encoding(enum.Enum):
    """The alphabet the network needs for a text."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


@dataclass(frozen=True, slots=True)
class Segments:
    """What a text costs: `units` are septets or UTF-16 code units, `parts` are SMS to pay for."""

    encoding: Encoding
    units: int
    parts: int


def encoding_of(text: str) -> Encoding:
    """GSM-7 when every character is in the default alphabet or its extension, else UCS-2."""
    return Encoding.GSM7 if _GSM7.fullmatch(text) else Encoding.UCS2


def segments(text: str) -> Segments:
    """Count the parts of a text. An escaped character or a surrogate pair is never split."""
    if _GSM7.fullmatch(text):
        wide = sum(map(text.count, _EXTENSION))
        units = len(text) + wide
        if units <= _GSM7_SINGLE:
            parts = 1
        elif not wide:
            parts = -(-units // _GSM7_PART)
        else:
            parts = _fill((2 if char in _EXTENSION else 1 for char in text), _GSM7_PART)
        return Segments(Encoding.GSM7, units, parts)
    wide = sum(char > "\uffff" for char in text)
    units = len(text) + wide
    if units <= _UCS2_SINGLE:
        parts = 1
    elif not wide:
        parts = -(-units // _UCS2_PART)
    else:
        parts = _fill((2 if char > "\uffff" else 1 for char in text), _UCS2_PART)
    return Segments(Encoding.UCS2, units, parts)


def _fill(widths: Iterable[int], room: int) -> int:
    """How many parts hold characters of these widths when none may straddle two parts."""
    parts, used = 1, 0
    for width in widths:
        if used + width > room:
            parts, used = parts + 1, 0
        used += width
    return parts


_HEADER_END: Final = re.compile(r"\r?\n[ \t]*\r?\n")
_HEADER_LINE: Final = re.compile(r"([A-Za-z][A-Za-z0-9 _-]*):[ \t]*(.*)")


@dataclass(frozen=True, slots=True)
class InboundText:
    """An inbound text unwrapped. `decoded` is False when the body was not base64 of UTF-8."""

    text: str
    headers: dict[str, str] = field(default_factory=dict)
    decoded: bool = True


def unwrap_inbound(body: str) -> InboundText:
    """Undo what firmware does to an inbound text (spec §7.2.3).

    Base64 of UTF-8, ended by NULs in the specification's own sample; later firmware puts a header
    block before the text. What is not base64 of UTF-8 is kept as it came.
    """
    text = _from_base64(body)
    if text is None:
        return InboundText(body.rstrip("\0"), decoded=False)
    headers, text = split_headers(text.rstrip("\0"))
    return InboundText(text, headers)


def _from_base64(body: str) -> str | None:
    try:
        packed = "".join(body.split()).encode("ascii")
        return base64.b64decode(packed, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeError):
        return None


def split_headers(text: str) -> tuple[dict[str, str], str]:
    """Cut at the first blank line, but only if what precedes it surely is a header block."""
    if not text.startswith("Sender: "):
        return {}, text
    end = _HEADER_END.search(text)
    if end is None or "SCTS:" not in text[: end.start()]:
        return {}, text
    headers: dict[str, str] = {}
    for line in text[: end.start()].splitlines():
        match = _HEADER_LINE.fullmatch(line.strip())
        if match:
            headers[match[1].strip()] = match[2].strip()
    return headers, text[end.end() :]
