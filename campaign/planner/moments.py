"""Moments as operators write them: RFC 3339, `2026-12-01 09:00`, `09:00`, `+2h`."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from campaign.errors import UsageError
from campaign.planner.durations import parse_duration
from campaign.planner.windows import first_shown, zone_named

_CLOCK: Final = re.compile(r"(\d{1,2}):(\d\d)", re.ASCII)
_DAY_AND_CLOCK: Final = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d{1,2}):(\d\d)(?::00)?", re.ASCII)
_LONGEST: Final = timedelta(days=3650)


def parse_moment(text: str, now: datetime, zone: str) -> datetime:
    """The moment meant at `now` (aware); aware UTC.

    RFC 3339 with an offset or Z; a day and time, or a time alone (the next one), by the clocks of
    `zone`; `+` and a duration from `now` on. Raises `UsageError`.
    """
    words = text.strip()
    if words.startswith("+"):
        return _later(words, now)
    day_and_clock, clock = _DAY_AND_CLOCK.fullmatch(words), _CLOCK.fullmatch(words)
    if day_and_clock is not None:
        return _local(text, _day(day_and_clock[1], text), day_and_clock[2], day_and_clock[3], zone)
    if clock is not None:
        today = now.astimezone(zone_named(zone)).date()
        for day in (today, today + timedelta(days=1)):
            moment = _local(text, day, clock[1], clock[2], zone)
            if moment >= now:
                return moment
        return _local(text, today + timedelta(days=2), clock[1], clock[2], zone)
    try:
        moment = datetime.fromisoformat(words)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _misread(text) from error
    raise _misread(text)


def start_and_deadline(
    start: str | None, deadline: str | None, now: datetime, zone: str
) -> tuple[datetime | None, datetime | None]:
    """When a campaign launched at `now` starts and is over; a deadline counts from its start.

    Raises `UsageError` for moments that are over already, or in the wrong order.
    """
    begins = parse_moment(start, now, zone) if start else None
    if begins is not None and begins < now - timedelta(minutes=1):
        raise UsageError(f"--start {start}: that is over already ({_shown(begins)})")
    ends = parse_moment(deadline, begins or now, zone) if deadline else None
    if ends is not None and ends <= now:
        raise UsageError(f"--deadline {deadline}: that is over already ({_shown(ends)})")
    if begins is not None and ends is not None and ends <= begins:
        raise UsageError(
            f"--deadline {deadline} ({_shown(ends)}) must be after --start {start}"
            f" ({_shown(begins)})"
        )
    return begins, ends


def check_moments(start: str | None, deadline: str | None, zone: str) -> None:
    """Raise `UsageError` for what is no moment at all, whenever it is read."""
    for text in filter(None, (start, deadline)):
        parse_moment(text, datetime(2026, 1, 1, tzinfo=UTC), zone)


def _later(words: str, now: datetime) -> datetime:
    seconds = parse_duration(words[1:])
    if seconds > _LONGEST.total_seconds():
        raise UsageError(f"{words}: at most ten years from now")
    return now.astimezone(UTC) + timedelta(seconds=seconds)


def _local(text: str, day: date, hour: str, minute: str, zone: str) -> datetime:
    if int(hour) > 23 or int(minute) > 59:
        raise _misread(text)
    try:
        return first_shown(day, int(hour) * 60 + int(minute), zone_named(zone))
    except OverflowError as error:  # at the very end of the calendar
        raise _misread(text) from error


def _day(words: str, text: str) -> date:
    try:
        return date.fromisoformat(words)
    except ValueError as error:
        raise _misread(text) from error


def _misread(text: str) -> UsageError:
    return UsageError(
        f"{text!r} is not a time: write 2026-12-01T09:00:00+08:00, or by the clocks of --timezone"
        " 2026-12-01 09:00 or 09:00, or +2h"
    )


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
