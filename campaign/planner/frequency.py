"""Frequency caps: how many messages one person may get in a time, across all campaigns."""

from __future__ import annotations

import re
from dataclasses import dataclass

from campaign.errors import UsageError
from campaign.planner.durations import parse_duration

_SHAPE = re.compile(r"\s*(\d{1,4})\s*/\s*(.+?)\s*")
_DAY = 86_400.0
_NAMED = {"day": _DAY, "week": 7 * _DAY, "month": 30 * _DAY}
_SHORTEST, _LONGEST = 60.0, 3660 * _DAY


@dataclass(frozen=True)
class Cap:
    """At most `most` messages to one number in any `seconds`, written `2/week`, `1/day`, `3/72h`.

    The time slides: a week is the last seven days, not the calendar's; a month is 30 days.
    """

    most: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Cap:
        """Raises `UsageError`, also for none at all and for less than a minute."""
        match = _SHAPE.fullmatch(text)
        if match is None or int(match[1]) < 1:
            raise UsageError(f"{text!r} is not a cap: write 2/week, 1/day, 4/month or 3/72h")
        span = _NAMED.get(match[2].lower())
        try:
            seconds = parse_duration(match[2]) if span is None else span
        except UsageError as error:
            why = f"{text!r} is not a cap: write 2/week, 1/day, 4/month or 3/72h"
            raise UsageError(why) from error
        if not _SHORTEST <= seconds <= _LONGEST:
            raise UsageError(f"{text!r}: a cap counts over at least 1m and at most ten years")
        return cls(int(match[1]), seconds)

    @property
    def words(self) -> str:
        """`2 in 7 days`."""
        for unit, size in (("day", _DAY), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0)):
            if self.seconds % size == 0:
                count = round(self.seconds / size)
                return f"{self.most} in {count} {unit}{'s' * (count != 1)}"
        return f"{self.most} in {self.seconds:g} seconds"
