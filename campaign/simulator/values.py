"""How the simulator's settings are written on a command line: text to values and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from campaign.errors import UsageError

Span = tuple[float, float]
"""Lowest and highest value of something drawn evenly at random."""

_UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|h|)")


def duration(text: str) -> float:
    """Seconds: `500ms`, `10s`, `5m`, `72h`; a bare number is seconds. UsageError otherwise."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise UsageError(f"{text!r} is not a duration; write 500ms, 10s, 5m or a number of seconds")
    return float(match[1]) * _UNITS[match[2]]


def span(text: str) -> Span:
    """A range of durations: `1-3`, `500ms-2s`, or one value for both ends."""
    low, dash, high = text.partition("-")
    first = duration(low)
    last = duration(high) if dash else first
    if last < first:
        raise UsageError(f"{text!r} is not a range: the second value is below the first")
    return first, last


def durations(text: str) -> tuple[float, ...]:
    """Durations with commas between: `1,5`; `none` is no value at all."""
    if text.strip().lower() in ("", "none"):
        return ()
    return tuple(duration(part) for part in text.split(","))


def integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a whole number") from None


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a number") from None


def probability(text: str) -> float:
    """A share between 0 and 1: `0.05` or `5%`."""
    body, percent, rest = text.strip().partition("%")
    try:
        value = float(body) / (100 if percent else 1)
    except ValueError:
        value = -1.0
    if rest or not 0 <= value <= 1:
        raise UsageError(f"{text!r} is not a share between 0 and 1 (or 0% and 100%)")
    return value


def switch(text: str) -> bool:
    match text.strip().lower():
        case "1" | "on" | "yes" | "true":
            return True
        case "0" | "off" | "no" | "false":
            return False
        case _:
            raise UsageError(f"{text!r} is neither on nor off")


def choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise UsageError(f"{text!r} is none of: {', '.join(allowed)}")
        return text

    return parse


def path(text: str) -> Path | None:
    return None if text.strip().lower() in ("", "none") else Path(text)


def optional_integer(text: str) -> int | None:
    return None if text.strip().lower() in ("", "none") else integer(text)


def show(value: Any, parse: Callable[[str], Any]) -> str:
    """A value as one would write it after the `=` of `--set`, to be read by `parse`."""
    match value:
        case bool():
            return "on" if value else "off"
        case None:
            return "none"
        case tuple():
            between = "-" if parse is span else ","
            return between.join(f"{item:g}" for item in value) or "none"
        case float():
            return f"{value:g}"
        case _:
            return str(value)
