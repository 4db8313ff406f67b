"""Sending windows: the hours and days on which messages may go out, in civil time.

A window opens at the first moment the local clock shows its start and closes at the first moment
it shows its end; between the two it stays open whatever the clock does. Where daylight saving
skips the hour shown, the moment of the skip counts. A window across midnight belongs to the day
on which it opens. On a date to skip nothing goes out: no window opens, and one that came across
midnight ends there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from campaign.errors import UsageError

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EVERY_DAY: Final = frozenset(range(7))
_HOURS: Final = re.compile(r"(\d{1,2}):(\d\d)\s*[-–]\s*(\d{1,2}):(\d\d)", re.ASCII)
_DAY_MINUTES: Final = 24 * 60
# A weekly window that daylight saving skips once comes two weeks later.
_HORIZON_DAYS: Final = 15


@dataclass(frozen=True, slots=True)
class Window:
    """Open from `start` to `end` (minutes of the local day) on `days` (Monday is 0), but not on the
    dates of `skip`.

    `end` at or before `start` lies on the following day; 0 to 1440 is the whole day.
    """

    start: int
    end: int
    days: frozenset[int]
    zone: tzinfo
    text: str
    skip: frozenset[date] = frozenset()

    @classmethod
    def parse(
        cls,
        hours: str = "any",
        *,
        days: str | None = None,
        timezone: str = "UTC",
        skip: Iterable[str] = (),
    ) -> Self:
        """`hours` as "08:00-21:00" or "any", `days` as "mon-sat" or "mon,wed,fri" (none: all),
        `skip` dates as "2026-12-25".

        Raises UsageError for anything else and for an unknown time zone.
        """
        start, end = _hours(hours)
        dates = frozenset(map(_date, skip))
        without = f"without {', '.join(sorted(map(str, dates)))}" if dates else ""
        parts = (hours.strip(), days and days.strip(), timezone, without)
        shown = " ".join(part for part in parts if part)
        return cls(start, end, _days(days), zone_named(timezone), shown, dates)

    def in_zone(self, zone: ZoneInfo) -> Self:
        """The same hours, days and dates by the clocks of another zone."""
        return replace(self, zone=zone)

    @property
    def is_always_open(self) -> bool:
        whole = (self.start, self.end) == (0, _DAY_MINUTES)
        return self.days == _EVERY_DAY and whole and not self.skip

    def is_open(self, now: datetime) -> bool:
        """Whether a message may go out at `now` (aware)."""
        return any(opens <= now < closes for opens, closes in self._around(now))

    def next_open(self, now: datetime) -> datetime:
        """`now` while the window is open, else when it opens next; aware UTC."""
        now = _aware(now)
        return max(now, next(opens for opens, closes in self._around(now) if now < closes))

    def closes_at(self, now: datetime) -> datetime | None:
        """When the window that is open at `now`, or opens next, closes; None if it never does.

        Windows that touch (22:00-24:00 and 00:00-…) count as one.
        """
        if self.is_always_open:
            return None
        until: datetime | None = None
        for opens, closes in self._around(_aware(now)):
            if closes <= now:
                continue
            if until is not None and opens > until:
                return until
            until = closes
        return until

    def _around(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Openings as aware UTC, in order, from the day before `now` on."""
        today = _aware(now).astimezone(self.zone).date()
        for offset in range(-1, _HORIZON_DAYS + 7 * len(self.skip)):
            day = today + timedelta(days=offset)
            if day.weekday() not in self.days or day in self.skip:
                continue
            opens = first_shown(day, self.start, self.zone)
            tomorrow = day + timedelta(days=1)
            if self.end > self.start:
                closes = first_shown(day, self.end, self.zone)
            elif tomorrow in self.skip:
                closes = first_shown(tomorrow, 0, self.zone)
            else:
                closes = first_shown(day, self.end + _DAY_MINUTES, self.zone)
            if opens < closes:  # not wholly inside the skipped hour
                yield opens, closes


def first_shown(day: date, minutes: int, zone: tzinfo) -> datetime:
    """When the local clock first shows `minutes` of `day`; aware UTC.

    Where daylight saving skips that time, the moment of the skip.
    """
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    local = midnight + timedelta(minutes=minutes)  # wall-clock arithmetic: same zone
    moment = local.replace(fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    # Skipped: find the jump, which lies between the two readings of the missing time.
    before, after = local.replace(fold=1).astimezone(UTC), moment
    offset_before = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset_before:
            before = middle
        else:
            after = middle
    return after


def _aware(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise ValueError("civil time must be aware")
    return now.astimezone(UTC)


def _hours(text: str) -> tuple[int, int]:
    if text.strip().lower() == "any":
        return 0, _DAY_MINUTES
    match = _HOURS.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"window {text!r}: write it as 08:00-21:00, or any")
    start, end = (int(match[i]) * 60 + int(match[i + 1]) for i in (1, 3))
    if int(match[2]) > 59 or int(match[4]) > 59 or start >= _DAY_MINUTES or end > _DAY_MINUTES:
        raise UsageError(f"window {text!r}: hours go from 00:00 to 24:00")
    if start == end:
        raise UsageError(f"window {text!r} is never open; write any for the whole day")
    return start, end


def _days(text: str | None) -> frozenset[int]:
    if text is None or text.strip().lower() in ("any", "all", "daily"):
        return _EVERY_DAY
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin = _day(first, text)
        end = _day(last, text) if last else begin
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(days)


def check_days(text: str | None) -> None:
    """Raise `UsageError` for a range without its end, which is read as its first day alone."""
    if any(part.strip().endswith("-") for part in (text or "").split(",")):
        raise UsageError(f"days {text!r}: write them as mon-sat or mon,wed,fri")


def _day(word: str, text: str) -> int:
    name = word.strip().lower()
    for number, day in enumerate(_DAYS):
        # mon, monday and what lies between
        if len(name) >= 3 and name.startswith(day) and (day + _ENDINGS[number]).startswith(name):
            return number
    raise UsageError(f"days {text!r}: write them as mon-sat or mon,wed,fri")


_ENDINGS: Final = ("day", "sday", "nesday", "rsday", "day", "urday", "day")


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise UsageError(f"date to skip {text!r}: write it as 2026-12-25") from error


def zone_named(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises `UsageError` where this machine has no data of it."""
    try:
        return ZoneInfo(name.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"unknown time zone {name!r}: use a name such as Asia/Shanghai or Europe/London (or"
            " this machine has no data of it: install its tzdata)"
        ) from error
