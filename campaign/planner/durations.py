"""Durations, rates and intervals as operators write them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from campaign.errors import UsageError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|sec|second|m|min|minute|h|hour|d|day)")
_PER = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: str) -> float:
    """Seconds of `500ms`, `10s`, `5m`, `72h`; a bare number is seconds. Raises `UsageError`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or math.isinf(float(match[1])):
        raise UsageError(f"{text!r} is not a duration: write 500ms, 10s, 5m, 72h or plain seconds")
    return float(match[1]) * _UNIT[match[2] or "s"]


def format_duration(seconds: float) -> str:
    """The shortest exact way to write it: `1.5s`, `10m`, `72h`."""
    if seconds and seconds < 1:
        return f"{_plain(seconds * 1000)}ms"
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{_plain(seconds / size)}{unit}"
    return f"{_plain(seconds)}s"


def _plain(value: float) -> str:
    """Without an exponent, which nobody writes and `parse_duration` does not read."""
    return f"{value:.9f}".rstrip("0").rstrip(".")


_LONGEST_INTERVAL = 9900.0
"""Seconds; `intvl` has seven digits of milliseconds."""


@dataclass(frozen=True)
class Rate:
    """Messages per second, written `20/s`, `6/min`, `100/h`."""

    per_second: float

    @classmethod
    def parse(cls, text: str) -> Rate:
        match = _RATE.fullmatch(text.strip().lower())
        if match is None or not 0 < float(match[1]) < math.inf:
            raise UsageError(f"{text!r} is not a rate: write 20/s, 6/min or 100/h")
        return cls(float(match[1]) / _PER[match[2][0]])

    @property
    def gap(self) -> float:
        """Seconds between two messages."""
        return 1.0 / self.per_second


@dataclass(frozen=True)
class Interval:
    """A range of seconds between two messages on one port, written `3s-6s` or `4s`."""

    low: float
    high: float

    @classmethod
    def parse(cls, text: str) -> Interval:
        low, dash, high = text.partition("-")
        interval = cls(parse_duration(low), parse_duration(high if dash else low))
        if interval.high < interval.low:
            raise UsageError(f"{text!r}: the interval's end lies before its start")
        if interval.high > _LONGEST_INTERVAL:
            raise UsageError(f"{text!r}: devices take intervals of at most 2h45m")
        return interval

    def pick(self, draw: float) -> float:
        """The gap for a random `draw` in [0, 1)."""
        return self.low + (self.high - self.low) * draw

    @property
    def wire(self) -> str:
        """As the task field `intvl` wants it: milliseconds (spec §6.3.1.3)."""
        low, high = round(self.low * 1000), round(self.high * 1000)
        return str(low) if low == high else f"{low}-{high}"
