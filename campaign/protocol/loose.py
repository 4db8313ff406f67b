"""Tolerant readers of single JSON values, and the one door by which JSON comes in.

Every reader takes any JSON value at all and gives a value or "not there"; none raises. `load`
raises `RemoteProtocolError` and nothing else.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec

from campaign.errors import LocalProtocolError, RemoteProtocolError
from campaign.protocol.ports import Port

Json: TypeAlias = dict[str, Any]

MAX_BODY: Final = 10_000_000
MAX_DEPTH: Final = 64
_MAX_INT: Final = 2**63
_MAX_KNOWN_TEXT: Final = 64  # so that what is remembered stays small
_DIGITS: Final = re.compile(r"[+-]?[0-9]{1,18}")
_LEADING: Final = re.compile(r"\s*([+-]?[0-9]{1,9})(?![0-9])")
_NOT_DIGIT: Final = re.compile(r"[^0-9]+")
_decode: Final = msgspec.json.Decoder().decode


def load(body: bytes) -> Json:
    """Parse a body that must be one JSON object of sane size and depth."""
    if len(body) > MAX_BODY:
        raise RemoteProtocolError(f"a body of {len(body)} bytes is too long", excerpt(body))
    value = _parse(body)
    if type(value) is not dict:
        raise RemoteProtocolError("the body is not a JSON object", excerpt(body))
    if _too_deep(value, body):
        raise RemoteProtocolError("the body is nested too deeply", excerpt(body))
    return value


def _parse(body: bytes) -> object:
    try:
        return _decode(body)
    except RecursionError as error:
        raise RemoteProtocolError("the body is nested too deeply", excerpt(body)) from error
    except ValueError as error:  # not JSON, or not UTF-8
        # A byte order mark in front, or the NULs of a C buffer behind, are not worth an error.
        bare = body.removeprefix(b"\xef\xbb\xbf").rstrip(b"\0\r\n\t ")
        if bare and len(bare) < len(body):
            return _parse(bare)
        raise RemoteProtocolError(f"the body is not JSON: {error}", excerpt(body)) from error


def _too_deep(value: Json, body: bytes) -> bool:
    """Whether containers nest beyond MAX_DEPTH: whoever writes such a value out again recurses."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is list or type(inner) is dict
        ]
        if not level:
            return False
    return True


def is_json(body: bytes) -> bool:
    """Whether a body means to be JSON, by its first character: it may be broken all the same."""
    return body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def excerpt(body: bytes) -> str:
    """The head of a body as text, for error messages."""
    return body[:800].decode("utf-8", "replace")


def fold(item: Json) -> Json:
    """The object with lower-case keys: documents and firmware differ in capitals."""
    return {key.lower(): value for key, value in item.items()}


def as_int(value: object) -> int | None:
    """An integer, a string of digits or a whole float; None for anything else."""
    if type(value) is int:
        return value if -_MAX_INT <= value < _MAX_INT else None
    if type(value) is str:
        text = value.strip()
        return int(text) if _DIGITS.fullmatch(text) else None
    if type(value) is float and value.is_integer() and abs(value) < _MAX_INT:
        return int(value)
    return None


def as_text(value: object) -> str:
    """A string as it is, nothing for null, and any other value as its JSON."""
    if type(value) is str:
        return value
    return "" if value is None else raw_json(value)


def raw_json(value: object) -> str:
    """Any parsed value as JSON text."""
    return msgspec.json.encode(value).decode()


def leading(value: object) -> tuple[int | None, str]:
    """The leading integer of a status (`3`, `"3"`, `"3 OK"`) and the whole text."""
    text = as_text(value)
    return (_leading(text) if len(text) <= _MAX_KNOWN_TEXT else _read_leading(text)), text


def _read_leading(text: str) -> int | None:
    match = _LEADING.match(text)
    return int(match[1]) if match else None


_leading: Final = lru_cache(maxsize=4096)(_read_leading)
"""Remembered: an answer repeats its few verdicts in every row."""


def as_digits(value: object) -> str:
    """A phone number as digits only: `"+44 ..."`, or an unquoted integer."""
    if type(value) is str:
        if value.isascii() and value.isdigit():
            return value
        return _NOT_DIGIT.sub("", value)
    number = as_int(value)
    return str(number) if number is not None and number > 0 else ""


def as_port(value: object) -> Port | None:
    """A port in any notation; None when it is none."""
    if type(value) is str:
        return _port(value) if len(value) <= _MAX_KNOWN_TEXT else None
    if type(value) is int:
        return _port(str(value)) if 0 < value < _MAX_INT else None
    if type(value) is float:  # an unquoted 1.01; the slot always has two digits, so 1.1 was 1.10
        return _port(f"{value:.2f}")
    return None


@lru_cache(maxsize=4096)
def _port(text: str) -> Port | None:
    """Remembers failures too: a report repeats its few ports in every row."""
    try:
        return Port.parse(text)
    except LocalProtocolError:
        return None


def items_of(value: object) -> list[Any]:
    """A list as it is, a lone object as a list of one, nothing for null; else the value itself."""
    if type(value) is list:
        return value
    return [] if value is None else [value]
