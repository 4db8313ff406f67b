"""One SIM's caps in a forecast: the engine's own decision, with usage that is counted ahead."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from campaign.planner.quotas import Amounts, Caps, Period, Room, Usage, bounds, room_for


@dataclass
class Calendar:
    """When the present hour, day and month end, and what is left in them; asked by many SIMs, which
    mostly are alike, at moments that only move on."""

    zone: tzinfo
    _ends: dict[Period, datetime] = field(default_factory=dict)
    _rooms: dict[tuple[Caps, Usage, int], Room] = field(default_factory=dict)
    _now: datetime | None = None

    def end(self, period: Period, now: datetime) -> datetime:
        end = self._ends.get(period)
        if end is None or now >= end:
            end = self._ends[period] = bounds(period, now, self.zone)[1]
        return end

    def room(self, caps: Caps, used: Usage, now: datetime, parts: int) -> Room:
        """`room_for`, asked once for all SIMs that have sent as much by now."""
        if now != self._now:
            self._rooms.clear()
            self._now = now
        key = (caps, used, parts)
        found = self._rooms.get(key)
        if found is None:
            found = self._rooms[key] = room_for(caps, used, now, self.zone, need=parts)
        return found


class SimQuota:
    """What a SIM may still send as time goes on. `usage` is what it had sent when this began."""

    def __init__(self, caps: Caps, usage: Usage, calendar: Calendar) -> None:
        self._caps = caps
        self._calendar = calendar
        self._parts = [usage.segments.of(period) or 0 for period in Period]
        self._recipients = [usage.recipients.of(period) or 0 for period in Period]
        self._ends: list[datetime | None] = [None for _ in Period]
        self._days = usage.days
        limits = (caps.segments, caps.recipients)
        self._capped = [p for p in Period if any(limit.of(p) is not None for limit in limits)]
        self._capped += [Period.DAY] * bool(caps.ramp)

    @property
    def is_monthly(self) -> bool:
        return Period.MONTH in self._capped

    def room(self, now: datetime, parts: int) -> Room:
        """What there is room for, and why not for one message of so many parts."""
        self._begin_anew(now)
        used = Usage(Amounts(*self._parts), Amounts(*self._recipients), self._days)
        return self._calendar.room(self._caps, used, now, parts)

    def changes_at(self, now: datetime) -> datetime | None:
        """When the limits count anew: an hour, a day or a month ends."""
        return min((self._calendar.end(period, now) for period in self._capped), default=None)

    def charge(self, now: datetime, parts: int, recipients: int) -> None:
        """So much more was sent."""
        self._begin_anew(now)
        for number in range(len(Period)):
            self._parts[number] += parts
            self._recipients[number] += recipients

    def _begin_anew(self, now: datetime) -> None:
        for number, period in enumerate(Period):
            known = self._ends[number]
            if known is not None and now < known:
                continue
            self._ends[number] = self._calendar.end(period, now)
            if known is None:
                continue
            self._days += period is Period.DAY and self._parts[number] > 0
            self._parts[number] = self._recipients[number] = 0
