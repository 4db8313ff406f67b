"""Quotas: how much a SIM may still send in this calendar hour, day and month, and until when not.

Periods are those of a civil calendar: a day begins at local midnight, however long daylight saving
makes it, and its hours are counted from there. Every moment lies in exactly one hour, one day and
one month, so that nothing is counted in none and nothing in two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from itertools import zip_longest
from typing import Final

from campaign.errors import UsageError
from campaign.planner.windows import Window

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_AMOUNT: Final = re.compile(r"-?\d+(?:[.,]\d+)*", re.ASCII)


class Period(StrEnum):
    """A calendar period that caps are given for."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


_NOW_IN: Final = {Period.HOUR: "this hour", Period.DAY: "today", Period.MONTH: "this month"}


def bounds(period: Period, now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """The period `now` (aware) lies in: from its start up to, not including, its end; aware UTC."""
    if now.tzinfo is None:
        raise ValueError("civil time must be aware")
    now = now.astimezone(UTC)
    if period is Period.MONTH:
        return _month(now, zone)
    start, end = _day(now, zone)
    if period is Period.DAY:
        return start, end
    begun = start + (now - start) // _HOUR * _HOUR
    return begun, min(begun + _HOUR, end)


def _day(now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    day = now.astimezone(zone).date()
    # where the clock is put back across midnight a date comes twice: the second time counts
    while now < _midnight(day, zone):
        day -= _DAY
    while now >= _midnight(day + _DAY, zone):
        day += _DAY
    return _midnight(day, zone), _midnight(day + _DAY, zone)


def _month(now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    first = now.astimezone(zone).date().replace(day=1)
    while now < _midnight(first, zone):
        first = (first - _DAY).replace(day=1)
    while now >= _midnight(_next_month(first), zone):
        first = _next_month(first)
    return _midnight(first, zone), _midnight(_next_month(first), zone)


def _next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)


def _midnight(day: date, zone: tzinfo) -> datetime:
    """When a day begins; where the clock skips midnight, the moment of the skip."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Amounts:
    """A figure for each period; None where there is none."""

    hour: int | None = None
    day: int | None = None
    month: int | None = None

    def of(self, period: Period) -> int | None:
        match period:
            case Period.HOUR:
                return self.hour
            case Period.DAY:
                return self.day
            case Period.MONTH:
                return self.month

    def __bool__(self) -> bool:
        return not (self.hour is None and self.day is None and self.month is None)

    def tightest(self, other: Amounts) -> Amounts:
        """The lower of both, period by period."""
        return Amounts(*(_lower(self.of(period), other.of(period)) for period in Period))


def _lower(one: int | None, other: int | None) -> int | None:
    return min((n for n in (one, other) if n is not None), default=None)


@dataclass(frozen=True, slots=True)
class Caps:
    """What one SIM may send: SMS segments and distinct recipients a period, and the warm-up ramp
    (segments on its first, second … day of use; afterwards only the other caps hold)."""

    segments: Amounts = Amounts()
    recipients: Amounts = Amounts()
    ramp: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.segments or self.recipients or self.ramp)

    def tightest(self, other: Caps) -> Caps:
        """Both together: of each limit the lower one."""
        ramp = [
            n for pair in zip_longest(self.ramp, other.ramp) if (n := _lower(*pair)) is not None
        ]
        return Caps(
            self.segments.tightest(other.segments),
            self.recipients.tightest(other.recipients),
            tuple(ramp),
        )

    def warming(self, days: int) -> int | None:
        """What the ramp allows on a day with so many days of use before it; None: no ramp (any
        more)."""
        return self.ramp[days] if days < len(self.ramp) else None


@dataclass(frozen=True, slots=True)
class Usage:
    """What one SIM was charged with in the periods of now; `days` are the days before today on
    which it sent."""

    segments: Amounts = Amounts(0, 0, 0)
    recipients: Amounts = Amounts(0, 0, 0)
    days: int = 0


@dataclass(frozen=True, slots=True)
class Room:
    """What a SIM may still send now (None: no limit). Where that is nothing, `why` and `until`
    (aware UTC) say what for and when it may again."""

    segments: int | None = None
    recipients: int | None = None
    why: str = ""
    until: datetime | None = None

    @property
    def is_shut(self) -> bool:
        """Whether nothing at all may go out through it now."""
        return self.until is not None

    @property
    def messages(self) -> int | None:
        """The most messages there can be room for."""
        return _lower(self.segments, self.recipients)


@dataclass(frozen=True, slots=True)
class _Limit:
    period: Period
    used: int
    cap: int
    words: str

    @property
    def left(self) -> int:
        return max(0, self.cap - self.used)


def room_for(caps: Caps, usage: Usage, now: datetime, zone: tzinfo, need: int = 1) -> Room:
    """What a SIM may still send at `now` (aware), and why nothing where a message of `need`
    segments finds no room."""
    segments = list(_segment_limits(caps, usage))
    recipients = list(_limits(caps.recipients, usage.recipients, "recipients"))
    shut = [limit for limit in segments if limit.left < need]
    shut += [limit for limit in recipients if limit.left < 1]
    # the one that opens last is the one to wait for
    ends = [(bounds(limit.period, now, zone)[1], limit.words) for limit in shut]
    until, why = max(ends, default=(None, ""), key=lambda end: end[0])
    return Room(
        min((limit.left for limit in segments), default=None),
        min((limit.left for limit in recipients), default=None),
        why,
        until,
    )


def _limits(caps: Amounts, used: Amounts, what: str) -> Iterator[_Limit]:
    for period in Period:
        cap, so_far = caps.of(period), used.of(period) or 0
        if cap is not None:
            words = f"SIM used up: {so_far} of {cap} {what} {_NOW_IN[period]}"
            yield _Limit(period, so_far, cap, words)


def _segment_limits(caps: Caps, usage: Usage) -> Iterator[_Limit]:
    yield from _limits(caps.segments, usage.segments, "segments")
    step = caps.warming(usage.days)
    if step is not None:
        so_far = usage.segments.day or 0
        words = f"SIM warming up: {so_far} of {step} segments on day {usage.days + 1} of its use"
        yield _Limit(Period.DAY, so_far, step, words)


def sim_key(gateway_id: int, port: int, slot: int | None, iccid: str) -> str:
    """How a SIM is named in the ledger: by its ICCID, which moves with it, else by its place."""
    if iccid:
        return iccid
    return f"{gateway_id}:{port}" if slot is None else f"{gateway_id}:{port}.{slot:02}"


def parse_ramp(text: str) -> tuple[int, ...]:
    """Segments a day, as `20,40,80`; empty for none. Raises `UsageError`."""
    steps = [step.strip() for step in text.split(",")] if text.strip() else []
    if not all(step.isascii() and step.isdigit() and int(step) > 0 for step in steps):
        raise UsageError(f"{text!r}: write segments a day, as 20,40,80")
    return tuple(int(step) for step in steps)


def parse_balance(text: str) -> float | None:
    """The money a device tells of, whatever stands around it (`12.50`, `¥ 1,234.5`, `12,50 EUR`);
    None where there is no figure."""
    match = _AMOUNT.search(text)
    if match is None:
        return None
    # a comma before three digits parts thousands: money has no third decimal
    whole, _, cents = re.sub(r",(?=\d{3}(?!\d))", "", match[0]).replace(",", ".").rpartition(".")
    return float(cents) if not whole else float(f"{whole.replace('.', '')}.{cents}")


def parse_zone(text: str) -> tzinfo:
    """The zone whose calendar counts, as `Asia/Shanghai`. Raises `UsageError`."""
    return Window.parse("any", timezone=text).zone
